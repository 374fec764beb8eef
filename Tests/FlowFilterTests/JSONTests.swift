import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore
import TestSupport
import Testing

@testable import FlowFilter

@Suite("~json")
struct JSONFilterTests {
    private static func flow(
        _ response: String, sent: String = "", type: String = "application/json", sentType: String = "application/json"
    ) -> Flow {
        FlowBuilder()
            .request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: \(sentType)\r\n\r\n", content: ByteBuffer(string: sent))
            .response("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n\r\n", content: ByteBuffer(string: response))
            .ended().flow
    }

    private static let shop = flow(
        #"{"items":[{"price":99.5,"name":"Caf\u00e9"},{"price":"120"},{"price":101}],"id":12345678901234567890,"next":null,"a]b":1}"#,
        sent: #"{"query":"books","page":2}"#)

    @Test(
        "A value exists, is a text, matches, or compares as a number",
        arguments: [
            ("~json[$.items[*].price]", true),
            ("~jsons[$.items[*].price]", true),
            ("~jsonq[$.items[*].price]", false),
            ("~jsonq[$.page] =2", true),
            ("~json[$.page] 2.0", false),
            ("~json[$.page] =2.0", true),
            ("~jsons[$.page]", false),
            ("~json[$.items[*].price] >100", true),
            ("~json[$.items[*].price] >101", false),
            ("~json[$.items[*].price] <=99.5", true),
            ("~json[$.items[*].price] =120", true),
            ("~json[$.items[1].price] <1000", false),
            ("~json[$.items[?@.price > 100].name]", false),
            ("~json[$.items[?@.price < 100].name] café", true),
            ("~json[$..name] ^caf.$", true),
            ("~json[$..name] =café", false),
            ("~json[$..name] ='Café'", true),
            ("~json[$.next]", true),
            ("~json[$.next] =null", true),
            ("~json[$.items]", true),
            ("~json[$.items] .", false),
            ("~json[$.id] =12345678901234567890", true),
            ("~json[$['a]b']] >0", true),
            ("~json[ $.next ]", true),
            ("~json[$.items[*].price] >100 & ~jsonq[$.page] <3", true),
            ("!~json[$.absent]", true),
        ])
    func values(expression: String, isFound: Bool) throws {
        let filter = try FlowFilter(expression)
        #expect(try filter.matches(Self.shop) == isFound)
        #expect(try FlowFilter(filter.canonical).matches(Self.shop) == isFound)
        #expect(try FlowFilter(filter.canonical).canonical == filter.canonical)
    }

    @Test(
        "A path that is not valid is an error at its place",
        arguments: [
            ("~json[$.a[0]", "this bracket is not closed", 5),
            ("~json[items]", "the path is not valid JSONPath: a path begins with $", 6),
            (
                "~http & ~json[ $.a-b ]",
                "the path is not valid JSONPath: a name with a hyphen is written in brackets and quotation marks: ['content-type']",
                18
            ),
            ("~json[]", "the path is not valid JSONPath: the path is empty; it begins with $", 6),
        ] as [(String, String, Int)])
    func errors(expression: String, message: String, offset: Int) {
        #expect(throws: FilterSyntaxError(message: message, offset: offset, expression: expression)) { try FlowFilter(expression) }
    }

    @Test("Bodies count by their text: of any type but media, in lines, as events, coded, and not when they are not JSON")
    func bodies() throws {
        let filter = try FlowFilter("~json[$.a] =1")
        func isFound(_ body: String, _ type: String) throws -> Bool { try filter.matches(Self.flow(body, type: type)) }
        #expect(try isFound("{\"a\":1}", "text/html"))
        #expect(try isFound("{\"b\":1}\n{\"a\":1}\n", "application/x-ndjson"))
        #expect(try isFound("event: x\r\ndata: {\"b\":1}\r\n\r\ndata:{\"a\":\rdata: 1}\n\n", "text/event-stream; charset=utf-8"))
        #expect(try isFound(": comment\n\ndata: {\"a\":1}", "Text/Event-Stream"))
        #expect(try !isFound("data: {\"a\":1\n\ndata: }\n\n", "text/event-stream"))
        #expect(try !isFound("{\"a\":1}", "Image/png"))
        #expect(try !isFound("{\"a\":1", "application/json"))
        #expect(try !isFound("", "application/json"))
    }

    @Test("A coded body is decoded, whatever its type", arguments: ["application/json", "text/plain"])
    func coded(type: String) throws {
        // gzip of {"a":1}
        let bytes: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xAB, 0x56, 0x4A, 0x54, 0xB2, 0x32, 0xAC, 5, 0, 0xAF, 0xAC, 0x1B, 0x56, 7, 0, 0, 0,
        ]
        let flow = FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .response(
                "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Encoding: gzip\r\n\r\n", content: ByteBuffer(bytes: bytes)
            )
            .ended().flow
        #expect(try FlowFilter("~json[$.a] =1").matches(flow))
    }

    @Test("Messages of a WebSocket are searched one by one, by their senders")
    func messages() throws {
        var flow = FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
            .response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        flow.add(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "{\"op\":\"join\"}"))), at: flow.start)
        flow.add(.piece(FlowPiece(kind: .text, from: .server, content: ByteBuffer(string: "hello"))), at: flow.start)
        flow.add(.piece(FlowPiece(kind: .text, from: .server, content: ByteBuffer(string: "{\"n\":[7]}"))), at: flow.start)
        let whole = flow.flow
        let found = try ["~json[$.op] =join", "~jsonq[$.op]", "~jsons[$.op]", "~json[$.n[0]] >6"].map {
            try FlowFilter($0).matches(whole)
        }
        #expect(found == [true, true, false, true])
    }

    @Test("The values of a flow are its values by path, as text")
    func texts() throws {
        func texts(_ path: String, _ side: Side? = nil) throws -> [String] {
            var texts: [String] = []
            try FlowJSON(try JSONPath(path), from: side).forEachValue(of: Self.shop) { value in
                texts.append(value.plainText)
                return texts.count < 10
            }
            return texts
        }
        #expect(try texts("$.items[*].price") == ["99.5", "120", "101"])
        #expect(try texts("$.items[0]") == ["{\"price\":99.5,\"name\":\"Café\"}"])
        #expect(try texts("$['query','page']", .client) == ["books", "2"])
        #expect(try texts("$.page", .server) == [])
    }
}
