import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("The contents of HAR files")
struct HARKindTests {
    private func flow(_ entry: String) throws -> Flow {
        let (flows, errors) = try harFlows(har([entry]))
        #expect(errors == [])
        return try #require(flows.first)
    }

    private func responseSeen(_ response: String) throws -> MessageSeen { try flow(entry("", response)).responseSeen() }

    @Test(
        "A field's value is one line or several, whatever kind of JSON it is",
        arguments: [
            (#""a=1; path=/\nb=2""#, ["a=1; path=/", "b=2"]),
            (#""a\r\nb""#, ["a", "b"]),
            (#""a\n""#, ["a"]),
            (#""\n""#, [""]),
            (#""a\r\n b""#, ["a\r\n b"]),
            (#"["a=1","b=2"]"#, ["a=1", "b=2"]),
            (#"["a","b\nc"]"#, ["a", "b", "c"]),
            ("5", ["5"]),
            ("1.50", ["1.50"]),
            ("true", ["true"]),
            ("null", [""]),
            (#"{"a":1}"#, [#"{"a":1}"#]),
            ("[]", []),
            (#""""#, [""]),
        ] as [(String, [String])])
    func values(json: String, expected: [String]) throws {
        let flow = try flow(entry(headers(("X", json)), headers(("X", json)) + #","content":{"text":""}"#))
        let lines = [flow.request?.head.fields, flow.response?.head.fields].map { $0?.all("x").map { String(buffer: $0) } }
        #expect(lines == [expected, expected])
    }

    @Test(
        "Text is kept to the byte, even if it is not valid Unicode",
        arguments: [
            (#"\ud800x"#, #"\xed\xa0\x80x"#),
            (#"caf\udce9"#, #"caf\xe9"#),
            (#"\udcc3("#, #"\xc3("#),
            (#"\ufeffx"#, #"\xef\xbb\xbfx"#),
            ("\u{FEFF}x", #"\xef\xbb\xbfx"#),
            (#"\n\ufeffx"#, #"\n\xef\xbb\xbfx"#),
            (#"\u0000\u001f"#, #"\x0\x1f"#),
            (#"\ud83d\ude00"#, #"\xf0\x9f\x98\x80"#),
        ] as [(String, String)])
    func strings(json: String, bytes: String) throws {
        let flow = try flow(
            entry(
                headers(("X", "\"-\(json)-\"")) + ",\"postData\":{\"text\":\"\(json)\"}", "\"content\":{\"text\":\"\(json)\"}",
                method: "POST"))
        #expect(try flow.responseSeen().content == bytes)
        #expect(try flow.requestSeen().content == bytes)
        // A line end ends the line.
        if !json.contains("\\n") { #expect(flow.request?.head.fields.first("x")?.escaped == "-\(bytes)-") }
    }

    @Test(
        "Base64 is read as it is found",
        arguments: [
            ("aGVsbG8/", "hello?"),
            ("aGVs\\r\\nbG8/", "hello?"),
            ("aGVsbG8_", "hello?"),
            ("aGVsbG8", "hello"),
            ("aGVsbG8=", "hello"),
            ("aGVsbG8== ", "hello"),
            ("", ""),
            ("_-8", #"\xff\xef"#),
        ] as [(String, String)])
    func base64(json: String, bytes: String) throws {
        #expect(try responseSeen("\"content\":{\"text\":\"\(json)\",\"encoding\":\"base64\"}").content == bytes)
    }

    @Test(
        "Numbers that are written as strings are read",
        arguments: [(#""204""#, 204), ("204", 204), (#""204 OK""#, nil), ("null", nil)] as [(String, Int?)])
    func quantities(status: String, expected: Int?) throws {
        let text = entry("", "\"headers\":[]", more: #","timings":{"send":"1","wait":"2.5","receive":-1}"#)
            .replacingOccurrences(of: "\"status\":200", with: "\"status\":\(status)")
        let flow = try flow(text)
        #expect(flow.response?.head.status == expected)
        if let response = flow.response { #expect(response.started - flow.started == 3_500_000) }
    }

    @Test("Text that is marked as base64 but is not stays text, with a note")
    func notBase64() throws {
        let flow = try flow(entry("", #""content":{"text":"not so!","encoding":"base64"}"#))
        #expect(try flow.responseSeen().content == "not so!")
        #expect(flow.importNotes == ["the file has content that is marked as base64 but is not valid base64"])
    }

    @Test(
        "Text is written in the charset of its media type; where it has no place there, or is as long as it was in UTF-8, it stays",
        arguments: [
            (headers(("Content-Type", #""text/plain; charset=Shift_JIS""#)), "日", #"\x93\xfa"#),
            (headers(("Content-Type", #""text/plain;charset=\"ISO-8859-1\"""#)), "é", #"\xe9"#),
            (headers(("Content-Type", #""text/plain; charset=iso-8859-1""#)), "日", #"\xe6\x97\xa5"#),
            (headers(("Content-Type", #""text/plain; charset=iso-8859-1""#), ("Content-Length", #""2""#)), "é", #"\xc3\xa9"#),
            (headers(("Content-Type", #""text/plain; charset=utf-8""#)), "é", #"\xc3\xa9"#),
        ] as [(String, String, String)])
    func charsets(fields: String, text: String, bytes: String) throws {
        let seen = try responseSeen("\(fields),\"content\":{\"text\":\"\(text)\"}")
        #expect(seen.content == bytes && seen.isComplete)
    }

    @Test(
        "Content that is not in the file is missing, unless the entry shows that there was none",
        arguments: [
            (#"200,"headers":[],"content":{"size":9}"#, false),
            (#"200,"headers":[]"#, false),
            (#"200,"headers":[],"content":{"size":-1}"#, false),
            (#"200,"headers":[],"content":{"size":0}"#, true),
            (#"200,"headers":[],"content":{},"bodySize":0"#, true),
            (#"200,"headers":[{"name":"Content-Length","value":"0"}],"content":{}"#, true),
            (#"200,"headers":[{"name":"Content-Length","value":"7"}],"content":{"size":0}"#, false),
            (#"200,"headers":[{"name":"Content-Length","value":"7"}],"content":{"size":7,"text":""}"#, false),
            (#"302,"headers":[{"name":"Content-Length","value":"154"}],"content":{"size":0}"#, true),
            (#"204,"headers":[]"#, true),
            (#"304,"headers":[],"content":{"size":99}"#, true),
        ] as [(String, Bool)])
    func missing(response: String, isComplete: Bool) throws {
        let text = entry("", "\"x\":1").replacingOccurrences(of: "\"status\":200,", with: "\"status\":\(response),")
        let flow = try flow(text)
        #expect(flow.response?.isComplete == isComplete)
        #expect(flow.state == (isComplete ? .complete : .incomplete))
        // Missing content must not look whole when it is served.
        let fields = try #require(flow.response?.head.fields)
        let announced = fields.first("content-length").flatMap { Int(String(buffer: $0)) } ?? 0
        #expect((announced > 0 || fields.contains("transfer-encoding")) == !isComplete)
    }

    @Test(
        "A form of which the file has the parameters only is put together, as long as it was",
        arguments: [
            ("application/x-www-form-urlencoded", #"{"name":"a b","value":"1&2"},{"name":"c"}"#, nil, "a+b=1%262&c="),
            ("application/x-www-form-urlencoded", #"{"name":"a","value":"1%262"}"#, nil, "a=1%262"),
            ("application/x-www-form-urlencoded", #"{"name":"a","value":"100%"}"#, nil, "a=100%25"),
            ("application/x-www-form-urlencoded", #"{"name":"a","value":"é"}"#, nil, "a=%C3%A9"),
            ("application/x-www-form-urlencoded", #"{"name":"a","value":"%41"}"#, "7", "a=%2541"),
            ("application/x-www-form-urlencoded", #"{"name":"a","value":5}"#, nil, "a=5"),
            (
                "multipart/form-data; boundary=xx",
                #"{"name":"a\"","value":"1"},{"name":"f","value":"t","fileName":"n","contentType":"text/x"}"#,
                nil,
                #"--xx\r\nContent-Disposition: form-data; name="a%22"\r\n\r\n1\r\n--xx\r\nContent-Disposition: form-data; name="f"; filename="n"\r\nContent-Type: text/x\r\n\r\nt\r\n--xx--\r\n"#
            ),
            ("multipart/form-data; boundary=xx", #"{"name":"f","fileName":"n"}"#, nil, nil),
            ("multipart/form-data", #"{"name":"f","value":"n"}"#, nil, nil),
        ] as [(String, String, String?, String?)])
    func forms(type: String, parameters: String, length: String?, content: String?) throws {
        let fields =
            length.map { headers(("Content-Type", "\"\(type)\""), ("Content-Length", $0)) }
            ?? headers(("Content-Type", "\"\(type)\""))
        let seen = try flow(
            entry("\(fields),\"postData\":{\"params\":[\(parameters)]}", #""content":{"text":""}"#, method: "POST")
        ).requestSeen()
        #expect(seen.content == content ?? "")
        #expect(seen.isComplete == (content != nil))
    }

    @Test("A request that announces content which is not in the file is incomplete")
    func announced() throws {
        let fields = headers(("Content-Length", "5"))
        let seen = try flow(entry(fields, #""content":{"text":""}"#, method: "POST")).requestSeen()
        #expect(seen == MessageSeen(#"Content-Length: 5\r\n"#, "", isComplete: false))
    }

    @Test("Compressed content is decoded in the file: its coding is removed with a note; content that is still compressed keeps it")
    func codings() throws {
        let fields = headers(("Content-Encoding", #""gzip""#), ("Content-Length", "30"))
        let decoded = try flow(entry("", "\(fields),\"content\":{\"text\":\"hello\"}"))
        #expect(try decoded.responseSeen() == MessageSeen(#"Content-Length: 5\r\n"#, "hello"))
        #expect(
            decoded.importNotes == [
                "the file has content-encoding: gzip, and the content decoded", "the file has Content-Length: 30",
            ])
        let gzip = "H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA=="
        let size = try #require(Data(base64Encoded: gzip)).count
        let kept = headers(("Content-Encoding", #""gzip""#), ("Content-Length", "\(size)"))
        let raw = try flow(entry("", "\(kept),\"content\":{\"text\":\"\(gzip)\",\"encoding\":\"base64\"}"))
        #expect(raw.response?.head.fields.contains("content-encoding") == true)
        #expect(raw.importNotes == [])
        let undecodable = try flow(entry("", "\(fields),\"content\":{\"text\":\"x\",\"_decoded\":false}"))
        #expect(try undecodable.responseSeen() == MessageSeen(#"Content-Encoding: gzip\r\nContent-Length: 1\r\n"#, "x"))
    }

    @Test(
        "Names in other alphabets, and text that a URL cannot contain, become valid in a request",
        arguments: [
            ("http://bücher.example/ü?q=ü#x", "xn--bcher-kva.example", "/%C3%BC?q=%C3%BC"),
            ("http://a.example/b c", "a.example", "/b%20c"),
            ("http://日本語.jp:81/", "xn--wgv71a119e.jp", "/"),
            (#"http://a.example/\udce9"#, "a.example", "/%E9"),
            ("http://a.example/%41|{}", "a.example", "/%41|{}"),
            ("http://a.example?q", "a.example", "/?q"),
            ("http://a.example:/", "a.example", "/"),
        ])
    func urls(url: String, host: String, target: String) throws {
        let flow = try flow(entry(headers(("Host", #""bücher.example""#)), #""content":{"text":""}"#, url: url))
        #expect(flow.target.host == host)
        #expect(flow.request.map { String(buffer: $0.head.target) } == target)
        let named = flow.request?.head.fields.first("host").map { String(buffer: $0) }
        #expect(named == (url.contains("bücher") ? "xn--bcher-kva.example" : "bücher.example"))
        #expect(flow.importNotes.isEmpty == url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x5C })
    }

    @Test("Entries without a time stay in their order, and are counted")
    func untimed() throws {
        func at(_ time: String?, _ path: String) -> String {
            let text = entry("", #""content":{"text":""}"#, url: "http://a/\(path)")
            return text.replacingOccurrences(
                of: #""startedDateTime":"2026-01-02T03:04:05Z","#, with: time.map { "\"startedDateTime\":\($0)," } ?? "")
        }
        var reader = try HARReader(
            har([
                at(nil, "0"), at("\"tomorrow\"", "1"), at("\"2026-01-02T03:04:05Z\"", "2"), at("null", "3"),
                at("\"2026-01-02T03:04:07Z\"", "4"),
            ]))
        var seen: [String] = []
        while let flow = try reader.next() {
            seen.append("\(flow.displayURL.map { String(buffer: $0) } ?? "") \(flow.started.nanoseconds / 1_000_000_000)")
        }
        let second = try #require(Timestamp(rfc3339: "2026-01-02T03:04:05Z")).nanoseconds / 1_000_000_000
        #expect(seen == zip(0..<5, [second, second, second, second, second + 2]).map { "http://a/\($0) \($1)" })
        #expect(reader.untimed == 3)
    }

    @Test("Requests that overlapped are on connections of their own, those of HTTP/2 on one")
    func overlaps() throws {
        func at(_ second: String, _ length: Int, _ version: String) -> String {
            entry("", #""content":{"text":""}"#).replacingOccurrences(
                of: "05Z\",\"time\":1", with: "\(second)Z\",\"time\":\(length)"
            )
            .replacingOccurrences(of: "HTTP/1.1", with: version)
        }
        func connections(_ version: String) throws -> [Int] {
            let entries = [at("05.0", 100, version), at("05.05", 100, version), at("05.1", 10, version), at("05.2", 10, version)]
            let ids = try harFlows(har(entries)).flows.map { $0.client?.value.id }
            return ids.map { id in ids.firstIndex(of: id) ?? -1 }
        }
        #expect(try connections("HTTP/1.1") == [0, 1, 0, 0])
        #expect(try connections("HTTP/2") == [0, 0, 0, 0])
    }

    @Test("A torn file gives the flows before the tear, and its offset")
    func torn() throws {
        let whole = String(buffer: har([entry("", #""content":{"text":"1"}"#), entry("", #""content":{"text":"2"}"#)]))
        let first = try #require(whole.range(of: ",\n{\"started"))
        let second = whole[first.upperBound...].startIndex
        let inside = try harFlows(ByteBuffer(string: String(whole[..<second]) + "x"))
        #expect(inside.flows.count == 1)
        let offset = whole[..<second].utf8.count + 1
        #expect(
            inside.errors == [
                HAREntryError(entry: 2, what: "is not valid JSON at offset \(offset); the rest of the file is not read")
            ])
        let after = try harFlows(ByteBuffer(string: String(whole.dropLast())))
        #expect(after.flows.count == 2)
        #expect(
            after.errors
                == [
                    HAREntryError(
                        entry: 2,
                        what: "is the last readable one: the file is not valid JSON at offset \(whole.utf8.count - 1)")
                ])
    }
}
