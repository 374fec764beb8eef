// The columns, their names, and how their values are read and written.

import FlowArchive
import FlowModel
import FlowTable
import NIOCore
import TestSupport
import Testing

@Suite("Columns of flows")
struct ColumnTests {
    /// The names that other programs rely on.
    private static let names = """
        id kind state started ended duration_us ttfb_us client server host port method scheme path query url http_version status req_bytes \
        resp_bytes req_type resp_type tls_version alpn sni ja4 error tags
        """

    @Test("Columns are only added, and in this order")
    func names() { #expect(FlowColumn.allCases.map(\.rawValue).joined(separator: " ").hasPrefix(Self.names)) }

    @Test("An exchange has a value in each column")
    func exchange() throws {
        let values = try FlowColumn.allCases.map { String(buffer: try $0.value(of: TableFlows.exchange.flow).bytes) }
        #expect(
            values == [
                "01920000-0000-7000-0000-000000000001", "http", "complete", "2023-11-14T22:13:20.000000000Z",
                "2023-11-14T22:13:20.030000000Z", "30000", "10000", "10.0.0.9:4711", "", "api.example", "8443", "POST", "https",
                "/a,b",
                "q=\"1\"&r=2", "https://api.example:8443/a,b?q=\"1\"&r=2", "HTTP/1.1", "503", "2", "5", "application/json",
                "text/html",
                "TLSv1.3", "h2", "api.example", "t13d1516h2_8daaf6152771_e5627efa2ab1", "", "slow,imported:har",
            ])
    }

    @Test("Sizes count what each side sent, in every kind of flow")
    func sizes() throws {
        let keys: [FlowKey] = [.column(.requestBytes), .column(.responseBytes), .size]
        let sizes = try TableFlows.all.map { builder in try keys.map { try $0.value(of: builder.flow).number } }
        #expect(sizes == [[2, 5, 7], [0, 0, 0], [0, nil, 0], [4, 5, 9], [100, 2000, 2100], [5, 6, 11], [0, nil, 0]])
    }

    @Test("A flow in memory and its record in a block have the same values")
    func inPlace() throws {
        let keys =
            FlowColumn.allCases.map { FlowKey.column($0) } + [.size, try FlowKey("header:X-A"), try FlowKey("header:content-type")]
        let flows = TableFlows.all + TableFlows.random(50, seed: 3)
        let predicate = RowsInPlace(keys)
        let reader = ArchiveReader(ArchiveInput(bytes: try FileInMemory(flows).bytes), where: predicate, delivery: .counted)
        while try reader.next() != nil {}
        _ = try reader.finish()
        for builder in flows {
            let flow = builder.flow
            let row = try keys.map { String(buffer: try $0.value(of: flow).bytes) }
            #expect(predicate.rows[flow.id.description] == row)
        }
        #expect(predicate.rows.count == flows.count)
    }

    @Test(
        "Targets of every form have a path and a query",
        arguments: [
            ("/a?b?c", "/a", "b?c"), ("/", "/", nil), ("http://h:1/p?q", "/p", "q"), ("http://h", "", nil), ("http://h?q", "", "q"),
            ("*", "*", nil), ("h:443", "h:443", nil), ("/x://y?", "/x://y", ""), ("", "", nil),
        ] as [(String, String, String?)])
    func targets(target: String, path: String, query: String?) {
        let parts = ByteBuffer(string: target).targetParts
        #expect(String(buffer: parts.path) == path)
        #expect(parts.query.map { String(buffer: $0) } == query)
    }

    @Test("Several fields of one name are joined, and the response's come before the request's")
    func headers() throws {
        func value(_ name: String) throws -> String { String(buffer: try FlowKey(name).value(of: TableFlows.exchange.flow).bytes) }
        #expect(try value("header:x-a") == "1, 2")
        #expect(try value("header:Content-Type") == "text/html")
        #expect(try value("header:missing") == "")
    }

    @Test("A value in a JSON body is a column: of the response, or of the request when the response has none")
    func jsonValues() throws {
        let flow = FlowBuilder()
            .request("POST / HTTP/1.1\r\nHost: a\r\n\r\n", content: ByteBuffer(string: #"{"op":"login","n":[1,2.50]}"#))
            .response("HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(string: #"{"op":{"ok":true},"a":"\u00e9"}"#)).ended().flow
        func value(_ name: String) throws -> String { String(buffer: try FlowKey(name).value(of: flow).bytes) }
        #expect(try value("~json[$.op]") == #"{"ok":true}"#)
        #expect(try value("~jsonq[$.op]") == "login")
        #expect(try value("~json[$.n[1]]") == "2.50")
        #expect(try value("~jsons[$.a]") == "é")
        #expect(try value("~jsons[$.n]") == "")
        #expect(try FlowKey.list("host,~json[$['a,b']],status").map(\.name) == ["host", "~json[$['a,b']]", "status"])
    }

    @Test(
        "A name that does not exist is refused, with the nearest one",
        arguments: [
            ("hots", "there is no column 'hots'; did you mean 'host'?"),
            ("durations", "there is no column 'durations'; did you mean 'duration'?"),
            ("header:", "'header:' needs the name of a header field, for example header:user-agent"),
            ("~json", "'~json' needs a path in brackets, for example ~json[$.user.name]"),
            ("host,,port", "'host,,port' has an empty name; write the names with commas between them"),
        ])
    func unknown(text: String, sentence: String) {
        #expect(throws: TableError.self) { try FlowKey.list(text) }
        do { _ = try FlowKey.list(text) } catch { #expect(error.description == sentence) }
    }
}

@Suite("Rows of flows")
struct RowTests {
    private func row(_ format: RowFormat, _ values: [String], isForTerminal: Bool = false) -> String {
        var out = ByteBuffer()
        TableRows([], as: format, isForTerminal: isForTerminal).write(values.map { ByteBuffer(string: $0) }, into: &out)
        return String(buffer: out)
    }

    @Test("Fields have no tab, no line end and no control character of their own")
    func fields() {
        let row = row(.fields, ["a\tb", "c\r\nd", "\\e\u{1b}[31m\u{7f}", "é\u{9b}", ""])
        #expect(row == "a\\tb\tc\\r\\nd\t\\\\e\\x1B[31m\\x7F\té\\xC2\\x9B\t\n")
    }

    @Test("csv is that of RFC 4180")
    func csv() {
        #expect(row(.csv, ["a", "b,c", "d\"e", "f\ng", "", "é"]) == "a,\"b,c\",\"d\"\"e\",\"f\ng\",,é\r\n")
        #expect(row(.csv, ["a\u{1b}\n"], isForTerminal: true) == "a\\x1B\\n\r\n")
    }

    @Test("csv has a head, fields have none")
    func head() throws {
        let keys = try FlowKey.list("host,status,duration,header:Server")
        var out = ByteBuffer()
        for format in [RowFormat.csv, .fields] {
            let rows = TableRows(keys, as: format)
            rows.writeHead(into: &out)
            try rows.write(TableFlows.exchange.flow, into: &out)
        }
        #expect(
            String(buffer: out)
                == "host,status,duration_us,header:server\r\napi.example,503,30000,s\r\napi.example\t503\t30000\ts\n")
    }
}
