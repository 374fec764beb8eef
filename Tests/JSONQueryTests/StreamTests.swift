import Foundation
import NIOCore
import Testing

@testable import JSONQuery

@Suite("A path on text")
struct StreamTests {
    private func found(_ path: String, _ text: String) throws -> [String] {
        values(try JSONPath(path), in: ByteBuffer(string: text)).map(\.text)
    }

    private func passes(_ path: String, _ test: JSONValueTest, _ text: String) throws -> Bool {
        try JSONPath(path).contains(in: ByteBuffer(string: text), test)
    }

    @Test("selects the values that it selects of a tree, and refuses the texts that a parser of trees refuses")
    func random() throws {
        var random = RandomJSON(seed: 8259)
        random.repeatsNames = true
        random.spaces += ["\n", "\r\n   ", "                 "]
        var (selected, failed) = (0, [String]())
        for index in 0..<8000 {
            var text = random.document(5)
            if index % 4 == 0 { text = random.damaged(text) }
            let path = try JSONPath(random.path())
            let body = ByteBuffer(string: text)
            let streamed = values(path, in: body)
            // The other parser accepts more: numbers, control characters and what comes after a line end.
            guard let tree = JSONTree(parsing: body) else {
                if !streamed.isEmpty, !text.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) {
                    failed.append("\(path) of \(text)")
                }
                continue
            }
            if index % 4 == 0, values(try JSONPath("$"), in: body).isEmpty { continue }
            let expected = path.select(in: tree).map(\.value)
            if try streamed != expected || path.contains(in: body, .exists) == expected.isEmpty {
                failed.append("\(path) of \(text)")
            }
            for value in expected.prefix(3) where !value.isObject && value.elements == nil {
                if try !path.contains(in: body, .equals(value.plainText)) { failed.append("\(path) = \(value.text) of \(text)") }
            }
            selected += expected.count
        }
        #expect(failed == [])
        #expect(selected > 2000)
    }

    @Test(
        "A body with several texts has the values of each one up to the first that is not valid",
        arguments: [
            ("{\"a\":1}\n{\"a\":2}\n", ["1", "2"]),
            ("{\"a\":1}\r\n \n\r\n{\"b\":0}\n{\"a\":2}", ["1", "2"]),
            ("\u{1E}{\"a\":1}\n\u{1E}{\"a\":2}\n", ["1", "2"]),
            ("{\"a\":1}\n{\"a\":2", ["1"]),
            ("{\"a\":1}\n<html>{\"a\":2}", ["1"]),
            ("{\"a\":1} {\"a\":2}", []),
            ("{\"a\":1}{\"a\":2}", []),
            ("{\"a\":1}}", []),
            ("{\"a\":1} x", []),
            ("{\"a\":1", []),
            ("{\"a\":1,}", []),
            ("{\"a\":01}", []),
            ("{\"a\":1.}", []),
            ("{\"a\":NaN}", []),
            ("{'a':1}", []),
            ("{\"a\":\"\t\"}", []),
            ("{\"a\":\"\\x\"}", []),
            ("\u{FEFF}{\"a\":1}", ["1"]),
            (" \u{FEFF}{\"a\":1}", []),
            ("", []),
            (" ", []),
            ("\u{1E}", []),
            ("{\"a\":1}\0", []),
        ] as [(String, [String])])
    func texts(body: String, values: [String]) throws {
        #expect(try found("$.a", body) == values)
        #expect(try found("$..a", body) == values)
        #expect(try passes("$.a", .exists, body) == !values.isEmpty)
    }

    @Test(
        "Names are compared without their escapes, and all members with a name are selected",
        arguments: [
            ("$.price", #"{"pr\u0069ce":1}"#, ["1"]),
            ("$.price", #"{"price":1,"Price":2,"price":3}"#, ["1", "3"]),
            ("$.price", #"{"x":"price"}"#, []),
            ("$['a/b']", #"{"a\/b":1}"#, ["1"]),
            ("$['\\ud83d\\ude00']", #"{"\uD83D\ude00":1,"😀":2}"#, ["1", "2"]),
            ("$['😀']", #"{"\ud83d":1}"#, []),
            ("$['a\"b']", #"{"a\"b":1,"a\u0022b":2}"#, ["1", "2"]),
            ("$['']", #"{"":1}"#, ["1"]),
            ("$[?@.a==1].b", #"[{"a":1,"a":2,"b":"first"},{"a":2,"a":1,"b":"second"}]"#, ["\"first\""]),
        ] as [(String, String, [String])])
    func names(path: String, text: String, expected: [String]) throws {
        #expect(try found(path, text) == expected)
    }

    @Test(
        "Values are tested as text and as numbers",
        arguments: [
            (.equals("1"), ["1", "1.0", "10e-1", "\"1\""], ["\"1.0\"", "2", "[1]", "true"]),
            (.equals("1.0"), ["1", "\"1.0\""], ["\"1\""]),
            (.equals("null"), ["null", "\"null\"", #""n\u0075ll""#], ["0", "\"\""]),
            (.equals(""), ["\"\""], ["null", "[]", "{}"]),
            (.equals("9007199254740993"), ["9007199254740993"], ["9007199254740992", "9007199254740993.5"]),
            (
                .number(.greater, .integer(100)), ["101", "100.5", "1e300", "1e999", "9223372036854775808"],
                ["100", "1e2", "-101", "\"101\"", "-1e999", "true"]
            ),
            (.number(.lessOrEqual, .real(0.5)), ["0.5", "5e-1", "0", "-0", "-1e400", "1e-400"], ["0.50001", "1", "null"]),
            (
                .number(.greater, .integer(9_007_199_254_740_992)), ["9007199254740993", "1e16"],
                ["9007199254740992", "9007199254740992.0"]
            ),
            (.text { $0 == ByteBuffer(string: "é\n") }, [#""\u00e9\n""#, "\"é\\n\""], ["\"é\\\\n\"", "[\"é\\n\"]"]),
            (.text { $0 == ByteBuffer(string: "1.50") }, ["1.50", "\"1.50\""], ["1.5"]),
        ] as [(JSONValueTest, [String], [String])])
    func tests(test: JSONValueTest, pass: [String], fail: [String]) throws {
        #expect(try pass.filter { try !passes("$.a[*]", test, "{\"a\":[null,\($0)]}") || !passes("$", test, $0) } == [])
        #expect(try pass.filter { try !passes("$[?@.a].a", test, "[{\"a\":\($0)}]") } == [])
        let others = fail.filter { $0 != "null" }
        #expect(try others.filter { try passes("$[?@.a].a", test, "[{\"a\":\($0)}]") } == [])
        #expect(try others.filter { try passes("$.a[*]", test, "{\"a\":[{},\($0)]}") || passes("$", test, $0) } == [])
    }

    @Test("Bytes of a string that are not UTF-8 stay as they are, and can be searched")
    func latin1() throws {
        let body = ByteBuffer(bytes: Array("{\"a\":\"caf".utf8) + [0xE9] + Array("\",\"b\":7}".utf8))
        #expect(try JSONPath("$.b").contains(in: body, .equals("7")))
        #expect(try JSONPath("$.a").contains(in: body, .text { $0.readableBytesView.last == 0xE9 }))
    }

    @Test("What a test throws is thrown")
    func failure() throws {
        struct Failure: Error {}
        let path = try JSONPath("$[*]")
        #expect(throws: Failure.self) { try path.contains(in: ByteBuffer(string: "[1]"), .text { _ in throw Failure() }) }
    }

    @Test("Filters and positions from the end apply at every level of deep text")
    func levels() throws {
        let list = "[" + String(repeating: "7,", count: 20) + "7]"
        let text = String(repeating: "[\(list),", count: 400) + "{\"a\":1}" + String(repeating: "]", count: 400)
        for path in ["$..[?@.a == 1]", "$..[-1].a", "$..[?@[-1].a]..a"] {
            #expect(try JSONPath(path).contains(in: ByteBuffer(string: text), .exists), "\(path)")
        }
    }

    @Test("Deep text and deep paths are evaluated or refused on the smallest stack of our threads")
    func depth() {
        let isDone = DispatchSemaphore(value: 0)
        let thread = Thread {
            defer { isDone.signal() }
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                for depth in [100, 250, 499, 501, 100_000] {
                    let text = String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
                    let body = ByteBuffer(string: text)
                    let isValid = depth * (open.count == 6 ? 2 : 1) <= JSONTree.maximumDepth
                    for path in ["$", "$..*", "$..a", "$..[?@..a]", "$..[?$..[?@..[?@..a == 1]]]", "$..[?@ == $]", "$..[-1]"] {
                        let isFound = (try? JSONPath(path).contains(in: body, .exists)) ?? false
                        if !isValid, isFound { Issue.record("\(path) at depth \(depth)") }
                        if path == "$", isFound != isValid { Issue.record("depth \(depth)") }
                    }
                    if isValid, let path = try? JSONPath("$..a") { _ = values(path, in: body) }
                }
            }
            for path in [
                "$" + String(repeating: "[0]", count: 100_000), "$" + String(repeating: "[?@", count: 100_000),
                "$[?" + String(repeating: "(", count: 100_000), "$[?" + String(repeating: "length(", count: 100_000),
                "$[?" + String(repeating: "!(", count: 49) + "@.a",
            ] {
                if (try? JSONPath(path)) != nil { Issue.record("a path of \(path.count) characters is accepted") }
            }
        }
        thread.stackSize = 1 << 20
        thread.start()
        isDone.wait()
    }
}
