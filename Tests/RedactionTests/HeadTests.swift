// Heads: fields, cookies, URLs, credentials.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import Redaction

@Suite("Redaction of heads")
struct HeadTests {
    @Test(
        "The default set hides credentials and keeps the rest of the head byte for byte",
        arguments: [
            (
                "GET / HTTP/1.1\r\nauthorization :  Bearer abc  \r\nA: b\r\n\r\n",
                "GET / HTTP/1.1\r\nauthorization :  Bearer «redacted»  \r\nA: b\r\n\r\n"
            ),
            ("GET / HTTP/1.1\nPROXY-Authorization: opaque\n\n", "GET / HTTP/1.1\nPROXY-Authorization: «redacted»\n\n"),
            (
                "GET / HTTP/1.1\r\nCookie: a=1; b=\"two\";c ; d=\r\ncookie: e=5\r\n\r\n",
                "GET / HTTP/1.1\r\nCookie: a=«redacted»; b=\"«redacted»\";«redacted» ; d=«redacted»\r\ncookie: e=«redacted»\r\n\r\n"
            ),
            (
                "GET /p?a=1&access_token=x%20y&b=2&Access-Token=&token HTTP/1.1\r\n\r\n",
                "GET /p?a=1&access_token=%C2%ABredacted%C2%BB&b=2&Access-Token=%C2%ABredacted%C2%BB&token HTTP/1.1\r\n\r\n"
            ),
            (
                "GET /?user%5Bpassw%6Frd%5D=x&a.token=y&ids[]=3 HTTP/1.1\r\n\r\n",
                "GET /?user%5Bpassw%6Frd%5D=%C2%ABredacted%C2%BB&a.token=%C2%ABredacted%C2%BB&ids[]=3 HTTP/1.1\r\n\r\n"
            ),
            (
                "GET /a;jsessionid=12;v=1/b;token=3?x=1;token=4#token=5 HTTP/1.1\r\n\r\n",
                """
                GET /a;jsessionid=%C2%ABredacted%C2%BB;v=1/b;token=%C2%ABredacted%C2%BB?x=1;token=%C2%ABredacted%C2%BB\
                #token=%C2%ABredacted%C2%BB HTTP/1.1\r\n\r\n
                """
            ),
            (
                "GET http://me:pw@h/?next=https%3A%2F%2Fi%2F%3Ftoken%3Dabc%26x%3D1 HTTP/1.1\r\nHost: me:pw@h\r\n\r\n",
                """
                GET http://%C2%ABredacted%C2%BB@h/?next=https%3A%2F%2Fi%2F%3Ftoken%3D%25C2%25ABredacted%25C2%25BB%26x%3D1 HTTP/1.1\r\n\
                Host: %C2%ABredacted%C2%BB@h\r\n\r\n
                """
            ),
            (
                "GET / HTTP/1.1\r\nReferer: https://u@h/a?q=1&token=a,b c#x\r\nLink: </a?token=1>; rel=x, <b?c=2>\r\n\r\n",
                """
                GET / HTTP/1.1\r\nReferer: https://%C2%ABredacted%C2%BB@h/a?q=1&token=%C2%ABredacted%C2%BB#x\r\n\
                Link: </a?token=%C2%ABredacted%C2%BB>; rel=x, <b?c=2>\r\n\r\n
                """
            ),
            (
                ":method: GET\r\n:path: /?token=1\r\n:authority: u:p@a\r\ncookie: x=y\r\n\r\n",
                ":method: GET\r\n:path: /?token=%C2%ABredacted%C2%BB\r\n:authority: %C2%ABredacted%C2%BB@a\r\ncookie: x=«redacted»\r\n\r\n"
            ),
            ("GET /?q=1#top HTTP/1.1\r\nHost: a\r\nX: author\r\n\r\n", "GET /?q=1#top HTTP/1.1\r\nHost: a\r\nX: author\r\n\r\n"),
            ("GET / HTTP/1.1\r\nCookie: \r\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nCookie: \r\nA: b\r\n\r\n"),
        ])
    func requests(head: String, stored: String) throws {
        #expect(try redactor(["default"]).requestHead(head) == stored)
        #expect(try redactor(["default"]).requestHead(stored) == stored, "what was hidden stays as it is")
    }

    @Test(
        "Values of responses are hidden, names and attributes stay",
        arguments: [
            (
                "HTTP/1.1 302 Found\r\nSet-Cookie: sid=abc; Path=/; HttpOnly\r\nset-cookie: x=\"1\"\r\nLocation: /cb?code=1&state=2#access_token=3\r\n\r\n",
                """
                HTTP/1.1 302 Found\r\nSet-Cookie: sid=«redacted»; Path=/; HttpOnly\r\nset-cookie: x="«redacted»"\r\n\
                Location: /cb?code=%C2%ABredacted%C2%BB&state=%C2%ABredacted%C2%BB#access_token=%C2%ABredacted%C2%BB\r\n\r\n
                """
            ),
            (
                "HTTP/1.1 200 OK\r\nX-CSRF-Token: a\r\nRefresh: 0; url=/?token=1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX-CSRF-Token: «redacted»\r\nRefresh: 0; url=/?token=%C2%ABredacted%C2%BB\r\n\r\n"
            ),
            (
                "HTTP/1.1 302 F\r\nLocation: /a;jsessionid=12;v=1\r\nX: see http://a/b;token=1?x c;token=2\r\nY: #\r\n\r\n",
                "HTTP/1.1 302 F\r\nLocation: /a;jsessionid=%C2%ABredacted%C2%BB;v=1\r\nX: see http://a/b;token=%C2%ABredacted%C2%BB?x c;token=2\r\nY: #\r\n\r\n"
            ),
            (":status: 200\r\nset-cookie: a=b\r\n\r\n", ":status: 200\r\nset-cookie: a=«redacted»\r\n\r\n"),
        ])
    func responses(head: String, stored: String) throws {
        #expect(try redactor(["default"]).responseHead(head) == stored)
    }

    @Test("Dropped values are removed with their names and one separator")
    func drop() throws {
        let rules = try redactor(["header:x=drop", "cookie:a=drop", "query:q=drop", "cookie:gone=drop"])
        #expect(
            rules.requestHead(
                "GET /?q=1&b=2&q=3&q=4 HTTP/1.1\r\nX: 1\r\nCookie: a=1; b=2; a=3\r\nx: 2\r\nCookie: gone=1\r\nY: 3\r\n\r\n")
                == "GET /?b=2 HTTP/1.1\r\nCookie: b=2\r\nY: 3\r\n\r\n")
        #expect(rules.requestHead("GET /?q=1 HTTP/1.1\r\n\r\n") == "GET /? HTTP/1.1\r\n\r\n")
        #expect(
            rules.responseHead("HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=1\r\n\r\n")
                == "HTTP/1.1 200 OK\r\nSet-Cookie: b=1\r\n\r\n")
    }

    @Test("A value has one hash wherever and however it is written")
    func hashes() throws {
        let rules = try redactor(["default=hash", "header:x=hash"])
        let value = hash("a b/c")
        let written = value.replacing("«", with: "%C2%AB").replacing("»", with: "%C2%BB")
        #expect(
            rules.requestHead(
                "GET /?token=a+b%2Fc&code=a%20b/c HTTP/1.1\r\nCookie: s=a b/c; t=\"a b/c\"\r\nX: a b/c\r\nAuthorization: Bearer a b/c\r\n\r\n"
            )
                == "GET /?token=\(written)&code=\(written) HTTP/1.1\r\nCookie: s=\(value); t=\"\(value)\"\r\nX: \(value)\r\nAuthorization: Bearer \(value)\r\n\r\n"
        )
        #expect(try rules.body(#"{"token":"a\u0020b\/c"}"#, type: "application/json") == #"{"token":"\#(value)"}"#)
        #expect(try rules.body("token=a+b%2fc", type: "application/x-www-form-urlencoded") == "token=\(written)")
        // The name and the password of Basic and of a URL.
        let login = hash("me:pw")
        #expect(
            rules.requestHead("GET http://me:pw@h/ HTTP/1.1\r\nAuthorization: Basic bWU6cHc=\r\n\r\n")
                == "GET http://\(login.replacing("«", with: "%C2%AB").replacing("»", with: "%C2%BB"))@h/ HTTP/1.1\r\nAuthorization: Basic \(login)\r\n\r\n"
        )
    }

    @Test("A JSON Web Token keeps its algorithm and the names of its claims")
    func tokens() throws {
        func part(_ text: String) -> String {
            Base64.encode(ByteBuffer(string: text)).replacing("=", with: "").replacing("+", with: "-").replacing("/", with: "_")
        }
        let token =
            part(#"{"alg":"RS256","kid":"secret-kid","typ":"JWT"}"#) + "." + part(#"{"sub":"me@example.com","exp":17}"#) + ".c2ln"
        let hidden =
            part(#"{"alg":"RS256","kid":"«redacted»","typ":"JWT"}"#) + "." + part(#"{"sub":"«redacted»","exp":"«redacted»"}"#) + "."
        let head = "GET / HTTP/1.1\r\nAuthorization: Bearer \(token)\r\n\r\n"
        #expect(
            try redactor(["default"]).requestHead(head) == "GET / HTTP/1.1\r\nAuthorization: Bearer \(hidden)«redacted»\r\n\r\n")
        let hashed = try redactor(["default=hash"])
        let stored = hashed.requestHead(head)
        #expect(stored == "GET / HTTP/1.1\r\nAuthorization: Bearer \(hidden)\(hash(token))\r\n\r\n")
        #expect(hashed.requestHead(stored) == stored)
        #expect(try hashed.body(#"{"id_token":"\#(token)"}"#, type: nil) == #"{"id_token":"\#(hidden)\#(hash(token))"}"#)
        // A token whose parts are not JSON is a value like another one.
        #expect(
            try redactor(["header:x"]).requestHead("GET / HTTP/1.1\r\nX: eyJhbG.eyJ4.abc\r\n\r\n")
                == "GET / HTTP/1.1\r\nX: «redacted»\r\n\r\n")
    }

    @Test("Patterns find values in targets, paths, fields, reasons and Basic, whatever their encoding, and change values only")
    func patterns() throws {
        let rules = try redactor(["pattern:hunter[0-9]"])
        #expect(
            rules.requestHead(
                "GET /a/hunter2/%68unter3?q=hunter4 HTTP/1.1\r\nHost: hunter5.example\r\nHunter6: x hunter7 y\r\nAuthorization: Basic bWU6aHVudGVyMg==\r\n\r\n"
            )
                == "GET /a/%C2%ABredacted%C2%BB/%C2%ABredacted%C2%BB?q=%C2%ABredacted%C2%BB HTTP/1.1\r\nHost: «redacted».example\r\nHunter6: x «redacted» y\r\nAuthorization: Basic \(Base64.encode(ByteBuffer(string: "me:«redacted»")))\r\n\r\n"
        )
        #expect(rules.responseHead("HTTP/1.1 200 hunter2\r\nA: 1\r\n\r\n") == "HTTP/1.1 200 «redacted»\r\nA: 1\r\n\r\n")
        // A match that spans lines hides the values in it.
        #expect(
            try redactor(["pattern:one[^~]*two"]).requestHead("GET / HTTP/1.1\r\nA: one\r\nB: x\r\nC: two!\r\n\r\n")
                == "GET / HTTP/1.1\r\nA: «redacted»\r\nB: «redacted»\r\nC: «redacted»!\r\n\r\n")
    }

    @Test("Trailers, interim responses, replies of the recorder, notes, errors and connections are redacted")
    func otherParts() throws {
        let client = Shared(
            ClientConnection(
                id: FlowID(high: 2, low: 2), peer: Endpoint(host: "10.1.2.3", port: 5),
                local: Endpoint(host: "10.0.0.1", port: 8080),
                opened: FlowBuilder.start, mode: "upstream:http://me:pw@proxy:3128"))
        let builder = FlowBuilder(
            client: client, target: FlowTarget(scheme: "http", host: "ghp_0123456789abcdef.example", port: 80)
        )
        .request("GET / HTTP/1.1\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n")
        .event(
            .interim(ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 103 Early\r\nSet-Cookie: a=b\r\n\r\n"), version: .http1_1))
        )
        .response(
            "HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(string: "x"),
            trailers: FieldSection([(name: "X-Token", value: "t"), (name: "B", value: "c")])
        )
        .event(
            .note(
                FlowNote(side: .client, "the field 'Authorization Bearer abc' has white space in its name; see http://a/?token=1"))
        )
        .event(
            .localReply(
                LocalReply(
                    head: ResponseHead(
                        parsing: ByteBuffer(string: "HTTP/1.1 502 Bad\r\nSet-Cookie: a=b\r\n\r\n"), version: .http1_1),
                    content: ByteBuffer(string: "no route to http://me:pw@a/?token=1 for 'ghp_0123456789abcdef'")))
        )
        .event(.malformed(from: .client, ByteBuffer(string: "Authorization Bearer abc")))
        .ended(FlowEnding(state: .failed, error: FlowError(side: .server, message: "ghp_0123456789abcdef", at: FlowBuilder.start)))
        let flow = try redactor(["share", "secrets"]).flow(builder)
        #expect(flow.client?.value.peer == Endpoint(host: "«redacted»", port: 5))
        #expect(flow.client?.value.local.host == "«redacted»")
        #expect(flow.client?.value.mode == "upstream:http://%C2%ABredacted%C2%BB@proxy:3128")
        #expect(flow.target.host == "«redacted».example")
        #expect(String(buffer: flow.request!.head.wire) == "GET / HTTP/1.1\r\nX-Forwarded-For: «redacted»\r\n\r\n")
        #expect(String(buffer: flow.interims[0].value.wire) == "HTTP/1.1 103 Early\r\nSet-Cookie: a=«redacted»\r\n\r\n")
        #expect(flow.response?.trailers?.description == "X-Token: «redacted»\r\nB: c\r\n")
        #expect(
            flow.notes[0].value.message
                == "the field '«redacted»' has white space in its name; see http://a/?token=%C2%ABredacted%C2%BB")
        #expect(String(buffer: flow.localReply!.value.head.wire) == "HTTP/1.1 502 Bad\r\nSet-Cookie: a=«redacted»\r\n\r\n")
        #expect(
            String(buffer: flow.localReply!.value.content)
                == "no route to http://%C2%ABredacted%C2%BB@a/?token=%C2%ABredacted%C2%BB for '«redacted»'")
        #expect(flow.malformed.map(\.value) == [MalformedBytes(from: .client, RedactionMarker.mask)])
        #expect(flow.error?.message == "«redacted»")
    }

    @Test("The facts of a flow count what each rule changed and where")
    func facts() throws {
        let flow = try redactor(["default", "query:q=drop"]).flow(
            FlowBuilder().request(
                "POST /?q=1&token=2 HTTP/1.1\r\nCookie: a=b; c=d\r\n\r\n",
                content: ByteBuffer(string: #"[{"password":1},{"password":2}]"#)
            )
            .response("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n").ended())
        #expect(
            flow.redaction
                == FlowRedaction(
                    changes: [
                        FlowRedaction.Change(rule: "query:q=drop", place: .request),
                        FlowRedaction.Change(rule: "query:token", place: .request),
                        FlowRedaction.Change(rule: "cookie:*", place: .request, count: 2),
                        FlowRedaction.Change(rule: "json:$..password", place: .requestBody, count: 2),
                        FlowRedaction.Change(rule: "cookie:*", place: .response),
                    ], decoded: [.client]))
        let unchanged = try redactor(["default"]).flow(FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").ended())
        #expect(unchanged.redaction == nil)
        #expect(unchanged.tags.isEmpty)
    }
}
