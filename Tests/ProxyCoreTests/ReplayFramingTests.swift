// What recorded requests become on the wire when their fields say nothing, too much or the wrong thing of their content: an origin that logs
// its bytes reads each as one request, and as nothing else.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

/// Lines of a recorded head that say something of its content, whether it is there or not.
private let framings: [[String]] = [
    [], ["Content-Length: 0"], ["Content-Length: 3"], ["Content-Length: 5, 5"], ["Content-Length: 05"], ["Content-Length: 6,219"],
    ["Content-Length: x"], ["Content-Length:"], ["Content-Length: 3", "Content-Length: 0"], ["Transfer-Encoding: identity"],
    ["Transfer-Encoding: chunked"], ["transfer-encoding: Chunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked, chunked"], ["Transfer-Encoding: chunked", "Content-Length: 3"],
    ["Content-Length: 0", "Transfer-Encoding: identity, chunked"], ["Transfer-Encoding: gzip"],
    ["Transfer-Encoding: chunked, gzip"],
    ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: x, chunked"], ["Transfer-Encoding:"],
]

private let smuggled = "DELETE /x HTTP/1.1\r\nHost: recorded\r\n\r\n"

/// A flow with content, or none, under a head that says what it likes.
private struct Sample: CustomStringConvertible {
    var method: String
    var version: String
    var lines: [String]
    var content: String

    var description: String { "\(method) \(version) \(lines) <\(content.prefix(6))>" }

    static let all = framings.flatMap { lines in
        [("GET", "HTTP/1.1"), ("POST", "HTTP/1.1"), ("POST", "HTTP/1.0"), ("GET", "HTTP/2")].flatMap { method, version in
            ["", "abc", smuggled].map { Sample(method: method, version: version, lines: lines, content: $0) }
        }
    }

    var flow: Flow {
        var head = ["\(method) /a \(version)", "Host: recorded"] + lines
        if version == "HTTP/2" {
            head = [":method: \(method)", ":scheme: http", ":authority: recorded", ":path: /a"] + lines.map { $0.lowercased() }
        }
        return recorded(
            head.joined(separator: "\r\n") + "\r\n\r\n", body: content.isEmpty ? nil : content,
            version: version == "HTTP/2" ? .http2 : version == "HTTP/1.0" ? .http1_0 : .http1_1)
    }
}

/// An origin of HTTP/1 that reads strictly, answers each request and keeps what it read.
private struct StrictOrigin {
    private let decoder = HTTP1RequestDecoder()
    private(set) var requests: [String] = []
    private var content = ByteBuffer()
    private(set) var error: HTTP1Error?

    /// - Returns: the answers to requests that are complete now.
    mutating func receive(_ bytes: ByteBuffer) -> ByteBuffer {
        decoder.receive(bytes)
        var answers = ByteBuffer()
        do throws(HTTP1Error) {
            while let event = try decoder.next() {
                let isLast: Bool
                switch event {
                case .head(let head, _, let endsWithHead):
                    requests.append("\(String(buffer: head.method)) \(String(buffer: head.target))")
                    content = ByteBuffer()
                    isLast = endsWithHead
                case .content(let piece, _, let endsWithContent):
                    content.writeImmutableBuffer(piece)
                    isLast = endsWithContent
                case .end:
                    isLast = true
                }
                guard isLast else { continue }
                requests[requests.count - 1] += " <\(String(buffer: content))>"
                answers.writeString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
        } catch {
            self.error = error
        }
        return answers
    }

    var unread: Int { decoder.bufferedBytes }
}

@Suite("The framing of requests that are sent again")
struct ReplayFramingTests {
    private func isOpen(_ number: UInt32) -> ProxyEvent {
        .opened(
            ConnectionHandle(number), peer: Endpoint(host: "192.0.2.1", port: 80), local: Endpoint(host: "192.0.2.9", port: 1))
    }

    private func sent(_ commands: [ProxyCommand], to number: UInt32 = 1) -> ByteBuffer {
        var all = ByteBuffer()
        for case .send(ConnectionHandle(number), let bytes) in commands { all.writeImmutableBuffer(bytes) }
        return all
    }

    @Test("A server of HTTP/1 reads one request for each, with the recorded content", arguments: Sample.all.indices)
    func onHTTP1(_ index: Int) throws {
        let sample = Sample.all[index]
        let isHTTP2 = sample.version == "HTTP/2"
        let after =
            isHTTP2
            ? Sample(method: "GET", version: "HTTP/2", lines: [], content: "")
            : Sample(
                method: "GET", version: "HTTP/1.1", lines: [], content: "")
        var second = after.flow
        second.started = second.started.advanced(byNanoseconds: 20_000_000)
        let stage = try Stage([sample.flow, second], isHTTP2 ? .http2 : .http1)
        var origin = StrictOrigin()
        stage.begin()
        var answers = origin.receive(sent(stage.commands(isOpen(1))))
        while answers.readableBytes > 0 {
            answers = origin.receive(sent(stage.commands(.received(ConnectionHandle(1), answers))))
        }
        #expect(origin.error == nil, "\(sample)")
        let isClosed = sample.version == "HTTP/1.0"
        #expect(
            origin.requests == ["\(sample.method) /a <\(sample.content)>"] + (isClosed ? [] : ["GET /a <>"]), "\(sample)")
        #expect(origin.unread == 0, "\(sample)")
    }

    @Test("A server of HTTP/2 gets the recorded content under a length that fits", arguments: Sample.all.indices)
    func onHTTP2(_ index: Int) throws {
        let sample = Sample.all[index]
        guard sample.version == "HTTP/2" else { return }
        let stage = try Stage([sample.flow], .http2, mode: "reverse:h2c://origin:80")
        let server = HTTP2Connection(.server)
        var lengths: [String] = []
        var content = ByteBuffer()
        var hasEnded = false
        var faults: [String] = []
        func receive(_ commands: [ProxyCommand]) {
            server.receive(sent(commands))
            while let event = server.next() {
                switch event {
                case .request(_, .head(let head, _, let isLast)):
                    lengths = head.fields.all("content-length").map { String(buffer: $0) }
                    hasEnded = isLast
                case .request(_, .content(let piece, _, let isLast)):
                    content.writeImmutableBuffer(piece)
                    hasEnded = isLast
                case .request(_, .end): hasEnded = true
                case .failed(_, _, let message, _, _): faults.append(message)
                default: break
                }
            }
        }
        stage.begin()
        receive(stage.commands(isOpen(1)))
        while let bytes = server.takeOutput() { receive(stage.commands(.received(ConnectionHandle(1), bytes))) }
        #expect(faults == [], "\(sample)")
        #expect(hasEnded && String(buffer: content) == sample.content, "\(sample)")
        #expect(lengths == [] || lengths == ["\(sample.content.utf8.count)"], "\(sample)")
    }

    @Test("What says one right thing is sent as it was recorded, byte for byte")
    func unchanged() throws {
        for (lines, content, wire) in [
            ("", "", ""),
            ("Content-Length: 3\r\n", "abc", "abc"),
            ("content-length:3\r\n", "abc", "abc"),
            ("Content-Length: 0\r\n", "", ""),
            ("TRANSFER-ENCODING: Chunked\r\n", "abc", "3\r\nabc\r\n0\r\n\r\n"),
            ("Transfer-Encoding: gzip, chunked\r\n", "abc", "3\r\nabc\r\n0\r\n\r\n"),
        ] {
            let head = "POST /a HTTP/1.1\r\nHost: recorded\r\n\(lines)X: y\r\n\r\n"
            let stage = try Stage([recorded(head, body: content.isEmpty ? nil : content)])
            stage.begin()
            #expect(stage.serverOpens() == ["send upstream 1: \(head)\(wire)"])
        }
    }

    @Test("A WebSocket handshake has no content, whatever its fields say")
    func handshake() throws {
        let flow = recorded(
            "GET / HTTP/1.1\r\nHost: recorded\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        let stage = try Stage([flow])
        stage.begin()
        let request = stage.serverOpens().joined()
        #expect(request.hasPrefix("send upstream 1: GET / HTTP/1.1\r\nHost: recorded\r\nUpgrade: websocket\r\n"))
        #expect(!request.contains("Content-Length") && !request.contains("Transfer-Encoding"))
    }
}
