// Signals as values that a thread waits for (sigwait(3)), so that nothing runs in a handler.

import Glibc

/// Signals that end a tool, or tell it something.
package enum Signals {
    /// Blocks the signals in this thread and in those that it makes from now on. Call it first.
    package static func block(_ signals: [Int32]) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Ends the waiting of the main thread from another one, as a user would.
    package static func askToEnd() { kill(getpid(), SIGTERM) }

    /// The keys of a terminal reach all programs of a pipeline. The first interrupt is left to the program that writes to our pipe, so that
    /// what it says at its end is still read; the second one ends us. Nothing changes when standard input is not a pipe.
    package static func leaveInterruptToWriter() {
        var status = stat()
        guard unsafe fstat(0, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
        unsafe sigaction(SIGINT, &action, nil)
    }

    /// Waits for one of the blocked signals.
    /// - Parameter seconds: returns nil after so long; nil waits for ever.
    package static func wait(for signals: [Int32], seconds: Double? = nil) -> Int32? {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        while true {
            if let seconds {
                var limit = timespec(tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
                let signal = unsafe sigtimedwait(&set, nil, &limit)
                if signal > 0 { return signal }
                if errno == EAGAIN { return nil }
            } else {
                var signal: Int32 = 0
                if unsafe sigwait(&set, &signal) == 0 { return signal }
            }
        }
    }
}
