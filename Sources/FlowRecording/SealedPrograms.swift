// Runs a program with each sealed file, one at a time, on a thread of its own.

import FlowArchive
import Foundation
import Glibc
import Synchronization

/// Runs `PROGRAM FILE` for each file, in their order. May be used from any thread.
final class SealedPrograms: Sendable {
    private struct State {
        var waiting: [String] = []
        var running: String?
        var isRunning = false
        var isEnding = false
    }

    private let program: String
    private let notice: @Sendable (RecordingNotice) -> Void
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(_ program: String, notice: @escaping @Sendable (RecordingNotice) -> Void) {
        self.program = program
        self.notice = notice
        let thread = Thread { self.run() }
        thread.name = "sealed files"
        thread.start()
    }

    func add(_ path: String) {
        state.withLock { $0.waiting.append(path) }
        work.signal()
    }

    /// Whether the program has still to run with a file, or to end.
    func needs(_ path: String) -> Bool { state.withLock { $0.running == path || $0.waiting.contains(path) } }

    /// Waits until the program has run with every file.
    func finish() {
        let count = state.withLock { state in
            state.isEnding = true
            return state.waiting.count + (state.running == nil ? 0 : 1)
        }
        if count > 1 { notice(RecordingNotice(.progress, "waiting for \(program), which has still to run with \(count) files")) }
        work.signal()
        ended.wait()
        ended.signal()
    }

    private func run() {
        while true {
            work.wait()
            let path = state.withLock { state -> String? in
                state.running = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
                return state.running
            }
            guard let path else { break }
            if let problem = Self.run(program, path) {
                notice(RecordingNotice(.warning, "\(program) \(path): \(problem); the file stays"))
            }
            state.withLock { $0.running = nil }
        }
        ended.signal()
    }

    /// - Returns: why it failed; nil for success.
    private static func run(_ program: String, _ path: String) -> String? {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // The recorder waits for signals that it blocks; a program begins without that.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        var process: pid_t = 0
        let failed = unsafe FileName.withCString(program) { program in
            unsafe FileName.withCString(path) { path in
                let arguments: [UnsafeMutablePointer<CChar>?] = unsafe [
                    UnsafeMutablePointer(mutating: program), UnsafeMutablePointer(mutating: path), nil,
                ]
                return unsafe posix_spawnp(&process, program, &actions, &attributes, arguments, environ)
            }
        }
        guard failed == 0 else { return "cannot run it: \(unsafe String(cString: strerror(failed)).lowercased())" }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { return nil }
        }
        // wait(2)
        let signal = status & 0x7F
        if signal != 0 { return "it was ended by signal \(signal)" }
        let code = status >> 8 & 0xFF
        return code == 0 ? nil : "it ended with status \(code)"
    }
}
