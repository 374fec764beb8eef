// Bodies and messages: what is changed, what is stored as it was sent, and what is not stored.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import Redaction

@Suite("Redaction of bodies")
struct BodyTests {
    @Test(
        "JSON is edited in place, whatever the media type",
        arguments: [
            ("json:$.a", #" {"a" : [1,2] , "b":1.50} "#, #" {"a" : "«redacted»" , "b":1.50} "#),
            (
                "json:$..p", #"[{"p":"x","p":null},{"q":{"\u0070":{"p":2}}}]"#,
                #"[{"p":"«redacted»","p":"«redacted»"},{"q":{"\u0070":"«redacted»"}}]"#
            ),
            ("json:$..p=hash", #"{"p":"a\"b","q":{"p":12}}"#, #"{"p":"\#(hash("a\"b"))","q":{"p":"\#(hash("12"))"}}"#),
            ("json:$..p=drop", #"{"p":1, "q":2, "p":3 }"#, #"{"q":2 }"#),
            ("json:$..p=drop", #"{"p":1}"#, "{}"),
            ("json:$..p=drop", #"{"p":1,"p":{"p":2}}"#, "{}"),
            ("json:$..p=drop", #"{"a":[{"p\\":0,"p":1}],"q\"":1 , "p" : 2}"#, #"{"a":[{"p\\":0}],"q\"":1 }"#),
            ("json:$[1,2]=drop", "[1, 2, 3]", "[1]"),
            ("json:$[0]=drop", "[1, 2, 3]", "[2, 3]"),
            ("json:$[*]=drop", "[ 1, 2 ]", "[  ]"),
            ("json:$[?@.k=='x'].v", #"[{"k":"x","v":1},{"k":"y","v":2}]"#, #"[{"k":"x","v":"«redacted»"},{"k":"y","v":2}]"#),
            (
                "default", #"{"Access-Token":"x","accessToken":1,"code":7,"user":{"passWord":""}}"#,
                #"{"Access-Token":"«redacted»","accessToken":"«redacted»","code":7,"user":{"passWord":"«redacted»"}}"#
            ),
            ("default", "{\"token\":1}\n{\"token\":2}\n", "{\"token\":\"«redacted»\"}\n{\"token\":\"«redacted»\"}\n"),
            ("json:$.a", #"{"a":"«redacted»"}"#, #"{"a":"«redacted»"}"#),
        ])
    func json(rule: String, content: String, stored: String) throws {
        let redactor = try redactor([rule])
        for type in ["application/json", "text/plain", "text/html", "application/vnd.api+json; charset=utf-8", nil] {
            #expect(try redactor.body(content, type: type) == stored, "\(type ?? "without a type")")
        }
        #expect(try redactor.body(")]}',\n" + content, type: "application/json") == ")]}',\n" + stored)
    }

    @Test(
        "Forms are read by their type and by what they look like",
        arguments: [
            ("form:p", "p=1&q=2&P=%33&p", "p=%C2%ABredacted%C2%BB&q=2&P=%C2%ABredacted%C2%BB&p"),
            ("form:p=drop", "p=1&q=2&p=3", "q=2"), ("default", "[0][a]=1&[0][token]=2", "[0][a]=1&[0][token]=%C2%ABredacted%C2%BB"),
            ("form:p=drop", "p=1", ""),
            ("default", "user[password]=x&a=b", "user[password]=%C2%ABredacted%C2%BB&a=b"),
        ])
    func forms(rule: String, content: String, stored: String) throws {
        let redactor = try redactor([rule])
        for type in ["application/x-www-form-urlencoded", "text/plain", nil] {
            #expect(try redactor.body(content, type: type) == stored)
        }
        #expect(try redactor.body(content, type: "text/html") == content)
    }

    @Test("Parts are found by their names; parts that are JSON or forms are read")
    func multipart() throws {
        func body(_ password: String, _ json: String, _ file: String) -> String {
            """
            preamble\r\n--B\r\nContent-Disposition: form-data; name="user"\r\n\r\nme\r\n--B\r\nContent-Disposition: form-data; name="pass"\r\n\r\n\
            \(password)\r\n--B  \r\nContent-Disposition: form-data; name=j; filename="a.json"\r\nContent-Type: application/json\r\n\r\n\(json)\r\n\
            --B\r\nContent-Disposition: form-data; name=f; filename="f"\r\nContent-Type: image/png\r\n\r\n\(file)\r\n--B--\r\nepilogue
            """
        }
        let content = body("hunter2", #"{"token": 1}"#, "{\u{0}\r\n--A")
        let type = "multipart/form-data; boundary=B"
        #expect(
            try redactor(["default"]).body(content, type: type) == body("«redacted»", #"{"token": "«redacted»"}"#, "{\u{0}\r\n--A"))
        #expect(
            try redactor(["form:pass=hash"]).body(content, type: type) == body(hash("hunter2"), #"{"token": 1}"#, "{\u{0}\r\n--A"))
        #expect(
            try redactor(["form:user=drop", "form:f=drop"]).body(content, type: type)
                == """
                preamble\r\n--B\r\nContent-Disposition: form-data; name="pass"\r\n\r\nhunter2\r\n--B  \r\n\
                Content-Disposition: form-data; name=j; filename="a.json"\r\nContent-Type: application/json\r\n\r\n{"token": 1}\r\n--B--\r\nepilogue
                """)
        #expect(try redactor(["secrets"]).body(body("ghp_0123456789abcdef", "1", "2"), type: type) == body("«redacted»", "1", "2"))
        // What is not closed, or has no boundary, may hide a part.
        for (content, type) in [
            (String(content.prefix(150)), type), (content, "multipart/form-data"), (content, "multipart/form-data; boundary=C"),
        ] {
            #expect(try redactor(["form:pass"]).body(content, type: type) == "")
        }
        // All parts are removed.
        let one = "--B\r\nContent-Disposition: form-data; name=pass\r\n\r\nx\r\n--B--\r\n"
        let (stored, flow) = try redactor(["form:pass=drop"]).body(ByteBuffer(string: one), type: type)
        #expect(stored == "")
        #expect(flow.redaction?.omissions == [FlowRedaction.Omission(rule: "form:pass=drop", place: .requestBody, reason: .rule)])
    }

    @Test(
        "A body that is changed is stored decoded, one that is not is stored as it was sent",
        arguments: ["gzip", "deflate", "br", "zstd"])
    func codings(coding: String) throws {
        let rules = try redactor(["json:$..password"])
        let content = ByteBuffer(string: #"{"user":"me","password":"hunter2"}"#)
        let sent = coded(content, coding)
        let (stored, flow) = try rules.body(sent, type: "application/json", coding: coding)
        #expect(stored == #"{"user":"me","password":"«redacted»"}"#)
        #expect(flow.request?.isStoredDecoded == true)
        #expect(flow.request?.size == UInt64(sent.readableBytes))
        #expect(flow.request?.storedSize == UInt64(stored.utf8.count))
        #expect(flow.request?.isComplete == true)
        #expect(String(buffer: flow.request!.head.wire).contains("Content-Encoding: \(coding)"))
        // Several codings.
        #expect(
            try rules.body(coded(sent, "gzip"), type: nil, coding: "\(coding), gzip").content
                == #"{"user":"me","password":"«redacted»"}"#)
        let other = coded(ByteBuffer(string: #"{"user":"me"}"#), coding)
        let (kept, unchanged) = try rules.body(other, type: "application/json", coding: coding)
        #expect(ByteBuffer(string: kept) == ByteBuffer(string: String(buffer: other)))
        #expect(try unchanged.pieces.content(from: .client) == other)
        #expect(unchanged.request?.isStoredDecoded == false)
        #expect(unchanged.redaction == nil)
        // Cut, or of another coding: not stored.
        let short = sent.getSlice(at: 0, length: sent.readableBytes - 5)!
        #expect(
            try rules.body(short, type: "application/json", coding: coding).flow.redaction?.omissions.map(\.reason) == [
                .undecodable
            ])
        #expect(try rules.body(content, type: "application/json", coding: coding).content == "")
    }

    @Test(
        "A body that a rule is meant for and that cannot be read is not stored, unless it is to be kept",
        arguments: [
            ("json:$..p", #"{"p":"hunter2""#, "application/json", FlowRedaction.Omission.Reason.unparsed),
            ("json:$..p", #"{"p":"hunter2""#, "application/x-www-form-urlencoded", .unparsed),
            ("json:$..p", #"{"p":"hunter2"} x"#, "text/plain", .unparsed),
            ("default", #"{"x":"hunter2""#, "application/json", .unparsed),
            ("pattern:hunter[0-9]", "\u{FEFF}h\0u\0", "text/plain; charset=UTF-16", .unparsed),
            ("json:$..p", #"{"p":"hunter2 \#(String(repeating: "x", count: 2000))"}"#, "application/json", .tooLarge),
            ("pattern:zz[z]", String(repeating: "hunter2", count: 300), "video/mp4", .tooLarge),
        ])
    func failsClosed(rule: String, content: String, type: String, reason: FlowRedaction.Omission.Reason) throws {
        let (stored, flow) = try redactor([rule], limit: 1024).body(ByteBuffer(string: content), type: type)
        #expect(stored == "")
        #expect(flow.redaction?.omissions == [FlowRedaction.Omission(rule: rule, place: .requestBody, reason: reason)])
        #expect(flow.request?.size == UInt64(content.utf8.count))
        #expect(flow.request?.storedSize == 0)
        #expect(flow.request?.isComplete == false)
        #expect(try redactor([rule], limit: 1024, keepsUnparsed: true).body(content, type: type) == content)
    }

    @Test(
        "A body that no rule can touch passes as it came",
        arguments: [
            ("default", "\u{89}PNG\r\n", "image/png"), ("default", "<html>password=1", "text/html"),
            ("json:$..p", "p=1", "text/plain"),
            ("form:p", #"{"p":1}"#, "text/html"), ("header:x", #"{"p":1"#, "application/json"),
            ("default", "body { a: b }", "text/css"),
            ("json:$..p", "{% if x %}", "text/html"), ("json:$..p", "[x] {", "text/javascript"),
        ])
    func untouched(rule: String, content: String, type: String) throws {
        let builder = FlowBuilder().request("POST / HTTP/1.1\r\nContent-Type: \(type)\r\n\r\n", isWhole: false)
        let whole = ByteBuffer(string: content + String(repeating: "x", count: 2000))
        let cut = builder.data(whole.getSlice(at: 0, length: 3)!, from: .client, at: 1)
            .data(whole.getSlice(at: 3, length: whole.readableBytes - 3)!, from: .client, at: 2)
            .event(.finished(.client), at: 3).ended()
        let flow = try redactor([rule], limit: 1024).flow(cut)
        guard rule != "json:$..p" || !content.hasPrefix("{") && !content.hasPrefix("[") else {
            // It looks like JSON until it is read; above the limit that is too late.
            return #expect(flow.redaction?.omissions.map(\.reason) == [.tooLarge])
        }
        #expect(flow.redaction == nil)
        var pieces: [FlowPiece] = []
        try flow.pieces.forEach { _, piece in
            pieces.append(piece)
            return true
        }
        #expect(pieces.map(\.content.readableBytes) == [3, whole.readableBytes - 3])
        #expect(try flow.pieces.content(from: .client) == whole)
    }

    @Test("Content in pieces of one byte is held whole, and keeps its bytes and its size")
    func manyPieces() throws {
        var builder = FlowBuilder().request("POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n", isWhole: false)
        let content = ByteBuffer(string: "[" + String(repeating: "1,", count: 4000) + "2]")
        for (index, byte) in content.readableBytesView.enumerated() {
            builder = builder.data(ByteBuffer(integer: byte), from: .client, at: Int64(index))
        }
        builder = builder.event(.finished(.client), at: 9000).ended(at: 9000)
        let kept = try redactor(["json:$..p"]).flow(builder)
        #expect(try kept.pieces.content(from: .client) == content)
        #expect(kept.request?.size == UInt64(content.readableBytes))
        #expect(kept.pieces.count == 4096)
        let changed = try redactor(["json:$[4000]"]).flow(builder)
        #expect(try String(buffer: changed.pieces.content(from: .client)).hasSuffix(#",1,"«redacted»"]"#))
        #expect(changed.request?.size == UInt64(content.readableBytes))
    }

    @Test("A flow that is cut never stores what was held")
    func cut() throws {
        let builder = FlowBuilder().request(
            "POST / HTTP/1.1\r\n\r\n", content: ByteBuffer(string: #"{"password":"hunter2","a":"#), isWhole: false
        )
        .ended(FlowEnding(state: .incomplete))
        for keeps in [false, true] {
            let flow = try redactor(["default"], keepsUnparsed: keeps).flow(builder)
            #expect(try flow.pieces.content(from: .client).readableBytes == 0)
            #expect(flow.request?.size == 26)
            #expect(flow.redaction?.omissions == [FlowRedaction.Omission(rule: "default", place: .requestBody, reason: .unparsed)])
        }
    }

    @Test(
        "Bodies as a whole are masked, hashed or left out",
        arguments: [
            ("body", "«redacted»", "«redacted»"), ("body=hash", hash("question"), hash("answer")), ("body=drop", "", ""),
            ("body:~d a", "«redacted»", "«redacted»"), ("body:~d other", "question", "answer"),
            ("body:~t image", "«redacted»", "«redacted»"),
            ("body:~c 500", "question", "answer"), ("body:~c 200=hash", hash("question"), hash("answer")),
            ("share", "question", ""),
            ("body:~m GET", "question", "answer"), ("body:!~c 500 & ~hs 'Type: image'=drop", "", ""),
        ])
    func wholeBodies(rule: String, question: String, answer: String) throws {
        let builder = FlowBuilder().request("POST / HTTP/1.1\r\n\r\n", content: ByteBuffer(string: "question"), at: 1)
            .response("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n", content: ByteBuffer(string: "answer"), at: 2).ended(
                at: 3)
        let flow = try redactor([rule]).flow(builder)
        #expect(String(buffer: try flow.pieces.content(from: .client)) == question)
        #expect(String(buffer: try flow.pieces.content(from: .server)) == answer)
        #expect(flow.request?.size == 8)
        #expect(flow.response?.size == 6)
        #expect(flow.request?.ended != nil)
        // Without an answer the rule is decided at the end.
        let alone = FlowBuilder().request("POST / HTTP/1.1\r\n\r\n", content: ByteBuffer(string: "question")).ended(
            FlowEnding(state: .incomplete))
        let cut = try redactor(["body:~c 200"]).flow(alone)
        #expect(String(buffer: try cut.pieces.content(from: .client)) == "question")
    }

    @Test("Messages and data of streams are redacted one by one")
    func messages() throws {
        func message(_ kind: FlowPiece.Kind, _ text: String) -> FlowEvent.What {
            .piece(FlowPiece(kind: kind, from: .server, content: ByteBuffer(string: text), wireSize: 99, frames: 2))
        }
        let builder = FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response("HTTP/1.1 101 S\r\n\r\n", isWhole: false)
            .event(message(.text, #"{"token":"hunter2"}"#)).event(message(.text, "hunter2!")).event(message(.ping, "hunter2"))
            .event(message(.text, #"{"token":"hunt"#)).event(message(.text, "hunt")).event(message(.binary, "er2")).ended()
        let flow = try redactor(["default", "pattern:hunter[0-9]=hash"]).flow(builder)
        var pieces: [FlowPiece] = []
        try flow.pieces.forEach { _, piece in
            pieces.append(piece)
            return true
        }
        #expect(
            pieces.map { String(buffer: $0.content) } == [
                #"{"token":"«redacted»"}"#, hash("hunter2") + "!", hash("hunter2"), "", "hunt", "er2",
            ])
        #expect(pieces.allSatisfy { $0.wireSize == 99 && $0.frames == 2 })
        #expect(
            flow.redaction?.omissions == [
                FlowRedaction.Omission(rule: "pattern:hunter[0-9]=hash", place: .messages, reason: .unparsed)
            ]
        )
        #expect(flow.redaction?.changes.map(\.count) == [1, 2])
        let stream = try redactor(["body"]).flow(
            FlowBuilder(.tcp).data(ByteBuffer(string: "USER me"), from: .client).data(ByteBuffer(), from: .server).ended())
        #expect(try stream.pieces.content(from: .client) == RedactionMarker.mask)
    }

    @Test("Patterns and secrets are found in text, in JSON strings with escapes and in forms")
    func text() throws {
        let rules = try redactor(["pattern:hunter[0-9]", "secrets"])
        #expect(
            try rules.body(#"{"a":"hun\u0074er2","b":"\thunter3"}"#, type: "application/json")
                == #"{"a":"«redacted»","b":"\t«redacted»"}"#)
        #expect(
            try rules.body("a=hun%74er2&b=x+hunter3", type: "application/x-www-form-urlencoded") == "a=«redacted»&b=x+«redacted»")
        #expect(try rules.body("<p>ghp_0123456789abcdef</p>", type: "text/html") == "<p>«redacted»</p>")
        #expect(try redactor(["pattern:x+=drop"]).body("axxbx", type: nil) == "ab")
    }

    @Test("A pattern that takes too many steps hides all of the text")
    func steps() throws {
        let text = String(repeating: "a", count: 40) + "!"
        #expect(try redactor(["pattern:(a+)+(b|c)+$"]).body(text, type: nil) == "«redacted»")
    }

    @Test("What was redacted before stays as it is, and is not decoded again")
    func again() throws {
        let rules = try redactor(["default=hash", "pattern:hunter2"])
        let builder = FlowBuilder().request(
            "POST /?token=1 HTTP/1.1\r\nContent-Encoding: gzip\r\nCookie: a=b\r\n\r\n",
            content: coded(ByteBuffer(string: #"{"password":"x","b":"hunter2"}"#), "gzip")
        ).response("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n", content: ByteBuffer(string: "{")).ended()
        let once = rules.flow(builder)
        var copied = FlowBuilder()
        try once.forEachEvent { event in
            if case .opened = event.what { return }
            copied.add(event.what, at: event.at)
        }
        let twice = rules.flow(copied)
        #expect(twice.request?.head == once.request?.head)
        #expect(twice.response?.head == once.response?.head)
        #expect(try twice.pieces.content(from: .client) == once.pieces.content(from: .client))
        #expect(try once.pieces.content(from: .client) == ByteBuffer(string: #"{"password":"\#(hash("x"))","b":"«redacted»"}"#))
        #expect(twice.redaction == once.redaction)
    }

    @Test("Of content that was cut before nothing is stored that a rule may touch, and no digest of it")
    func cutBefore() throws {
        let cut = ContentCut(size: 100, sha256: ByteBuffer(repeating: 1, count: 32))
        func flow(_ rule: String, _ content: String) throws -> Flow {
            try redactor([rule]).flow(
                FlowBuilder().request("POST / HTTP/1.1\r\n\r\n", isWhole: false)
                    .event(.piece(FlowPiece(from: .client, content: ByteBuffer(string: content), wireSize: 100)), at: 1)
                    .event(.cut(from: .client, cut), at: 2).event(.finished(.client), at: 2)
                    .event(
                        .piece(
                            FlowPiece(kind: .text, from: .server, content: ByteBuffer(string: "par"), wireSize: 9, cut: Shared(cut))
                        ), at: 3
                    ).ended(at: 3))
        }
        let hidden = try flow("pattern:partial", "par")
        #expect(try hidden.pieces.content(from: .client).readableBytes == 0)
        #expect(hidden.cut(of: .client) == ContentCut(size: 100, sha256: ByteBuffer()))
        #expect(hidden.redaction?.omissions.map(\.place) == [.requestBody, .messages])
        try hidden.pieces.forEach { _, piece in
            #expect(piece.content.readableBytes == 0)
            #expect(piece.cut == nil || piece.cut?.value.sha256.readableBytes == 0)
            return true
        }
        let kept = try flow("json:$..p", "not JSON")
        #expect(try String(buffer: kept.pieces.content(from: .client)) == "not JSON")
        #expect(kept.cut(of: .client) == cut)
        #expect(kept.redaction == nil)
    }

    @Test("A request that is compared with a recording gets the form that was recorded")
    func liveRequests() throws {
        let rules = try redactor(["default=hash"])
        let head = RequestHead(
            parsing: ByteBuffer(string: "POST /?token=1 HTTP/1.1\r\nContent-Encoding: gzip\r\nCookie: a=b\r\n\r\n"),
            version: .http1_1)
        let content = coded(ByteBuffer(string: #"{"password":"x"}"#), "gzip")
        let stored = rules.flow(FlowBuilder().event(.request(head)).data(content, from: .client).event(.finished(.client)).ended())
        let live = rules.redact(request: head, content: content)
        #expect(live.head == stored.request?.head)
        #expect(try live.content == stored.pieces.content(from: .client))
        #expect(
            rules.redact(message: FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: #"{"token":1}"#)))
                == ByteBuffer(string: #"{"token":"\#(hash("1"))"}"#))
    }
}
