// The stage that redacts: heads in which nothing is hidden, heads with credentials, and JSON bodies of about 1 KiB.

import BenchmarkTraffic
import FlowModel
import HTTPSemantics
import NIOCore
import Redaction

func measureRedaction(_ results: inout Results) throws {
    let plain = """
        GET /assets/app/main.js?v=1234&lang=en HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
        Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
        Referer: https://www.example.com/\r\nConnection: keep-alive\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\n\r\n
        """
    let secret =
        plain.dropLast(2)
        + "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\nCookie: sid=0123456789abcdef; theme=dark\r\n\r\n"
    let answer = """
        HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nDate: Sat, 01 Jan 2028 00:00:00 GMT\r\n\
        Server: nginx\r\nCache-Control: no-store\r\nVary: Accept-Encoding\r\n\r\n
        """
    let items = (0..<16).map { #"{"id":\#($0),"name":"an item of the list","price":12.50,"tags":["a","b"]}"# }
    let body = #"{"user":"me","items":["# + items.joined(separator: ",") + #"],"total":17}"#
    try measure("heads, default", ["default"], plain, answer, body: nil, &results)
    try measure("heads, few names", ["header:x-a", "cookie:sid", "query:token"], plain, answer, body: nil, &results)
    try measure("heads, credentials", ["default"], String(secret), answer, body: nil, &results)
    try measure("JSON, name is absent", ["json:$..password"], plain, answer, body: body, &results)
    try measure(
        "JSON, value hidden", ["json:$..password"], plain, answer,
        body: body.replacing(#""total""#, with: #""password":"x","total""#), &results)
    try measure("JSON, default", ["default"], plain, answer, body: body, &results)
}

/// Passes exchanges through the stage.
private func measure(
    _ name: String, _ rules: [String], _ request: String, _ response: String, body: String?, _ results: inout Results
) throws {
    let redactor = Redactor(try RedactionRules(rules), key: nil)
    let connections = RedactedConnections()
    let opening = FlowOpening(
        kind: .http, client: Shared(.unknown), target: FlowTarget(scheme: "http", host: "a", port: 80), stream: StreamID(1))
    var events: [FlowEvent.What] = [
        .opened(opening), .request(RequestHead(parsing: ByteBuffer(string: request), version: .http1_1)), .finished(.client),
        .response(ResponseHead(parsing: ByteBuffer(string: response), version: .http1_1)),
    ]
    if let body { events.append(.piece(FlowPiece(from: .server, content: ByteBuffer(string: body)))) }
    events += [.finished(.server), .ended(FlowEnding(state: .complete))]
    let count = 100_000
    var stored = 0
    let seconds = results.seconds {
        stored = 0
        for _ in 0..<count {
            let stage = FlowRedactor(redactor, connections: connections)
            for event in events { stage.receive(event, at: Traffic.start) { _, _ in stored += 1 } }
        }
    }
    try check(stored >= count * events.count, "\(stored) events were stored")
    results.add("redact \(name)", Double(count) / seconds, "flows")
}
