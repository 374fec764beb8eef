// Most lines of fields are read eight bytes at a time, and others byte by byte: both ways read the same.

import HTTP1Codec
import HTTPSemantics
import NIOCore
import Testing

@Suite("Lines of fields")
struct FieldLineTests {
    private func pairs(_ lines: String) throws -> [String] {
        let decoder = HTTP1RequestDecoder()
        decoder.receive(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n"))
        guard case .head(let head, _, _)? = try decoder.next() else { return [] }
        return head.fields.pairs.map { "\($0.name)=\($0.value)" }
    }

    @Test("A line is the same wherever its name and its value end in a group of eight bytes", arguments: 1...17)
    func lengths(ofName count: Int) throws {
        let name = String(repeating: "n", count: count)
        for length in 0...17 {
            let value = String("a value, with more".prefix(length)).trimmingBlanks
            for blanks in ["", " ", "\t", " \t "] {
                for after in ["", "X: 1\r\n"] {
                    let expected = ["Host=a", "\(name)=\(value)"] + (after.isEmpty ? [] : ["X=1"])
                    #expect(try pairs("\(name):\(blanks)\(value)\(blanks)\r\n\(after)") == expected)
                }
            }
        }
    }

    @Test("A character that a value may not hold is found at every place", arguments: ["\u{1}", "\u{7F}", "\0", "\ra", "\u{1F}"])
    func controls(_ character: String) {
        for place in 0...17 {
            let value = "x" + String(repeating: "v", count: place) + character + "v"
            let events = decode(.requests, [ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\nX: \(value)\r\n\r\n")]).events
            #expect(events == "! field", "after \(place) bytes")
        }
    }

    @Test("A character that a value may hold is kept at every place", arguments: ["\t", "\u{E9}", "~", ":"])
    func characters(_ character: String) throws {
        for place in 0...17 {
            let value = "x" + String(repeating: "v", count: place) + character + "v"
            #expect(try pairs("X: \(value)\r\n") == ["Host=a", "X=\(value)"])
        }
    }

    @Test("A character that a name may not hold is found at every place", arguments: ["(", "\u{1}", "\u{E9}", " ", "\0"])
    func names(_ character: String) {
        for place in 0...17 {
            let name = "X" + String(repeating: "n", count: place) + character + "n"
            let events = decode(.requests, [ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\(name): 1\r\n\r\n")]).events
            #expect(events == "! field", "after \(place) bytes")
        }
    }

    @Test("A character that is rare in a name is kept at every place", arguments: ["_", "!", "~", "."])
    func rareNames(_ character: String) throws {
        for place in 0...17 {
            let name = "X" + String(repeating: "n", count: place) + character + "n"
            #expect(try pairs("\(name): 1\r\n") == ["Host=a", "\(name)=1"])
        }
    }
}

extension String {
    /// Without blanks at its end.
    fileprivate var trimmingBlanks: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
