// Signals as values that a thread waits for (sigwait(3)), so that nothing runs in a handler.

import Foundation
import Glibc
import Synchronization

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

    /// Signals have their usual effect on this thread.
    static func unblock(_ signals: [Int32]) {
        var set = set(of: signals)
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Lets a signal that stops a program (SIGTSTP, SIGTTIN, SIGTTOU) do that to this one. Returns when it continues, or at once if the
    /// signal has no effect.
    package static func stop(by signal: Int32) {
        // The key of the terminal may have sent it already: while it is blocked both become one, and the process stops once.
        kill(getpid(), signal)
        unblock([signal])
        block([signal])
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

    /// Whether a signal has no effect on this process: a shell starts its background jobs, and nohup(1) its command, like this.
    package static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard unsafe sigaction(signal, nil, &action) == 0 else { return false }
        let handler = unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        return unsafe handler == unsafeBitCast(SIG_IGN, to: Int.self)
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

/// The first SIGINT or SIGTERM asks a tool to end its work in order, with what it has found; the second one ends the process at once.
package final class Interruption: Sendable {
    private let received = Atomic<Int32>(0)

    /// Call it before other threads are made, and only for work that asks for ``signal`` often.
    package init() {
        let signals = [SIGINT, SIGTERM].filter { !Signals.isIgnored($0) }
        guard !signals.isEmpty else { return }
        Signals.block(signals)
        Thread.detachNewThread { [self] in
            guard let signal = Signals.wait(for: signals) else { return }
            received.store(signal, ordering: .relaxed)
            // The next one is delivered to this thread, since all others block it, and has its usual effect.
            Signals.unblock(signals)
            while true { pause() }
        }
    }

    /// The signal that was received; nil before.
    package var signal: Int32? {
        let signal = received.load(ordering: .relaxed)
        return signal == 0 ? nil : signal
    }
}

/// The terminal that a tool was started from. When it is closed the system sends SIGHUP, as a user does for other reasons.
package struct ControllingTerminal: Sendable {
    private let isThere: Bool

    /// Call it at the start, before anything changes.
    package init() {
        // nohup(1) asks for a program that outlives its terminal.
        outlivesTerminal = Signals.isIgnored(SIGHUP)
        isThere = !outlivesTerminal && Self.canBeOpened
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
