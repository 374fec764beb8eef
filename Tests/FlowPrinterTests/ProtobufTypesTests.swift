// Messages whose types are known: the text of protoc, the JSON of Python's json_format, on random messages (Fixtures/protobuf, which
// Tests/Peers/protobuf_fixtures.py makes).

import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import Protobuf
import TestSupport
import Testing

private let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/protobuf")

private func schema(_ names: String...) throws -> ProtobufSchema {
    var types = ProtobufTypes()
    for name in names {
        try types.add(descriptorSet: ByteBuffer(bytes: try Data(contentsOf: directory.appending(path: "\(name).pb"))))
    }
    return ProtobufSchema(types)
}

/// A call whose request and response have this content.
private func call(
    _ target: String = "/S/M", type: String, request sent: [UInt8] = [], response received: [UInt8], head: String = "",
    trailers: [(name: String, value: String)] = []
) -> Flow {
    flow(
        .http,
        [
            (0, request("POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\n\r\n")), (0, piece(sent, from: .client)),
            (0, .finished(.client)), (1, response("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n\(head)\r\n")),
            (1, piece(received, from: .server)),
        ] + (trailers.isEmpty ? [] : [(2, .trailers(from: .server, FieldSection(trailers)))])
            + [(2, .finished(.server)), (2, .ended(FlowEnding(state: .complete)))])
}

private func printed(_ flow: Flow, _ schema: ProtobufSchema, detail: Int = 4) throws -> [[String]] {
    var style = TextStyle(detail: detail, isColoured: false)
    style.schema = schema
    var out = ByteBuffer()
    try FlowTextPrinter(style).print(flow, into: &out)
    return String(buffer: out).components(separatedBy: "\n\n").map { $0.split(separator: "\n").map { String($0.dropFirst(4)) } }
}

/// The lines of the response's content.
private func contentLines(_ flow: Flow, _ schema: ProtobufSchema) throws -> [String] {
    try printed(flow, schema).dropLast().last ?? []
}

private func object(_ flow: Flow, _ schema: ProtobufSchema) throws -> [String: Any] {
    var out = ByteBuffer()
    try FlowJSONPrinter(rawBody: false, schema: schema).print(flow, into: &out)
    return try #require(try JSONSerialization.jsonObject(with: Data(out.readableBytesView)) as? [String: Any])
}

private func body(_ flow: Flow, _ schema: ProtobufSchema) throws -> [String: Any] {
    let response = try #require(try object(flow, schema)["response"] as? [String: Any])
    return try #require(response["body"] as? [String: Any])
}

private func frame(_ content: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    [flags, 0, 0, UInt8(content.count >> 8), UInt8(content.count & 255)] + content
}

/// Text of the format as bytes: escapes of bytes are undone, since printers differ in what they escape.
private func normal(_ text: String) -> [UInt8] {
    var out: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
            out.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 << 3 | UInt($1 - 0x30) }))
            rest = rest.dropFirst(3)
        } else if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "'") {
            continue
        } else {
            out.append(byte)
        }
    }
    return out
}

@Suite("Protobuf with descriptors")
struct ProtobufTypesTests {
    private struct Expected {
        let type: String
        let content: [UInt8]
        let text: String
        /// In an object of JSON.
        let line: Data

        func json() throws -> NSDictionary? {
            (try JSONSerialization.jsonObject(with: line) as? [String: Any])?["json"] as? NSDictionary
        }
    }

    private static let expected: [Expected] = {
        guard let lines = try? String(contentsOf: directory.appending(path: "messages.jsonl"), encoding: .utf8) else { return [] }
        return lines.split(separator: "\n").compactMap { line in
            guard let row = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let type = row["type"] as? String, let content = (row["content"] as? String).flatMap({ Data(base64Encoded: $0) }),
                let text = row["text"] as? String
            else { return nil }
            return Expected(type: type, content: Array(content), text: text, line: Data(line.utf8))
        }
    }()

    @Test("Text equals protoc's, and JSON that of json_format")
    func oracles() throws {
        #expect(Self.expected.count >= 150)
        let schema = try schema("shop", "legacy", "edition")
        for message in Self.expected where !message.content.isEmpty {
            let flow = call(type: "application/protobuf; messageType=\(message.type)", response: message.content)
            let lines = try contentLines(flow, schema).dropFirst().map { line in line.replacing(#/ \{  # .*$/#, with: " {") }
            // protoc leaves an Any as it is.
            if !message.text.contains("type_url") { #expect(normal(lines.map { $0 + "\n" }.joined()) == normal(message.text)) }
            let body = try body(flow, schema)
            #expect(body["message_type"] as? String == message.type)
            #expect(try body["message"] as? NSDictionary == message.json())
        }
    }

    @Test("The path of a call names the types of its messages")
    func calls() throws {
        let schema = try schema("shop")
        let order = frame([0x0A, 2, 0x6F, 0x31, 0x12, 3, 0x0A, 1, 0x61])
        let item = frame([0x0A, 1, 0x61, 0x10, 2])
        for target in ["/shop.v1.Shop/Buy", "/api/shop.v1.Shop/Buy"] {
            let flow = call(target, type: "application/grpc", request: order, response: item)
            let blocks = try printed(flow, schema)
            #expect(
                blocks[2] == [
                    "message 1, 9 B, shop.v1.Order", "  id: \"o1\"", "  items {", "    name: \"a\"", "  }",
                ])
            #expect(blocks[4] == ["message 1, 5 B, shop.v1.Item", "  name: \"a\"", "  count: 2"])
            let messages = try #require(try body(flow, schema)["messages"] as? [NSDictionary])
            #expect(
                messages == [
                    ["size": 5, "compressed": false, "message_type": "shop.v1.Item", "message": ["name": "a", "count": 2]]
                        as NSDictionary
                ])
        }
        let other = call("/shop.v1.Shop/Sell", type: "application/grpc", request: order, response: item)
        #expect(try printed(other, schema)[4] == ["message 1, 5 B", "  1: len 1 \"a\"", "  2: varint 2"])
    }

    @Test("Moments have a comment; fields that the type lacks are below the others")
    func remarks() throws {
        let schema = try schema("shop")
        let moments: [UInt8] = [0x0A, 2, 0x08, 60, 0x12, 4, 0x08, 1, 0x10, 5, 0xA8, 1, 3]
        let lines = try contentLines(call(type: "application/x-protobuf; messageType=shop.v1.Moments", response: moments), schema)
        #expect(
            lines == [
                "shop.v1.Moments", "at {  # 1970-01-01T00:01:00Z", "  seconds: 60", "}", "took {  # 1.000000005s", "  seconds: 1",
                "  nanos: 5", "}", "21: varint 3, zigzag -2",
            ])
        let body = try body(call(type: "application/x-protobuf; messageType=shop.v1.Moments", response: moments), schema)
        #expect(
            body["message"] as? NSDictionary == [
                "at": "1970-01-01T00:01:00Z", "took": "1.000000005s",
                "21": [["field": 21, "wire": "varint", "value": 3, "zigzag": -2]],
            ])
    }

    @Test("The details of a status are shown after the trailers")
    func details() throws {
        let status = "CAUSAm5vGiUKI3R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5IZWxw"
        let flow = call(
            type: "application/grpc", response: frame([8, 1]),
            trailers: [("grpc-status", "5"), ("grpc-message", "no%20%C3%BC"), ("grpc-status-details-bin", status)])
        let blocks = try printed(flow, try schema())
        #expect(
            blocks[blocks.count - 2] == [
                "status details", "google.rpc.Status", "code: 5", "message: \"no\"", "details {",
                "  [type.googleapis.com/google.rpc.Help] {", "  }", "}",
            ])
        let response = try #require(try object(flow, try schema())["response"] as? [String: Any])
        #expect(
            response["grpc"] as? NSDictionary == [
                "status": 5, "name": "NOT_FOUND", "message": "no ü",
                "details": ["code": 5, "message": "no", "details": [["@type": "type.googleapis.com/google.rpc.Help"]]],
            ])
    }

    @Test("Messages after their lengths, as Prometheus sends them, are shown one by one")
    func delimited() throws {
        let content: [UInt8] = [5, 0x0A, 1, 0x61, 0x10, 2, 3, 0x0A, 1, 0x62]
        for type in [
            "application/x-protobuf; proto=shop.v1.Item; encoding=delimited", "application/protobuf; messageType=shop.v1.Item",
        ] {
            let flow = call(type: type, response: content)
            #expect(
                try contentLines(flow, try schema("shop")) == [
                    "message 1, 5 B, shop.v1.Item", "  name: \"a\"", "  count: 2", "message 2, 3 B, shop.v1.Item", "  name: \"b\"",
                ])
            let messages = try #require(try body(flow, try schema("shop"))["messages"] as? [NSDictionary])
            #expect(messages.map { $0["message"] as? NSDictionary } == [["name": "a", "count": 2], ["name": "b"]])
        }
    }

    @Test("gRPC-Web in Base64 and streams of Connect are read by their frames")
    func otherFrames() throws {
        let schema = try schema("shop")
        let item = frame([0x0A, 1, 0x61])
        let end = frame(Array(#"{"error":{"code":"internal"}}"#.utf8), flags: 2)
        let connect = call("/shop.v1.Shop/Buy", type: "application/connect+proto", response: item + end)
        #expect(
            try contentLines(connect, schema) == [
                "message 1, 3 B, shop.v1.Item", "  name: \"a\"", "end of the stream, 29 B", "  {", "    \"error\": {",
                "      \"code\": \"internal\"", "    }", "  }",
            ])
        let trailers = frame(Array("grpc-status:0\r\n".utf8), flags: 0x80)
        let text = Data(item).base64EncodedString() + Data(trailers).base64EncodedString()
        let web = call("/shop.v1.Shop/Buy", type: "application/grpc-web-text", response: Array(text.utf8))
        #expect(
            try contentLines(web, schema) == ["message 1, 3 B, shop.v1.Item", "  name: \"a\"", "trailers, 15 B", "  grpc-status:0"])
    }

    @Test("Random bytes never trap, whatever the type", arguments: 0..<40 as Range<UInt64>)
    func random(seed: UInt64) throws {
        let schema = try schema("shop", "legacy", "edition")
        var generator = SeededGenerator(seed: seed)
        for message in Self.expected.shuffled(using: &generator).prefix(20) {
            var content = message.content
            for _ in 0..<3 where !content.isEmpty {
                content[Int.random(in: 0..<content.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            let flow = call(type: "application/protobuf; messageType=\(message.type)", response: content)
            #expect(try !printed(flow, schema).isEmpty)
            _ = try object(flow, schema)
        }
    }
}
