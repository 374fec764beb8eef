// Requests of GraphQL in the forms in which they are sent.

import HTTPSemantics
import NIOCore
import Testing

@testable import ContentFormats

private func labels(_ content: String, _ type: String? = "application/json", method: String = "POST", target: String = "/graphql")
    -> [String]
{
    GraphQLRequest.requests(
        method: ByteBuffer(string: method), target: ByteBuffer(string: target), type: type.map { ByteBuffer(string: $0) },
        content: ByteBuffer(string: content)
    ).map { String(buffer: $0.label) }
}

@Suite("Requests of GraphQL")
struct GraphQLRequestTests {
    @Test(
        "The operation of JSON is the one that operationName selects, or the only one",
        arguments: [
            (#"{"query":"{ a }"}"#, ["query"]),
            (#"{"query":"query Get { a }"}"#, ["query Get"]),
            (#"{"operationName":"B","query":"query A { a } mutation B { b }"}"#, ["mutation B"]),
            (#"{"operationName":"C","query":"query A { a } mutation B { b }"}"#, ["C"]),
            (#"{"operationName":null,"query":"query A { a } mutation B { b }"}"#, ["query"]),
            (##"{"variables":{"query":"x"},"query":"# first\nsubscription On($a: I) @d { a }"}"##, ["subscription On"]),
            (#"[{"query":"query A { a }"},{"query":"mutation B { b }"}]"#, ["query A", "mutation B"]),
            (#"{"operationName":"A","extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc"}}}"#, ["A"]),
            (#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc"}}}"#, ["abc"]),
            (#"{"documentId":"sha256:abc"}"#, ["sha256:abc"]),
            (#"{"query":"query \u0041 { a }"}"#, ["query A"]),
        ])
    func json(content: String, expected: [String]) { #expect(labels(content) == expected) }

    @Test(
        "Other JSON is not GraphQL",
        arguments: [
            #"{"query":"shoes"}"#, #"{"query":{"match_all":{}}}"#, #"{"query":"SELECT { 1"}"#, #"{"query":"{ a"}"#,
            #"{"query":""}"#,
            #"{"query":"{ a }"#, #"{"a":"query"}"#, #"[{"query":"{ a }"},1]"#, "[]", "\"query\"", #"{"query":"{ a ] }"}"#,
        ])
    func other(content: String) { #expect(labels(content) == []) }

    @Test(
        "GET has the members in its query",
        arguments: [
            ("/g?query=query+Get%7Ba%7D", ["query Get"]),
            ("/g?x=1&operationName=B&query=query%20A%7Ba%7Dquery%20B%7Bb%7D#query=x", ["query B"]),
            ("/g?extensions=%7B%22persistedQuery%22%3A%7B%22sha256Hash%22%3A%22abc%22%7D%7D", ["abc"]),
            ("/g?query=shoes", []), ("/g?operationName=A", []), ("/g", []),
        ])
    func get(target: String, expected: [String]) { #expect(labels("", nil, method: "GET", target: target) == expected) }

    @Test("A document, and the operations of a form with files")
    func otherForms() {
        #expect(labels("mutation M { a }", "application/graphql; charset=utf-8") == ["mutation M"])
        let form =
            "--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"mutation Up($f: Upload!) { a(f: $f) }\"}\r\n--b--"
        #expect(labels(form, "multipart/form-data; boundary=\"b\"") == ["mutation Up"])
        #expect(labels(form, "multipart/form-data; boundary=c") == [])
        #expect(labels("{ a }", "text/html") == [])
    }

    @Test(
        "Messages of graphql-ws that ask for an operation",
        arguments: [
            (#"{"id":"1","type":"subscribe","payload":{"query":"subscription S { a }"}}"#, "subscription S"),
            (#"{"id":1,"type":"start","payload":{"query":"{ a }"}}"#, "query"),
            (#"{"id":"1","type":"next","payload":{"query":"{ a }"}}"#, nil),
            (#"{"type":"connection_init","payload":{}}"#, nil),
            (#"{"type":"subscribe","payload":{"query":"{ a }"},"more":1}"#, nil),
        ] as [(String, String?)])
    func message(text: String, expected: String?) {
        #expect(GraphQLMessage(ByteBuffer(string: text)).map { String(buffer: $0.request.label) } == expected)
    }

    @Test("Brackets in one another have a limit")
    func depth() {
        func nested(_ depth: Int) -> ByteBuffer {
            ByteBuffer(string: String(repeating: "{a", count: depth) + String(repeating: "}", count: depth))
        }
        #expect((try? GraphQLDocument(nested(256))) != nil)
        #expect((try? GraphQLDocument(nested(257))) == nil)
    }
}

@Suite("Parameters of a field")
struct FieldParametersTests {
    @Test(
        "Names are in lower case; quotation marks and escapes are undone",
        arguments: [
            ("Text/Plain", "text/plain", []),
            ("a/b; Charset = \"x;\\\"y\" ; b=c d", "a/b", ["charset=x;\"y", "b=c d"]),
            ("form-data; name=\"a\"; filename=\"b", "form-data", ["name=a", "filename=b"]),
            (";;=;a;b=", "", ["b="]),
        ])
    func parameters(field: String, value: String, expected: [String]) {
        let found = FieldParameters(ByteBuffer(string: field))
        #expect(found.value == value)
        #expect(found.parameters.map { "\($0.name)=\(String(buffer: $0.value))" } == expected)
    }
}

@Suite("Transfer encodings of parts")
struct QuotedPrintableTests {
    @Test(
        "Escapes and soft line breaks are undone; the rest stays",
        arguments: [
            ("a=C3=A4", "aä"), ("a=\r\nb", "ab"), ("a \t=\nb", "a \tb"), ("a  \r\nb", "a\r\nb"), ("=4", "=4"), ("=zz=", "=zz"),
            ("", ""),
        ])
    func decoded(text: String, expected: String) {
        #expect(String(buffer: ByteBuffer(string: text).quotedPrintableDecoded) == expected)
    }
}
