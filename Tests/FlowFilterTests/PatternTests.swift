// Where regular expressions match.

import NIOCore
import Testing

@testable import FlowFilter

@Suite("Ranges of a pattern")
struct PatternTests {
    @Test(
        "Matches are found from left to right, without empty ones",
        arguments: [
            ("a+", "aabA", [0..<2, 3..<4]), ("x*", "axxb", [1..<3]), ("", "ab", []), ("^b", "a\nb", [2..<3]), ("a", "", []),
            ("(?<=k=)[^&]+", "k=1&k=22", [2..<3, 6..<8]), (#"k=\K\w"#, "k=1", [2..<3]), (".", "\u{E9}\n", [0..<2]),
            ("(?-i)A", "aA", [1..<2]),
        ])
    func ranges(pattern: String, text: String, ranges: [Range<Int>]) throws {
        let pattern = try Pattern(pattern, Pattern.Options(isMultiline: true))
        #expect(try pattern.ranges(in: ByteBuffer(string: text)) == ranges)
    }

    @Test("Bytes that are not UTF-8 match nothing, and the text around them is searched")
    func invalidText() throws {
        let text = ByteBuffer(bytes: [0x61, 0xFF, 0x61, 0xC3])
        #expect(try Pattern("a", Pattern.Options()).ranges(in: text) == [0..<1, 2..<3])
        #expect(try Pattern(".", Pattern.Options()).ranges(in: text) == [0..<1, 2..<3])
    }

    @Test("A search that takes too many steps throws")
    func steps() throws {
        let pattern = try Pattern("(a+)+(b|c)+$", Pattern.Options())
        #expect(throws: FilterEvaluationError.self) {
            try pattern.ranges(in: ByteBuffer(string: String(repeating: "a", count: 40) + "!"))
        }
    }

    @Test(
        "The first term that heads do not answer is named",
        arguments: [
            ("~t image & ~d a", nil), ("~m POST | !~c 200", nil), ("~u x & ~b secret", #"~b "secret""#),
            ("~duration >1s", "~duration >1s"),
            ("~bq x", #"~bq "x""#),
        ] as [(String, String?)])
    func heads(expression: String, term: String?) throws {
        #expect(try FlowFilter(expression).termBeyondHeads == term)
    }
}
