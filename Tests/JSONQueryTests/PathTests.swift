import NIOCore
import Testing

@testable import JSONQuery

@Suite("A path")
struct PathTests {
    @Test(
        "An error names what is wrong and where",
        arguments: [
            ("", "the path is empty; it begins with $", 0),
            ("items", "a path begins with $", 0),
            ("$ ", "white space is not allowed here", 1),
            ("$x", "a segment begins with . or [", 1),
            ("$.é.", "a name or * is missing after the dot; other names are written ['like this']", 4),
            ("$.a-b", "a name with a hyphen is written in brackets and quotation marks: ['content-type']", 3),
            ("$.a[0", "this bracket is not closed", 3), ("$.a[0 1]", "a comma or ] is missing", 6),
            ("$['a]", "this quotation mark is not closed", 2),
            ("$[01]", "a number has no zero at its beginning, and 0 has no sign", 2),
            ("$[9007199254740992]", "the number is out of range; the largest is 9007199254740991", 2),
            ("$[?@.a = 1]", "values are compared by ==", 7),
            ("$[?@.a == tru]", "'tru' is not a literal; text is written in quotation marks", 10),
            ("$[?@.* == 1]", "only a query for a single value can be compared; value(), count() and length() have one", 3),
            ("$[?lenght(@.a) > 1]", "there is no function lenght; there are length, count, match, search and value", 3),
            ("$[?count(@.a, @.b) > 1]", "count() takes one argument", 3),
            ("$[?!@.a == 1]", "a comparison is negated in parentheses: !(@.a == 1)", 3),
            ("$[?'a']", "a literal is no condition; it is compared with something", 3),
            ("$['\\ud800']", "half of a surrogate pair is not a character", 3),
        ] as [(String, String, Int)])
    func errors(path: String, message: String, offset: Int) {
        #expect(throws: JSONPathError(message: message, offset: offset)) { try JSONPath(path) }
    }

    @Test("A path with too many segments is refused")
    func segments() throws {
        let longest = "$" + String(repeating: ".a", count: 63)
        #expect(try JSONPath(longest).isSingular)
        #expect(throws: JSONPathError(message: "the path has more than 63 segments", offset: 127)) { try JSONPath(longest + ".a") }
    }

    @Test(
        "Singular paths select at most one value",
        arguments: [
            ("$", true), ("$.a['b'][0]", true), ("$[-1]", true), ("$.*", false), ("$..a", false), ("$['a','b']", false),
            ("$[0:1]", false), ("$[?@]", false),
        ] as [(String, Bool)])
    func singular(path: String, isSingular: Bool) throws {
        #expect(try JSONPath(path).isSingular == isSingular)
    }

    @Test(
        "Paths of every kind remove what they select",
        arguments: [
            ("$", "null"),
            ("$.a[?@.id == 2]", "{\"a\":[{\"id\":1},null],\"b\":{\"a\":3}}"),
            ("$..['id','b']", "{\"a\":[{},{}]}"),
            ("$.a[-1:]", "{\"a\":[{\"id\":1},null],\"b\":{\"a\":3}}"),
            ("$..a", "{\"b\":{}}"),
            ("$.*", "{}"),
        ] as [(String, String)])
    func removing(path: String, rest: String) throws {
        let tree = try #require(JSONTree(parsing: ByteBuffer(string: "{\"a\":[{\"id\":1},{\"id\":2}],\"b\":{\"a\":3}}")))
        #expect(tree.removing(try JSONPath(path)).text == rest)
    }

    @Test(
        "Regular expressions are those of RFC 9485; others match nothing",
        arguments: [
            ("a.c", "abc", true), ("a.c", "a\nc", false), ("a.c", "a\rc", false), ("a.c", "a\u{2028}c", true), ("a.c", "a😀c", true),
            ("[a-c]{2}", "ab", true), ("[a-c]{2,}", "abcabc", true), ("[^a-c]", "d", true), ("[-a]", "-", true),
            ("[a-]", "-", true),
            ("a|b", "b", true), ("(ab)+", "abab", true), ("", "", true), ("a||b", "", true), ("\\p{Lu}\\P{Lu}", "Ab", true),
            ("\\.\\n\\-", ".\n-", true), ("#{1}", "#", true), ("a b", "a b", true), ("x{65536}", "x", false),
            ("\\d", "1", false), ("\\w", "a", false), ("a*?", "a", false), ("a++", "a", false), ("(?:a)", "a", false),
            ("(?i)a", "A", false), ("\\bb", "b", false), ("(a)\\1", "aa", false), ("[[:alpha:]]", "a", false), ("[a", "a", false),
            ("a]", "a]", false), ("{1}", "{1}", false), ("a{1", "a{1", false), ("(a", "a", false), ("a)", "a)", false),
            ("\\p{Latin}", "a", false), ("[]", "", false), ("[z-a]", "b", false), ("(*ACCEPT)", "", false), ("\\", "\\", false),
        ] as [(String, String, Bool)])
    func expressions(pattern: String, text: String, matches: Bool) {
        let expression = IRegexp(JSONString(pattern), isWhole: true, isReused: true)
        #expect((expression?.matches(JSONString(text)) ?? false) == matches)
    }

    @Test("An expression that backtracks without end has the answer of one that does not")
    func backtracking() throws {
        let text = JSONString(String(repeating: "a", count: 5000))
        for isReused in [false, true] {
            let expression = try #require(IRegexp("(a|a|aa)*b", isWhole: true, isReused: isReused))
            let other = try #require(IRegexp("((a|a|aa)*b)?a*", isWhole: true, isReused: isReused))
            let (refused, accepted) = (expression.matches(text), other.matches(text))
            #expect(!refused && accepted)
        }
    }

    @Test(
        "Numbers are ordered by their values",
        arguments: [
            ("-1e999", "-9223372036854775809"),
            ("-9223372036854775808", "-9223372036854775807"), ("-1", "-0.5"), ("-0.5", "-0"), ("0", "1e-300"), ("0.1", "0.2"),
            ("9007199254740992", "9007199254740993"), ("9223372036854775807", "9223372036854775809"), ("1e19", "1e20"),
            ("123456789012345678901234567890", "1e30"),
        ] as [(String, String)])
    func numbers(less: String, greater: String) throws {
        let (a, b) = (try #require(JSONNumber(less)), try #require(JSONNumber(greater)))
        #expect(a < b && !(b < a) && a != b)
    }

    @Test(
        "Numbers of the same value are equal",
        arguments: [["0", "-0", "0.0", "0e5", "-0E-2"], ["100", "1e2", "100.0", "10.00E+1"]])
    func equalNumbers(texts: [String]) {
        let numbers = texts.map { JSONNumber($0) }
        #expect(numbers.allSatisfy { $0 != nil && $0 == numbers[0] })
        #expect(["", "-", "+1", "01", "1.", ".5", "1e", "0x1", "1 ", "nan", "Infinity"].allSatisfy { JSONNumber($0) == nil })
    }
}
