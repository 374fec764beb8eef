// Whole outputs of the views of multipart, server-sent events, lines of JSON and GraphQL.

import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import FlowPrinter

@Suite("Multipart as it is shown")
struct MultipartViewTests {
    @Test("Each part has its head, and its content through its own view; parts may have parts")
    func parts() {
        let inner = "--i\r\n\r\n[1]\r\n--i--\r\n"
        let body =
            "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n"
            + "--b\r\nContent-Type: application/json\r\n\r\n{\"k\": true}\r\n"
            + "--b\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\(inner)\r\n"
            + "--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n"
            + "--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n=C3=A4=\r\nb\r\n"
            + "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n"
            + "--b--\r\n"
        #expect(
            shown(body, "multipart/form-data; boundary=b") == """
                multipart/form-data, 6 parts
                part 1, 5 B
                  Content-Disposition: form-data; name="a"
                    value
                part 2, 11 B
                  Content-Type: application/json
                    {
                      "k": true
                    }
                part 3, \(inner.utf8.count) B
                  Content-Type: multipart/mixed; boundary=i
                    multipart/mixed, 1 part
                    part 1, 3 B
                        [
                          1
                        ]
                part 4, 4 B
                  Content-Transfer-Encoding: base64
                    hi
                part 5, 10 B
                  Content-Transfer-Encoding: Quoted-Printable
                    äb
                part 6, 1 B
                  Content-Transfer-Encoding: base64
                    !
                  (it is not valid base64, and is shown as it was sent)

                """)
    }

    @Test("What is missing is reported: the end of a part, of a head, the last boundary")
    func damaged() {
        #expect(
            shown("hello\r\n--b\r\nno field\r\n--b\r\nA: b\r\n\r\nx", "multipart/mixed; boundary=\"b\"") == """
                multipart/mixed, 2 parts
                before the first part, 5 B
                  hello
                part 1, 8 B
                  (no empty line ends the head)
                    no field
                part 2, 1 B
                  A: b
                    x
                (no boundary ends the part)
                (the last boundary is missing)

                """)
    }

    @Test(
        "Content without its boundary is shown as it is; a boundary that the media type does not have is taken from the content",
        arguments: [
            ("multipart/mixed; boundary=c", "--b\r\n", "(shown as text, not as multipart: no line has its boundary)\n--b\n"),
            (
                "multipart/mixed", "b",
                "(shown as text, not as multipart: the media type has no boundary, and the content does not begin with one)\nb\n"
            ),
            ("multipart/mixed; boundary=\"\"", "--b\r\n", "(shown as text, not as multipart: the boundary is empty)\n--b\n"),
            ("multipart/mixed", "--b\r\n\r\na\r\n--b--", "multipart/mixed, 1 part\npart 1, 1 B\n    a\n"),
            ("multipart/mixed; boundary=b", "--b--\r\nafter", "multipart/mixed, 0 parts\nafter the last part, 5 B\n  after\n"),
        ])
    func boundary(type: String, body: String, expected: String) { #expect(shown(body, type) == expected) }

    @Test("Parts in one another are shown through views up to a depth, then as text")
    func depth() {
        var body = "x"
        var type = "text/plain"
        for level in 0..<20 {
            body = "--\(level).\r\nContent-Type: \(type)\r\n\r\n\(body)\r\n--\(level).--"
            type = "multipart/mixed; boundary=\(level)."
        }
        let lines = shown(body, type).split(separator: "\n")
        #expect(lines.count { $0.hasSuffix("multipart/mixed, 1 part") } == 9)
        #expect(lines.last?.hasSuffix("--10.--") == true)
    }
}

@Suite("Server-sent events as they are shown")
struct EventStreamViewTests {
    @Test("An event has its type, identifier and time; its data has its own view")
    func events() {
        let stream =
            "\u{FEFF}: hello\nretry: 3000\n\nevent: update\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 8\n\ndata:  text\n\ndata: cut"
        let out = shown(Array(stream.utf8), "text/event-stream") { content in
            content.origin = ContentOrigin(
                side: .server,
                pieces: [
                    ContentPiece(end: 10, after: 1_000_000), ContentPiece(end: 60, after: 2_000_000),
                    ContentPiece(end: stream.utf8.count, after: 1_500_000_000),
                ])
        }
        #expect(
            out == """
                comment: hello
                retry: 3000 ms
                event 1 update, id 7, +1.50 s
                  {
                    "a": 1
                  }
                event 2, id 8, without data, +1.50 s
                event 3, +1.50 s
                   text
                event 4, +1.50 s
                  cut
                (the event does not end: a client does not deliver it)

                """)
    }

    @Test("Content that is not a stream of events is shown in another way, with the reason")
    func mismatch() {
        #expect(
            shown("{\"error\":1}", "text/event-stream")
                == "(shown as json, not as sse: it does not begin with an event)\n{\n  \"error\": 1\n}\n")
    }
}

@Suite("Lines of JSON as they are shown")
struct NDJSONViewTests {
    @Test(
        "Each value has its number and size",
        arguments: [
            ("application/x-ndjson", "{\"a\":1}\n\n[]\n", "value 1, 7 B\n  {\n    \"a\": 1\n  }\nvalue 2, 2 B\n  []\n"),
            ("text/plain", "{}\r\n{}\r\n", "value 1, 2 B\n  {}\nvalue 2, 2 B\n  {}\n"),
            ("application/json", "{}\n{", "(shown as text, not as json: a bracket is not closed)\n{}\n{\n"),
            ("application/json-seq", "\u{1E}{}\n\u{1E}[1]\n", "value 1, 2 B\n  {}\nvalue 2, 3 B\n  [\n    1\n  ]\n"),
            (
                "application/x-ndjson", "{}\n{\"a",
                "value 1, 2 B\n  {}\nvalue 2, 3 B\n  (shown as text, not as json: byte 1: a string does not end)\n  {\"a\n"
            ),
            ("application/x-ndjson", "{", "(shown as text, not as ndjson: a bracket is not closed)\n{\n"),
            ("application/json", "{\n}", "{}\n"),
        ])
    func values(type: String, content: String, expected: String) { #expect(shown(content, type) == expected) }
}

@Suite("GraphQL as it is shown")
struct GraphQLViewTests {
    @Test("The operation, the query laid out, the variables as JSON")
    func single() {
        let query =
            "query Get($id:ID!,$n:[Int!]=[1 2]@d){u:user(id:$id,in:{a:1,b:[true null]})@include(if:$x){...F ... on User{name}...@skip(if:false){a}}}"
            + " # end\\nfragment F on User{a(s:\\\"x\\\")b}"
        #expect(
            shown("{\"operationName\":\"Get\",\"query\":\"\(query)\",\"variables\":{\"id\":7}}", "application/json") == """
                GraphQL query Get
                query Get($id: ID!, $n: [Int!] = [1, 2] @d) {
                  u: user(id: $id, in: {a: 1, b: [true, null]}) @include(if: $x) {
                    ...F
                    ... on User {
                      name
                    }
                    ... @skip(if: false) {
                      a
                    }
                  }
                }
                # end

                fragment F on User {
                  a(s: "x")
                  b
                }
                variables:
                  {
                    "id": 7
                  }

                """)
    }

    @Test("Batches, persisted queries, documents, and operations that the document does not have")
    func forms() {
        #expect(
            shown("[{\"query\":\"{ a }\"},{\"query\":\"mutation M { b }\"}]", "application/json") == """
                GraphQL, 2 requests
                request 1, query
                  {
                    a
                  }
                request 2, mutation M
                  mutation M {
                    b
                  }

                """)
        #expect(
            shown("{\"extensions\":{\"persistedQuery\":{\"sha256Hash\":\"abc\"}},\"operationName\":\"A\"}", "application/json")
                == """
                GraphQL A
                operationName: A
                extensions:
                  {
                    "persistedQuery": {
                      "sha256Hash": "abc"
                    }
                  }

                """)
        #expect(
            shown(
                "type D { a: I } \"\"\"\n doc\n\"\"\" type T implements A & B { \"x\" f(a: Int = 1): [D!]! @d g: E }",
                "application/graphql")
                    == """
                    GraphQL document
                    type D {
                      a: I
                    }

                    \"\"\"
                     doc
                    \"\"\"
                    type T implements A & B {
                      "x"
                      f(a: Int = 1): [D!]! @d
                      g: E
                    }

                    """)
        #expect(shown("{ a", "application/graphql") == "(shown as text, not as graphql: a bracket is not closed)\n{ a\n")
    }

    @Test("Requests in messages of graphql-ws and in GET are laid out; a response is JSON")
    func places() throws {
        let subscribe = "{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":\"subscription S { a }\"}}"
        #expect(shown(subscribe) == "GraphQL subscription S, subscribe, id 1\nsubscription S {\n  a\n}\n")
        let echo = "{\"query\":\"{ a }\"}"
        let response = shown(Array(echo.utf8), "application/json") { $0.origin = ContentOrigin(side: .server) }
        let error = shown("{\"errors\":[]}", "application/json", as: "graphql")
        #expect(error == "(shown as json, not as graphql: it is not a request of GraphQL)\n{\n  \"errors\": []\n}\n")
        #expect(response == "{\n  \"query\": \"{ a }\"\n}\n")
        let get = flow(.http, [(0, request("GET /graphql?query=query+Get%7Ba%7D&variables=%7B%7D HTTP/1.1\r\nHost: a\r\n\r\n"))])
        let printed = try text(get, detail: 3)
        #expect(
            printed.contains("\n\n    GraphQL query Get\n    query Get {\n      a\n    }\n    variables:\n      {}\n"), "\(printed)"
        )
    }

    @Test(
        "The line of a flow has the operation",
        arguments: [
            ("/graphql", "{\"query\":\"mutation Add { a }\"}", "POST https://a.example/graphql mutation Add << "),
            (
                "/graphql", "[{\"query\":\"{a}\"},{\"query\":\"{a}\"},{\"query\":\"{a}\"},{\"query\":\"{a}\"}]",
                "POST https://a.example/graphql query, query, query and 1 more << "
            ),
            ("/graphql", "{\"a\":1}", "POST https://a.example/graphql << "),
            ("/v1/GraphQL?a", "{\"query\":\"mutation Add { a }\"}", "POST https://a.example/v1/GraphQL?a mutation Add << "),
            ("/gql", "{\"query\":\"mutation Add { a }\"}", "POST https://a.example/gql mutation Add << "),
            ("/ql/mysql/q", "{\"query\":\"mutation Add { a }\"}", "POST https://a.example/ql/mysql/q << "),
        ])
    func line(path: String, body: String, expected: String) throws {
        let head = "POST \(path) HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\r\n"
        let asked = flow(.http, [(0, request(head)), (1, piece(body, from: .client)), (1, .finished(.client))])
        #expect(try text(asked, detail: 1).contains(expected))
    }
}
