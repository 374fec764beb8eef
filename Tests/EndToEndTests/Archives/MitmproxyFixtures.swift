// Fixtures in mitmproxy's flow format 21.

import Foundation

/// A value of tagged netstrings.
private indirect enum Net {
    case bytes(String)
    case text(String)
    case integer(Int)
    case float(String)
    case bool(Bool)
    case null
    case list([Net])
    case dictionary([(String, Net)])

    var data: Data {
        let (payload, tag): (Data, String) =
            switch self {
            case .bytes(let bytes): (Data(bytes.asBytes), ",")
            case .text(let text): (Data(text.utf8), ";")
            case .integer(let value): (Data("\(value)".utf8), "#")
            case .float(let value): (Data(value.utf8), "^")
            case .bool(let value): (Data("\(value)".utf8), "!")
            case .null: (Data(), "~")
            case .list(let elements): (elements.reduce(Data()) { $0 + $1.data }, "]")
            case .dictionary(let entries): (entries.reduce(Data()) { $0 + Net.text($1.0).data + $1.1.data }, "}")
            }
        return Data("\(payload.count):".utf8) + payload + Data(tag.utf8)
    }
}

/// The fixtures that are flows of mitmproxy.
enum MitmproxyFixtures {
    static let all: [ForeignFixture] = lengths + codings + emptyResponses + bytes + requests + http2

    /// A message as mitmproxy keeps it.
    private struct Message {
        var fields: [(String, String)] = []
        /// nil was not stored.
        var content: String? = "hello"
        var trailers: [(String, String)]?
        var isEnded = true
    }

    private static func answer(
        _ name: String, _ fields: [(String, String)] = [], content: String? = "hello", trailers: [(String, String)]? = nil,
        isEnded: Bool = true, status: Int = 200, reason: String = "OK", method: String = "GET", version: String = "HTTP/1.1",
        host: String = "a.example", served: String? = "hello", gets: [String] = [], notes: [String] = []
    ) -> ForeignFixture {
        let response = Message(fields: fields, content: content, trailers: trailers, isEnded: isEnded)
        let request = Message(fields: version == "HTTP/2.0" ? [] : [("Host", "a.example")], content: "")
        return ForeignFixture(
            name: name,
            file: record(
                name, request, response, status: status, reason: reason, method: method, version: version, host: host),
            method: method, status: status, served: served, fields: gets, notes: notes)
    }

    private static func asking(
        _ name: String, _ fields: [(String, String)] = [], content: String?, method: String = "POST", sent: String?,
        notes: [String] = []
    ) -> ForeignFixture {
        let request = Message(fields: [("Host", "a.example")] + fields, content: content)
        let response = Message(fields: [("Content-Length", "5")])
        return ForeignFixture(
            name: name, file: record(name, request, response, method: method), method: method, sent: sent, notes: notes)
    }

    private static func record(
        _ name: String, _ request: Message, _ response: Message, status: Int = 200, reason: String = "OK", method: String,
        version: String = "HTTP/1.1", host: String = "a.example"
    ) -> Data {
        let asked: [(String, Net)] = [
            ("host", .text(host)), ("port", .integer(80)), ("method", .bytes(method)), ("scheme", .bytes("http")),
            ("authority", .bytes(version == "HTTP/2.0" ? host : "")), ("path", .bytes("/\(name)")),
        ]
        let answered: [(String, Net)] = [("status_code", .integer(status)), ("reason", .bytes(reason))]
        // Identifiers are made of the name.
        let digits = name.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        let id = "11111111-2222-4333-8444-" + String(String(digits, radix: 16).suffix(12)).leftPadded
        return Net.dictionary([
            ("version", .integer(21)), ("type", .text("http")), ("id", .text(id)), ("error", .null), ("intercepted", .bool(false)),
            ("is_replay", .null), ("marked", .text("")), ("metadata", .dictionary([])), ("comment", .text("")),
            ("timestamp_created", .float("1767323045.5")), ("backup", .null),
            ("request", message(request, version, at: "1767323045.5", more: asked)),
            ("response", message(response, version, at: "1767323045.75", more: answered)), ("websocket", .null),
        ]).data
    }

    private static func message(_ message: Message, _ version: String, at time: String, more: [(String, Net)]) -> Net {
        func pairs(_ fields: [(String, String)]) -> Net { .list(fields.map { .list([.bytes($0.0), .bytes($0.1)]) }) }
        return .dictionary(
            [
                ("http_version", .bytes(version)), ("headers", pairs(message.fields)),
                ("content", message.content.map { .bytes($0) } ?? .null),
                ("trailers", message.trailers.map(pairs) ?? .null), ("timestamp_start", .float(time)),
                ("timestamp_end", message.isEnded ? .float(time) : .null),
            ] + more)
    }

    private static func length(_ value: String) -> (String, String) { ("Content-Length", value) }
    private static func coding(_ value: String) -> (String, String) { ("Transfer-Encoding", value) }
    private static func has(_ field: String) -> String { "the file has \(field)" }

    private static let lengths = [
        answer("m-length-zero", [length("0")], gets: ["content-length: 5"], notes: [has("Content-Length: 0")]),
        answer("m-length-short", [length("3")], gets: ["content-length: 5"], notes: [has("Content-Length: 3")]),
        answer("m-length-long", [length("9")], gets: ["content-length: 5"], notes: [has("Content-Length: 9")]),
        answer(
            "m-length-twice", [length("5"), length("6")], gets: ["content-length: 5"],
            notes: [has("Content-Length: 5"), has("Content-Length: 6")]),
        answer("m-length-none"),
        answer(
            "m-another-answer", [length("0")], content: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            served: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", gets: ["content-length: 41"],
            notes: [has("Content-Length: 0")]),
    ]

    private static let codings = [
        answer(
            "m-length-and-chunks", [length("7"), coding("chunked")], gets: ["transfer-encoding: chunked"],
            notes: [has("Content-Length: 7"), has("Transfer-Encoding: chunked")]),
        answer("m-identity", [coding("identity")], gets: ["content-length: 5"], notes: [has("Transfer-Encoding: identity")]),
        answer(
            "m-gzip-chunked", [coding("gzip, chunked")], gets: ["transfer-encoding: chunked"],
            notes: [has("Transfer-Encoding: gzip, chunked")]),
        answer(
            "m-chunks-1.0", [coding("chunked")], version: "HTTP/1.0", gets: ["content-length: 5"],
            notes: [has("Transfer-Encoding: chunked")]),
        answer("m-chunks-empty", [coding("chunked")], content: "", served: "", gets: ["transfer-encoding: chunked"]),
        answer(
            "m-trailers", [length("5")], trailers: [("X-Sum", "1")], gets: ["transfer-encoding: chunked", "x-sum: 1"],
            notes: [has("Content-Length: 5")]),
        // Content is compressed there as it was on the wire.
        answer("m-compressed", [("Content-Encoding", "gzip"), length("25")], content: gzipped, served: gzipped),
    ]

    /// "hello".
    private static let gzipped =
        "\u{1F}\u{8B}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{2}\u{3}\u{CB}\u{48}\u{CD}\u{C9}\u{C9}\u{7}\u{0}\u{86}\u{A6}\u{10}\u{36}\u{5}\u{0}\u{0}\u{0}"

    private static let emptyResponses = [
        answer("m-head", [length("5")], content: "", method: "HEAD", served: "", gets: ["content-length: 5"]),
        answer(
            "m-no-content", status: 204, served: "",
            notes: ["the file has content of 5 bytes, and a response with status 204 has none"]),
        answer("m-missing", content: nil, served: nil, notes: ["Transfer-Encoding: chunked was added: the file has no length"]),
        answer("m-missing-length", [length("9")], content: nil, served: nil),
        answer("m-cut", [length("9")], isEnded: false, served: nil),
    ]

    private static let bytes = [
        answer("m-field-bytes", [("X-Bytes", "caf\u{E9}"), length("5")], gets: ["x-bytes: caf\u{E9}"]),
        answer("m-reason-bytes", [length("5")], reason: "Tr\u{E8}s"),
        answer("m-host", [length("5")], host: "bücher.example"),
    ]

    private static let requests = [
        asking("m-post-none", content: "a=1", sent: "a=1", notes: ["Content-Length: 3 was added: the file has no length"]),
        asking(
            "m-post-both", [coding("chunked"), length("3")], content: "a=1", sent: "a=1",
            notes: [has("Transfer-Encoding: chunked"), has("Content-Length: 3")]),
        asking("m-post-missing", [length("3")], content: nil, sent: nil),
        asking(
            "m-another-request", [coding("identity")], content: "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", method: "GET",
            sent: "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", notes: [has("Transfer-Encoding: identity")]),
    ]

    private static let http2 = [
        answer("m-http2-length", [("content-length", "0")], version: "HTTP/2.0", notes: [has("content-length: 0")]),
        answer(
            "m-http2-chunks", [("transfer-encoding", "chunked")], version: "HTTP/2.0", notes: [has("transfer-encoding: chunked")]),
    ]
}

extension String {
    fileprivate var leftPadded: String { String(repeating: "0", count: max(0, 12 - count)) + self }
}
