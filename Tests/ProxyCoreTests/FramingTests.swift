// What is written has one framing, whatever was read: generated combinations of the fields that decide it, each followed by a marker, and a
// reader that knows nothing but the one form that every recipient reads alike.

import FlowModel
import Foundation
import HTTP1Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import HTTP2Codec
@testable import ProxyCore

/// Reads messages of HTTP/1 of which the end is beyond doubt, and refuses all others.
private struct PlainReader {
    struct Doubt: Error { var what: String }

    /// The messages in a connection's bytes, each its start-line and its content in brackets.
    /// - Parameter isClosed: the connection ends after the bytes.
    static func messages(_ text: String, isClosed: Bool) throws(Doubt) -> [String] {
        var rest = Array(text.utf8)[...]
        var found: [String] = []
        while !rest.isEmpty {
            guard let head = line(&rest, behind: "\r\n\r\n") else { throw Doubt(what: "no head") }
            let lines = head.split(separator: "\r\n").map(String.init)
            let fields = lines.dropFirst().map {
                $0.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            }
            func values(_ name: String) -> [String] {
                fields.filter { $0[0].lowercased() == name }.map { $0.count > 1 ? $0[1] : "" }
            }
            let (lengths, codings) = (values("content-length"), values("transfer-encoding"))
            guard lengths.count + codings.count <= 1 else { throw Doubt(what: "two framings: \(lines)") }
            let isResponse = lines[0].hasPrefix("HTTP/")
            var size = isResponse ? rest.count : 0
            if let coding = codings.first {
                guard lines[0].contains("HTTP/1.1") else { throw Doubt(what: "coded in HTTP/1.0: \(lines)") }
                let elements = coding.lowercased().split(separator: ",", omittingEmptySubsequences: false)
                    .map { $0.trimmingCharacters(in: .whitespaces) }
                guard !elements.contains(""), elements.filter({ $0 == "chunked" }).count <= 1 else { throw Doubt(what: coding) }
                if elements.last == "chunked" {
                    found.append("\(lines[0]) <\(try chunks(&rest))>")
                    continue
                }
                guard isResponse, isClosed else { throw Doubt(what: "no end: \(coding)") }
            } else if let length = lengths.first {
                guard let number = Int(length), "\(number)" == length else { throw Doubt(what: "length: \(length)") }
                guard rest.count >= number else { throw Doubt(what: "cut: \(lines)") }
                size = number
            } else if isResponse, !isClosed {
                throw Doubt(what: "no end: \(lines)")
            }
            found.append("\(lines[0]) <\(String(decoding: rest.prefix(size), as: UTF8.self))>")
            rest = rest.dropFirst(size)
        }
        return found
    }

    /// How many messages there are, or what is in doubt.
    static func judge(_ text: String, isClosed: Bool) -> String {
        do throws(Doubt) { return "\(try messages(text, isClosed: isClosed).count) messages" } catch { return error.what }
    }

    /// The text before an end, which is skipped too.
    private static func line(_ rest: inout ArraySlice<UInt8>, behind end: String) -> String? {
        let end = Array(end.utf8)
        guard let found = rest.indices.first(where: { rest[$0...].starts(with: end) }) else { return nil }
        defer { rest = rest[(found + end.count)...] }
        return String(decoding: rest[..<found], as: UTF8.self)
    }

    private static func chunks(_ rest: inout ArraySlice<UInt8>) throws(Doubt) -> String {
        var content = ""
        while true {
            guard let digits = line(&rest, behind: "\r\n"), let size = Int(digits, radix: 16) else { throw Doubt(what: "chunk") }
            content += String(decoding: rest.prefix(size), as: UTF8.self)
            rest = rest.dropFirst(size)
            guard line(&rest, behind: "\r\n") == "" else { throw Doubt(what: "chunk end") }
            if size == 0 { return content }
        }
    }
}

private let lengths: [[String]] = [
    [], ["5"], ["05"], ["5, 5"], ["5", "5"], ["5,05"], ["5", "6"], ["15"], ["0"], ["00"], ["x"], [""],
]
private let codings: [[String]] = [
    [], ["chunked"], ["Chunked"], ["chunked", "chunked"], ["chunked, chunked"], ["gzip, chunked"], ["gzip", "chunked"],
    ["chunked, gzip"], ["gzip"], ["xchunked"], ["x, chunked"], ["identity"], ["chunked, identity"], [",chunked"], ["chunked,"],
    [""],
    ["chunked", "identity"],
]

/// Field lines of every combination, in both orders.
private let framings: [String] = lengths.flatMap { length in
    codings.flatMap { coding -> [String] in
        let (one, other) = (length.map { "Content-Length: \($0)\r\n" }, coding.map { "Transfer-Encoding: \($0)\r\n" })
        return length.isEmpty || coding.isEmpty
            ? [(one + other).joined()]
            : [(one + other).joined(), (other + one).joined(), (Array(one.prefix(1)) + other + Array(one.dropFirst())).joined()]
    }
}
private let contents = ["hello", "5\r\nhello\r\n0\r\n\r\n", ""]

@Suite("The framing of what is written")
struct FramingTests {
    private static let marker = "GET http://example.org/marker HTTP/1.1\r\nHost: example.org\r\n\r\n"

    private func sent(_ lines: some Sequence<String>, to handle: String) -> String {
        lines.filter { $0.hasPrefix("send \(handle): ") }.map { String($0.dropFirst("send \(handle): ".count)) }.joined()
    }

    /// A session whose request has reached the server.
    private func asked(_ request: String) throws -> Playbook {
        let play = try Playbook()
        play.skip {
            play.client(sends: request)
            play.serverOpens()
        }
        return play
    }

    @Test("A request is one request for the server, whatever framing it came with", arguments: [HTTP1Validation.strict, .lenient])
    func requests(validation: HTTP1Validation) throws {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for framing in framings {
                for content in contents {
                    let play = try Playbook(validation: validation)
                    let head = "POST http://example.org/first \(version)\r\nHost: example.org\r\n\(framing)\r\n"
                    var lines = Array(play.client(sends: head + content + Self.marker))
                    if lines.contains("open upstream 1: example.org:80") { lines += play.serverOpens() }
                    if lines.contains(where: { $0.hasPrefix("send upstream 1") }) {
                        lines += play.server(sends: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    }
                    let toServer = sent(lines, to: "upstream 1")
                    let messages = (try? PlainReader.messages(toServer, isClosed: false)) ?? []
                    let isCut = toServer.isEmpty || lines.contains { $0.hasPrefix("send client: HTTP/1.1 400") }
                    let comment = "\(head.debugDescription) \(content.debugDescription) became \(toServer.debugDescription)"
                    if !isCut {
                        #expect(PlainReader.judge(toServer, isClosed: false).hasSuffix("messages"), "\(comment)")
                    }
                    // Nothing but the request, and perhaps the marker after it, with what a request without content leaves to it.
                    let behind = ["", "Content-Length: 0\r\n", "Content-Length: 00\r\n"].contains(framing) ? content : ""
                    #expect(
                        messages.allSatisfy { $0.hasPrefix("POST /first ") || $0 == "\(behind)GET /marker HTTP/1.1 <>" },
                        "\(comment)")
                    let isAmbiguous =
                        framing.contains("Transfer-Encoding") && (framing.contains("Content-Length") || version == "HTTP/1.0")
                    if isAmbiguous {
                        #expect(!toServer.contains("marker"), "\(comment)")
                        #expect(lines.contains("finish client"), "\(comment)")
                    }
                }
            }
        }
    }

    @Test(
        "A length is forwarded as one number, and its connection is used again",
        arguments: [
            "Content-Length: 05", "Content-Length: 5, 5", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5,005",
        ])
    func oneNumber(framing: String) throws {
        let play = try Playbook()
        let received = "POST http://example.org/first HTTP/1.1\r\nHost: example.org\r\nX: y\r\n\(framing)\r\nZ: 1\r\n\r\nhello"
        #expect(play.client(sends: received) == ["open upstream 1: example.org:80"])
        let request = "POST /first HTTP/1.1\r\nHost: example.org\r\nX: y\r\nContent-Length: 5\r\nZ: 1\r\n\r\nhello"
        #expect(play.serverOpens() == ["send upstream 1: \(request)"])
        let response = "HTTP/1.1 200 OK\r\nX: y\r\n\(framing)\r\nZ: 1\r\n\r\nhello"
        let written = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nZ: 1\r\n\r\nhello"
        #expect(play.server(sends: response) == ["send client: \(written)"])
        #expect(play.client(sends: Self.marker) == ["send upstream 1: GET /marker HTTP/1.1\r\nHost: example.org\r\n\r\n"])
    }

    @Test(
        "White space before the colon of a response's field is not sent on, and noted",
        arguments: [" ", "\t", " \t  "], ["X", "X y", "Bad[", "Server"])
    func spacedName(space: String, name: String) throws {
        let play = try asked("GET http://example.org/first HTTP/1.1\r\nHost: example.org\r\n\r\n")
        let lines = play.server(
            sends: "HTTP/1.1 200 OK\r\nTransfer-Encoding\(space): chunked\r\n\(name)\(space):\tz  z\r\nA: b\r\n\r\n"
                + "1;a\r\nx\r\n0\r\n\(name)\(space): t\r\n\r\n")
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\(name):\tz  z\r\nA: b\r\n\r\n"
        #expect(sent(lines, to: "client") == "\(head)1;a\r\nx\r\n0\r\n\(name): t\r\n\r\n")
        // The connection is used again.
        #expect(play.client(sends: Self.marker) == ["send upstream 1: GET /marker HTTP/1.1\r\nHost: example.org\r\n\r\n"])
        let flow = try #require(play.wholeFlows.first)
        #expect(flow.notes.contains { $0.value.message.contains("'Transfer-Encoding' has white space") }, "\(flow.notes)")
        // The recording has it as it came.
        #expect(flow.response.map { String(buffer: $0.head.wire).contains("\(name)\(space):\tz") } == true)
    }

    @Test("A client of HTTP/2 gets a response without the fields whose names HTTP/2 does not allow")
    func namesOfHTTP2() throws {
        let play = try Playbook("reverse:http://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        let fields = HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.org")])
        _ = try #require(client.frames.sendRequest(fields, endsStream: true))
        play.skip {
            client.exchange()
            play.serverOpens()
        }
        let names = ["X y: 1", "\u{E9}: 2", "\u{7F}: 3", "bad[: 4", "A : 5"]
        play.server(
            sends: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\(names.joined(separator: "\r\n"))\r\n\r\n")
        #expect(client.takeReceived() == ["200 content-length=0 bad[=4 a=5", "end"])
        let notes = try #require(play.wholeFlows.first).notes.map(\.value.message)
        #expect(notes.contains("fields whose names HTTP/2 does not allow are not sent to the client"), "\(notes)")
    }

    @Test(
        "Transfer codings that a client cannot know of are noted", arguments: ["HTTP/1.0", "HTTP/1.1"],
        [("gzip", "gzip"), ("gzip, chunked", "gzip"), ("x, Identity, deflate", "x, deflate"), ("chunked", nil), ("identity", nil)])
    func unknowableCoding(version: String, coding: (value: String, noted: String?)) throws {
        let play = try asked("GET http://example.org/ \(version)\r\nHost: example.org\r\n\r\n")
        // How it is framed is the matter of the tests of all framings.
        play.skip {
            play.server(sends: "HTTP/1.1 200 OK\r\nTransfer-Encoding: \(coding.value)\r\n\r\n1\r\na\r\n0\r\n\r\n")
            play.deliver(.halfClosed(ConnectionHandle(1)))
        }
        let flow = try #require(play.wholeFlows.first)
        let noted = flow.notes.map(\.value.message).filter { $0.contains("the client gets the content with the transfer coding") }
        let expected =
            "the client gets the content with the transfer coding \(coding.noted ?? "") of the server, which HTTP/1.0 does not have"
        #expect(noted == (version == "HTTP/1.0" && coding.noted != nil ? [expected] : []))
    }

    @Test(
        "What refuses a request of HTTP/2 names the option that lets it pass, if one does",
        arguments: [
            ("bad[name", "x", true),
            ("a", "\u{7}", true),
            ("connection", "close", true),
            ("a", "x\ny", false),
            ("b c", "x", false),
        ])
    func namedOption(name: String, value: String, passes: Bool) throws {
        let play = try Playbook("reverse:h2c://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        var fields = HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.org")])
        fields.append(ByteBuffer(string: name), ByteBuffer(string: value))
        _ = try #require(client.frames.sendRequest(fields, endsStream: true))
        client.exchange()
        #expect(client.takeReceived() == ["reset PROTOCOL_ERROR"])
        let message = try #require(play.wholeFlows.first?.error?.message)
        #expect(message.hasPrefix("the message is malformed: "))
        #expect(message.hasSuffix(" (--no-validate-inbound-headers lets it pass)") == passes, "\(message)")
    }

    @Test("A response is one response for the client, whatever framing it came with", arguments: ["HTTP/1.1", "HTTP/1.0"])
    func responses(version: String) throws {
        for clientVersion in ["HTTP/1.1", "HTTP/1.0"] {
            for framing in framings {
                for content in contents {
                    let play = try Playbook()
                    play.skip { play.client(sends: "GET http://example.org/first \(clientVersion)\r\nHost: example.org\r\n\r\n") }
                    var lines = Array(play.serverOpens())
                    let head = "\(version) 200 OK\r\n\(framing)\r\n"
                    lines += play.server(sends: head + content)
                    if !lines.contains("finish client") { lines += play.deliver(.halfClosed(ConnectionHandle(1))) }
                    let isClosed = lines.contains("finish client")
                    let toClient = sent(lines, to: "client")
                    let flow = try #require(play.wholeFlows.first)
                    let comment = "\(head.debugDescription) \(content.debugDescription) became \(toClient.debugDescription)"
                    if flow.state == .complete {
                        #expect(PlainReader.judge(toClient, isClosed: isClosed) == "1 messages", "\(comment)")
                    }
                    let isAmbiguous =
                        framing.contains("Transfer-Encoding") && (framing.contains("Content-Length") || version == "HTTP/1.0")
                    if isAmbiguous {
                        #expect(isClosed && lines.contains("close upstream 1"), "\(comment)")
                        #expect(!flow.notes.isEmpty && flow.localReply == nil, "\(comment)")
                    }
                    if clientVersion == "HTTP/1.0" { #expect(!toClient.lowercased().contains(" chunked\r\n"), "\(comment)") }
                }
            }
        }
    }

    @Test("A response with both is read by its chunks, loses its length, and its connections are closed")
    func both() throws {
        let play = try asked(Self.marker)
        let chunks = "5;a\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        let lines = play.server(
            sends: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\nTransfer-Encoding: Chunked\r\n\r\n\(chunks)HTTP/1.1 200")
        #expect(
            lines == [
                "send client: HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n\(chunks)",
                "close upstream 1", "finish client",
            ])
        let flow = try #require(play.wholeFlows.first)
        #expect(
            Playbook.render(flow)
                == "http complete GET http://example.org:80 http://example.org/marker | 200 <hello> trailers [\"X-Sum\"]")
        #expect(flow.response?.head.fields.contains("content-length") == true)
        #expect(
            flow.notes.map(\.value) == [
                FlowNote(side: .server, "Content-Length and Transfer-Encoding were both given; one of them is sent on")
            ])
    }

    @Test("What is served from a recording has one framing, and no more content than it says")
    func served() throws {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for framing in framings {
                for content in ["hello", "hello, world", ""] {
                    let head = "HTTP/1.1 200 OK\r\n" + framing.dropLast(2)
                    let script: [ScriptLine] = [
                        .head(framing.isEmpty ? "HTTP/1.1 200 OK" : head), .piece(content), .finished, .complete,
                    ]
                    let play = try Playbook("origin", strategy: .lazy, responder: ScriptedResponder(script))
                    let request = "GET /first \(version)\r\nHost: example.org\r\n\r\n"
                    var lines = Array(play.client(sends: request))
                    if !lines.contains("finish client") { lines += play.deliver(.halfClosed(.client)) }
                    let toClient = sent(lines, to: "client")
                    let comment = "\(head.debugDescription) \(content.debugDescription) became \(toClient.debugDescription)"
                    // A recording that holds less than it says is cut, as a truncated response is.
                    if play.wholeFlows.first?.state == .complete {
                        #expect(PlainReader.judge(toClient, isClosed: true) == "1 messages", "\(comment)")
                    }
                    let written = toClient.range(of: "\r\n\r\n").map { String(toClient[$0.upperBound...]) } ?? ""
                    if toClient.contains("Content-Length: 5\r\n") { #expect(written.utf8.count <= 5, "\(comment)") }
                    if toClient.contains("Content-Length: 0\r\n") { #expect(written.isEmpty, "\(comment)") }
                }
            }
        }
    }

    private static let untrusted: [([String], String, String?)] = [
        (["5"], "hello", "Content-Length: 5"),
        (["5", "5"], "hello", "Content-Length: 5"),
        (["05"], "hello", "Content-Length: 5"),
        ([], "hello", nil),
        (["0"], "hello", "broken"),
        (["4"], "hello", "broken"),
        (["6"], "hello", "broken"),
        (["5"], "", "Content-Length: 0"),
    ]

    @Test("A length that does not fit is not trusted on the way from HTTP/2 to HTTP/1", arguments: untrusted)
    func fromHTTP2(lengths: [String], content: String, expected: String?) throws {
        let play = try Playbook("reverse:http://example.org:81", keepsHostHeader: true, http2Validation: .lenient)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        var fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "example.org")]
        fields += lengths.map { ("content-length", $0) }
        let stream = try #require(client.frames.sendRequest(HTTP2Fields(fields), endsStream: content.isEmpty))
        if !content.isEmpty {
            client.frames.sendData(ByteBuffer(string: content), on: stream)
            client.frames.sendEnd(trailers: nil, on: stream)
        }
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        let opened = play.serverOpens().filter { !$0.hasPrefix("send ") }
        #expect(opened == (expected == "broken" ? ["close upstream 1"] : []))
        let toServer = String(buffer: play.takeSent(ConnectionHandle(1)))
        client.receive()
        if expected == "broken" {
            #expect(client.takeReceived().first?.hasPrefix("400") == true)
            #expect(!toServer.hasSuffix("hello") || toServer.contains("content-length: 6"))
            #expect(play.flows.first?.contains("its Content-Length contradicts") == true)
        } else {
            #expect(PlainReader.judge(toServer, isClosed: false) == "1 messages", "\(toServer)")
            let length = toServer.lowercased().split(separator: "\r\n").filter { $0.hasPrefix("content-length") }
            #expect(length == (expected.map { [$0.lowercased()[...]] } ?? []))
        }
    }

    @Test(
        "No length is so large that chunks are added to it on the way from HTTP/2 to HTTP/1",
        arguments: ["9223372036854775807", "9223372036854775808", "18446744073709551615"])
    func largeLength(length: String) throws {
        let play = try Playbook("reverse:http://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        let fields = [
            (":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "example.org"), ("content-length", length),
        ]
        let stream = try #require(client.frames.sendRequest(HTTP2Fields(fields), endsStream: false))
        client.frames.sendData(ByteBuffer(string: "hello"), on: stream)
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        play.serverOpens()
        let toServer = String(buffer: play.takeSent(ConnectionHandle(1))).lowercased()
        #expect(toServer.hasSuffix("\r\n\r\nhello"))
        #expect(toServer.contains("\r\ncontent-length: \(length)\r\n") && !toServer.contains("transfer-encoding"))
    }

    @Test("What the recorder answers itself on a stream of HTTP/2 is in the flow in that form")
    func localReplyOnStream() throws {
        let play = try Playbook("reverse:http://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.org")]
        _ = client.frames.sendRequest(HTTP2Fields(fields), endsStream: true)
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        let lines = play.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(lines.filter { !$0.hasPrefix("send client") } == ["close upstream 1"])
        let reply = try #require(play.wholeFlows.first?.localReply?.value)
        #expect(reply.head.version == .http2 && reply.head.status == 502)
        let received = client.takeReceived().first
        #expect(received == "502 content-type=text/plain; charset=utf-8 content-length=\(reply.content.readableBytes)")
    }

    @Test("A server of HTTP/2 that says two lengths, or none that can be read, is chunked for a client of HTTP/1")
    func toHTTP1() {
        for (lengths, expected) in [(["5", "5"], "5"), (["05"], "5"), (["5", "6"], nil), (["x"], nil)] as [([String], String?)] {
            let fields = [(":status", "200")] + lengths.map { ("content-length", $0) }
            let wire = ByteBuffer(string: fields.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n")
            let request = RequestHead(parsing: ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), version: .http1_1)
            let head = HTTP1Translation.response(
                ResponseHead(parsing: wire, version: .http2), to: request, isLast: true, framing: .stream)
            let text = String(buffer: head.bytes)
            #expect(text.contains(expected.map { "content-length: \($0)\r\n" } ?? "Transfer-Encoding: chunked\r\n"))
            #expect(head.isChunked == (expected == nil))
            #expect(PlainReader.judge(text + (expected == nil ? "0\r\n\r\n" : "hello"), isClosed: false) == "1 messages")
        }
    }

    @Test("Towards HTTP/2 there is one length, and none beside chunks, in both directions")
    func towardsHTTP2() {
        func lengths(_ fields: HTTP2Fields) -> [String] {
            fields.pairs.filter { $0.name == "content-length" || $0.name == "transfer-encoding" }.map(\.value)
        }
        for (lines, framing, expected) in [
            ("Content-Length: 5, 05", .length(5), ["5"]),
            ("Content-Length: 5\r\nContent-Length: 5", .length(5), ["5"]),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", .chunked, []),
            ("Transfer-Encoding: x\r\nContent-Length: 1", .untilClose, []),
        ] as [(String, BodyFraming, [String])] {
            let request = RequestHead(
                parsing: ByteBuffer(string: "POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n"), version: .http1_1)
            if framing != .untilClose {
                #expect(lengths(HTTP2Fields(request, framing, target: nil, authority: nil, isTLS: false)) == expected, "\(lines)")
            }
            let response = ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 200 OK\r\n\(lines)\r\n\r\n"), version: .http1_1)
            #expect(lengths(HTTP2Fields(response, framing)) == expected, "\(lines)")
        }
    }

    @Test(
        "TE says trailers or nothing towards HTTP/2, and Connection says TE towards HTTP/1",
        arguments: [
            (["trailers"], true),
            (["Trailers"], true),
            (["trailers, gzip"], true),
            (["gzip;q=0.5 , TRAILERS"], true),
            (["gzip", "trailers"], true),
            (["trailers", "trailers"], true),
            (["gzip"], false),
            ([""], false),
            ([], false),
            (["xtrailers"], false),
        ])
    func te(values: [String], hasTrailers: Bool) {
        let expected = hasTrailers ? ["trailers"] : []
        func te(_ fields: HTTP2Fields) -> [String] { fields.pairs.filter { $0.name == "te" }.map(\.value) }
        let lines = values.map { "TE: \($0)\r\n" }.joined()
        let first = RequestHead(
            parsing: ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\(lines)Connection: TE\r\n\r\n"), version: .http1_1)
        #expect(te(HTTP2Fields(first, .none, target: nil, authority: nil, isTLS: false)) == expected)
        let wire = ":method: GET\r\n:scheme: http\r\n:authority: a\r\n:path: /\r\n\(lines.lowercased())x: y\r\n\r\n"
        let second = RequestHead(parsing: ByteBuffer(string: wire), version: .http2)
        #expect(te(HTTP2Fields(second, .none, target: nil, authority: nil, isTLS: false)) == expected)
        let text = String(buffer: HTTP1Translation.request(second, .none, target: nil).bytes)
        let connection = hasTrailers ? "Connection: TE\r\n" : ""
        #expect(text == "GET / HTTP/1.1\r\nHost: a\r\n\(hasTrailers ? "te: trailers\r\n" : "")x: y\r\n\(connection)\r\n")
    }
}

extension HTTP2Fields {
    /// Names and values.
    fileprivate var pairs: [(name: String, value: String)] {
        lines.map { line in
            let (name, value) = ((line.isOwnName ? own : base).slice(line.name), (line.isOwnValue ? own : base).slice(line.value))
            return (String(buffer: name), String(buffer: value))
        }
    }
}
