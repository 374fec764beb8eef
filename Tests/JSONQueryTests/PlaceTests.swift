// Where values are in JSON text.

import NIOCore
import TestSupport
import Testing

@testable import JSONQuery

@Suite("Places of values in JSON text")
struct PlaceTests {
    @Test(
        "The places of a path are those of its values",
        arguments: [
            (
                "$..password", #"{"a":[{"password":"x"},{"password" : {"password":1}}],"password":null}"#,
                [#""x""#, #"{"password":1}"#, "1", "null"]
            ),
            ("$.a[-1]", #"{"a":[1, 2, "three"]}"#, [#""three""#]),
            ("$..[-1]", "[1,[2,3]]", ["[2,3]", "3"]),
            ("$..[::-1]", "[1,[2]]", ["[2]", "1", "2"]),
            ("$.a[?@.k=='x'].v", #"{"a":[{"k":"x","v": "s\"1"},{"k":"y","v":2}]}"#, [#""s\"1""#]),
            ("$[?@.x==$[0].x].y", #"[{"x":1,"y":2},{"x":2,"y":3},{"x":1,"y":[4]}]"#, ["2", "[4]"]),
            ("$['a b','c']", #"{"c":1,"a\u0020b":2}"#, ["1", "2"]),
            ("$.a", "{\"a\":1}\n{\"a\":2}\n", ["1", "2"]),
            ("$", " [ 1 ] ", ["[ 1 ]"]),
            ("$.a", #"{"b":"not read to its end"#, []),
        ])
    func places(path: String, text: String, values: [String]) throws {
        let body = ByteBuffer(string: text)
        let places = try #require(try JSONPath(path).places(in: body))
        #expect(Set(places.map { String(buffer: body.getSlice(at: $0.lowerBound, length: $0.count)!) }) == Set(values))
    }

    @Test(
        "Text that is not JSON to its end has no places",
        arguments: [#"{"a":1"#, #"{"a":1} x"#, #"{"a":1}}"#, #"{"a":1,}"#, "{\"a\":1}\n{\"a\":", #"["a":1]"#])
    func invalid(text: String) throws {
        #expect(try JSONPath("$.a").places(in: ByteBuffer(string: text)) == nil)
        #expect(JSONMembers.places(in: ByteBuffer(string: text)) { _ in nil } == nil)
    }

    @Test("Members are found by their names at any depth, the outermost first")
    func members() throws {
        let text = #"{"k":{"k":1},"a":[{"\u006b":"2"},[],{}],"b":{"c":{"k":[3]}},"d":"k"}"#
        let body = ByteBuffer(string: "\u{FEFF}" + text + "\r\n{\"k\":4}")
        let places = try #require(
            JSONMembers.places(in: body) { $0.count == 1 && $0[0] == UInt8(ascii: "k") ? 7 : nil })
        #expect(places.allSatisfy { $0.choice == 7 })
        #expect(
            places.map { String(buffer: body.getSlice(at: $0.value.lowerBound, length: $0.value.count)!) }
                == [#"{"k":1}"#, #""2""#, "[3]", "4"])
    }

    @Test("A text that is too deep has no places, and many children cost one pass")
    func hostile() throws {
        let deep = ByteBuffer(string: String(repeating: #"{"a":"#, count: 600) + "1" + String(repeating: "}", count: 600))
        #expect(try JSONPath("$..a").places(in: deep) == nil)
        #expect(JSONMembers.places(in: deep) { _ in nil } == nil)
        let wide = ByteBuffer(string: "[" + Array(repeating: "0", count: 50_000).joined(separator: ",") + "]")
        #expect(try JSONPath("$..[::-1]").places(in: wide)?.count == 50_000)
    }

    @Test("Random paths have the places of the values that they select")
    func random() throws {
        var random = SeededGenerator(seed: 5)
        let paths = try ["$..a", "$.*", "$..*", "$..[-1]", "$..[?@.a]", "$..[?@.a].b", "$[?@>1]", "$..['a','b']", "$..[0,1]"].map {
            try JSONPath($0)
        }
        for _ in 0..<300 {
            let tree = randomTree(&random, depth: 4)
            let body = ByteBuffer(string: tree.text)
            for path in paths {
                let expected = path.select(in: tree).map(\.value.text).sorted()
                let places = try #require(path.places(in: body))
                let found = Set(places).map { String(buffer: body.getSlice(at: $0.lowerBound, length: $0.count)!) }.sorted()
                // A value that is selected twice has one place.
                #expect(Set(found) == Set(expected), "\(path) in \(tree.text)")
                #expect(found.count <= expected.count)
            }
        }
    }

    private func randomTree(_ random: inout SeededGenerator, depth: Int) -> JSONTree {
        switch Int.random(in: 0..<(depth == 0 ? 3 : 6), using: &random) {
        case 0: .number("\(Int.random(in: 0..<1000, using: &random))")
        case 1: .string(JSONString("s\"\(Int.random(in: 0..<1000, using: &random))"))
        case 2: .null
        case 3: .array((0..<Int.random(in: 0..<4, using: &random)).map { _ in randomTree(&random, depth: depth - 1) })
        default:
            .object(
                (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                    JSONTree.Member(
                        name: JSONString(["a", "b", "c"].randomElement(using: &random)!),
                        value: randomTree(&random, depth: depth - 1))
                })
        }
    }
}
