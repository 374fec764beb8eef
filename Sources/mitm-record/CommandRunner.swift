// Runs a program as the shell that started the recorder would have: with its streams, its terminal, its signals and its descriptors. The
// program stays in the recorder's process group, so the keys of a terminal reach it without our help.

import FlowArchive
import Foundation
import Glibc
import ToolSupport

/// The file of a program.
struct ProgramFile {
    /// As it was given.
    let name: String
    let path: String

    /// Finds a program as execvp(3) does: a name without a slash in the directories of PATH.
    /// - Throws: ``LaunchFailure``.
    init(_ name: String, path search: String?) throws(LaunchFailure) {
        self.name = name
        guard !name.isEmpty else { throw LaunchFailure(name, ENOENT) }
        guard !name.contains("/") else {
            path = name
            guard let problem = Self.problem(name) else { return }
            throw LaunchFailure(name, problem)
        }
        var reason = ENOENT
        for directory in (search ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = directory.isEmpty ? "./\(name)" : "\(directory)/\(name)"
            guard let problem = Self.problem(candidate) else {
                path = candidate
                return
            }
            if problem == EACCES { reason = EACCES }
        }
        throw LaunchFailure(name, reason)
    }

    /// - Returns: the error number of a file that cannot be executed.
    private static func problem(_ path: String) -> Int32? {
        var status = stat()
        let found = unsafe FileName.withCString(path) { path in unsafe stat(path, &status) == 0 && access(path, X_OK) == 0 }
        if !found { return errno }
        return status.st_mode & S_IFMT == S_IFREG ? nil : EACCES
    }
}

/// A program that could not be started.
struct LaunchFailure: Error {
    let program: String
    let reason: Int32

    init(_ program: String, _ reason: Int32) { (self.program, self.reason) = (program, reason) }

    /// As env(1) has it: 127 if there is no such program, 126 if it cannot be executed.
    var status: Int32 { reason == ENOENT ? 127 : 126 }
    var message: String {
        let words = unsafe String(cString: strerror(reason)).lowercased()
        return
            "cannot run '\(program)': \(reason == ENOENT && !program.contains("/") ? "there is no such command on the PATH" : words)"
    }
}

/// Descriptors that were open when the recorder was started: a program inherits these and no others.
struct InheritedDescriptors {
    private let descriptors: Set<Int32>

    /// Call it before anything is opened.
    init() { descriptors = Self.open }

    /// Marks all others, so that a program that is started does not get them.
    func keepOthers() {
        for descriptor in Self.open.subtracting(descriptors) { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }

    /// Those that a program would inherit now.
    private static var open: Set<Int32> {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return Set(
            names.compactMap { Int32($0) }.filter { descriptor in
                let flags = fcntl(descriptor, F_GETFD)
                return flags >= 0 && flags & FD_CLOEXEC == 0
            })
    }
}

/// A program that the recorder started.
struct LaunchedProgram {
    let processID: pid_t

    /// Signals that the recorder waits for while a program runs. Those of a terminal's keys reach the program too; the recorder ends with it.
    static let signals = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCHLD]

    /// What this process ignores, and a program must not.
    private static let ignored = [SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2]

    /// Starts a program.
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - mask: the signals that are blocked in it.
    ///   - errors: the path of a file for its stderr; nil: it has ours.
    /// - Throws: ``LaunchFailure``.
    init(
        _ program: ProgramFile, _ arguments: [String], environment: ProcessEnvironment, mask: sigset_t, errors: String? = nil
    ) throws(LaunchFailure) {
        signal(SIGCHLD, SIG_DFL)
        var attributes = posix_spawnattr_t()
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawnattr_init(&attributes)
        unsafe posix_spawn_file_actions_init(&actions)
        defer {
            unsafe posix_spawnattr_destroy(&attributes)
            unsafe posix_spawn_file_actions_destroy(&actions)
        }
        var mask = mask
        var defaults = sigset_t()
        unsafe sigemptyset(&defaults)
        for signal in Self.ignored { unsafe sigaddset(&defaults, signal) }
        unsafe posix_spawnattr_setsigmask(&attributes, &mask)
        unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        if let errors { unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600) }

        func spawn(_ path: String, _ arguments: [String]) -> (Int32, pid_t) {
            var child: pid_t = 0
            let result = unsafe withCStrings(arguments) { arguments in
                unsafe withCStrings(environment.entries) { environment in
                    unsafe FileName.withCString(path) {
                        unsafe posix_spawn(&child, $0, &actions, &attributes, arguments, environment)
                    }
                }
            }
            return (result, child)
        }
        var (result, child) = spawn(program.path, [program.name] + arguments)
        // A script without a first line that names its interpreter is one of sh, as for execvp(3).
        if result == ENOEXEC { (result, child) = spawn("/bin/sh", ["sh", program.path] + arguments) }
        guard result == 0 else { throw LaunchFailure(program.name, result) }
        processID = child
    }

    func send(_ signal: Int32) { kill(processID, signal) }

    /// Waits for its end, whatever signals come.
    func waitForEnd() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(processID, &status, 0) < 0, errno == EINTR {}
        return Self.exitStatus(status)
    }

    /// Takes notice of children that have ended or stopped; a recorder with process number 1 has adopted ones too. If the program was stopped by a
    /// key of the terminal or by using it from the background, the recorder stops the same way, so that the shell notices, and
    /// continues with it.
    /// - Returns: the exit status of the program if it has ended.
    func noticeChildren() -> Int32? {
        var status: Int32 = 0
        var ended: Int32?
        while true {
            let child = unsafe waitpid(-1, &status, WNOHANG | WUNTRACED)
            guard child > 0 else { return ended }
            guard child == processID else { continue }
            guard status & 0xFF == 0x7F else {
                ended = Self.exitStatus(status)
                continue
            }
            let signal = status >> 8 & 0xFF
            guard [SIGTSTP, SIGTTIN, SIGTTOU].contains(signal) else { continue }
            Signals.stop(by: signal)
            send(SIGCONT)
        }
    }

    /// The status as a shell reports it: 128 and the signal's number if a signal ended it (wait(2)).
    private static func exitStatus(_ status: Int32) -> Int32 {
        status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }
}

/// Lends strings as a list that ends with a null pointer.
private func withCStrings<R>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
    let copies = unsafe strings.map { string in unsafe FileName.withCString(string) { unsafe strdup($0) } }
    defer { unsafe copies.forEach { unsafe free($0) } }
    return unsafe body(copies + [nil])
}
