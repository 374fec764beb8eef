// Sends a flow again, by mitm-replay, to the one target that the user has allowed. A request names the flow and nothing else.

import FlowArchive
import FlowModel
import Foundation
import Glibc
import NIOCore
import Synchronization
import ToolSupport

/// Replays flows, one at a time. May be used from any thread.
package final class FlowReplayer: Sendable {
    private static let schemes: Set<String> = ["http", "https", "h2c", "tcp", "tls"]
    /// Seconds that a replay may take.
    private static let timeLimit = 60

    /// As `--target` of mitm-replay has it.
    package let target: String
    private let program: String
    private let options: [String]
    private let isBusy = Mutex(false)

    /// - Parameters:
    ///   - target: `http://127.0.0.1:8000`.
    ///   - options: of mitm-replay, such as its configuration directory.
    /// - Throws: ``ToolError`` for a target that is not a server, and when there is no mitm-replay.
    package init(target: String, options: [String]) throws(ToolError) {
        let url = URLComponents(string: target)
        guard let url, let scheme = url.scheme, Self.schemes.contains(scheme), url.host?.isEmpty == false, url.path.isEmpty,
            url.query == nil, url.fragment == nil, url.user == nil, !target.hasSuffix(":")
        else {
            throw ToolError(
                "--allow-replay '\(target)' is not a server; write http://, https://, h2c://, tcp:// or tls://host[:port], without a path"
            )
        }
        self.target = target
        self.options = options
        program = try siblingProgram("mitm-replay", for: "--allow-replay")
    }

    /// Sends a flow and waits for the comparison of the answer with the recorded one.
    /// - Returns: the object that mitm-replay prints for the flow.
    func replay(_ flow: Flow) throws(ViewError) -> ByteBuffer {
        let isFree = isBusy.withLock { isBusy in
            defer { isBusy = true }
            return !isBusy
        }
        guard isFree else { throw ViewError(.conflict, "another flow is being replayed; try again when it has ended") }
        defer { isBusy.withLock { $0 = false } }
        do {
            return try withTemporaryDirectory { directory in
                let recording = directory + "/flow.mflow"
                try write(flow, to: recording)
                return try run(on: recording, in: directory)
            }
        } catch let error as ViewError {
            throw error
        } catch {
            throw ViewError(.internalServerError, "the flow cannot be replayed: \(error)")
        }
    }

    /// Only this user can read what is in it.
    private func withTemporaryDirectory<R>(_ body: (String) throws -> R) throws -> R {
        var template = Array((FileManager.default.temporaryDirectory.path + "/mitm-view-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw ToolError("no directory can be made in \(FileManager.default.temporaryDirectory.path): \(systemMessage())")
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        return try body(directory)
    }

    private func write(_ flow: Flow, to path: String) throws {
        var options = ArchiveOptions()
        // The new answer is compared after the same redaction.
        options.redactionRules = flow.redaction.map { $0.changes.map(\.rule) + $0.omissions.map(\.rule) } ?? []
        let writer = try ArchiveWriter(storage: try POSIXStorage.open(path: path, truncates: true), options: options, now: .now)
        try flow.forEachEvent { try writer.append($0) }
        try writer.close()
    }

    private func run(on recording: String, in directory: String) throws -> ByteBuffer {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            options + ["--target", target, "--diff", "--json", "--timing", "max", "--repeat", "1", "--quiet", "--", recording]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file(directory + "/output")
        process.standardError = try file(directory + "/errors")
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        guard ended.wait(timeout: .now() + .seconds(Self.timeLimit)) == .success else {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
            throw ViewError(.gatewayTimeout, "\(target) did not answer within \(Self.timeLimit) seconds")
        }
        let output = try readFile(directory + "/output", as: "the output of mitm-replay")
        let first = output.prefix { $0 != 0x0A }
        // With nothing sent there is the summary only, or an error.
        guard output.count > first.count + 1, output.dropFirst(first.count + 1).contains(0x0A) else {
            let errors = try readText(directory + "/errors", as: "the errors of mitm-replay").split(separator: "\n")
            let name = "mitm-replay: "
            let reason = errors.last.map { $0.hasPrefix(name) ? String($0.dropFirst(name.count)) : String($0) }
            throw ViewError(.unprocessableEntity, reason ?? "mitm-replay ended with status \(process.terminationStatus)")
        }
        return ByteBuffer(bytes: first)
    }

    private func file(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw ToolError("cannot write \(path): \(systemMessage())") }
        return handle
    }
}

extension ViewAPI {
    /// - Parameter name: of a flow.
    func replay(_ name: String, _ body: ByteBuffer) throws(ViewError) -> ViewResponse {
        guard let replayer = options.replayer else {
            throw ViewError(.forbidden, "flows are replayed only by a mitm-view with --allow-replay TARGET")
        }
        // What is sent, and to where, is not for the page to choose.
        guard body.readableBytes == 0 else { throw ViewError(.badRequest, "a replay takes no content") }
        let ordinal = try ordinal(name)
        let flow: Flow?
        do { flow = try index.flowWithCertificates(ordinal) } catch {
            throw ViewError(.internalServerError, "\(error)")
        }
        guard let flow else { throw .notFound }
        let result = try replayer.replay(flow)
        var json = JSONText()
        json.object { json in
            json.member("target", replayer.target)
            json.member("result", json: result)
        }
        return ViewResponse(.json, json)
    }
}
