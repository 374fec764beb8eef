// A search for one field, compared with the list of all fields.

import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowArchive

@Suite struct FieldSearchTests {
    /// The value of the first line with the name; nil without one.
    private func found(_ wire: ByteBuffer) -> (value: ByteBuffer?, isUnclear: Bool) {
        unsafe wire.withUnsafeReadableBytes { bytes in
            switch unsafe bytes.firstField("content-type") {
            case .value(let place): (wire.slice(ByteRange(place.lowerBound, place.upperBound)), false)
            case .none: (nil, false)
            case .unclear: (nil, true)
            }
        }
    }

    @Test("A field is found as the list of all fields has it, in heads made of every kind of line")
    func random() {
        let lines = [
            "Content-Type: text/html", "content-type:a", "CONTENT-TYPE:  b; c \t", "content-type: ", "content-type",
            "content-type : x",
            "content-typ: no", "content-types: no", "x-content-type: no", " folded", "\tfolded", ":status: 200", "a", ": b", "",
        ]
        var random = SeededGenerator(seed: 1)
        var (values, unclear) = (0, 0)
        for _ in 0..<6_000 {
            var wire = ByteBuffer()
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                wire.writeString(lines.randomElement(using: &random)!)
                wire.writeString(["\r\n", "\r\n", "\n", "\r"].randomElement(using: &random)!)
            }
            let (value, isUnclear) = found(wire)
            if isUnclear {
                unclear += 1
            } else {
                #expect(value == FieldSection(parsing: wire).first("content-type"), "\(String(buffer: wire).debugDescription)")
                if value != nil { values += 1 }
            }
        }
        #expect(values > 300 && unclear > 300)
    }

    @Test("A usual head needs no list of its fields")
    func usual() {
        let head = ByteBuffer(
            string: "Server: nginx\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 142\r\n\r\n")
        #expect(found(head).value == ByteBuffer(string: "application/json; charset=utf-8"))
        let (value, isUnclear) = found(ByteBuffer(string: "Server: nginx\r\nContent-Length: 142\r\n\r\nContent-Type: a\r\n"))
        #expect(value == nil && !isUnclear)
    }
}
