// The calls of the API, without sockets.

import ContentCoding
import FlowFilter
import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore
import NIOHTTP1
import TestSupport
import Testing
import ToolSupport

@testable import FlowView
@testable import ViewServer

@Suite("The API of a view")
struct ViewAPITests {
    private let index = FlowIndex()
    private let api: ViewAPI

    init() {
        _ = index.addSource("memory")
        for flow in [Self.exchange, Self.conversation, Self.hostile, Self.longConversation] { index.add(flow) }
        index.noteComplete()
        api = ViewAPI(index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: "/dev/null/none"))
    }

    private static let exchange = FlowBuilder(id: FlowID(high: 1, low: 1))
        .request(
            "POST /a?b=1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n",
            content: ByteBuffer(string: "{\"a\":[1,2]}")
        )
        .response(
            "HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n", content: ByteBuffer(string: "one\ntwo\n"), at: 5
        ).ended(at: 9).flow

    private static let conversation = FlowBuilder(.tcp, id: FlowID(high: 1, low: 2))
        .data(ByteBuffer(string: "hello"), from: .client)
        .data(ByteBuffer(string: String(repeating: "x", count: 900)), from: .server, at: 2)
        .ended(at: 3).flow

    private static let longConversation = (0..<3000).reduce(FlowBuilder(.tcp, id: FlowID(high: 1, low: 4))) { flow, number in
        flow.data(ByteBuffer(string: "привет \(number)."), from: number.isMultiple(of: 2) ? .client : .server)
    }.ended(at: 3).flow

    /// Everything in it wants to be more than text.
    private static let hostile = FlowBuilder(id: FlowID(high: 1, low: 3))
        .request(
            "GET /<script>alert(1)</script>\u{202E} HTTP/1.1\r\nHost: a\r\nX: \u{1b}[31m\"><img src=x onerror=alert(1)>\r\n\r\n"
        )
        .response(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
            content: ByteBuffer(string: "<script>fetch('http://evil.example')</script>"), at: 1
        ).ended(at: 2).flow

    private func call(
        _ target: String, _ method: HTTPMethod = .GET, body: String = ""
    ) -> (status: UInt, text: String, response: ViewResponse) {
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/api/1/\(target)")
        let response = api.response(to: head, ByteBuffer(string: body))
        var bytes = ByteBuffer()
        switch response.body {
        case .bytes(let whole): bytes = whole
        case .stream(let write): try? write { bytes.writeImmutableBuffer($0) }
        }
        return (response.status.code, String(buffer: bytes), response)
    }

    @Test("A list is opened with a filter and an order, and its rows have the columns that were asked for")
    func rows() {
        let opened = call("views", .POST, body: "{\"filter\": \"~c 500\", \"sort\": [\"duration_us\", \"desc\"]}")
        #expect(opened.status == 201)
        #expect(opened.text.hasPrefix("{\"view\":\"v1\",\"filter\":\"~c 500\""))
        api.lists.list("v1")?.waitUntilDone()
        #expect(
            call("views/v1/rows?columns=method,status,path,size").text.contains(
                """
                "rows":[{"n":0,"id":"00000000-0000-0001-0000-000000000001","kind":"http","state":"complete","failed":true,\
                "t":[1700000000000000,9000,5000,null,null],"cells":["POST",500,"/a",19]}]
                """))
        #expect(call("views/v1/position?n=0").text == "{\"position\":0}")
        #expect(call("views/v1/position?n=1").text == "{}")
    }

    @Test("A mistake in a filter is reported with its place")
    func mistakes() {
        let wrong = call("views", .POST, body: "{\"filter\": \"~c 500 & (~d a\"}")
        #expect(wrong.status == 422)
        #expect(wrong.text.contains("\"at\":"))
        #expect(call("views", .POST, body: "{\"sort\": [\"error\"]}").status == 422)
        #expect(call("views", .POST, body: "no JSON").status == 400)
    }

    @Test("Anything else is refused with a sentence")
    func refusals() {
        for target in [
            "", "views/v9/rows", "views/v1/else", "flows/99", "flows/x", "flows/0/else", "flows/0/raw/else", "../secret", "files",
        ] {
            let refused = call(target)
            #expect(refused.status >= 400)
            #expect(refused.text.hasPrefix("{\"error\":\""))
        }
        _ = call("views", .POST, body: "{}")
        #expect(call("views/v1/rows?count=1001").status == 400)
        #expect(call("views/v1/rows?columns=nothing").status == 422)
        #expect(call("flows/0/content/response?view=nothing").status == 422)
        #expect(call("views/v1/export?format=exe").status == 422)
    }

    @Test("Content comes in lines, as a view of it shows it, and in parts")
    func content() {
        #expect(call("flows/0/content/response?view=text").text == "{\"from\":0,\"total\":2,\"lines\":[\"one\",\"two\"]}")
        #expect(call("flows/0/content/response?view=text&from=1&lines=1").text == "{\"from\":1,\"total\":2,\"lines\":[\"two\"]}")
        #expect(call("flows/0/content/request").text.contains("\"total\":6"))
        #expect(call("flows/0/raw/response").text == "one\ntwo\n")
        #expect(call("flows/0/curl").text.hasPrefix("curl "))
    }

    @Test("Of large content the beginning is laid out, and all of it can be downloaded")
    func largeContent() {
        let size = 9 << 20
        let index = FlowIndex()
        index.add(
            FlowBuilder(id: FlowID(high: 1, low: 1)).request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .response(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
                    content: ByteBuffer(string: String(repeating: String(repeating: "x", count: 1023) + "\n", count: size / 1024))
                ).ended(at: 1).flow)
        let api = ViewAPI(index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: "/dev/null/none"))
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/api/1/flows/0/content/response?view=text&from=8191&lines=9")
        guard case .bytes(let bytes) = api.response(to: head, ByteBuffer()).body else { return }
        let text = String(buffer: bytes)
        #expect(text.hasPrefix("{\"from\":8191,\"total\":8193,"))
        #expect(text.contains("(only the first 8.0 MiB of 9.0 MiB are shown; download it for the rest)"))
    }

    @Test("Decoded content is downloaded whole, or not at all")
    func decodedDownloads() throws {
        func index(coding: String, _ content: ByteBuffer) -> FlowIndex {
            let index = FlowIndex()
            index.add(
                FlowBuilder(id: FlowID(high: 1, low: 1)).request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    .response("HTTP/1.1 200 OK\r\nContent-Encoding: \(coding)\r\n\r\n", content: content).ended(at: 1).flow)
            return index
        }
        func downloaded(_ index: FlowIndex) throws -> (status: UInt, size: Int) {
            let api = ViewAPI(index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: "/dev/null/none"))
            let response = api.response(
                to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/api/1/flows/0/raw/response?decoded=1"), ByteBuffer())
            var size = 0
            switch response.body {
            case .bytes(let bytes): size = bytes.readableBytes
            case .stream(let write): try write { size += $0.readableBytes }
            }
            return (response.status.code, size)
        }
        for (size, coding, status) in [(17 << 20, "identity", 200), (17 << 20, "gzip", 200), (65 << 20, "gzip", 422)] {
            let content = ByteBuffer(repeating: 0x61, count: size)
            let found = try downloaded(index(coding: coding, coding == "gzip" ? gzipMember(content) : content))
            #expect(found.status == status)
            if status == 200 { #expect(found.size == size) }
        }
    }

    @Test("Messages come in parts; long ones are cut in the list and whole by themselves")
    func messages() {
        let list = call("flows/1/messages").text
        #expect(list.contains("\"total\":2"))
        #expect(list.contains("\"text\":\"hello\""))
        #expect(list.contains("\"size\":900"))
        #expect(list.contains("\"cut\":true"))
        #expect(call("flows/1/messages?from=1&count=1").text.contains("\"from\":1,\"total\":2,\"messages\":[{\"n\":1"))
        #expect(call("flows/1/messages/1").text.contains(String(repeating: "x", count: 900)))
        #expect(call("flows/1/messages/2").status == 404)
    }

    @Test("Messages are chosen by a text and by their direction, and counted")
    func chosenMessages() {
        func numbers(_ parameters: String) -> String {
            let text = call("flows/3/messages?count=1000\(parameters)").text
            let numbers = text.split(separator: "{\"n\":").dropFirst().map { String($0.prefix { $0 != "," }) }
            let matched = text.split(separator: "\"matched\":").last.map { String($0.prefix { $0.isNumber }) } ?? ""
            return "\(numbers.count > 6 ? "\(numbers.prefix(3)) to \(numbers.last ?? "")" : "\(numbers)") of \(matched)"
        }
        #expect(numbers("") == "[\"0\", \"1\", \"2\"] to 999 of 3000")
        #expect(numbers("&from=2998") == "[\"2998\", \"2999\"] of 3000")
        #expect(numbers("&from=2998&filter=") == "[\"2998\", \"2999\"] of 3000")
        #expect(numbers("&filter=%D0%9F%D0%A0%D0%98%D0%92%D0%95%D0%A2+17.") == "[\"17\"] of 1")
        #expect(numbers("&filter=.*") == "[] of 0")
        #expect(numbers("&from_client=true") == "[\"0\", \"2\", \"4\"] to 1998 of 1500")
        // A later page, and one before it again.
        #expect(numbers("&from_client=false&from=1400") == "[\"2801\", \"2803\", \"2805\"] to 2999 of 1500")
        #expect(numbers("&from_client=false&from=600&count=2") == "[\"1201\", \"1203\"] of 1500")
        #expect(
            numbers("&from_client=false&filter=%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82+299")
                == "[\"299\", \"2991\", \"2993\", \"2995\", \"2997\", \"2999\"] of 6")
        #expect(call("flows/3/messages?from_client=yes").status == 400)
        #expect(call("flows/3/messages/2999").text.contains("привет 2999"))
    }

    @Test("The named views of the configuration are listed, and can be a part of a filter")
    func namedViews() {
        var environment = FilterEnvironment()
        environment.views = ["slow": "~duration >2s", "failures": "~c 5xx | ~e"]
        var options = ViewOptions(environment: environment, version: "1", configuration: "/dev/null/none")
        options.filter = "~view failures & (~m POST)"
        let api = ViewAPI(index, options)
        func answer(_ method: HTTPMethod, _ call: String, _ body: String = "") -> String {
            let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/api/1/\(call)")
            guard case .bytes(let bytes) = api.response(to: head, ByteBuffer(string: body)).body else { return "" }
            return String(buffer: bytes)
        }
        #expect(
            answer(.GET, "named-views")
                == #"[{"name":"failures","filter":"~c 5xx | ~e"},{"name":"slow","filter":"~duration >2s"}]"#)
        #expect(answer(.POST, "named-views", "[]") == #"{"error":"there is nothing here"}"#)
        _ = answer(.POST, "views", #"{"filter": "!~view slow"}"#)
        api.lists.list("v1")?.waitUntilDone()
        #expect(api.lists.list("v1")?.status.matched == 1)
    }

    @Test("A view without a target for replays sends nothing, and no request can ask for a replay by another method")
    func replays() {
        #expect(call("status").text.contains("\"replay\":null"))
        #expect(call("flows/0/replay", .POST).status == 403)
        #expect(call("flows/0/replay").status == 404)
        #expect(call("flows/0/replay?target=http://a").status == 404)
    }

    @Test(
        "A target of replays that is not a server is refused",
        arguments: [
            "", "127.0.0.1:80", "http://", "http://:80", "http://a:", "http://a/b", "http://a?b", "http://u:p@a", "ftp://a",
            "file:///etc",
            "http://a b", "http://a#b",
        ])
    func targets(target: String) {
        #expect(throws: ToolError.self) { try FlowReplayer(target: target, options: []) }
    }

    @Test("Recorded content never has a type that a browser runs, and previews have neither scripts nor network")
    func types() {
        func fields(_ target: String) -> HTTPHeaders { call(target).response.fields }
        for target in ["flows/2/raw/response", "flows/2/raw/response?decoded=1"] {
            let fields = fields(target)
            #expect(fields["content-type"] == ["application/octet-stream"])
            #expect(fields["content-disposition"].first?.hasPrefix("attachment") == true)
            #expect(fields["content-security-policy"] == ["sandbox; default-src 'none'; frame-ancestors 'none'"])
            #expect(fields["x-content-type-options"] == ["nosniff"])
        }
        #expect(
            fields("flows/2/preview/response")["content-security-policy"] == [
                "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
            ])
        #expect(call("flows/0/preview/response").status == 415)
        #expect(fields("flows/2/content/response")["content-type"] == ["application/json"])
    }

    @Test("Control characters and characters that turn text around reach a page as escapes")
    func escapes() {
        _ = call("views", .POST, body: "{}")
        api.lists.list("v1")?.waitUntilDone()
        // The object of JSON Lines is as mitm-dump prints it; the page escapes what it shows of it.
        let heads = call("flows/2").text.split(separator: "\"heads\":").last.map { String($0) } ?? ""
        let texts = [call("views/v1/rows?columns=path,url").text, heads]
        for text in texts {
            #expect(!text.unicodeScalars.contains { $0.value == 0x202E || $0.value == 0x1b })
            #expect(text.contains("<script>"))
        }
    }

    @Test(
        "A list is exported in each format that the tools write, and the page is given their names",
        arguments: OutputFormat.allCases)
    func export(format: OutputFormat) {
        _ = call("views", .POST, body: "{\"filter\": \"~http\"}")
        let exported = call("views/v1/export?format=\(format)")
        #expect(exported.status == 200)
        #expect(!exported.text.isEmpty)
        #expect(
            exported.response.fields["content-disposition"] == ["attachment; filename=\"flows.\(format.fileEnding)\""])
        #expect(
            call("language").text.contains(
                #"{"name":"\#(format)","summary":"\#(format.summary)","ending":"\#(format.fileEnding)","losses":\#(format.reportsLosses)}"#
            ))
    }

    @Test("Formats of rows take columns, and no other format does")
    func exportedColumns() {
        _ = call("views", .POST, body: "{\"filter\": \"~http\"}")
        #expect(call("views/v1/export?format=csv&columns=method,path").text.hasPrefix("method,path\r\nPOST,/a\r\n"))
        #expect(call("views/v1/export?format=arrow&columns=method").status == 200)
        #expect(call("views/v1/export?format=csv&columns=nothing").status == 422)
        #expect(call("views/v1/export?format=har&columns=method").text == #"{"error":"the format har has no columns"}"#)
    }

    @Test("What an export loses is reported without it, for formats that are counted")
    func losses() {
        _ = call("views", .POST, body: "{}")
        let report = call("views/v1/loss?format=har")
        #expect(report.response.fields["content-type"] == ["application/json"])
        #expect(report.text.hasPrefix(#"{"format":"har","flows":4,"written":2,"left_out":{"tcp":2},"#))
        #expect(report.text.hasSuffix(#""sentence":"har: 2 of 4 flows written; left out: 2 TCP"}"#))
        #expect(call("views/v1/loss?format=http").text.contains(#""format":"http","flows":4,"written":2,"#))
        _ = call("views", .POST, body: "{\"filter\": \"~m POST\"}")
        #expect(call("views/v2/loss?format=har").text.hasSuffix(#""sentence":null}"#))
        #expect(call("views/v1/loss?format=mflow").status == 422)
        #expect(call("views/v1/loss?format=exe").status == 422)
        #expect(call("views/v1/loss?format=har&redact=heading%3Ax").status == 422)
    }

    @Test("An export of a list that is closed meanwhile is refused, instead of a part of it")
    func closedExports() {
        let index = FlowIndex()
        _ = index.addSource("memory")
        index.add(Self.exchange)
        let api = ViewAPI(index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: "/dev/null/none"))
        func response(_ method: HTTPMethod, _ target: String) -> ViewResponse {
            api.response(to: HTTPRequestHead(version: .http1_1, method: method, uri: "/api/1/\(target)"), ByteBuffer(string: "{}"))
        }
        _ = response(.POST, "views")
        let exports = ["export?format=har", "export?format=mflow", "loss?format=har"].map { response(.GET, "views/v1/\($0)") }
        api.lists.close("v1")
        for export in exports {
            guard case .stream(let write) = export.body else { return #expect(Bool(false)) }
            #expect(throws: ViewError.self) { try write { #expect($0.readableBytes < 0) } }
        }
    }

    @Test("Two flows are compared in the words of mitm-replay")
    func comparison() {
        #expect(call("flows/0/compare/0").text == #"{"differences":[]}"#)
        #expect(
            call("flows/0/compare/2").text
                == #"{"differences":[{"path":"status","recorded":500,"now":200},{"path":"header:content-type","recorded":"text/plain","now":"text/html"},{"path":"body:line 1","recorded":"one","now":"<script>fetch('http://evil.example')</script>"},{"path":"body:line 2","recorded":"two"},{"path":"body:line 3","recorded":""}]}"#
        )
        #expect(call("flows/1/compare/3").text.hasPrefix(#"{"differences":[{"path":"data"#))
        #expect(call("flows/00000000-0000-0001-0000-000000000001/compare/2").status == 200)
        #expect(call("flows/0/compare/1").status == 422)
        #expect(call("flows/0/compare/9").status == 404)
        #expect(call("flows/0/compare").status == 404)
    }

    @Test("Each file of the page is there, and none makes markup of text")
    func page() {
        #expect(PageFile.all.keys.contains("/"))
        #expect(PageFile.all["/app.js"] != nil)
        for (name, file) in PageFile.all where name.hasSuffix(".js") {
            let text = String(buffer: file.identity.bytes)
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"] {
                #expect(!text.contains(forbidden), "\(name) has \(forbidden)")
            }
        }
    }
}
