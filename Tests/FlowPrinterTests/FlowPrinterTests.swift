import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import Testing

private let exchange = flow(
    .http,
    [
        (0, request("POST /a?b=1 HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n")),
        (1, piece("k=v+w&x=%41", from: .client)), (1, .finished(.client)),
        (5, response("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")),
        (6, piece("{\"a\":[1,{}],\"b\":\"\\u001b\"}", from: .server)),
        (7, .finished(.server)), (7, .ended(FlowEnding(state: .complete))),
    ])

@Suite("A flow as text")
struct TextTests {
    @Test(
        "Every kind and state is a line",
        arguments: [
            (exchange, "10.0.0.1 POST https://a.example/a?b=1 << 200 OK application/json 25 B 7.0 ms\n"),
            (
                flow(.http, [(0, request("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))]),
                "10.0.0.1 GET https://a.example/ << open at the end of the recording\n"
            ),
            (
                flow(
                    .http,
                    [
                        (0, request("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")),
                        (1, .ended(FlowEnding(state: .failed, error: FlowError(side: .server, message: "refused", at: start)))),
                    ]),
                "10.0.0.1 GET https://a.example/ << error: refused\n"
            ),
            (
                flow(
                    .tls, [(1, .ended(FlowEnding(state: .failed, error: FlowError(side: .client, message: "no trust", at: start))))]
                ),
                "10.0.0.1 TLS a.example:443 << no trust\n"
            ),
            (
                flow(
                    .tcp,
                    [
                        (1, piece("ab", from: .client)), (2, piece("cde", from: .server)),
                        (3, .ended(FlowEnding(state: .complete, closedBy: .client))),
                    ]),
                "10.0.0.1 TCP a.example:443 >> 1 message 2 B << 1 message 3 B, closed by the client 3.0 ms\n"
            ),
            (
                flow(
                    .tcp,
                    [
                        (
                            3,
                            .ended(
                                {
                                    var ending = FlowEnding(state: .complete);
                                    ending.passthrough = PassthroughSizes(fromClient: 5, fromServer: 2048); return ending
                                }())
                        )
                    ]),
                "10.0.0.1 TCP a.example:443 passed through >> 5 B << 2.0 KiB 3.0 ms\n"
            ),
        ])
    func line(flow: Flow, expected: String) throws {
        #expect(try text(flow, detail: 1) == expected)
    }

    @Test("An answer of the recorder itself, bytes that it refused, and notes are marked as such in text and JSON")
    func remarks() throws {
        let head = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n\r\n"
        let reply = LocalReply(
            head: ResponseHead(parsing: ByteBuffer(string: head), version: .http1_1), content: ByteBuffer(string: "mitm: no\n"))
        let error = FlowError(side: .server, message: "no", at: start)
        let refused = flow(
            .http,
            [
                (0, request("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")), (1, .note(FlowNote(side: .server, "odd"))),
                (1, .note(FlowNote(side: nil, "\u{1b}"))), (2, .malformed(from: .server, ByteBuffer(string: "HTTP/1.1 200\r\n"))),
                (3, .localReply(reply)), (3, .ended(FlowEnding(state: .failed, error: error))),
            ])
        let line = "10.0.0.1 GET https://a.example/ << 502 Bad Gateway (by the recorder): no (2 notes)\n"
        #expect(try text(refused, detail: 1) == line)
        let printed = try text(refused, detail: 3)
        #expect(
            printed.hasSuffix(
                """

                    answer of the recorder itself
                    HTTP/1.1 502 Bad Gateway
                    Content-Type: text/plain

                    mitm: no

                    refused bytes of the server, 14 B
                    HTTP/1.1 200
                    note: server: odd
                    note: \\x1b


                """), "\(printed)")
        var out = ByteBuffer()
        try FlowJSONPrinter(rawBody: false).print(refused, into: &out)
        let json = String(buffer: out)
        #expect(
            json.contains(
                #""status":502,"reason":"Bad Gateway","version":"HTTP/1.1","#
                    + #""headers":[["Content-Type","text/plain"]],"size":9,"text":"mitm: no\n"}"#), "\(json)")
        #expect(!json.contains("\"response\""))
        #expect(json.contains(#""from":"server","size":14,"text":"HTTP/1.1 200\r\n"}]"#))
        #expect(json.contains(#""side":"server","message":"odd"}"#))
    }

    @Test("At detail 3 heads and content are laid out, and what would steer a terminal is shown instead")
    func content() throws {
        let printed = try text(exchange, detail: 3)
        #expect(printed.contains("    POST /a?b=1 HTTP/1.1\n    Host: a.example\n"))
        #expect(printed.contains("    k: v w\n    x: A\n"))
        #expect(printed.contains("    {\n      \"a\": [\n        1,\n        {}\n      ],\n      \"b\": \"\\u001b\"\n    }\n"))
        let hostile = flow(.http, [(0, request("GET /\u{1b}[2J HTTP/1.1\r\nHost: a.example\r\nX: \u{9b}31m\u{202e}\u{61c}\r\n\r\n"))])
        let safe = try text(hostile, detail: 3)
        #expect(safe.contains("/\\x1b[2J"))
        #expect(safe.contains("X: \\x9b31m\\u{202e}\\u{61c}"))
        #expect(!safe.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x9B || $0.value == 0x202E })
    }

    @Test("Long content is cut at detail 3 and whole at detail 4; binary content is dumped")
    func cut() throws {
        let long = flow(
            .http,
            [
                (0, request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), (1, response("HTTP/1.1 200 OK\r\n\r\n")),
                (1, piece(String(repeating: "line\n", count: 600), from: .server)), (2, .finished(.server)),
            ])
        #expect(try text(long, detail: 3).contains("(cut: 88 more lines, --detail 4 shows them)"))
        #expect(try text(long, detail: 4).components(separatedBy: "    line\n").count == 601)
        let binary = flow(
            .http,
            [
                (0, request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), (1, response("HTTP/1.1 200 OK\r\n\r\n")),
                (1, piece("\u{0}\u{1}AB", from: .server)),
            ])
        #expect(try text(binary, detail: 3).contains("00000000  00 01 41 42"))
    }
}

@Suite("Content that cannot be decoded")
struct UndecodableTests {
    private static func answer(_ coding: String, _ bytes: [UInt8]) -> Flow {
        flow(
            .http,
            [
                (0, request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
                (
                    1,
                    response(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Encoding: \(coding)\r\n\r\n")
                ),
                (1, piece(bytes, from: .server)), (2, .finished(.server)), (2, .ended(FlowEnding(state: .complete))),
            ])
    }

    @Test(
        "It is shown as it was sent, and the reason",
        arguments: ["gzip", "br", "zstd", "deflate", "sdch", "sdch, gzip, identity", "gzip, sdch"])
    func shown(coding: String) throws {
        let textual = Self.answer(coding, Array("\u{7f}plain".utf8))
        #expect(try text(textual, detail: 4).contains("plain\n"))
        #expect(try text(textual, detail: 4).contains("as it was sent"))
        #expect(try json(textual).contains(#""text":"\u007fplain","decoded":false,"remark":"#))
        let binary = Self.answer(coding, [0xFF, 0x00, 0x10])
        #expect(try text(binary, detail: 4).contains("    00000000  ff 00 10"))
        #expect(try json(binary).contains(#""base64":"/wAQ","decoded":false,"remark":"#))
        #expect(try json(binary, rawBody: true).contains(#""base64":"/wAQ"},"started""#))
    }
}

@Suite("A flow as JSON")
struct JSONTests {
    @Test("The line is the schema's, field for field")
    func schema() throws {
        let expected =
            #"{"id":"018bcfe5-687b-7001-8000-000000000001","kind":"http","state":"complete","started":"2023-11-14T22:13:20.123456789Z","ended":"2023-11-14T22:13:20.130456789Z","duration_ms":7,"mode":"regular","client":{"id":"00000000-0000-0001-0000-000000000001","address":"10.0.0.1:5000"},"server":{"host":"a.example","port":443},"request":{"method":"POST","scheme":"https","authority":"a.example","path":"/a?b=1","url":"https://a.example/a?b=1","version":"HTTP/1.1","stream_id":3,"headers":[["Host","a.example"],["Content-Type","application/x-www-form-urlencoded"]],"body":{"size":11,"stored":11,"complete":true,"text":"k=v+w&x=%41"},"started":"2023-11-14T22:13:20.123456789Z","ended":"2023-11-14T22:13:20.124456789Z"},"response":{"status":200,"reason":"OK","version":"HTTP/1.1","headers":[["Content-Type","application/json"]],"body":{"size":25,"stored":25,"complete":true,"text":"{\"a\":[1,{}],\"b\":\"\\u001b\"}"},"started":"2023-11-14T22:13:20.128456789Z","ended":"2023-11-14T22:13:20.130456789Z","ttfb_ms":4}}"#
            + "\n"
        #expect(try json(exchange) == expected)
    }

    @Test("Bytes that are no text are base64, control characters are escaped, and a parser reads the line")
    func escapes() throws {
        let bytes = flow(
            .http,
            [
                (0, request("GET /\"\\\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n")), (1, response("HTTP/1.1 200 OK\r\n\r\n")),
                (1, .piece(FlowPiece(from: .server, content: ByteBuffer(bytes: [0xFF, 0x00, 0x10])))),
            ])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(try json(bytes).utf8)) as? [String: Any])
        let request = try #require(object["request"] as? [String: Any])
        #expect(request["path"] as? String == "/\"\\\u{7f}")
        let body = try #require((object["response"] as? [String: Any])?["body"] as? [String: Any])
        #expect(body["base64"] as? String == "/wAQ")
        #expect(body["complete"] as? Bool == false)
        let raw = try #require(
            try JSONSerialization.jsonObject(with: Data(try json(exchange, rawBody: true).utf8)) as? [String: Any])
        #expect(((raw["request"] as? [String: Any])?["body"] as? [String: Any])?["base64"] as? String == "az12K3cmeD0lNDE=")
    }

    @Test(
        "Bytes of a head that are no text stand as ISO-8859-1 has them, and exactly beside it; where all are text there is nothing beside it"
    )
    func bytesOfHeads() throws {
        func head(_ text: String) -> ByteBuffer { ByteBuffer(bytes: text.unicodeScalars.map { UInt8($0.value) }) }
        let latin1 = flow(
            .http,
            [
                (
                    0,
                    .request(
                        RequestHead(parsing: head("GET /\u{E9} HTTP/1.1\r\nHost: a\r\nX: caf\u{E9}\r\n\r\n"), version: .http1_1))
                ),
                (1, .response(ResponseHead(parsing: head("HTTP/1.1 200 Tr\u{E8}s\r\nY: \u{C3}\u{A9}\r\n\r\n"), version: .http1_1))),
            ])
        let line = try json(latin1)
        for part in [
            #""path":"/é","path_base64":"L+k=""#, #""url":"https://a.example/é","url_base64":"aHR0cHM6Ly9hLmV4YW1wbGUv6Q==""#,
            #""headers":[["Host","a"],["X","café"]],"headers_base64":[["SG9zdA==","YQ=="],["WA==","Y2Fm6Q=="]]"#,
            #""reason":"Très","reason_base64":"VHLocw==""#, #""headers":[["Y","é"]],"body""#,
        ] { #expect(line.contains(part), "\(part)") }
        _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
    }

    @Test("WebSocket messages and their close are printed")
    func webSocket() throws {
        let conversation = flow(
            .http,
            [
                (0, request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), (1, response("HTTP/1.1 101 Switching Protocols\r\n\r\n")),
                (2, .piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hi"), wireSize: 4))),
                (3, .piece(FlowPiece(kind: .close, from: .server, content: ByteBuffer(bytes: [0x03, 0xE8] + Array("bye".utf8))))),
            ])
        let line = try json(conversation)
        #expect(
            line.contains(
                #""websocket":{"messages":[{"at":"2023-11-14T22:13:20.125456789Z","from":"client","opcode":"text","size":2,"compressed_size":4,"text":"hi"}"#
            ))
        #expect(line.contains(#""close":{"code":1000,"reason":"bye","by":"server"}"#))
    }

    @Test("A byte that JSON escapes is escaped wherever it is in a string")
    func escapedEverywhere() throws {
        for byte in UInt8(0)...0x7F {
            for length in 1...20 {
                for place in 0..<length {
                    var text = Array("abcdefghijklmnopqrst".utf8.prefix(length))
                    text[place] = byte
                    var json = JSONWriter()
                    json.string(ByteBuffer(bytes: text))
                    var out = ByteBuffer()
                    json.write(into: &out)
                    let isEscaped = byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F
                    let decoded =
                        try JSONSerialization.jsonObject(with: Data(out.readableBytesView), options: .fragmentsAllowed) as? String
                    #expect(decoded == String(decoding: text, as: UTF8.self))
                    #expect(out.readableBytesView.contains(0x5C) == isEscaped)
                }
            }
        }
    }
}
