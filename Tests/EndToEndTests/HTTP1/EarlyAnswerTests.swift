// A server that answers before the request is complete, which it may (RFC 9110 §10.1.1, RFC 9112 §9.5, RFC 9113 §8.1).

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("An early answer")
struct EarlyAnswerTests {
    enum Version: String, CaseIterable, CustomTestStringConvertible {
        case http1 = "http"
        case http2 = "h2c"
        var testDescription: String { rawValue }
    }

    /// What the server does after its answer.
    enum After: CaseIterable {
        /// FIN, or RST_STREAM with NO_ERROR.
        case endsInput
        /// It waits for the rest, which does not come.
        case waits
    }

    private final class Origin {
        let port: Int
        private let held: Any

        init(_ version: Version, _ after: After) throws {
            switch version {
            case .http1:
                let close = after == .endsInput ? "Connection: close\r\n" : ""
                let origin = try RawOrigin { connection, _ in
                    _ = connection.read(until: "half")
                    connection.send("HTTP/1.1 413 Content Too Large\r\n\(close)Content-Length: 2\r\n\r\nno")
                    if after == .waits { _ = connection.readToEnd() }
                }
                (port, held) = (origin.port, origin)
            case .http2:
                let origin = try HTTP2Origin { endpoint in
                    endpoint.send(.settings())
                    HTTP2Origin.serve(
                        endpoint,
                        atHead: { endpoint, stream in
                            endpoint.wait { endpoint.streams[stream]?.body.size == 4 }
                            endpoint.send(.headers(stream, [":status": "413", "content-length": "2"], end: false))
                            endpoint.send(.data(stream, "no", end: true))
                            if after == .endsInput { endpoint.send(.reset(stream, .noError)) }
                        }, atEnd: { _, _ in })
                }
                (port, held) = (origin.port, origin)
            }
        }
    }

    @Test(
        "is no error, whatever client and server speak, and whichever ends first", arguments: Version.allCases,
        Version.allCases.flatMap { server in After.allCases.map { (server, $0) } })
    func isNoError(client version: Version, server: (version: Version, after: After)) throws {
        try withTemporaryDirectory { directory in
            let origin = try Origin(server.version, server.after)
            let mode = server.version == .http1 ? "http" : "h2c"
            let recorder = try Recorder(["--mode", "reverse:\(mode)://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            switch version {
            case .http1:
                let client = try RawConnection(port: recorder.port)
                client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
                #expect(client.read(until: "no").hasPrefix("HTTP/1.1 413 "))
                if server.after == .waits { client.finish() }
                _ = client.readToEnd()
            case .http2:
                let client = try HTTP2Endpoint.client(port: recorder.port)
                client.send(.post(1))
                client.send(Array("half".utf8), on: 1, end: false)
                client.wait(.seconds(5)) { client.streams[1]?.ended == true }
                #expect(client.streams[1]?.status == 413)
                if server.after == .waits { client.send(.reset(1, .cancel)) }
                client.send(.ping())
                let isTaken = client.wait(.seconds(5)) { !client.pongs.isEmpty }
                #expect(isTaken)
            }
            #expect(recorder.stop() == 0)
            let flow = try #require(try recorder.flows().first { $0["response.status"] == "413" })
            let facts = ["state", "error.message", "request.body.size", "request.body.complete", "response.body.complete"]
            #expect(facts.map { flow[$0] } == ["complete", nil, "4", "0", "1"])
            let sentence =
                server.after == .endsInput
                ? "the server answered before the request was complete, and reads no more of it"
                : "the client had the answer and did not send the rest of its request"
            #expect(flow["notes.0.message"] == sentence)
        }
    }
}
