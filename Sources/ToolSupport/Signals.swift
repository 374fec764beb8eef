// Signals as values that a thread waits for (sigwait(3)), so that nothing runs in a handler.

import Glibc

/// Signals that end a tool or request something of it.
package enum Signals {
    /// Blocks the signals in this thread and in those that it makes from now on. Call it first.
    /// - Returns: the signals that were blocked before.
    @discardableResult
    package static func block(_ signals: [Int32]) -> sigset_t {
        var set = set(of: signals)
        var before = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, &set, &before)
        return before
    }

    /// Lets a signal that stops a program (SIGTSTP, SIGTTIN, SIGTTOU) do that to this one. Returns when it continues, or at once if the
    /// signal has no effect.
    package static func stop(by signal: Int32) {
        var set = set(of: [signal])
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(signal)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }

    /// Ends the waiting of the main thread from another one, as a user would.
    package static func askToEnd() { kill(getpid(), SIGTERM) }

    /// The keys of a terminal reach all programs of a pipeline. The first interrupt is left to the program that writes to our pipe, so that
    /// its last output is still read; the second one ends this tool. Has no effect if standard input is not a pipe.
    package static func leaveInterruptToWriter() {
        var status = stat()
        guard unsafe fstat(0, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return }
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
        unsafe sigaction(SIGINT, &action, nil)
    }

    /// A signal that was received.
    package struct Received: Sendable {
        package var number: Int32
        /// Whether a program sent it, not the system: kill(2), not a key of the terminal.
        package var isSent: Bool
    }

    /// Waits for one of the blocked signals.
    /// - Parameter seconds: returns nil after so long; nil waits for ever.
    package static func wait(for signals: [Int32], seconds: Double? = nil) -> Int32? {
        receive(signals, seconds: seconds)?.number
    }

    /// Waits for one of the blocked signals, and for where it comes from.
    package static func receive(_ signals: [Int32], seconds: Double? = nil) -> Received? {
        var set = set(of: signals)
        var information = unsafe siginfo_t()
        while true {
            if let seconds {
                var limit = timespec(tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
                let signal = unsafe sigtimedwait(&set, &information, &limit)
                // sigaction(2): codes of the system are positive.
                if signal > 0 { return Received(number: signal, isSent: unsafe information.si_code <= 0) }
                if errno == EAGAIN { return nil }
            } else {
                let signal = unsafe sigwaitinfo(&set, &information)
                if signal > 0 { return Received(number: signal, isSent: unsafe information.si_code <= 0) }
            }
        }
    }
}

/// The terminal that a tool was started from. When it is closed the system sends SIGHUP, as a user does for other reasons.
package struct ControllingTerminal: Sendable {
    private let isThere: Bool

    /// Call it at the start, before anything changes.
    package init() {
        var action = sigaction()
        let isKnown = unsafe sigaction(SIGHUP, nil, &action) == 0
        let handler = unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        let ignoresHangUp = unsafe isKnown && handler == unsafeBitCast(SIG_IGN, to: Int.self)
        // nohup(1) asks for a program that outlives its terminal.
        isThere = !ignoresHangUp && Self.canBeOpened
        outlivesTerminal = ignoresHangUp
    }

    /// Whether SIGHUP was ignored when the tool was started.
    package let outlivesTerminal: Bool

    /// Whether it was there and has been closed.
    package var isGone: Bool { isThere && !Self.canBeOpened }

    private static var canBeOpened: Bool {
        let descriptor = unsafe open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == EMFILE || errno == ENFILE }
        close(descriptor)
        return true
    }
}
