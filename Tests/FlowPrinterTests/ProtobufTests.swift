// Protobuf and gRPC as they are printed: the whole view compared, what is hostile included.

import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// A flow whose response has this content.
private func answer(_ content: [UInt8], _ type: String, coding: String? = nil) -> Flow {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n" + (coding.map { "grpc-encoding: \($0)\r\n" } ?? "") + "\r\n"
    return flow(
        .http,
        [
            (0, request("POST /S/M HTTP/1.1\r\nHost: a\r\n\r\n")), (0, .finished(.client)), (1, response(head)),
            (1, piece(content, from: .server)), (2, .finished(.server)), (2, .ended(FlowEnding(state: .complete))),
        ])
}

/// The lines of the response's content, without the indentation of them all.
private func view(_ content: [UInt8], _ type: String = "application/protobuf", coding: String? = nil, detail: Int = 4) throws
    -> [String]
{
    let printed = try text(answer(content, type, coding: coding), detail: detail)
    return printed.components(separatedBy: "\n\n")[3].split(separator: "\n").map { String($0.dropFirst(4)) }
}

/// The object of the response's body, behind the content itself.
private func bodyJSON(_ content: [UInt8], _ type: String, coding: String? = nil) throws -> String {
    let line = try json(answer(content, type, coding: coding))
    _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
    let response = try #require(line.components(separatedBy: #""response":"#).last)
    let body = try #require(response.components(separatedBy: #""body":{"#).last?.components(separatedBy: #"},"started""#).first)

    return body.replacing(/^.*?"complete":true,"(base64|text)":"(\\.|[^"\\])*",?/, with: "")
}

private func frame(_ content: some Collection<UInt8>, flags: UInt8 = 0) -> [UInt8] {
    let size = UInt32(content.count)
    return [flags, UInt8(size >> 24), UInt8(size >> 16 & 255), UInt8(size >> 8 & 255), UInt8(size & 255)] + content
}

private func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

private func nested(_ levels: Int) -> [UInt8] {
    (1..<levels).reduce(bytes("0801")) { message, _ in [0x0A] + varint(message.count) + message }
}

private func varint(_ value: Int) -> [UInt8] { value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7) }

/// Zeros beyond what a printer holds, as raw deflate (RFC 1951 §3.2.6): one literal, then copies of 258 bytes, 13 bits each.
private func bomb() -> [UInt8] {
    var out: [UInt8] = []
    var pending: UInt32 = 0
    var count: UInt32 = 0
    func put(_ bits: UInt32, _ length: UInt32) {
        pending |= bits << count
        count += length
        while count >= 8 {
            out.append(UInt8(truncatingIfNeeded: pending))
            pending >>= 8
            count -= 8
        }
    }
    put(0b011, 3)
    put(0b0000_1100, 8)
    for _ in 0..<300_000 { put(0b0_0000_1010_0011, 13) }
    put(0, 16)
    return out
}

@Suite("Protobuf without a schema")
struct ProtobufTests {
    @Test(
        "Every wire type is a line",
        arguments: [
            ("089601", ["1: varint 150"]),
            ("0800 1001", ["1: varint 0", "2: varint 1"]),
            ("0803", ["1: varint 3, zigzag -2"]),
            ("08ffffffff0f", ["1: varint 4294967295, zigzag -2147483648"]),
            ("08ffffffff1f", ["1: varint 8589934591"]),
            ("08ffffffffffffffffff01", ["1: varint 18446744073709551615, signed -1"]),
            ("0d db0f4940", ["1: fixed32 0x40490fdb, float 3.1415927"]),
            ("0d 0000c07f", ["1: fixed32 0x7fc00000, float nan"]),
            ("09 0000000000000440", ["1: fixed64 0x4004000000000000, double 2.5"]),
            ("12 07 74657374696e67", ["2: len 7 \"testing\""]),
            ("12 00", ["2: len 0 \"\""]),
            // A word that reads as a message too.
            ("12 02 6869", ["2: len 2 \"hi\" ?", "  or message", "    13: varint 105, zigzag -53"]),
            ("12 03 610a62", ["2: len 3 \"a\\nb\""]),
            ("12 04 1b5b32ff", ["2: len 4 1b5b32ff"]),
            // Numbers of one byte each, and of several bytes: as likely as bytes.
            ("12 04 1b5b324a", ["2: len 4 packed 27, 91, 50, 74 ?", "  or 1b5b324a"]),
            ("12 06 e280ae616263", ["2: len 6 \"\\u{202e}abc\""]),
            ("1a 03 089601", ["3: len 3 message", "  1: varint 150"]),
            ("1a 05 0a03 616263 2001", ["3: len 5 message", "  1: len 3 \"abc\"", "4: varint 1"]),
            // A message that is nothing but printable characters and line ends.
            (
                "1a 0c 0a 0a 30313233343536373839",
                ["3: len 12 message ?", "  1: len 10 \"0123456789\"", "  or \"\\n\\n0123456789\""]
            ),
            ("22 06 038e029ea705", ["4: len 6 038e029ea705 ?", "  or packed 3, 270, 86942"]),
            ("22 10 000000000000f83f 00000000000004c0", ["4: len 16 packed 1.5, -2.5 ?", "  or 000000000000f83f00000000000004c0"]),
            ("22 0c 0000803f 000000bf 00000000", ["4: len 12 packed 1.0, -0.5, 0.0 ?", "  or 0000803f000000bf00000000"]),
            ("0b 0801 0c 1002", ["1: group", "  1: varint 1", "2: varint 2"]),
            ("f8ffffff0f 05", ["536870911: varint 5, zigzag -3"]),
        ])
    func wireTypes(hexadecimal: String, lines: [String]) throws {
        #expect(try view(bytes(hexadecimal)) == lines)
    }

    @Test(
        "An invalid field is reported and dumped",
        arguments: [
            ("0801 08", ["1: varint 1", "(byte 2: truncated in a field)", "00000000  08 \(String(repeating: " ", count: 47))."]),
            ("0800 00", ["1: varint 0", "(byte 2: no field of protobuf)", "00000000  00 \(String(repeating: " ", count: 47))."]),
            ("0b 0801", ["1: group", "  1: varint 1", "(byte 3: truncated in a field)"]),
            ("0801 0c", ["1: varint 1", "(byte 2: no field of protobuf)", "00000000  0c \(String(repeating: " ", count: 47))."]),
            (
                "08ffffffffffffffffff02",
                [
                    "(byte 0: no field of protobuf)",
                    "00000000  08 ff ff ff ff ff ff ff  ff ff 02 \(String(repeating: " ", count: 16))...........",
                ]
            ),
        ])
    func broken(hexadecimal: String, lines: [String]) throws {
        #expect(try view(bytes(hexadecimal)) == lines)
    }

    @Test("Many bytes are dumped in rows")
    func longBytes() throws {
        let lines = try view([0x0A, 33] + [UInt8](repeating: 0, count: 33))
        let row = "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................"
        #expect(
            lines == [
                "1: len 33", "  00000000  \(row)", "  00000010  \(row)", "  00000020  00 \(String(repeating: " ", count: 47)).",
            ])
    }

    @Test("Messages in one another are shown 32 levels deep, then as bytes; groups end there")
    func depth() throws {
        let deep = try view(nested(33))
        #expect(deep.count == 33)
        #expect(deep.last == String(repeating: "  ", count: 32) + "1: varint 1")
        let deeper = try view(nested(34))
        #expect(deeper.suffix(2).first == String(repeating: "  ", count: 32) + "1: len 2 packed 8, 1 ?")
        let groups = try view([UInt8](repeating: 0x0B, count: 100_000))
        #expect(groups[32] == "(byte 32: nested deeper than 32 times)")
    }

    @Test("Text that is called protobuf stays text")
    func calledSo() throws {
        #expect(try view(Array("upstream failed\n".utf8)) == ["upstream failed"])
        #expect(try view(Array("upstream failed\n".utf8), "application/grpc") == ["upstream failed"])
        #expect(try bodyJSON(Array("upstream failed\n".utf8), "application/grpc") == "")
    }

    @Test("Fields beyond the bound are left out, and that is reported")
    func manyFields() throws {
        var many = [UInt8](repeating: 1, count: 1_000_002)
        for i in stride(from: 0, to: many.count, by: 2) { many[i] = 8 }
        let flow = answer(many, "application/protobuf")
        let printed = try text(flow, detail: 4)
        #expect(printed.hasSuffix("\n    1: varint 1\n    (cut: only 500000 fields are shown)\n\n"))
        #expect(try text(flow, detail: 3).contains("\n    (cut: 499489 more lines, --detail 4 shows them)\n"))
        let line = try FlowPrinterTests.json(flow)
        #expect(line.contains(#"{"field":1,"wire":"varint","value":1}],"cut":true}"#))
    }

    @Test("JSON has the fields beside the content", arguments: ["protobuf", "x-protobuf; charset=x", "vnd.google.protobuf"])
    func json(type: String) throws {
        let content = bytes(
            "0803 0d0000c07f 0d0000803f 09000000000000f0bf 0b10010c 1a03089601 12026869 2203 03ff00 10ffffffffffffffffff01 00")
        let expected =
            #""fields":[{"field":1,"wire":"varint","value":3,"zigzag":-2},{"field":1,"wire":"fixed32","hex":"7fc00000"},"#
            + #"{"field":1,"wire":"fixed32","hex":"3f800000","float":1.0},{"field":1,"wire":"fixed64","hex":"bff0000000000000","double":-1.0},"#
            + #"{"field":1,"wire":"group","fields":[{"field":2,"wire":"varint","value":1}]},"#
            + #"{"field":3,"wire":"len","size":3,"fields":[{"field":1,"wire":"varint","value":150}]},"#
            + #"{"field":2,"wire":"len","size":2,"text":"hi"},{"field":4,"wire":"len","size":3,"base64":"A/8A"},"#
            + #"{"field":2,"wire":"varint","value":18446744073709551615,"signed":-1}],"unparsed":1"#
        #expect(try bodyJSON(content, "application/" + type) == expected)
    }

    @Test("Groups that nothing ends are closed in JSON")
    func openGroups() throws {
        #expect(
            try bodyJSON(bytes("0b1308"), "application/protobuf")
                == #""fields":[{"field":1,"wire":"group","fields":[{"field":2,"wire":"group","fields":[]}]}],"unparsed":1"#)
    }

    @Test("Random bytes never trap, whole or framed, and the JSON of them is JSON", arguments: 0..<60 as Range<UInt64>)
    func random(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        // Small values make tags and lengths that fit more often.
        let content = (0..<Int.random(in: 1..<400, using: &generator)).map { _ in
            UInt8.random(in: 0...(Bool.random(using: &generator) ? 31 : 255), using: &generator)
        }
        for type in ["protobuf", "grpc", "grpc-web", "grpc+json"] {
            for framed in [content, frame(content), frame(content, flags: 1), frame(content, flags: 0x81)] {
                for coding in ["gzip", "deflate", "zstd", "no-such"] {
                    let flow = answer(framed, "application/\(type)", coding: coding)
                    #expect(try !text(flow, detail: 4).isEmpty)
                    let line = try FlowPrinterTests.json(flow)
                    _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
                }
            }
        }
    }
}

@Suite("gRPC")
struct GRPCTests {
    /// `1: 150`, `2: sixty letters`.
    private static let message = bytes("089601 123c") + [UInt8](repeating: 0x61, count: 60)
    private static let gzip = bytes("1f8b0800000000000203e398c628649348010000476541d941000000")
    private static let zlib = bytes("789ce398c628649348010000f03417aa")
    private static let small = bytes("089601")
    private static let lines = ["  1: varint 150", "  2: len 60 \"\(String(repeating: "a", count: 60))\""]

    @Test("A body is parted into messages, and each is decompressed by itself")
    func messages() throws {
        #expect(
            try view(frame(Self.small) + frame([]) + frame(Self.small), "application/grpc") == [
                "message 1, 3 B", "  1: varint 150", "message 2, 0 B", "message 3, 3 B", "  1: varint 150",
            ])
        #expect(
            try view(frame(Self.gzip, flags: 1) + frame(Self.small), "application/grpc+proto", coding: "gzip")
                == ["message 1, 28 B compressed, 65 B decoded"] + Self.lines + ["message 2, 3 B", "  1: varint 150"])
        #expect(
            try view(frame(Self.zlib, flags: 1), "Application/gRPC ; x=y", coding: "deflate")
                == ["message 1, 16 B compressed, 65 B decoded"] + Self.lines)
    }

    @Test(
        "Missing, unknown or damaged content is reported",
        arguments: [
            (
                frame(small) + frame(small).dropLast(2), nil,
                [
                    "message 1, 3 B", "  1: varint 150", "message 2, 3 B", "  (byte 0: truncated in a field)",
                    "  00000000  08 \(String(repeating: " ", count: 47)).", "  (truncated: 1 B came)",
                ]
            ),
            (
                frame(small) + [0, 0, 0], nil,
                [
                    "message 1, 3 B", "  1: varint 150", "(truncated in the prefix of a message)",
                    "00000000  00 00 00 \(String(repeating: " ", count: 41))...",
                ]
            ),
            ([0, 255, 255, 255, 255, 8, 1], nil, ["message 1, 4.0 GiB", "  1: varint 1", "  (truncated: 2 B came)"]),
            (
                frame([]) + [2, 8], nil,
                [
                    "message 1, 0 B", "(no message begins with 0x02)",
                    "00000000  02 08 \(String(repeating: " ", count: 44))..",
                ]
            ),
            (
                frame(small, flags: 1), nil,
                [
                    "message 1, 3 B compressed, 3 B decoded", "  1: varint 150",
                    "  (it says that it is compressed, and grpc-encoding does not say how)",
                ]
            ),
            (
                frame(small, flags: 1), "snap\u{1b}py",
                [
                    "message 1, 3 B compressed", "  00000000  08 96 01 \(String(repeating: " ", count: 41))...",
                    "  (its content coding snap\\x1bpy is not known; it is shown as it was sent)",
                ]
            ),
            (
                frame(gzip.dropLast(9), flags: 1), "gzip",
                ["message 1, 19 B compressed, 65 B decoded"] + lines + ["  (the encoded content is truncated)"]
            ),
        ] as [([UInt8], String?, [String])])
    func broken(content: [UInt8], coding: String?, expected: [String]) throws {
        let lines = try view(content, "application/grpc", coding: coding)
        #expect(lines == expected)
    }

    @Test("gRPC-Web brings trailers as a last frame; gRPC with JSON is laid out")
    func variants() throws {
        let trailers = frame(Array("grpc-status:0\r\ngrpc-message:\u{1b}[2J\r\n".utf8), flags: 0x80)
        #expect(
            try view(frame([8, 1]) + trailers, "application/grpc-web+proto") == [
                "message 1, 2 B", "  1: varint 1", "trailers, 34 B", "  grpc-status:0", "  grpc-message:\\x1b[2J",
            ])
        #expect(
            try bodyJSON(frame([8, 1]) + trailers, "application/grpc-web")
                == #""messages":[{"size":2,"compressed":false,"fields":[{"field":1,"wire":"varint","value":1}]},"#
                + #"{"size":34,"compressed":false,"trailers":[["grpc-status","0"],["grpc-message","\u001b[2J"]]}]"#)
        #expect(
            try view(frame(Array(#"{"a":1}"#.utf8)), "application/grpc+json") == ["message 1, 7 B", "  {", "    \"a\": 1", "  }"])
        #expect(
            try bodyJSON(frame(Array(#"{"a":1}"#.utf8)), "application/grpc+json")
                == #""messages":[{"size":7,"compressed":false,"text":"{\"a\":1}"}]"#)
    }

    @Test("JSON has the messages beside the content, of requests too")
    func json() throws {
        let fields =
            #"[{"field":1,"wire":"varint","value":150},{"field":2,"wire":"len","size":60,"text":"\#(String(repeating: "a", count: 60))"}]"#
        #expect(
            try bodyJSON(frame(Self.gzip, flags: 1) + frame([8]) + [0], "application/grpc", coding: "gzip")
                == #""messages":[{"size":28,"compressed":true,"fields":\#(fields)},"#
                + #"{"size":1,"compressed":false,"fields":[],"unparsed":1}],"unparsed":1"#)
        #expect(
            try bodyJSON(frame([8, 1]).dropLast(), "application/grpc")
                == #""messages":[{"size":2,"compressed":false,"fields":[],"unparsed":1,"remark":"truncated: 1 B came"}]"#)
        let asked = flow(
            .http,
            [
                (0, request("POST /S/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\ngrpc-encoding: gzip\r\n\r\n")),
                (0, piece(frame(Self.gzip, flags: 1), from: .client)), (1, .finished(.client)),
            ])
        let line = try FlowPrinterTests.json(asked)
        #expect(line.contains(#""messages":[{"size":28,"compressed":true,"fields":\#(fields)}]"#))
        let printed = try text(asked, detail: 3)
        #expect(printed.contains("    message 1, 28 B compressed, 65 B decoded\n      1: varint 150\n"))
        let raw = try FlowPrinterTests.json(asked, rawBody: true)
        #expect(!raw.contains("messages"))
    }

    @Test("What messages decompress to is bounded for all of a body together")
    func bombs() throws {
        let bomb = frame(bomb(), flags: 1)
        let lines = try view(bomb + bomb, "application/grpc", coding: "deflate", detail: 3)
        #expect(
            lines.prefix(2) == ["message 1, 476.1 KiB compressed, 64.0 MiB decoded", "  (byte 0: no field of protobuf)"])
        #expect(lines.count == 513)
        let body = try bodyJSON(bomb + bomb, "application/grpc", coding: "deflate")
        #expect(
            body
                == #""messages":[{"size":487503,"compressed":true,"fields":[],"unparsed":67108864,"remark":"only the first 64.0 MiB are shown"},"#
                + #"{"size":487503,"compressed":true,"fields":[],"remark":"only the first 64.0 MiB are shown"}]"#)
    }

    @Test(
        "The line of a call tells its status by name, from the trailers or from a head without content",
        arguments: [
            ("0", true, "200 OK grpc OK 0 B"), ("5", true, "200 OK grpc NOT_FOUND 0 B"),
            ("16", false, "200 OK grpc UNAUTHENTICATED 0 B"),
            ("17", false, "200 OK grpc 17 0 B"), ("-1", true, "200 OK grpc -1 0 B"),
            ("\u{1b}[2J", true, "200 OK grpc \\x1b[2J 0 B"),
        ])
    func status(code: String, isTrailer: Bool, expected: String) throws {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\n" + (isTrailer ? "" : "grpc-status: \(code)\r\n") + "\r\n"
        let trailers = FieldSection([(name: "grpc-status", value: code)])
        let events: [(Int64, FlowEvent.What)] =
            [(0, request("POST /S/M HTTP/1.1\r\nHost: a\r\n\r\n")), (0, .finished(.client)), (1, response(head))]
            + (isTrailer ? [(1, .trailers(from: .server, trailers))] : [])
            + [(2, .finished(.server)), (2, .ended(FlowEnding(state: .complete)))]
        #expect(try text(flow(.http, events), detail: 1) == "10.0.0.1 POST https://a.example/S/M << \(expected) 2.0 ms\n")
    }

    @Test("Other calls have no such status")
    func noStatus() throws {
        let line = try text(answer([8, 1], "application/protobuf"), detail: 1)
        #expect(line == "10.0.0.1 POST https://a.example/S/M << 200 OK application/protobuf 2 B 2.0 ms\n")
    }
}
