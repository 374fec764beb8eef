// Priority signals of a client (RFC 7540 §5.3, RFC 9218): on their way to the server where that is wanted, and not otherwise.

import TestSupport
import Testing

@Suite("HTTP/2 priorities")
struct HTTP2PriorityTests {
    /// The priorities that the origin received, by the paths of their requests, as text.
    private func told(_ arguments: [String]) throws -> [String] {
        let frames = Awaited<[String]>()
        let origin = try HTTP2Origin { endpoint in
            endpoint.send(.settings())
            // An interim response says that the request is there.
            HTTP2Origin.serve(endpoint, atHead: { $0.send(.headers($1, [":status": "103"], end: false)) }) { endpoint, stream in
                HTTP2Origin.ok(endpoint, stream)
                if endpoint.streams[stream]?.path == "/last" { frames.put(endpoint.priorities) }
            }
        }
        var result: [String] = []
        try withRecorder("h2c://127.0.0.1:\(origin.port)", arguments) { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            let first = client.get("/first", on: 1)
            #expect(first == 200)
            // Before the request, with it, and behind it; a dependency on a stream that is not there becomes one on the root.
            client.send(.priority(7, weight: 76), .priorityUpdate(7, "u=1"))
            client.send(.headers(5, block: HPACK.request("GET", "/with"), dependency: 99, weight: 32))
            client.wait { client.streams[5]?.ended == true }
            client.send(.post(7, "/before"))
            client.wait { client.streams[7]?.sections.isEmpty == false }
            client.send(.priority(7, weight: 8), .priorityUpdate(7, "u=4, i"), .data(7, "x", end: true))
            client.wait { client.streams[7]?.ended == true }
            let last = client.get("/last", on: 9)
            #expect(last == 200)
            result = try #require(frames.take(.seconds(5)))
        }
        return result
    }

    @Test("--http2-priority forwards the signals before a request, with it and after it")
    func forwarded() throws {
        let told = try told(["--http2-priority"])
        #expect(
            told == [
                "HEADERS 3 on 0 weight 33", "UPDATE 5 u=1", "HEADERS 5 on 0 weight 77", "PRIORITY 5 on 0 weight 9",
                "UPDATE 5 u=4, i",
            ])
    }

    @Test("--set http2_priority=true means the same")
    func named() throws { #expect(try told(["--set", "http2_priority=true"]).count == 5) }

    @Test("Without the option no frame says a priority")
    func withheld() throws { #expect(try told([]) == []) }
}
