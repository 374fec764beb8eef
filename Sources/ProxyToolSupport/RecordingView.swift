// mitm-view for what a tool writes: a process of its own, so that nothing that happens in a page or in the view reaches the tool. It has a
// session of its own, so that the keys of a terminal do not reach it, and it ends when its input ends, which the system closes with the tool.

import ArgumentParser
import FlowArchive
import FlowModel
import Foundation
import Glibc
import ProxyCore
import Synchronization
import ToolSupport

/// `--view`.
package struct ViewArguments: ParsableArguments {
    /// The value of an option without one: any free port.
    package static let anyPort = "0"

    @Option(
        help: ArgumentHelp(
            """
            Show what is written in a browser: start mitm-view, print its address, and end it at the end. It listens on 127.0.0.1, on a \
            free port or on that of --view=PORT; nothing is forwarded to it.
            """, valueName: "port"))
    package var view: String?

    package init() {}
}

/// The view of one run of a tool. May be used from any thread.
package final class RecordingView: Sendable {
    /// Seconds until it listens, and until it has ended.
    private static let patience = 30
    private static let grace = 2

    private struct State {
        var process: pid_t = 0
        /// The other end is its standard input, its output and its errors.
        var socket: Int32 = -1
        var address: String?
        /// The last line that it printed.
        var lastWords = ""
        var isEnding = false
        var hasEnded = false
    }

    private let tool: String
    private let work: String
    private let log: EventLog
    private let state = Mutex(State())
    private let listens = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - tool: which shows its recording.
    ///   - work: what it continues with when the view has ended.
    package init(of tool: String, work: String, log: EventLog) {
        self.tool = tool
        self.work = work
        self.log = log
    }

    /// Starts it, and waits until it listens.
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - arguments: options, and files that are there already.
    /// - Returns: where it listens.
    /// - Throws: ``ToolError`` when there is no mitm-view, or when it does not start.
    package func start(port: String, _ arguments: [String]) throws(ToolError) -> Endpoint {
        let program = try siblingProgram("mitm-view", for: "--view")
        let all = ["--recorder", "--host", "127.0.0.1", "--port", port] + arguments
        try spawn(program, all)
        let thread = Thread { [self] in follow() }
        thread.name = "view"
        thread.start()
        let isInTime = listens.wait(timeout: .now() + .seconds(Self.patience)) == .success
        let (address, words) = state.withLock { ($0.address, $0.lastWords) }
        guard let address, let found = Self.port(of: address) else {
            end()
            throw ToolError("--view: \(isInTime ? words : "\(program) does not answer")")
        }
        print(address)
        return Endpoint(host: "127.0.0.1", port: found)
    }

    /// Shows a file that was begun. It never waits: a view that has stopped reading does not get the name.
    package func show(_ path: String) {
        let name = FileName.bytes(path) + [0]
        state.withLock { state in
            guard state.socket >= 0 else { return }
            _ = unsafe name.withUnsafeBytes {
                unsafe send(state.socket, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
        }
    }

    /// Ends it and waits for its end.
    package func end() {
        let process = state.withLock { state -> pid_t? in
            state.isEnding = true
            if state.socket >= 0 { shutdown(state.socket, Int32(SHUT_WR)) }
            return state.process > 0 && !state.hasEnded ? state.process : nil
        }
        guard let process else { return }
        if ended.wait(timeout: .now() + .seconds(Self.grace)) == .timedOut { kill(process, SIGKILL) }
    }

    // MARK: Parts

    /// POSIX_SPAWN_SETSID of spawn.h, which is an extension of the C library.
    private static let newSession: Int32 = 0x80

    private func spawn(_ program: String, _ arguments: [String]) throws(ToolError) {
        var ends: [Int32] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw ToolError("--view: mitm-view cannot be started: \(systemMessage())")
        }
        let (own, other) = (ends[0], ends[1])
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer {
            unsafe posix_spawnattr_destroy(&attributes)
            unsafe posix_spawn_file_actions_destroy(&actions)
            close(other)
        }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | Self.newSession))
        for descriptor: Int32 in 0...2 { unsafe posix_spawn_file_actions_adddup2(&actions, other, descriptor) }
        let words = unsafe ([program] + arguments).map { word in unsafe FileName.withCString(word) { unsafe strdup($0) } }
        defer { unsafe words.forEach { unsafe free($0) } }
        var process: pid_t = 0
        let result = unsafe posix_spawn(&process, program, &actions, &attributes, words + [nil], environ)
        guard result == 0 else {
            close(own)
            throw ToolError("--view: \(program) cannot be started: \(systemMessage(result))")
        }
        state.withLock { ($0.process, $0.socket) = (process, own) }
    }

    /// Reads what it prints until it ends: its address, or why it ends.
    private func follow() {
        let socket = state.withLock { $0.socket }
        var line: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(socket, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in bytes.prefix(count) {
                if byte == 0x0A {
                    take(String(decoding: line, as: UTF8.self))
                    line = []
                } else if line.count < 1000 {
                    line.append(byte)
                }
            }
        }
        let (process, isUnexpected, words) = state.withLock { state in
            (state.process, !state.isEnding && state.address != nil, state.lastWords)
        }
        var status: Int32 = 0
        // A recorder with a program waits for all of its children, and may be first.
        let isKnown = unsafe waitpid(process, &status, 0) == process
        state.withLock { state in
            close(state.socket)
            (state.socket, state.hasEnded) = (-1, true)
        }
        if isUnexpected { reportEnd(isKnown ? status : nil, words) }
        listens.signal()
        ended.signal()
    }

    private func take(_ line: String) {
        let isAddress = state.withLock { state in
            guard state.address == nil, line.hasPrefix("http://") else {
                let name = "mitm-view: "
                state.lastWords = line.hasPrefix(name) ? String(line.dropFirst(name.count)) : line
                return false
            }
            state.address = line
            return true
        }
        if isAddress { listens.signal() }
    }

    private func reportEnd(_ status: Int32?, _ words: String) {
        let how =
            switch status {
            case let status? where status & 0x7F != 0: " by signal \(status & 0x7F)"
            case let status?: " with status \(status >> 8 & 0xFF)"
            case nil: ""
            }
        log.log(.error, "view", "the view has ended\(how)\(words.isEmpty ? "" : ": \(words)"); \(work) continues")
    }

    /// The address has the secret, so it is not written to a file.
    private func print(_ address: String) {
        if !log.hasFile, log.isWanted(.notice) {
            log.log(.notice, "view", "view at \(address)")
        } else {
            printError("view at \(address)", as: tool)
        }
    }

    private static func port(of address: String) -> UInt16? {
        URLComponents(string: address)?.port.flatMap { UInt16(exactly: $0) }
    }
}
