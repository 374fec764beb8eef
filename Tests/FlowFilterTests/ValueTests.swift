import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowFilter

@Suite("An operator with a name in brackets")
struct ValueTests {
    private static let flow: Flow = {
        var ending = FlowEnding(state: .complete)
        ending.tags = ["imported:har", "slow"]
        return FlowBuilder()
            .request(
                """
                GET /search?q=caf%C3%A9+bar&page=12&empty=&flag&items[]=1&items[]=2&%5B=x&a]b=y HTTP/1.1\r
                Host: api.example\r
                Accept: text/html\r
                accept: application/json\r
                Cookie: session=abc=1; theme=dark\r
                Cookie:  lang=en \r
                X-Odd:\r
                \r

                """
            )
            .response(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 1500\r\nSet-Cookie: id=7; Path=/\r\n\r\n",
                trailers: FieldSection([("Server-Timing", "db;dur=53")])
            )
            .event(
                .redacted(
                    FlowRedaction(
                        changes: [FlowRedaction.Change(rule: "header:authorization=hash", place: .request)],
                        omissions: [FlowRedaction.Omission(rule: "json:$..a", place: .responseBody, reason: .unparsed)]))
            )
            .ended(ending).flow
    }()

    @Test(
        "A text of that name exists, matches a regular expression, equals a text, or is a number in a range",
        arguments: [
            ("~hs[content-type]", true),
            ("~hs[Content-Type] json", true),
            ("~hs[content-type] ^json", false),
            ("~hs[content-type] JSON", true),
            ("~hs[content-type] =json", false),
            ("~hs[content-type] ='application/json; charset=utf-8'", true),
            ("~hq[content-type]", false),
            ("~h[content-type] utf-8$", true),
            ("~hq[accept] html", true),
            ("~hq[accept] =application/json", true),
            ("~hq[accept] =application/JSON", false),
            ("~hq[accept] 'html.*json'", false),
            ("~hq[x-odd]", true),
            ("~hq[x-odd] =\"\"", true),
            ("~hq[x-odd] .", false),
            ("~hq[x-od]", false),
            ("~hs[content-length] >1000", true),
            ("~hs[content-length] >1500", false),
            ("~hs[content-length] >=1500", true),
            ("~hs[content-length] <1500.5", true),
            ("~hs[content-length] <=-1", false),
            ("~hs[content-type] <1", false),
            ("~query[q] =\"caf\u{E9} bar\"", true),
            ("~query[q] caf", true),
            ("~query[Q]", false),
            ("~query[page] >9", true),
            ("~query[page] <9", false),
            ("~query[empty] =''", true),
            ("~query[flag]", true),
            ("~query[flag] =''", true),
            ("~query[items[]] =2", true),
            ("~query[items[]] =3", false),
            ("~query['['] x", true),
            ("~query[\"a]b\"] y", true),
            ("~query[none]", false),
            ("~cookie[session] =abc=1", true),
            ("~cookie[theme] dark", true),
            ("~cookie[lang] =en", true),
            ("~cookie[Lang]", false),
            ("~cookie[id] =7", true),
            ("~cookie[Path]", false),
            ("~trailer[server-timing] 'dur=\\d+'", true),
            ("~trailer[content-type]", false),
            ("~tag[slow]", true),
            ("~tag[slo]", false),
            ("~tag[imported]", true),
            ("~tag[imported] =har", true),
            ("~tag[imported] mflow", false),
            ("~tag[imported:har]", true),
            ("~tag[redacted]", true),
            ("~redacted", true),
            ("~redacted[header:authorization]", true),
            ("~redacted[header:authorization=hash]", true),
            ("~redacted[header:authorization=hash] =request", true),
            ("~redacted[header:authorization] response", false),
            ("~redacted[header:auth]", false),
            ("~redacted[json]", true),
            ("~redacted['json:$..a'] =response.body", true),
            ("~redacted[cookie]", false),
        ])
    func values(expression: String, isFound: Bool) throws {
        #expect(try FlowFilter(expression).matches(Self.flow) == isFound)
        #expect(try FlowFilter("!" + expression).matches(Self.flow) == !isFound)
    }

    @Test(
        "The next word is the VALUE; a connective, a closing parenthesis, another operator and the end are not",
        arguments: [
            ("~hs[a]", "~hs[a]"),
            ("~hs[a] b", "~hs[a] \"b\""),
            ("~hs[a] 'b c'", "~hs[a] \"b c\""),
            ("~hs[a] =b", "~hs[a] =\"b\""),
            ("~hs[a] =\"b c\"", "~hs[a] =\"b c\""),
            ("~hs[a] '=b'", "~hs[a] \"=b\""),
            ("~hs[a] >1", "~hs[a] >1"),
            ("~hs[a] '>1'", "~hs[a] \">1\""),
            ("~hs[a] & b", "(~u \"b\" & ~hs[a])"),
            ("~hs[a]&b", "(~u \"b\" & ~hs[a])"),
            ("~hs[a] and b", "(~u \"b\" & ~hs[a])"),
            ("~hs[a] | b", "(~u \"b\" | ~hs[a])"),
            ("~hs[a]||b", "(~u \"b\" | ~hs[a])"),
            ("~hs[a] or ~e", "(~e | ~hs[a])"),
            ("~hs[a] ~e", "(~e & ~hs[a])"),
            ("~hs[a] b ~e", "(~e & ~hs[a] \"b\")"),
            ("~hs[a] !~e", "(!(~e) & ~hs[a])"),
            ("~hs[a] not ~e", "(!(~e) & ~hs[a])"),
            ("~hs[a] b !c", "(!(~u \"c\") & ~hs[a] \"b\")"),
            ("~hs[a] b (~e)", "(~e & ~hs[a] \"b\")"),
            ("(~hs[a])", "~hs[a]"),
            ("(~hs[a] b)", "~hs[a] \"b\""),
            ("~hs[a] android", "~hs[a] \"android\""),
            ("~hs[a] a|b", "~hs[a] \"a|b\""),
            ("~hs[ a ]", "~hs[a]"),
            ("~hs['a b']", "~hs[\"a b\"]"),
            ("~hs[a b]", "~hs[\"a b\"]"),
            ("~query[x[y]] 1", "~query[\"x[y]\"] \"1\""),
            ("~query['\"']", "~query[\"\\\"\"]"),
            ("~h a", "~h \"a\""),
            ("~h[a] b", "~h[a] \"b\""),
            ("~h >1", "~h \">1\""),
        ])
    func parses(expression: String, canonical: String) throws {
        #expect(try FlowFilter(expression).canonical == canonical)
        #expect(try FlowFilter(canonical).canonical == canonical)
    }

    @Test(
        "A reading in doubt is an error with a caret under the spot",
        arguments: [
            ("~hs[a] b c", 9),
            ("~hs[a] b 'c'", 9),
            ("~hs[a] (b)", 7),
            ("~hs[a](b)", 6),
            ("~hs[a] !b", 7),
            ("~hs[a] not b", 7),
            ("~hs[a] b(c)", 8),
            ("~hs[a] b'c'", 8),
            ("~hs[a] 'b'c", 10),
            ("~hs[a]b", 6),
            ("~hs[a]=b", 6),
            ("~hs[a] = b", 7),
            ("~hs[a] =", 7),
            ("~hs[a] > 1", 7),
            ("~hs[a] >x", 7),
            ("~hs[a] >1m", 7),
            ("~hs[a] 1-5", 7),
            ("~hs[a] [", 7),
            ("~hs[", 3),
            ("~hs[a", 3),
            ("~hs[]", 3),
            ("~hs[ ]", 3),
            ("~hs[''] x", 3),
            ("~hs['a]", 4),
            ("~hs[a]]", 6),
            ("~d[a]", 2),
            ("~query", 0),
            ("~query a", 0),
            ("~tcp[a]", 4),
        ])
    func doubts(expression: String, offset: Int) {
        do throws(FilterSyntaxError) {
            let filter = try FlowFilter(expression)
            Issue.record("read as \(filter.canonical)")
        } catch {
            #expect(error.offset == offset, "\(error.rendered)")
        }
    }

    @Test(
        "A parameter ends at its bracket, whatever brackets and quotes are in it",
        arguments: [
            (#"[$.items[?@.a=="]"].price] >1"#, #"$.items[?@.a=="]"].price"#),
            (#"[$[?match(@.a, "a\"]b")]]"#, #"$[?match(@.a, "a\"]b")]"#),
            (#"[$['it\'s']["]"]]"#, #"$['it\'s']["]"]"#),
            (#"[1.2]"#, "1.2"),
        ])
    func parameters(text: String, parameter: String) throws {
        var parser = FilterParser(text, caseSensitive: false, environment: FilterEnvironment())
        let found = try parser.parameter()
        #expect(found.text == parameter)
        #expect(found.start == 1)
    }

    @Test(
        "Quantities have units",
        arguments: [
            ("512", QuantityRange.Unit.size, 512...512),
            (">1k", .size, 1025...Int64.max),
            ("<=1.5m", .size, 0...1_572_864),
            ("1K-2KiB", .size, 1024...2048),
            (">=2gb", .size, 0x8000_0000...Int64.max),
            ("<1t", .size, 0...0xFF_FFFF_FFFF),
            ("250ms", .duration, 250_000_000...250_000_000),
            ("<2", .duration, 0...1_999_999_999),
            ("5µs", .duration, 5000...5000),
            ("=3", .one, 3...3),
        ])
    func quantities(text: String, unit: QuantityRange.Unit, expected: ClosedRange<Int64>) throws {
        let range = try #require(QuantityRange(text, in: unit))
        #expect(range.lowest...range.highest == expected)
    }

    @Test(
        "A quantity of another kind is not valid", arguments: ["1x", "1kk", "1bb", "1ibk", "", "k", "-1", "2-1", "1k-", ">", "1e3"])
    func otherQuantities(text: String) {
        #expect(QuantityRange(text, in: .size) == nil)
    }
}
