// The formats that write messages: commands of curl, text and bytes.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowPrinter

@Suite("Formats of messages")
struct MessageFormatTests {
    private static func written(
        _ flow: Flow, _ format: MessageFormat, _ sides: MessageOptions.Sides = .client, stored: Stored? = nil
    ) throws -> (text: String, omissions: String?) {
        var options = MessageOptions()
        options.sides = sides
        if let stored {
            options.store = { name, content in
                var bytes = ByteBuffer()
                try content { bytes.writeImmutableBuffer($0) }
                stored.files[name] = bytes
                return "dir/" + name
            }
        }
        var writer = format.writer(options)
        var out = ByteBuffer()
        try writer.write(flow, into: &out) { _ in }
        return (String(buffer: out), writer.omissions.sentence)
    }

    private final class Stored { var files: [String: ByteBuffer] = [:] }

    private static func exchange(_ request: String, _ content: [UInt8] = [], target: FlowTarget? = nil) -> Flow {
        FlowBuilder(id: FlowID(high: 0x018B_CFE5_687B_7001, low: 0x8000_0000_0000_0001), target: target)
            .request(request, content: ByteBuffer(bytes: content)).ended().flow
    }

    // MARK: curl

    @Test("A command has the URL, the fields in their order, and removes those that curl would add")
    func curl() throws {
        let flow = Self.exchange("GET /a?b='c' HTTP/1.1\r\nHost: a\r\nX-B: it's\r\nX-A:v\r\nEmpty: \r\nx-b: 2\r\n\r\n")
        let written = try Self.written(flow, .curl)
        #expect(
            written.text == #"""
                curl --http1.1 --path-as-is -g 'http://a/a?b='\''c'\' \
                  -H 'X-B: it'\''s' \
                  -H 'X-A: v' \
                  -H 'Empty;' \
                  -H 'x-b: 2' \
                  -H 'User-Agent:' \
                  -H 'Accept:'

                """#)
        #expect(written.omissions == nil)
    }

    static let commands: [(request: String, content: String, has: [String])] = [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "@file", ["--data-raw '@file'", "-H 'Content-Type:'"]),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "%\0",
            ["printf '%%\\000' | curl", "-X GET", "--data-binary @-"]
        ),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "--b\r\n", [#"printf '\055-b\r\n' | curl"#]),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "", ["--head 'http://a/'"]),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "", ["-X DELETE 'http://a/'"]),
        ("we'ird / HTTP/1.1\r\nHost: a\r\n\r\n", "", [#"-X 'we'\''ird' 'http://a/'"#]),
        ("GET / HTTP/1.1\r\nHost: b\r\n\r\n", "", ["'http://a/'", "-H 'Host: b'"]),
        ("GET / HTTP/1.0\r\n\r\n", "", ["--http1.0", "-H 'Host:'"]),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "", ["--request-target '/a b'", "'http://a/'"]),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "", ["--request-target '/a#b'"]),
        ("GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "", ["--request-target '/a?'"]),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "", ["-X OPTIONS 'http://a/'", "--request-target '*'"]),
        ("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "", ["-g 'http://a/x'", "-H 'Proxy-Connection:'"]),
        ("GET http://u:p@a/x HTTP/1.1\r\nHost: a\r\n\r\n", "", ["-g 'http://a/'", "--request-target 'http://u:p@a/x'"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1B}[2J\r\n\r\n", "", [#"-H 'X: a'"$(printf '\033')"'[2J'"#]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "", ["-H 'X: a b'"]),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:  a \r\n\r\n", "", ["-H 'X:  a '"]),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "",
            ["-X GET", "--data-raw ''", "-H 'Transfer-Encoding: chunked'"]
        ),
        (":method: GET\r\n:scheme: http\r\n:authority: a\r\n:path: /\r\n\r\n", "", ["--http2-prior-knowledge", "-g 'http://a/'"]),
    ]

    @Test("Each case in which curl would send something else has its option", arguments: commands.indices)
    func options(_ index: Int) throws {
        let (request, content, expected) = Self.commands[index]
        let written = try Self.written(Self.exchange(request, Array(content.utf8)), .curl)
        for part in expected { #expect(written.text.contains(part), "\(written.text)") }
        #expect(written.omissions == nil)
    }

    @Test("A shell's text is printable, and long content needs a file")
    func long() throws {
        let content = [UInt8](repeating: 0x27, count: 40_000)
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n"
        #expect(
            try Self.written(Self.exchange(head, content), .curl)
                == ("", "1 flow was left out (content that needs --bodies: 1)"))
        let stored = Stored()
        let written = try Self.written(Self.exchange(head, content), .curl, stored: stored)
        #expect(written.text.contains("--data-binary '@dir/curl-018bcfe5-687b-7001-8000-000000000001.body'"))
        #expect(stored.files == ["curl-018bcfe5-687b-7001-8000-000000000001.body": ByteBuffer(bytes: content)])
    }

    @Test("What curl cannot send is left out and counted")
    func omissions() throws {
        let cut = FlowBuilder().request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", isWhole: false).ended().flow
        let trailers = FlowBuilder().event(
            request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n@x: y\r\nx;y:\r\n\r\n")
        )
        .event(.trailers(from: .client, FieldSection([("X-Sum", "1")]))).event(.finished(.client)).ended().flow
        var writer = MessageFormat.curl.writer(MessageOptions())
        var out = ByteBuffer()
        for flow in [cut, trailers, flow(.tcp, []), Self.exchange("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")] {
            try writer.write(flow, into: &out) { _ in }
        }
        #expect(
            writer.omissions.sentence == """
                3 flows were left out (no HTTP request: 1, CONNECT: 1, incomplete request: 1); \
                1 flow was written without some parts (trailers: 1, fields that cannot be written: 1)
                """)
        #expect(!String(buffer: out).contains("@x") && !String(buffer: out).contains("x;y"))
    }

    // MARK: http

    @Test("Messages of HTTP/2 are text of HTTP/1.1, each after a line of ###")
    func httpFile() throws {
        let flow = FlowBuilder(id: FlowID(high: 1, low: 2), target: FlowTarget(scheme: "https", host: "a.example", port: 443))
            .request(
                ":method: POST\r\n:scheme: https\r\n:authority: a.example\r\n:path: /x\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n",
                content: ByteBuffer(string: #"{"a": 1}"#)
            ).response(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n",
                content: ByteBuffer(string: "fine\n")
            ).ended().flow
        let written = try Self.written(flow, .http, .both)
        #expect(
            written.text == """
                ### 00000000-0000-0001-0000-000000000002
                POST https://a.example/x HTTP/1.1
                Host: a.example
                cookie: a=1; b=2
                Content-Length: 8

                {"a": 1}

                ### 00000000-0000-0001-0000-000000000002
                HTTP/1.1 200 OK
                Content-Type: text/plain
                Content-Length: 5

                fine


                """)
        #expect(written.omissions == nil)
    }

    @Test(
        "Content that an editor would read as something else is left out, or stored",
        arguments: ["### x", "a\n  ###\n", "< /etc/passwd", "<@ x", "{{$processEnv HOME}}", "a\u{1B}b", "\u{FFFE}"])
    func directives(_ content: String) throws {
        let flow = Self.exchange("POST / HTTP/1.1\r\nHost: a\r\nX: {{$guid}}\r\nContent-Length: 1\r\n\r\n", Array(content.utf8))
        let written = try Self.written(flow, .http)
        #expect(
            written.omissions
                == "1 flow was written without some parts (fields that cannot be written: 1, content that needs --bodies: 1)"
        )
        #expect(!written.text.contains(content) && !written.text.contains("{{") && !written.text.contains("Content-Length"))
        let stored = Stored()
        #expect(try Self.written(flow, .http, stored: stored).text.contains("\n< dir/http-018bcfe5-"))
        #expect(stored.files.values.map { String(buffer: $0) } == [content])
    }

    @Test("Markup is text")
    func markup() throws {
        let written = try Self.written(Self.exchange("POST / HTTP/1.1\r\nHost: a\r\n\r\n", Array("<a>\n</a>".utf8)), .http)
        #expect(written.text.hasSuffix("\n<a>\n</a>\n\n") && written.omissions == nil)
    }

    // MARK: raw

    @Test("The bytes of a side are the head as received, and content in chunks")
    func raw() throws {
        let head = "POST /\t HTTP/1.1\nHost:a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let flow = FlowBuilder().event(request(head)).data(ByteBuffer(string: "hello"), from: .client)
            .data(ByteBuffer(string: " worlds, all of them"), from: .client)
            .event(.trailers(from: .client, FieldSection([("X-Sum", "1")]))).event(.finished(.client))
            .response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", content: ByteBuffer(string: "ok")).ended().flow
        let client = head + "5\r\nhello\r\n14\r\n worlds, all of them\r\n0\r\nX-Sum: 1\r\n\r\n"
        let server = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        #expect(try Self.written(flow, .raw) == (client, nil))
        #expect(try Self.written(flow, .raw, .server) == (server, nil))
        #expect(try Self.written(flow, .raw, .both) == (client + server, nil))
    }

    @Test("Cut chunks have no end, streams have the bytes in the order of time, and refused bytes are written")
    func rawParts() throws {
        let cut = FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").event(
            response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        ).data(ByteBuffer(string: "hel"), from: .server).ended(FlowEnding(state: .incomplete)).flow
        #expect(try Self.written(cut, .raw, .server).text == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")
        let stream = flow(.tcp, [(0, piece("a", from: .client)), (1, piece("B", from: .server)), (2, piece("c", from: .client))])
        #expect(try Self.written(stream, .raw, .both).text == "aBc")
        #expect(try Self.written(stream, .raw, .client).text == "ac")
        let refused = FlowBuilder().event(.malformed(from: .client, ByteBuffer(string: "\0?"))).ended().flow
        #expect(try Self.written(refused, .raw).text == "\0?")
        #expect(try Self.written(refused, .raw, .server) == ("", "1 flow was left out (no bytes of that side: 1)"))
    }

    // MARK: Content that is stored differently

    /// An exchange whose content was encoded, and is stored decoded and changed, or not at all.
    private static func redacted(request: String, response: String) -> Flow {
        func content(_ text: String, _ side: Side) -> FlowEvent.What {
            .piece(FlowPiece(from: side, content: ByteBuffer(string: text), wireSize: 99))
        }
        let fields = "Content-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
        return FlowBuilder(id: FlowID(high: 0x018B_CFE5_687B_7001, low: 0x8000_0000_0000_0001))
            .event(.redacted(FlowRedaction(decoded: (request.isEmpty ? [] : [.client]) + (response.isEmpty ? [] : [.server]))))
            .request("POST /p HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\nAccept: a\r\nContent-Type: t\r\n" + fields, isWhole: false)
            .event(content(request, .client)).event(.finished(.client))
            .response("HTTP/1.1 200 OK\r\n" + fields, isWhole: false)
            .event(content(response, .server)).event(.finished(.server)).ended().flow
    }

    @Test("Content that redaction decoded is written with fields that fit it")
    func decodedContent() throws {
        let flow = Self.redacted(request: "p=*", response: "{}")
        let curl = try Self.written(flow, .curl)
        #expect(
            curl.text == """
                curl --http1.1 --path-as-is -g 'http://a/p' \\
                  -H 'User-Agent: u' \\
                  -H 'Accept: a' \\
                  -H 'Content-Type: t' \\
                  --data-raw 'p=*'

                """)
        let http = try Self.written(flow, .http, .both)
        #expect(
            http.text == """
                ### 018bcfe5-687b-7001-8000-000000000001
                POST http://a/p HTTP/1.1
                Host: a
                User-Agent: u
                Accept: a
                Content-Type: t
                Content-Length: 3

                p=*

                ### 018bcfe5-687b-7001-8000-000000000001
                HTTP/1.1 200 OK
                Content-Length: 2

                {}


                """)
        let raw = try Self.written(flow, .raw, .both)
        #expect(
            raw.text
                == "POST /p HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\nAccept: a\r\nContent-Type: t\r\nContent-Length: 3\r\n\r\np=*"
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        #expect([curl.omissions, http.omissions, raw.omissions] == [nil, nil, nil])
    }

    @Test("Content that is not in the recording is reported, and no field announces it")
    func missingContent() throws {
        let flow = Self.redacted(request: "", response: "")
        let curl = try Self.written(flow, .curl)
        #expect(curl.text == "")
        #expect(curl.omissions == "1 flow was left out (content that is not in the recording: 1)")
        let http = try Self.written(flow, .http)
        #expect(http.text.contains("# The content is left out: 99 B.\n") && !http.text.contains("Content-Length"))
        let raw = try Self.written(flow, .raw, .server)
        #expect(raw.text == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(
            [http.omissions, raw.omissions]
                == Array(repeating: "1 flow was written without some parts (content that is not in the recording: 1)", count: 2))
    }
}
