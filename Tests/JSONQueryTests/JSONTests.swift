import NIOCore
import Testing

@testable import JSONQuery

@Suite("JSON")
struct JSONTests {
    private func tree(_ text: String) -> JSONTree? { JSONTree(parsing: ByteBuffer(string: text)) }

    @Test(
        "Text with the same meaning is equal in canonical form",
        arguments: [
            ("{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] , \"a\" : 1 } "),
            ("\"\\u00e9\\n\"", "\"é\\n\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("[]", "[ ]"),
            ("{}", "{ }"),
        ] as [(String, String)])
    func same(_ first: String, _ second: String) {
        let one = tree(first)?.canonical
        let two = tree(second)?.canonical
        #expect(one != nil && one == two)
    }

    @Test(
        "Text that is not one value is rejected",
        arguments: ["", "{", "[1,]", "{\"a\"}", "1 2", "nul", "\"\\x\"", "\"a", "{\"a\":}"])
    func broken(_ text: String) {
        let found = tree(text)
        #expect(found == nil)
    }

    @Test("Text that is too deep is no value, and no crash")
    func deep() {
        let found = tree(String(repeating: "[", count: 100_000))
        #expect(found == nil)
    }

    @Test(
        "A path removes the values that it names",
        arguments: [
            ("$.t", "{\"a\":1}"),
            ("$['t']", "{\"a\":1}"),
            ("$.a", "{\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"),
            ("$..id", "{\"a\":1,\"t\":{\"l\":[{},{}]}}"),
            ("$.t.l[*].id", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{},{}]}}"),
            ("$.t.l[1]", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},null]}}"),
            ("$.none.x", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"),
        ] as [(String, String)])
    func paths(_ path: String, _ rest: String) throws {
        let parsed = try JSONPath(path)
        let value = try #require(tree("{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"))
        let text = value.removing(parsed).text
        #expect(text == rest)
    }

    @Test("Text that is not a path is rejected", arguments: ["", "a", "$.", "$..", "$[", "$[x]", "$.a["])
    func badPaths(_ text: String) {
        let path = try? JSONPath(text)
        #expect(path == nil)
    }

    @Test(
        "A string keeps its code points, even if they are not valid Unicode",
        arguments: [
            (#""a\ud800b""#, [0x61, 0xED, 0xA0, 0x80, 0x62]),
            (#""\udce9""#, [0xED, 0xB3, 0xA9]),
            (#""\ud800\u0041""#, [0xED, 0xA0, 0x80, 0x41]),
            (#""\udc00\ud800""#, [0xED, 0xB0, 0x80, 0xED, 0xA0, 0x80]),
            (#""\ufeffx""#, [0xEF, 0xBB, 0xBF, 0x78]),
            ("\"\u{FEFF}x\"", [0xEF, 0xBB, 0xBF, 0x78]),
            (#""\n\ufeff\u0000""#, [0x0A, 0xEF, 0xBB, 0xBF, 0]),
            ("\"\\n\u{FEFF}\"", [0x0A, 0xEF, 0xBB, 0xBF]),
            (#""\uD83d\uDe00""#, [0xF0, 0x9F, 0x98, 0x80]),
            (#""e\u0301""#, [0x65, 0xCC, 0x81]),
            (#""""#, []),
        ] as [(String, [UInt8])])
    func strings(text: String, bytes: [UInt8]) {
        var reader = JSONReader(ByteBuffer(string: text))
        let value = reader.value()
        #expect(value == .string(JSONString(bytes: ByteBuffer(bytes: bytes))))
        #expect(reader.offset == text.utf8.count)
    }

    @Test("Bytes that are not UTF-8 stay in a string, but make no tree that is compared")
    func latin1() {
        let bytes = ByteBuffer(bytes: [0x22, 0x63, 0xE9, 0x22])
        var reader = JSONReader(bytes)
        let value = reader.value()
        #expect(value == .string(JSONString(bytes: ByteBuffer(bytes: [0x63, 0xE9]))))
        let tree = JSONTree(parsing: bytes)
        #expect(tree == nil)
    }

    @Test("Strings that look the same and have other code points differ")
    func equality() {
        #expect(tree(#""\u00e9""#) != tree(#""e\u0301""#))
        #expect(tree(#""\ud800""#) != tree(#""\ud801""#))
    }

    @Test("A reader enters what it needs and skips the rest, and its offset is where it stopped")
    func steps() {
        let text = #"{"a":{"entries":[9]},"log":{"b":[{},"]"],"entries":[1, {"c":[2]},"x"#
        var reader = JSONReader(ByteBuffer(string: text))
        let isFound = reader.enter("log") && reader.enter("entries") && reader.take(0x5B)
        let first = reader.value()
        let isPassed = reader.take(0x2C) && reader.skip() && reader.take(0x2C)
        let torn = reader.value()
        #expect(isFound && first == .number("1") && isPassed && torn == nil)
        #expect(reader.offset == text.utf8.count)
        var absent = JSONReader(ByteBuffer(string: #"{"log":{"a":1}}"#))
        let isAbsent = absent.enter("log") && !absent.enter("entries")
        #expect(isAbsent)
    }

    @Test("Text of any depth is passed or refused without a crash")
    func depth() {
        var reader = JSONReader(ByteBuffer(string: String(repeating: "{\"a\":", count: 100_000)))
        let isPassed = reader.skip()
        #expect(!isPassed)
    }
}
