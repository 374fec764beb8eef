// Writes a flow file of made traffic for the benchmarks: JSON APIs of several sizes, pages, scripts, images, redirects, errors, long header
// sets with cookies. One seed, one file.
//
// usage: flow-generator FLOWS FILE [SEED]

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore

/// SplitMix64.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

struct Traffic {
    private var random: Generator
    private var time: Int64 = 1_760_000_000_000_000_000
    private var clients: [Shared<ClientConnection>] = []
    private var servers: [Shared<ServerConnection>] = []
    private let hosts = (0..<40).map { "\(["api", "www", "cdn", "auth"][$0 % 4])\($0).example.com" }
    private let words =
        "the record flow proxy client server stream header token cache value order price stock user name city street".split(
            separator: " ")

    init(seed: UInt64) {
        random = Generator(state: seed)
        for (index, host) in hosts.enumerated() {
            let id = FlowID(time: Timestamp(nanoseconds: time), sequence: UInt16(index), random: random.next())
            clients.append(
                Shared(
                    ClientConnection(
                        id: id, peer: Endpoint(host: "127.0.0.1", port: UInt16(40000 + index)),
                        local: Endpoint(host: "127.0.0.1", port: 8080),
                        opened: Timestamp(nanoseconds: time), mode: "regular")))
            servers.append(
                Shared(ServerConnection(id: id, target: Endpoint(host: host, port: 443), opened: Timestamp(nanoseconds: time))))
        }
    }

    private mutating func text(_ count: Int) -> String {
        var text = ""
        while text.utf8.count < count { text += words.randomElement(using: &random)! + " " }
        return text
    }

    private mutating func json(_ rows: Int) -> ByteBuffer {
        var body = ByteBuffer(string: "[")
        for row in 0..<rows {
            body.writeString(
                "\(row > 0 ? "," : ""){\"id\":\(Int.random(in: 1...999_999, using: &random)),\"name\":\"\(words.randomElement(using: &random)!)\",\"active\":\(Bool.random(using: &random)),\"note\":\"\(text(30))\"}"
            )
        }
        body.writeString("]")
        return body
    }

    /// The events of the next exchange.
    mutating func next() -> [FlowEvent] {
        time += Int64.random(in: 10_000...900_000, using: &random)
        let id = FlowID(time: Timestamp(nanoseconds: time), sequence: UInt16(random.next() & 0xFFF), random: random.next())
        let index = Int.random(in: 0..<hosts.count, using: &random)
        let kind = Int.random(in: 0..<100, using: &random)
        let method = kind < 15 ? "POST" : kind < 18 ? "PUT" : "GET"
        let session = String(random.next(), radix: 36)
        let path =
            ["/v1/users/", "/v1/orders/", "/assets/app-", "/search?q=", "/img/"].randomElement(using: &random)!
            + String(random.next() % 100_000)
        let request =
            "\(method) \(path) HTTP/1.1\r\nHost: \(hosts[index])\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nCookie: sid=\(session); theme=dark; consent=yes\r\nConnection: keep-alive\r\n\r\n"
        let status = kind < 88 ? 200 : kind < 92 ? 304 : kind < 95 ? 302 : kind < 98 ? 404 : 500
        let (type, body): (String, ByteBuffer) =
            switch kind {
            case ..<50: ("application/json", json([1, 3, 10, 40].randomElement(using: &random)!))
            case ..<70: ("text/html; charset=utf-8", ByteBuffer(string: "<html><body><p>\(text(1500))</p></body></html>"))
            case ..<80: ("application/javascript", ByteBuffer(string: "function f(){return \"\(text(2500))\"}"))
            case ..<88: ("image/png", ByteBuffer(bytes: (0..<1200).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
            case ..<95: ("text/plain", ByteBuffer())
            default: ("application/json", ByteBuffer(string: "{\"error\":\"\(text(40))\"}"))
            }
        let response =
            "HTTP/1.1 \(status) \(status == 200 ? "OK" : "Other")\r\nServer: nginx\r\nDate: Thu, 09 Oct 2025 08:53:20 GMT\r\nContent-Type: \(type)\r\nContent-Length: \(body.readableBytes)\r\nCache-Control: no-cache\r\nX-Request-Id: \(session)\r\nStrict-Transport-Security: max-age=31536000\r\n\r\n"
        var events: [FlowEvent] = []
        func say(_ offset: Int64, _ what: FlowEvent.What) {
            events.append(FlowEvent(flow: id, at: Timestamp(nanoseconds: time + offset), what: what))
        }
        let target = FlowTarget(scheme: "https", host: hosts[index], port: 443)
        say(0, .opened(FlowOpening(kind: .http, client: clients[index], target: target, stream: StreamID(1))))
        say(0, .server(servers[index]))
        say(0, .request(RequestHead(parsing: ByteBuffer(string: request), version: .http1_1)))
        if method != "GET" { say(1000, .piece(FlowPiece(from: .client, content: json(2)))) }
        say(1000, .finished(.client))
        let wait = Int64.random(in: 300_000...40_000_000, using: &random)
        say(wait, .response(ResponseHead(parsing: ByteBuffer(string: response), version: .http1_1)))
        if body.readableBytes > 0 { say(wait + 2000, .piece(FlowPiece(from: .server, content: body))) }
        say(wait + 3000, .finished(.server))
        say(wait + 3000, .ended(FlowEnding(state: .complete)))
        return events
    }
}

@main
struct FlowGenerator {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let count = Int(arguments[1]) else {
            print("usage: flow-generator FLOWS FILE [SEED]")
            exit(2)
        }
        var traffic = Traffic(seed: arguments.count > 3 ? UInt64(arguments[3]) ?? 1 : 1)
        let storage = try POSIXStorage.open(path: arguments[2], truncates: true)
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1_760_000_000_000_000_000))
        for _ in 0..<count { try writer.append(contentsOf: traffic.next()) }
        try writer.close()
    }
}
