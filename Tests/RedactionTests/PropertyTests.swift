// Properties over random flows: no planted value in the output, the rest byte for byte, the same output for every division into pieces, and
// nothing of what was held when the events stop anywhere.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import Redaction

/// A flow with planted values, and the same flow with markers in their places.
private struct PlantedFlow {
    var random: SeededGenerator
    /// Every planted value begins so, and nothing else does.
    private static let stem = "Zq7"
    var planted = 0

    mutating func pick<T>(_ values: [T]) -> T { values[Int.random(in: 0..<values.count, using: &random)] }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    /// A value, which may need an encoding.
    private mutating func value(_ alphabet: String) -> String {
        planted += 1
        var text = Self.stem
        for _ in 0..<Int.random(in: 0..<24, using: &random) { text.append(pick(Array(alphabet))) }
        return text + Self.stem
    }

    private mutating func harmless() -> String {
        pick(["1", "", "abc", "x y", "«", "état", "0.5", "keep-alive", "gzip, br", "text/plain; q=1", "a=b;c", "100%", "\"q\""])
    }

    /// Percent-encodes what has to be, and other characters at random.
    private mutating func encoded(_ text: String, isForm: Bool) -> String {
        var out = ""
        for byte in text.utf8 {
            let isPlain = byte &- 0x30 < 10 || byte &- 0x41 < 26 || byte &- 0x61 < 26
            if byte == 0x20, isForm, chance(50) {
                out += "+"
            } else if isPlain, chance(95) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let hex = String(byte, radix: 16, uppercase: chance(50))
                out += "%" + (hex.utf8.count < 2 ? "0" : "") + hex
            }
        }
        return out
    }

    private static let names = ["access_token", "Password", "client-secret", "refreshToken", "otp"]
    private static let markerInURL = "%C2%ABredacted%C2%BB"

    /// A query or a form, and what is stored of it.
    mutating func pairs() -> (sent: String, stored: String) {
        var (sent, stored): ([String], [String]) = ([], [])
        for index in 0..<Int.random(in: 1..<6, using: &random) {
            if chance(40) {
                let name = pick(Self.names)
                sent.append("\(name)=\(encoded(value("abz 019/+&=%;é"), isForm: true))")
                stored.append("\(name)=\(Self.markerInURL)")
            } else {
                let pair = "x\(index)=\(encoded(harmless(), isForm: true))"
                sent.append(pair)
                stored.append(pair)
            }
        }
        return (sent.joined(separator: "&"), stored.joined(separator: "&"))
    }

    mutating func fields(_ isRequest: Bool) -> (sent: String, stored: String) {
        var (sent, stored) = ("", "")
        for _ in 0..<Int.random(in: 0..<8, using: &random) {
            let end = pick(["\r\n", "\r\n", "\r\n", " \r\n"])
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                let name = pick(["Authorization", "x-api-key", "PROXY-AUTHORIZATION", "X-Vault-Token"])
                let scheme = pick(["", "Bearer ", "basic ", "Digest "])
                sent += "\(name): \(scheme)\(value("abc09+/.-_"))\(end)"
                stored += "\(name): \(scheme)«redacted»\(end)"
            case 1 where isRequest:
                let quote = pick(["", "\""])
                sent += "Cookie: a=\(quote)\(value("abc%09"))\(quote); b=\(value("xyz"))\(end)"
                stored += "Cookie: a=\(quote)«redacted»\(quote); b=«redacted»\(end)"
            case 1:
                sent += "Set-Cookie: sid=\(value("abc09")); Path=/; Secure\(end)"
                stored += "Set-Cookie: sid=«redacted»; Path=/; Secure\(end)"
            case 2:
                let (query, hidden) = pairs()
                let name = pick(["Referer", "Location", "X-Link"])
                sent += "\(name): https://example.com/p?\(query)\(end)"
                stored += "\(name): https://example.com/p?\(hidden)\(end)"
            default:
                let line = "X-\(pick(["A", "B", "C"])): \(harmless())\(end)"
                sent += line
                stored += line
            }
        }
        return (sent, stored)
    }

    /// JSON text and what is stored of it.
    mutating func json(_ depth: Int = 4) -> (sent: String, stored: String) {
        let space = pick(["", "", " ", "\n\t"])
        switch Int.random(in: 0..<(depth == 0 ? 2 : 4), using: &random) {
        case 0:
            let literal = pick(["1.50", "null", "true", "-0e1", "\"\"", "\"a\\u00e9\\\"\"", "\"/\\/\""])
            return (literal + space, literal + space)
        case 1:
            return ("[]" + space, "[]" + space)
        case 2:
            let items = (0..<Int.random(in: 1..<4, using: &random)).map { _ in json(depth - 1) }
            return (
                "[\(space)" + items.map(\.sent).joined(separator: ",\(space)") + "]",
                "[\(space)" + items.map(\.stored).joined(separator: ",\(space)") + "]"
            )
        default:
            var (sent, stored): ([String], [String]) = ([], [])
            for index in 0..<Int.random(in: 1..<5, using: &random) {
                if chance(40) {
                    let name = pick(Self.names + ["pass\\u0077ord"])
                    let text = value("ab09 é/")
                    let secret = pick(["\"\(text)\"", "\"\(text)\\n\\u0041\\\"\"", "[\"\(text)\"]", "{\"x\":\"\(text)\"}"])
                    sent.append("\"\(name)\"\(space):\(space)\(secret)")
                    stored.append("\"\(name)\"\(space):\(space)\"«redacted»\"")
                } else {
                    let (inner, hidden) = json(depth - 1)
                    sent.append("\"k\(index)\":\(inner)")
                    stored.append("\"k\(index)\":\(hidden)")
                }
            }
            return ("{" + sent.joined(separator: ",") + "}" + space, "{" + stored.joined(separator: ",") + "}" + space)
        }
    }

    /// A body with its media type: what is sent and what is stored.
    mutating func body() -> (type: String?, sent: String, stored: String) {
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            let (sent, stored) = pairs()
            return ("application/x-www-form-urlencoded", sent, stored)
        case 1:
            let part = value("abc\r\n -")
            let (json, hidden) = self.json()
            func text(_ secret: String, _ json: String) -> String {
                """
                --b1\r\nContent-Disposition: form-data; name="password"\r\n\r\n\(secret)\r\n--b1\r\nContent-Disposition: form-data; name=j\r\n\
                Content-Type: application/json\r\n\r\n\(json)\r\n--b1--\r\n
                """
            }
            return ("multipart/form-data; boundary=b1", text(part, json), text("«redacted»", hidden))
        default:
            // In a container: other texts are not taken for JSON without its type.
            let (sent, stored) = json()
            return (pick(["application/json", "text/html", nil]), "[\(sent)]", "[\(stored)]")
        }
    }
}

@Suite("Properties of redaction")
struct PropertyTests {
    private struct Exchange {
        var sent: [FlowEvent]
        var requestHead: String
        var responseHead: String
        var bodies: (request: String, response: String)
        /// The body of a side is different from what was sent.
        var changed: (request: Bool, response: Bool)
    }

    private func exchange(_ seed: UInt64, splits: UInt64 = 0) -> Exchange {
        var source = PlantedFlow(random: SeededGenerator(seed: seed))
        var split = SeededGenerator(seed: splits)
        let coding = source.pick([nil, nil, "gzip", "br", "zstd", "deflate"])
        let (query, hiddenQuery) = source.pairs()
        let (fields, hiddenFields) = source.fields(true)
        let (responseFields, hiddenResponseFields) = source.fields(false)
        let (question, answer) = (source.body(), source.body())
        func describing(_ body: (type: String?, sent: String, stored: String)) -> String {
            (body.type.map { "Content-Type: \($0)\r\n" } ?? "") + (coding.map { "Content-Encoding: \($0)\r\n" } ?? "") + "\r\n"
        }
        func request(_ query: String, _ fields: String) -> String {
            "POST /p?\(query) HTTP/1.1\r\n\(fields)" + describing(question)
        }
        func response(_ fields: String) -> String { "HTTP/1.1 200 OK\r\n\(fields)" + describing(answer) }
        var builder = FlowBuilder().request(request(query, fields), isWhole: false)
        func add(_ text: String, from side: Side, to builder: inout FlowBuilder) {
            var rest = coded(ByteBuffer(string: text), coding ?? "")
            while rest.readableBytes > 0 {
                let length = splits == 0 ? rest.readableBytes : min(rest.readableBytes, Int.random(in: 1..<40, using: &split))
                builder = builder.data(rest.readSlice(length: length)!, from: side)
            }
            builder = builder.event(.finished(side))
        }
        add(question.sent, from: .client, to: &builder)
        builder = builder.response(response(responseFields), isWhole: false)
        add(answer.sent, from: .server, to: &builder)
        return Exchange(
            sent: builder.ended().events, requestHead: request(hiddenQuery, hiddenFields),
            responseHead: response(hiddenResponseFields),
            bodies: (question.stored, answer.stored), changed: (question.stored != question.sent, answer.stored != answer.sent))
    }

    /// All bytes and texts of events.
    private func bytes(_ events: [FlowEvent]) -> String {
        events.map { event in
            switch event.what {
            case .request(let head): String(buffer: head.wire)
            case .response(let head): String(buffer: head.wire)
            case .piece(let piece): String(buffer: piece.content)
            // The text of a rule can have what it looks for.
            case .redacted: ""
            default: "\(event.what)"
            }
        }.joined(separator: "\n")
    }

    @Test("No planted value is stored, and everything else is, byte for byte, however the content is divided")
    func planted() throws {
        let redactor = try redactor(["default"])
        for seed in 0..<100 as Range<UInt64> {
            let exchange = exchange(seed)
            let stored = redactor.events(exchange.sent)
            #expect(!bytes(stored).contains("Zq7"), "seed \(seed)")
            let flow = flow(stored)
            #expect(flow.request.map { String(buffer: $0.head.wire) } == exchange.requestHead, "seed \(seed)")
            #expect(flow.response.map { String(buffer: $0.head.wire) } == exchange.responseHead, "seed \(seed)")
            for (side, body, isChanged) in [
                (Side.client, exchange.bodies.request, exchange.changed.request),
                (.server, exchange.bodies.response, exchange.changed.response),
            ] {
                let content = try flow.pieces.content(from: side)
                #expect(flow.isStoredDecoded(side) == isChanged, "seed \(seed)")
                if isChanged { #expect(content == ByteBuffer(string: body), "seed \(seed)") }
                // The size on the wire stays.
                let sent = self.flow(exchange.sent)
                #expect(try flow.contentSize(from: side) == sent.contentSize(from: side))
                if !isChanged { #expect(try content == sent.pieces.content(from: side)) }
            }
            #expect(flow.redaction?.omissions.isEmpty ?? true, "seed \(seed): \(flow.redaction!.omissions)")
            let divided = self.flow(redactor.events(self.exchange(seed, splits: seed + 1).sent))
            for side in [Side.client, .server] {
                #expect(try divided.pieces.content(from: side) == flow.pieces.content(from: side), "seed \(seed)")
            }
            #expect(divided.redaction == flow.redaction, "seed \(seed)")
            // What was redacted is not changed by a second pass.
            #expect(bytes(redactor.events(stored)) == bytes(redactor.events(redactor.events(stored))), "seed \(seed)")
        }
    }

    @Test("Events that stop anywhere leave no planted value, with an end or without")
    func truncated() throws {
        let redactor = try redactor(["default", "body:~c 500=drop"])
        for seed in 0..<10 as Range<UInt64> {
            let events = exchange(seed, splits: seed + 1).sent
            for count in 1..<events.count {
                let cut = Array(events[..<count])
                #expect(!bytes(redactor.events(cut)).contains("Zq7"), "seed \(seed), \(count) events")
                let ended = cut + [FlowEvent(flow: cut[0].flow, at: cut[0].at, what: .ended(FlowEnding(state: .incomplete)))]
                #expect(!bytes(redactor.events(ended)).contains("Zq7"), "seed \(seed), \(count) events and the end")
            }
        }
    }

    @Test(
        "Every rule that covers the planted values hides them",
        arguments: [
            [#"pattern:(?-i)Zq7[^"&;\s]*"#, "body=drop"], ["share=hash"], ["default=drop"],
            ["default", "secrets", "pattern:nothing"],
            ["default=hash", "json:$..x=drop"],
        ])
    func rules(rules: [String]) throws {
        let redactor = try redactor(rules)
        for seed in 0..<30 as Range<UInt64> {
            #expect(!bytes(redactor.events(exchange(seed).sent)).contains("Zq7"), "seed \(seed)")
        }
    }

    private func flow(_ events: [FlowEvent]) -> Flow {
        guard case .opened(let opening) = events[0].what else { preconditionFailure("the first event opens the flow") }
        var assembler = FlowAssembler(id: events[0].flow, at: events[0].at, opening: opening, keepsPieces: true)
        for event in events.dropFirst() { assembler.receive(event.what, at: event.at) }
        return assembler.flow
    }

    // MARK: Hostile content

    @Test("Hostile content costs bounded time and memory, and is not stored where it cannot be read")
    func hostile() throws {
        let redactor = try redactor(["default", "json:$..[::-1]", "pattern:never[0-9]", "secrets"], limit: 64 * 1024)
        let many = 64 * 1024 - 1
        let contents: [(ByteBuffer, String?, String?)] = [
            (ByteBuffer(string: String(repeating: "[", count: many)), "application/json", nil),
            (ByteBuffer(string: String(repeating: "{\"a\":", count: 9000)), nil, nil),
            (ByteBuffer(string: "[" + String(repeating: "0,", count: 8000) + "0]"), nil, nil),
            (ByteBuffer(string: "{" + String(repeating: "\"token\":1,", count: 6000) + "\"token\":2}"), nil, nil),
            (ByteBuffer(string: String(repeating: "a=1&token=2&", count: 2000)), "application/x-www-form-urlencoded", nil),
            (ByteBuffer(string: String(repeating: "--B\r\n\r\n\r\n", count: 6000)), "multipart/form-data; boundary=B", nil),
            (ByteBuffer(string: String(repeating: "%25", count: 21_000)), nil, nil),
            (ByteBuffer(string: String(repeating: "\\u00", count: 16_000)), nil, nil),
            (ByteBuffer(repeating: 0xFF, count: many), "application/json", nil),
            (ByteBuffer(bytes: [0x7B, 0x22, 0xC3, 0x28, 0x22, 0x3A, 0x31, 0x7D]), nil, nil),
            // A bomb: 16 MiB of spaces in 16 KiB, and one within another.
            (coded(ByteBuffer(repeating: 0x20, count: 16 << 20), "gzip"), nil, "gzip"),
            (coded(coded(ByteBuffer(repeating: 0x20, count: 16 << 20), "gzip"), "br"), "application/json", "gzip, br"),
        ]
        for (content, type, coding) in contents {
            let flow = try redactor.body(content, type: type, coding: coding).flow
            let stored = try flow.pieces.content(from: .client)
            #expect(stored.readableBytes <= 8 * content.readableBytes)
            #expect(flow.request?.size == UInt64(content.readableBytes))
        }
        // Many fields and parameters.
        let fields = (0..<500).map { "X-\($0): a?token=1\r\nCookie: a=b\r\n" }.joined()
        let head = redactor.requestHead("GET /?" + String(repeating: "token=1&", count: 1000) + " HTTP/1.1\r\n" + fields + "\r\n")
        #expect(!head.contains("=1") && !head.contains("=b"))
        // URLs in one another.
        let nested = (0..<12).reduce("http://a/?token=1") { url, _ in
            "http://a/?u=" + String(buffer: ByteBuffer(string: url).percentEncoded)
        }
        #expect(redactor.requestHead("GET \(nested) HTTP/1.1\r\n\r\n").hasPrefix("GET http://a/?u="))
    }
}
