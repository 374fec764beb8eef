// The choice of a view, by name, media type and looks, and the views of JSON, forms and bytes.

import HTTPSemantics
import NIOCore
import Testing

@testable import FlowPrinter

@Suite("The choice of a content view")
struct ContentViewChoiceTests {
    @Test(
        "The media type decides, then the looks",
        arguments: [
            ("application/json", "[1,{}]", "[\n  1,\n  {}\n]\n"),
            ("application/problem+json; charset=utf-8", "{}", "{}\n"),
            ("text/plain", " {\"a\": null}", "{\n  \"a\": null\n}\n"),
            ("text/plain", "[INFO] a, b", "[INFO] a, b\n"),
            ("text/plain", "{not json}", "{not json}\n"),
            ("application/json", "{a: NaN}", "{\n  a: NaN\n}\n"),
            ("application/x-www-form-urlencoded", "a=%41+b&c", "a: A b\nc: \n"),
            ("application/octet-stream", "\u{0}\u{1}", "00000000  00 01                                             ..\n"),
            ("application/json", "GIF89a\u{1}\u{0}\u{2}\u{0}", "GIF image, 1 × 2, 10 B\n"),
        ])
    func automatic(type: String, content: String, expected: String) {
        #expect(shown(content, type) == expected)
    }

    @Test(
        "Content that is not in the format of its media type is shown in another way, with the reason",
        arguments: [
            ("application/json", "{\"a", "(shown as text, not as json: byte 1: a string does not end)\n{\"a\n"),
            ("application/json", "[{}", "(shown as text, not as json: a bracket is not closed)\n[{}\n"),
            ("application/json", "[}", "(shown as text, not as json: byte 1: a bracket closes that is not open)\n[}\n"),
            (
                "application/json", "\u{0}",
                "(shown as hex, not as json: the content is not text)\n00000000  00                                                .\n"
            ),
            (
                "application/x-www-form-urlencoded", "\u{0}",
                "(shown as hex, not as form: the content is not text)\n00000000  00                                                .\n"
            ),
        ])
    func mismatch(type: String, content: String, expected: String) {
        #expect(shown(content, type) == expected)
    }

    @Test(
        "A view that is named is used whatever the media type is; if it cannot show the content, the usual one does, with the reason",
        arguments: [
            ("hex", "{}", "00000000  7b 7d                                             {}\n"),
            ("text", "{ }", "{ }\n"),
            ("form", "a=1", "a: 1\n"),
            ("auto", "{ }", "{}\n"),
            ("image", "{ }", "(shown as json, not as image: it begins like no image that is known)\n{}\n"),
            ("grpc", "a", "(shown as text, not as grpc: it does not begin with a message of gRPC)\na\n"),
            (
                "protobuf", "\u{0}",
                "(shown as hex, not as protobuf: it does not begin with a field of protobuf)\n"
                    + "00000000  00                                                .\n"
            ),
        ])
    func named(view: String, content: String, expected: String) {
        #expect(shown(content, "text/plain", as: view) == expected)
    }

    @Test("Every view has a name of its own, and a line of help that fits the width of a page")
    func names() {
        let names = ContentViewChoice.names
        #expect(Set(names).count == names.count)
        #expect(names.first == "auto" && names.dropFirst().sorted() == Array(names.dropFirst()))
        #expect(names.allSatisfy { ContentViewChoice($0)?.description == $0 })
        #expect(ContentViewChoice("nothing") == nil)
        let help = contentViewHelp().split(separator: "\n")
        #expect(help.map { $0.prefix { $0 != " " } } == names.map { $0[...] })
        #expect(help.allSatisfy { $0.count <= 100 })
    }
}

@Suite("JSON as it is shown")
struct JSONViewTests {
    @Test("Several values are below one another, and brackets without values stay together")
    func values() {
        #expect(
            shown("1 \"a\" [ ] {\"b\":{ },\"c\":[2]} {}", "application/json")
                == "1\n\"a\"\n[]\n{\n  \"b\": {},\n  \"c\": [\n    2\n  ]\n}\n{}\n")
    }

    @Test("Names, strings and words have colours of their own")
    func colours() {
        #expect(
            shown("{\"a\":[\"b\",1]}", isColoured: true)
                == "{\n  \u{1b}[36m\"a\"\u{1b}[0m: [\n    \u{1b}[32m\"b\"\u{1b}[0m,\n    \u{1b}[35m1\u{1b}[0m\n  ]\n}\n")
    }

    @Test("Values in one another are laid out up to a depth; deeper text is shown as it is")
    func depth() {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(shown(nested(512), "application/json").split(separator: "\n").count == 1023)
        #expect(
            shown(nested(513), "application/json")
                == "(shown as text, not as json: byte 512: nested deeper than 512 times)\n\(nested(513))\n")
    }

    @Test("Lines beyond the limit are counted, not written")
    func limit() {
        #expect(shown("[1,2,3]", limits: ContentLimits(lines: 2)) == "[\n  1,\n(cut: 3 more lines, --detail 4 shows them)\n")
    }

    @Test("Content of millions of elements is not gone through to its end")
    func full() {
        let out = shown("[" + String(repeating: "1,", count: 1_000_010) + "1]", "application/json", limits: ContentLimits(lines: 2))
        #expect(out == "[\n  1,\n(cut: more than 1000000 more lines, --detail 4 shows them)\n")
    }

    @Test("The lines of one content end at a size, whatever the number of lines is")
    func size() {
        let text = "[" + String(repeating: "1,", count: 100) + "1]"
        let out = shown(text, "application/json", limits: ContentLimits(lines: .max, size: 40))
        #expect(out == "[\n  1,\n  1,\n  1,\n  1,\n(cut: 98 more lines; at most 40 B are shown)\n")
    }
}
