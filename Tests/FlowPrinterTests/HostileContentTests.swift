// Damaged content, in every view: cut at every byte, with random bytes, in one another. Whatever it is, lines come out that a terminal can show.

import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowPrinter

@Suite("Hostile content in every view")
struct HostileContentTests {
    private static let samples: [(type: String, content: [UInt8])] = [
        ("application/json", Array("{\"a\":[1,\"\\u00e4\\\"\",{}],\"b\":null}".utf8)),
        ("application/x-ndjson", Array("{\"a\":1}\n[true]\n".utf8)),
        (
            "multipart/mixed; boundary=b",
            Array("--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n".utf8)
        ),
        ("text/event-stream", Array(": c\nevent: e\nid: 1\ndata: {\"a\":1}\n\n".utf8)),
        (
            "application/graphql",
            Array("query Q($a: [I!] = 1) { a(b: {c: \"d\"}) @e { ...F } } # x\n\"\"\"\ny\"\"\" type T { a: I }".utf8)
        ),
        ("application/json", Array("[{\"query\":\"{ a }\",\"variables\":{\"a\":[1]}}]".utf8)),
        (
            "application/msgpack",
            [0x84, 0xA1, 0x61, 0x93, 0xC4, 2, 0, 1, 0xD6, 5, 0, 0, 0, 1, 0xCB, 0, 0, 0, 0, 0, 0, 0, 1, 0xC0, 1, 0x80, 2, 0x90, 3]
        ),
        (
            "application/cbor",
            [0xBF, 0x61, 0x61, 0x9F, 0x5F, 0x41, 0, 0xFF, 0xC2, 0x42, 1, 2, 0xC1, 0xF9, 0, 1, 0xFF, 0xA1, 1, 2, 0x20, 0xFF]
        ),
        ("application/protobuf", [0x0A, 0x04, 0x08, 0x01, 0x10, 0x02, 0x12, 0x02, 0x61, 0x62]),
        ("application/grpc", [0, 0, 0, 0, 2, 8, 1, 1, 0, 0, 0, 1, 0]),
        ("application/x-www-form-urlencoded", Array("a=%41&b=%&%4=+".utf8)),
        ("text/plain; charset=iso-8859-1", [0x1B, 0x5B, 0x32, 0x4A, 0xE4, 0x9B]),
    ]

    /// What a terminal would obey is not among the lines.
    private func check(_ bytes: [UInt8], _ type: String, as view: String, _ place: String) {
        let out = shown(bytes, type, as: view)
        let isSafe = !out.unicodeScalars.contains {
            $0.value < 0x20 && $0 != "\n" && $0 != "\t" || 0x7F..<0xA0 ~= $0.value || $0 == "\u{202E}"
        }
        #expect(isSafe, "\(view) \(place) \(bytes)")
        #expect(out.hasSuffix("\n") || out.isEmpty, "\(view) \(place) \(bytes)")
    }

    @Test("Content that is cut at any byte", arguments: samples.indices)
    func cut(sample: Int) {
        let (type, content) = Self.samples[sample]
        for count in 1...content.count { check(Array(content.prefix(count)), type, as: "auto", "cut at \(count)") }
        for view in ContentViewChoice.names {
            check(content, type, as: view, "whole")
            check(Array(content.prefix(content.count / 2)), type, as: view, "half")
        }
    }

    @Test("Content with random bytes", arguments: samples.indices)
    func random(sample: Int) {
        let (type, content) = Self.samples[sample]
        var generator = SeededGenerator(seed: UInt64(sample) + 1)
        for _ in 0..<150 {
            var bytes = content
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            check(bytes, type, as: "auto", "changed")
            check(bytes, type, as: ContentViewChoice.names.randomElement(using: &generator)!, "changed")
        }
    }

    @Test("Content that is deep in itself", arguments: ["[", "{\"a\":", "{a", "\u{91}", "(", "--b\r\n\r\n"])
    func deep(text: String) {
        let bytes = text.unicodeScalars.map { UInt8($0.value) }
        let content = (0..<20_000).flatMap { _ in bytes }
        for type in [
            "application/json", "application/graphql", "application/msgpack", "application/cbor", "multipart/x; boundary=b",
        ] {
            check(content, type, as: "auto", "deep")
        }
    }
}
