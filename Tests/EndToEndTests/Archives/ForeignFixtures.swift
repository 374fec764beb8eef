// Files of other programs, made of made-up values: one for each way in which what they keep differs from what was sent.

import Foundation

/// One file with one exchange, and what becomes of it. In texts that are bytes each character from U+0000 to U+00FF is one.
struct ForeignFixture: Sendable {
    /// The path of the request, without its slash.
    var name: String
    var file: Data
    var method = "GET"
    /// The content of the request as it is sent again; nil: it is not in the file, and the request is left out.
    var sent: String? = ""
    var status = 200
    /// The content that a client gets; nil: it is not whole in the file, and the client sees that it is cut.
    var served: String? = "hello"
    /// Fields that a client gets by HTTP/1, each name in lower case.
    var fields: [String] = []
    /// What is noted.
    var notes: [String] = []
}

extension String {
    /// The bytes that its characters are.
    var asBytes: [UInt8] { unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
}

/// The fixtures that are HAR.
enum HARFixtures {
    static let all: [ForeignFixture] =
        lengths + codings + emptyResponses + texts + fieldValues + requests + http2

    /// A fixture whose response has these fields, and content in JSON.
    private static func answer(
        _ name: String, _ fields: [(String, String)] = [], content: String = #"{"size":5,"text":"hello"}"#, status: Int = 200,
        method: String = "GET", version: String = "HTTP/1.1", served: String? = "hello", gets: [String] = [], notes: [String] = []
    ) -> ForeignFixture {
        ForeignFixture(
            name: name,
            file: file(
                name, method: method, version: version, request: headers([("Host", "\"a.example\"")]),
                response: "\"status\":\(status),\(headers(fields)),\"content\":\(content)"),
            method: method, status: status, served: served, fields: gets, notes: notes)
    }

    /// A fixture whose request has these fields and this content in JSON.
    private static func asking(
        _ name: String, _ fields: [(String, String)] = [], posted: String?, method: String = "POST", sent: String?,
        notes: [String] = []
    ) -> ForeignFixture {
        let content = posted.map { ",\"postData\":\($0)" } ?? ""
        return ForeignFixture(
            name: name,
            file: file(
                name, method: method, version: "HTTP/1.1", request: headers([("Host", "\"a.example\"")] + fields) + content,
                response: #""status":200,"headers":[{"name":"Content-Length","value":"5"}],"content":{"size":5,"text":"hello"}"#),
            method: method, sent: sent, notes: notes)
    }

    static func headers(_ fields: [(String, String)]) -> String {
        "\"headers\":[" + fields.map { "{\"name\":\"\($0.0)\",\"value\":\($0.1)}" }.joined(separator: ",") + "]"
    }

    static func file(
        _ name: String, method: String, version: String, request: String, response: String, host: String = "a.example",
        time: String = #""2026-01-02T03:04:05.678Z""#
    ) -> Data {
        Data(
            """
            {"log":{"version":"1.2","creator":{"name":"made up","version":"1"},"entries":[{"startedDateTime":\(time),"time":1,
            "request":{"method":"\(method)","url":"http://\(host)/\(name)","httpVersion":"\(version)",\(request)},
            "response":{"statusText":"OK","httpVersion":"\(version)",\(response)},"cache":{},"timings":{"send":0,"wait":1,"receive":0}}]}}
            """.utf8)
    }

    private static func length(_ value: String) -> (String, String) { ("Content-Length", "\"\(value)\"") }
    private static func coding(_ value: String) -> (String, String) { ("Transfer-Encoding", "\"\(value)\"") }
    private static func has(_ field: String) -> String { "the file has \(field)" }

    private static let lengths = [
        answer("length-zero", [length("0")], gets: ["content-length: 5"], notes: [has("Content-Length: 0")]),
        answer("length-comma", [length("6,219")], gets: ["content-length: 5"], notes: [has("Content-Length: 6,219")]),
        answer(
            "length-twice", [length("3"), length("4")], gets: ["content-length: 5"],
            notes: [has("Content-Length: 3"), has("Content-Length: 4")]),
        answer("length-short", [length("3")], gets: ["content-length: 5"], notes: [has("Content-Length: 3")]),
        answer("length-long", [length("9")], gets: ["content-length: 5"], notes: [has("Content-Length: 9")]),
        answer("length-right", [length("5")], gets: ["content-length: 5"]),
        answer("length-none"),
        answer(
            "another-answer", [length("0")], content: #"{"size":42,"text":"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"}"#,
            served: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", gets: ["content-length: 41"],
            notes: [has("Content-Length: 0")]),
    ]

    private static let codings = [
        answer(
            "length-and-chunks", [coding("chunked"), length("7")], gets: ["transfer-encoding: chunked"],
            notes: [has("Transfer-Encoding: chunked"), has("Content-Length: 7")]),
        answer("identity", [coding("identity")], gets: ["content-length: 5"], notes: [has("Transfer-Encoding: identity")]),
        answer(
            "chunked-twice", [coding("chunked"), coding("chunked")], gets: ["transfer-encoding: chunked"],
            notes: [has("Transfer-Encoding: chunked"), has("Transfer-Encoding: chunked")]),
        answer(
            "gzip-chunked", [coding("gzip, chunked")], gets: ["transfer-encoding: chunked"],
            notes: [has("Transfer-Encoding: gzip, chunked")]),
        answer(
            "chunks-1.0", [coding("chunked")], version: "HTTP/1.0", gets: ["content-length: 5"],
            notes: [has("Transfer-Encoding: chunked")]),
        answer(
            "compressed", [("Content-Encoding", "\"gzip\""), length("25")], gets: ["content-length: 5"],
            notes: ["the file has content-encoding: gzip, and the content decoded", has("Content-Length: 25")]),
    ]

    private static let emptyResponses = [
        answer(
            "redirected", [("Location", "\"/x\""), length("154")], content: #"{"size":0}"#, status: 302, served: "",
            gets: ["content-length: 0"],
            notes: [has("Content-Length: 154")]),
        answer(
            "not-modified", [length("5")], status: 304, served: "",
            notes: ["the file has content of 5 bytes, and a response with status 304 has none"]),
        answer(
            "no-content", status: 204, served: "",
            notes: ["the file has content of 5 bytes, and a response with status 204 has none"]),
        answer("head", [length("5")], content: #"{"size":0}"#, method: "HEAD", served: "", gets: ["content-length: 5"]),
        answer(
            "missing", content: #"{"size":9}"#, served: nil, notes: ["Transfer-Encoding: chunked was added: the file has no length"]
        ),
        answer("missing-length", [length("9")], content: #"{"size":0}"#, served: nil),
    ]

    private static let texts = [
        answer(
            "shift-jis", [("Content-Type", #""text/plain; charset=Shift_JIS""#), length("2")], content: #"{"text":"日"}"#,
            served: "\u{93}\u{FA}"),
        answer(
            "latin1", [("Content-Type", #""text/plain; charset=iso-8859-1""#)], content: #"{"text":"café"}"#, served: "caf\u{E9}"),
        answer("lone-surrogate", content: #"{"text":"a\ud800b"}"#, served: "a\u{ED}\u{A0}\u{80}b"),
        answer("escaped-byte", content: #"{"text":"caf\udce9"}"#, served: "caf\u{E9}"),
        answer("byte-order-mark", content: "{\"text\":\"\u{FEFF}x\"}", served: "\u{EF}\u{BB}\u{BF}x"),
        answer("byte-order-mark-later", content: #"{"text":"\n\ufeffx"}"#, served: "\n\u{EF}\u{BB}\u{BF}x"),
        answer("base64-lines", content: #"{"encoding":"base64","text":"aGVs\r\nbG8="}"#),
        answer("base64-url", content: #"{"encoding":"base64","text":"-_8"}"#, served: "\u{FB}\u{FF}"),
    ]

    private static let fieldValues = [
        answer(
            "value-lines", [("Set-Cookie", #""a=1; path=/\nb=2""#), length("5")],
            gets: ["set-cookie: a=1; path=/", "set-cookie: b=2"]),
        answer("value-list", [("Set-Cookie", #"["a=1","b=2"]"#), length("5")], gets: ["set-cookie: a=1", "set-cookie: b=2"]),
        answer("value-number", [("X-Number", "5"), ("Content-Length", "5")], gets: ["x-number: 5", "content-length: 5"]),
        answer("value-bytes", [("X-Bytes", #""caf\udce9""#), length("5")], gets: ["x-bytes: caf\u{E9}"]),
    ]

    private static let requests = [
        asking(
            "form", [("Content-Type", #""application/x-www-form-urlencoded""#)],
            posted: #"{"params":[{"name":"a b","value":"1&2"}]}"#, sent: "a+b=1%262",
            notes: [
                "the content was built from the parameters of a form", "Content-Length: 9 was added: the file has no length",
            ]),
        asking("post-length", [length("9")], posted: #"{"text":"a=1"}"#, sent: "a=1", notes: [has("Content-Length: 9")]),
        asking("post-missing", [length("5")], posted: nil, sent: nil),
        asking(
            "another-request", posted: #"{"text":"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n"}"#, method: "GET",
            sent: "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", notes: ["Content-Length: 31 was added: the file has no length"]),
        ForeignFixture(
            name: "untimed",
            file: file(
                "untimed", method: "GET", version: "HTTP/1.1", request: headers([("Host", "\"a.example\"")]),
                response: #""status":200,"headers":[{"name":"Content-Length","value":"5"}],"content":{"text":"hello"}"#,
                time: "\"yesterday\"")),
        ForeignFixture(
            name: "other-alphabets/%C3%BC",
            file: file(
                "other-alphabets/ü", method: "GET", version: "HTTP/1.1", request: headers([("Host", "\"bücher.example\"")]),
                response: #""status":200,"headers":[{"name":"Content-Length","value":"5"}],"content":{"text":"hello"}"#,
                host: "bücher.example"),
            notes: ["the file has a URL with characters that a request cannot have"]),
    ]

    private static let http2 = [
        answer("http2-length", [("content-length", "\"0\"")], version: "h2", notes: [has("content-length: 0")]),
        answer(
            "http2-chunks", [("transfer-encoding", "\"chunked\"")], version: "HTTP/2", notes: [has("transfer-encoding: chunked")]),
        answer("http2-names", [("X-Name", "\"1\""), ("Connection", "\"keep-alive\"")], version: "HTTP/2", gets: ["x-name: 1"]),
        answer("http2-missing", content: #"{"size":9}"#, version: "h2", served: nil),
    ]
}
