// An HTTP/2 origin without TLS whose answers are a test's own, and a recorder in front of an origin.

import Foundation
import Synchronization
import TestSupport

/// Serves every connection on a thread of its own until it ends.
final class HTTP2Origin: Sendable {
    typealias Answer = @Sendable (HTTP2Endpoint, UInt32) -> Void
    private static let patience = Duration.seconds(60)
    private let origin: RawOrigin
    private let count: Counter

    var port: Int { origin.port }
    var connections: Int { count.value }

    /// - Parameters:
    ///   - settings: what it announces.
    ///   - atHead: called once for each stream when its head has come.
    ///   - atEnd: called once for each stream that has ended. By default it answers 200 and `ok`.
    convenience init(
        settings: KeyValuePairs<UInt16, UInt32> = [:], atHead: @escaping Answer, atEnd: @escaping Answer = HTTP2Origin.ok
    ) throws {
        try self.init { endpoint in
            endpoint.send(.settings(settings))
            Self.serve(endpoint, atHead: atHead, atEnd: atEnd)
        }
    }

    convenience init(settings: KeyValuePairs<UInt16, UInt32> = [:], atEnd: @escaping Answer = HTTP2Origin.ok) throws {
        try self.init(settings: settings, atHead: { _, _ in }, atEnd: atEnd)
    }

    /// - Parameter serve: what is done with each connection from its beginning.
    init(_ serve: @escaping @Sendable (HTTP2Endpoint) -> Void) throws {
        let count = Counter()
        self.count = count
        origin = try RawOrigin { connection, _ in
            count.increment()
            serve(HTTP2Endpoint(connection, .server))
        }
    }

    static func serve(_ endpoint: HTTP2Endpoint, atHead: Answer = { _, _ in }, atEnd: Answer) {
        var begun = 0
        var unfinished: [UInt32] = []
        while !endpoint.isClosed, endpoint.read(before: .now + patience) {
            // An answer that waits for windows takes in more streams, which no further read would bring up.
            while begun < endpoint.opened.count || unfinished.contains(where: { endpoint.streams[$0]?.ended == true }) {
                if begun < endpoint.opened.count {
                    unfinished.append(endpoint.opened[begun])
                    begun += 1
                    atHead(endpoint, endpoint.opened[begun - 1])
                } else if let index = unfinished.firstIndex(where: { endpoint.streams[$0]?.ended == true }) {
                    atEnd(endpoint, unfinished.remove(at: index))
                }
            }
            unfinished.removeAll { endpoint.streams[$0]?.reset != nil }
        }
    }

    /// Answers `/never` never, `/size/N` with N octets, everything else with `ok`.
    static let ok: Answer = { endpoint, stream in
        let path = endpoint.streams[stream]?.path ?? ""
        if path == "/never" { return }
        let body = path.hasPrefix("/size/") ? [UInt8](repeating: 0x78, count: Int(path.dropFirst(6)) ?? 0) : Array("ok".utf8)
        endpoint.send(.headers(stream, [":status": "200"], end: false))
        endpoint.send(body, on: stream)
    }
}

final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
}

/// Runs a recorder in reverse mode, which must end well when the test is through with it.
func withRecorder(_ mode: String, _ arguments: [String] = [], _ body: (Recorder) throws -> Void) throws {
    try withTemporaryDirectory { directory in
        let recorder = try Recorder(["--mode", "reverse:" + mode, "--keep-host-header"] + arguments, in: directory)
        recorder.program.collectErrors()
        try body(recorder)
        let status = recorder.stop()
        guard status == 0 else { throw TestFailure("the recorder ended with \(status): \(recorder.program.errors.suffix(2000))") }
    }
}

extension HTTP2Endpoint {
    /// Asks for a path and waits for the whole answer.
    /// - Returns: the status; nil when none came.
    func get(_ path: String = "/", on stream: UInt32) -> Int? {
        send(.get(stream, path))
        wait { streams[stream]?.isOver == true }
        return streams[stream]?.ended == true ? streams[stream]?.status : nil
    }
}

extension HTTP2Frame {
    /// A good request without content.
    static func get(_ stream: UInt32, _ path: String = "/", _ more: KeyValuePairs<String, String> = [:]) -> HTTP2Frame {
        headers(stream, block: HPACK.request("GET", path) + HPACK.block(more))
    }

    /// The head of a request whose content follows.
    static func post(_ stream: UInt32, _ path: String = "/", _ more: KeyValuePairs<String, String> = [:]) -> HTTP2Frame {
        headers(stream, block: HPACK.request("POST", path) + HPACK.block(more), end: false)
    }
}

extension HPACK {
    static func request(_ method: String = "GET", _ path: String = "/") -> [UInt8] {
        block([":method": method, ":scheme": "http", ":authority": "a.example", ":path": path])
    }
}
