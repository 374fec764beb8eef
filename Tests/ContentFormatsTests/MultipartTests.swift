// Multipart content, and the parts that Python's email parser finds in it.

import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ContentFormats

private func read(_ body: String, boundary: String = "B") -> (parts: [MultipartReader.Part], preamble: String, epilogue: String?) {
    var reader = MultipartReader(ByteBuffer(string: body), boundary: ByteBuffer(string: boundary))
    var parts: [MultipartReader.Part] = []
    while let part = reader.next() { parts.append(part) }
    return (parts, String(buffer: reader.preamble), reader.epilogue.map { String(buffer: $0) })
}

private func part(_ head: String, _ content: String, isHeadUnended: Bool = false, isUnended: Bool = false) -> MultipartReader.Part {
    MultipartReader.Part(
        head: ByteBuffer(string: head), content: ByteBuffer(string: content), isHeadUnended: isHeadUnended, isUnended: isUnended)
}

@Suite("Multipart content")
struct MultipartTests {
    @Test("The line end before a boundary belongs to the boundary; a longer line does not end a part")
    func parts() {
        let found = read("before\r\n--B\r\nA: b\r\n\r\none\r\n\r\n--B \t\n\n--Bx\r\n--B--\r\nafter")
        #expect(found.parts == [part("A: b\r\n", "one\r\n"), part("", "--Bx")])
        #expect(found.preamble == "before" && found.epilogue == "after")
    }

    @Test(
        "Content that is cut has the parts up to there",
        arguments: [
            ("", [], nil),
            ("--", [], nil),
            ("--B", [part("", "", isUnended: true)], nil),
            ("--B\r\n", [part("", "", isUnended: true)], nil),
            ("--B\r\nA: b", [part("A: b", "", isUnended: true)], nil),
            ("--B\r\nA: b\r\n\r\nx", [part("A: b\r\n", "x", isUnended: true)], nil),
            ("--B\r\nno field\r\n--B--", [part("", "no field", isHeadUnended: true)], ""),
            ("--B--", [], ""),
            ("--B\r\n--B\r\n\r\nx\r\n--B--", [part("", "x")], ""),
        ] as [(String, [MultipartReader.Part], String?)])
    func cut(body: String, expected: [MultipartReader.Part], epilogue: String?) {
        let found = read(body)
        #expect(found.parts == expected)
        #expect(found.epilogue == epilogue)
    }

    @Test("Any bytes have parts that are inside of them", arguments: [1, 2, 3])
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("-B\r\n: \tx".utf8)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! }
            var reader = MultipartReader(ByteBuffer(bytes: bytes), boundary: ByteBuffer(string: "B"))
            var total = 0
            while let part = reader.next() { total += part.head.readableBytes + part.content.readableBytes }
            #expect(total + reader.preamble.readableBytes + (reader.epilogue?.readableBytes ?? 0) <= bytes.count)
        }
    }
}

private struct Message: Decodable {
    struct Part: Decodable {
        var fields: [[String]]
        var content: Data
    }
    var content: Data
    var parts: [Part]?
    var preamble: Data?
    var epilogue: Data?
    var isClosed: Bool
}

@Suite("Multipart content as Python's email parser reads it", .enabled(if: ContentOracle.isInstalled))
struct MultipartOracleTests {
    @Test("Preamble, parts, epilogue and a missing end are the same")
    func same() throws {
        for message in try ContentOracle.run(["multipart", "\(UInt32.random(in: 0 ... .max))", "1500"], as: Message.self) {
            let description: Comment = "\(String(decoding: message.content, as: UTF8.self).debugDescription)"
            var reader = MultipartReader(ByteBuffer(bytes: message.content), boundary: ByteBuffer(string: "B"))
            var parts: [MultipartReader.Part] = []
            while let part = reader.next() { parts.append(part) }
            guard let expected = message.parts, !expected.isEmpty else {
                #expect(parts.isEmpty, description)
                continue
            }
            #expect(parts.count == expected.count, description)
            for (part, other) in zip(parts, expected) {
                // The parser takes a line end away where a boundary is missing, too.
                let content = part.isUnended ? part.content.withoutLineEnd : part.content
                #expect(String(buffer: content) == String(decoding: other.content, as: UTF8.self), description)
                let fields = FieldSection(parsing: part.head)
                let found = fields.lines.filter { !$0.name.isEmpty }.map { line in
                    [fields.slice(line.name), fields.slice(line.value)].map {
                        String(buffer: $0).split(whereSeparator: \.isWhitespace).joined(separator: " ")
                    }
                }
                #expect(found == other.fields, description)
            }
            #expect(String(buffer: reader.preamble) == String(decoding: message.preamble ?? Data(), as: UTF8.self), description)
            #expect((reader.epilogue != nil) == message.isClosed, description)
            if let epilogue = reader.epilogue {
                #expect(String(buffer: epilogue) == String(decoding: message.epilogue ?? Data(), as: UTF8.self), description)
            }
        }
    }
}

extension ByteBuffer {
    fileprivate var withoutLineEnd: ByteBuffer {
        var view = readableBytesView
        if view.last == 0x0A { view = view.dropLast() }
        if view.count < readableBytes, view.last == 0x0D { view = view.dropLast() }
        return ByteBuffer(view)
    }
}
