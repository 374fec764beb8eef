// The same exchange between clients and origins of either version: what went in at one end comes out at the other.

import Foundation
import TestSupport
import Testing

@Suite("Translations between versions of HTTP", .serialized)
struct TranslationTests {
    @Test("HTTP/1.1 to HTTP/1.1", arguments: Translation.all)
    func oneToOne(_ exchange: Translation) throws { try check(exchange, client: .one, origin: .one) }

    @Test("HTTP/1.1 to HTTP/2", arguments: Translation.all)
    func oneToTwo(_ exchange: Translation) throws { try check(exchange, client: .one, origin: .two) }

    @Test("HTTP/2 to HTTP/1.1", arguments: Translation.all)
    func twoToOne(_ exchange: Translation) throws { try check(exchange, client: .two, origin: .one) }

    @Test("HTTP/2 to HTTP/2", arguments: Translation.all)
    func twoToTwo(_ exchange: Translation) throws { try check(exchange, client: .two, origin: .two) }

    @Test(
        "A wrong Content-Length of HTTP/2 cuts off a client of HTTP/1, who would wait for the rest or take it for another response",
        arguments: [(3, "ok", "ok"), (1, "ok", "o"), (5, "", "")])
    func wrongLength(length: Int, content: String, expected: String) throws {
        let origin = try HTTP2Origin { endpoint, stream in
            endpoint.send(.headers(stream, [":status": "200", "content-length": "\(length)"], end: content.isEmpty))
            if !content.isEmpty { endpoint.send(.data(stream, content, end: true)) }
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let client = try RawConnection(port: recorder.port)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(client.readToEnd() == "HTTP/1.1 200 OK\r\ncontent-length: \(length)\r\n\r\n\(expected)")
            #expect(recorder.stop() == 0)
            let flow = try #require(try recorder.flows().first)
            #expect([flow["state"], flow["response.body.text"] ?? "", flow["error.side"]] == ["incomplete", content, "server"])
        }
    }

    private func check(_ exchange: Translation, client: HTTPVersion, origin: HTTPVersion) throws {
        let notes = TranslationNotes()
        let (one, two) = (
            origin == .one ? try exchange.originOfOne(notes) : nil, origin == .two ? try exchange.originOfTwo(notes) : nil
        )
        let mode = one.map { "http://127.0.0.1:\($0.port)" } ?? two.map { "h2c://127.0.0.1:\($0.port)" } ?? ""
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:" + mode, "--keep-host-header"], in: directory)
            recorder.program.collectErrors()
            var framing: HTTP1Endpoint.Framing?
            let response: PlainMessage
            switch client {
            case .one: (response, framing) = try exchange.askOverOne(port: recorder.port, notes)
            case .two: response = try exchange.askOverTwo(port: recorder.port, notes)
            }
            let request = try #require(notes.request.take(.seconds(30)))
            #expect(request == exchange.request)
            #expect(response == exchange.response)
            if origin == .one { #expect(notes.requestFraming.take(.seconds(5)) == Self.framing(of: exchange.content)) }
            // A cut client gets no framing, and a message without content has no framing.
            if let framing, framing != .none { #expect(framing == Self.framing(of: exchange.responseContent)) }
            let memory = recorder.program.peakMemory
            #expect(memory < 150 << 20)
            #expect(recorder.stop() == 0)
            try expectFlow(of: exchange, recorder, client: client, origin: origin)
        }
    }

    /// RFC 9112 §6: content of unknown length is chunked.
    private static func framing(of content: Translation.Content) -> HTTP1Endpoint.Framing {
        switch content {
        case .none: .none
        case .known: .length
        case .pieces: .chunked
        }
    }

    private func expectFlow(of exchange: Translation, _ recorder: Recorder, client: HTTPVersion, origin: HTTPVersion) throws {
        if exchange.responseContent.size > 1 << 20 {
            // As JSON it would take longer to print and to read than everything else.
            let line = try run("mitm-dump", ["--detail", "1", "capture.mflow"], in: recorder.directory)
            #expect(line.output.contains(" << 200 ") && line.output.contains(" 64.0 MiB"))
            return
        }
        let flows = try recorder.flows()
        let flow = try #require(flows.first)
        #expect(flows.count == 1)
        #expect(flow["request.version"] == client.description)
        #expect(flow["request.body.size"].flatMap { Int($0) } ?? 0 == exchange.content.size)
        if exchange.cut == .none { #expect(flow["state"] == "complete") } else { #expect(flow["state"] != "complete") }
        guard exchange.cut != .client else { return }
        #expect(flow["response.version"] == origin.description)
        #expect(flow["response.status"] == "\(exchange.status)")
        #expect(flow["response.body.size"].flatMap { Int($0) } ?? 0 == exchange.responseContent.size)
        #expect(flow.count("informational") == exchange.interims.count)
        #expect(flow["request.trailers"] ?? "" == exchange.trailers.map(\.description).joined(separator: "\n"))
        #expect(flow["response.trailers"] ?? "" == exchange.responseTrailers.map(\.description).joined(separator: "\n"))
    }
}
