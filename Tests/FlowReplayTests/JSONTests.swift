import NIOCore
import Testing

@testable import FlowReplay

@Suite("JSON that is compared by what it means")
struct JSONTests {
    private func tree(_ text: String) -> JSONTree? { JSONTree(parsing: ByteBuffer(string: text)) }

    @Test(
        "Text that says the same is equal in canonical form",
        arguments: [
            ("{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] , \"a\" : 1 } "),
            ("\"\\u00e9\\n\"", "\"é\\n\""), ("\"\\ud83d\\ude00\"", "\"😀\""), ("[]", "[ ]"), ("{}", "{ }"),
        ] as [(String, String)])
    func same(_ first: String, _ second: String) {
        let one = tree(first)?.canonical
        let two = tree(second)?.canonical
        #expect(one != nil && one == two)
    }

    @Test(
        "What is not one value is none",
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
        "A path takes out what it names",
        arguments: [
            ("$.t", "{\"a\":1}"), ("t", "{\"a\":1}"), ("$['t']", "{\"a\":1}"),
            ("$.a", "{\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"),
            ("$..id", "{\"a\":1,\"t\":{\"l\":[{},{}]}}"), ("$.t.l[*].id", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{},{}]}}"),
            ("$.t.l[1]", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},null]}}"),
            ("$.none.x", "{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"),
        ] as [(String, String)])
    func paths(_ path: String, _ rest: String) throws {
        let parsed = try #require(JSONPath(path))
        let value = try #require(tree("{\"a\":1,\"t\":{\"id\":2,\"l\":[{\"id\":3},{\"id\":4}]}}"))
        let text = value.removing(parsed).text
        #expect(text == rest)
    }

    @Test("What is no path is refused", arguments: ["", "$", "$.", "$..", "$[", "$[x]", "$.a["])
    func badPaths(_ text: String) {
        let path = JSONPath(text)
        #expect(path == nil)
    }

    @Test("Rules are read, and what is none is named")
    func rules() throws {
        let rules = try IgnoreRules(["host", "query:_", "json:$.t", "form:token"], for: .matching)
        #expect(rules.host && !rules.body && rules.queryNames == ["_"] && rules.formNames == ["token"])
        let answers = try IgnoreRules(["header:Date", "body"], for: .answers)
        #expect(answers.headers == ["date"] && answers.body)
        for bad in ["hosts", "host:x", "json:", "json:$.", "query:", "header:Date"] {
            #expect(throws: ReplayRuleError.self) { try IgnoreRules([bad], for: .matching) }
        }
        #expect(throws: ReplayRuleError.self) { try IgnoreRules(["query:_"], for: .answers) }
    }

    @Test("Timing is read from its words")
    func timing() {
        let words = ["none", "max", "recorded", "2x", "0.5x", "50ms", "1s", "x", "-1x", "5", ""].map { ReplayTiming($0) }
        #expect(
            words == [
                ReplayTiming.none, ReplayTiming.none, .scaled(1), .scaled(2), .scaled(0.5), .fixed(50_000_000),
                .fixed(1_000_000_000), nil, nil, nil,
                nil,
            ])
        #expect(
            ReplayTiming.scaled(2).pause(100) == 50 && ReplayTiming.none.pause(100) == 0 && ReplayTiming.fixed(7).pause(100) == 7)
        // Slower than can be told, and times that go back.
        let pauses = [ReplayTiming.scaled(1e-300), .scaled(1e300)].map { timing in [1, .max, .min].map { timing.pause($0) } }
        #expect(pauses == [[1 << 61, 1 << 61, 0], [0, 0, 0]])
    }
}
