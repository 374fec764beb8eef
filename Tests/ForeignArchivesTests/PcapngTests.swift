import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Packets of flows")
struct PcapngTests {
    /// The packets of flows, written in this order.
    private static func packets(
        _ flows: [Flow], _ options: PcapngOptions = PcapngOptions(), sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> PacketFile {
        var writer = PcapngWriter(version: "1", options)
        var out = ByteBuffer()
        for flow in flows { _ = try writer.write(flow, into: &out) { _ in } }
        try writer.finish(into: &out) { _ in }
        return try PacketFile(out)
    }

    private static func exchange(
        _ number: UInt32, _ request: String, _ response: String, content: String = "", at: Int64 = 0, lasting: Int64 = 3,
        client: Shared<ClientConnection> = LossSamples.client
    ) -> Flow {
        FlowBuilder(
            id: FlowID(high: 1, low: UInt64(number)), at: LossSamples.start.advanced(byNanoseconds: at * 1_000_000), client: client,
            target: LossSamples.target, stream: StreamID(number)
        )
        .event(.server(LossSamples.server)).request(request).response(response, content: ByteBuffer(string: content), at: lasting)
        .ended(at: lasting).flow
    }

    @Test("An exchange is a connection with a handshake, its bytes and its close; addresses, times and checksums are right")
    func exchange() throws {
        let request = "GET / HTTP/1.1\r\nHost:a.example\r\nConnection: close\r\n\r\n"
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        let file = try Self.packets([Self.exchange(1, request, response, content: "ok")])
        #expect(file.interfaces == ["client"])
        #expect(
            file.packets.map(\.line) == [
                "192.0.2.1:50000 > 192.0.2.9:8080 S 0", "192.0.2.9:8080 > 192.0.2.1:50000 SA 0",
                "192.0.2.1:50000 > 192.0.2.9:8080 A 0",
                "192.0.2.1:50000 > 192.0.2.9:8080 PA \(request.utf8.count) 00000000-0000-0001-0000-000000000001",
                "192.0.2.9:8080 > 192.0.2.1:50000 PA \(response.utf8.count)", "192.0.2.9:8080 > 192.0.2.1:50000 PA 2",
                "192.0.2.9:8080 > 192.0.2.1:50000 FA 0", "192.0.2.1:50000 > 192.0.2.9:8080 FA 0",
                "192.0.2.9:8080 > 192.0.2.1:50000 A 0",
            ])
        #expect(file.streams == [request, response + "ok"])
        let times = file.packets.map { $0.at - LossSamples.start }
        #expect(times == [0, 0, 0, 0, 3_000_000, 3_000_000, 3_000_000, 3_000_000, 3_000_000])
    }

    @Test("Content in chunks has a chunk for each piece, and its trailers")
    func chunks() throws {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        let flow = FlowBuilder(at: LossSamples.start, client: LossSamples.client, target: LossSamples.target)
            .request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .response(head, isWhole: false, at: 1)
            .data(ByteBuffer(string: "ab"), from: .server, at: 2)
            .data(ByteBuffer(repeating: 0x63, count: 70_000), from: .server, at: 3)
            .event(.trailers(from: .server, FieldSection([("X-Sum", "1")])), at: 4).event(.finished(.server), at: 4).ended(at: 4)
            .flow
        let file = try Self.packets([flow])
        #expect(
            file.streams[1]
                == head + "2\r\nab\r\n11170\r\n" + String(repeating: "c", count: 70_000) + "\r\n0\r\nX-Sum: 1\r\n\r\n")
        #expect(file.packets.map(\.data.count).max() == 32 * 1024)
    }

    @Test("Flows of a connection share a stream, in the order of their times, whatever order they come in")
    func order() throws {
        func get(_ number: UInt32, at: Int64, lasting: Int64) -> Flow {
            Self.exchange(
                number, "GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                content: "\(number)", at: at, lasting: lasting)
        }
        // Requests that were sent before the response to the first one.
        let flows = [get(3, at: 2, lasting: 30), get(1, at: 0, lasting: 10), get(2, at: 1, lasting: 20)]
        let file = try Self.packets(flows)
        #expect(file.packets.count { $0.flags.contains("S") } == 2)
        #expect(
            file.streams == [
                (1...3).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined(),
                (1...3).map { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\($0)" }.joined(),
            ])
        #expect(file.packets.map(\.at) == file.packets.map(\.at).sorted())
    }

    @Test("Frames of HTTP/2 streams that overlap are in the order of their times")
    func multiplexed() throws {
        func get(_ number: UInt32, at: Int64, lasting: Int64) -> Flow {
            Self.exchange(
                number, ":method: GET\r\n:scheme: http\r\n:path: /\(number)\r\n:authority: a\r\n\r\n",
                ":status: 200\r\nserver: x\r\n\r\n", content: "body", at: at, lasting: lasting)
        }
        let file = try Self.packets([get(5, at: 2, lasting: 4), get(3, at: 1, lasting: 9), get(1, at: 0, lasting: 9)])
        let frames = try file.frames()
        #expect(
            frames == [
                "> SETTINGS 0 000300000064", "< SETTINGS 0", "> SETTINGS+1 0", "< SETTINGS+1 0",
                "> HEADERS+5 1 :method=GET :scheme=http :path=/1 :authority=a",
                "> HEADERS+5 3 :method=GET :scheme=http :path=/3 :authority=a",
                "> HEADERS+5 5 :method=GET :scheme=http :path=/5 :authority=a", "< HEADERS+4 5 :status=200 server=x",
                "< DATA+1 5 body", "< HEADERS+4 1 :status=200 server=x", "< DATA+1 1 body", "< HEADERS+4 3 :status=200 server=x",
                "< DATA+1 3 body",
            ])
    }

    @Test("WebSocket messages are frames, a client's with a mask of 0, and the handshake has no extensions")
    func webSocket() throws {
        let request = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        var flow = FlowBuilder(at: LossSamples.start, client: LossSamples.client, target: LossSamples.target)
            .request(request + "Sec-WebSocket-Extensions: permessage-deflate;\r\n client_max_window_bits\r\n\r\n")
            .response(response + "sec-websocket-extensions : permessage-deflate\r\n\r\n", at: 1)
        for (kind, side, size) in [
            (FlowPiece.Kind.text, Side.client, 3), (.binary, .server, 200), (.ping, .client, 0), (.close, .server, 2),
        ] {
            flow = flow.event(.piece(FlowPiece(kind: kind, from: side, content: ByteBuffer(repeating: 0x61, count: size))), at: 2)
        }
        var ending = FlowEnding(state: .complete)
        ending.closedBy = .server
        let file = try Self.packets([flow.ended(ending, at: 3).flow])
        #expect(file.streams[0] == request + "\r\n\u{81}\u{83}\0\0\0\0aaa\u{89}\u{80}\0\0\0\0")
        #expect(file.streams[1] == response + "\r\n\u{82}\u{7E}\0\u{C8}" + String(repeating: "a", count: 200) + "\u{88}\u{02}aa")
        #expect(file.packets.suffix(3).map(\.flags) == ["FA", "FA", "A"])
    }

    @Test("A stream that was reset ends with RST; a connection of which no end is recorded stays open")
    func endings() throws {
        let reset = try Self.packets([try #require(LossSamples.flow(.closing))])
        #expect(reset.packets.last?.flags == "RA")
        let open = try Self.packets([
            Self.exchange(1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        ])
        #expect(open.packets.allSatisfy { !$0.flags.contains("F") && !$0.flags.contains("R") })
    }

    @Test("Both sides are two interfaces, with the server's name, and ports of TLS are written as those without it")
    func sides() throws {
        var options = PcapngOptions()
        options.sides = .both
        let flow = Self.exchange(
            1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            client: Shared(connection(port: 443)))
        var file = try Self.packets([flow], options)
        #expect(file.interfaces == ["client", "server"])
        #expect(file.names == ["[20010db8000000000000000000000002] a.example", "192.0.2.2 a.example"])
        let ends = "[20010db8000000000000000000000001]:50000 > [20010db8000000000000000000000002]"
        #expect(file.packets.first?.line == "\(ends):80 S 0 port 443 is written as 80")
        options.ports = .keep
        options.sides = .client
        file = try Self.packets([flow], options)
        #expect(file.packets.first?.line == "\(ends):443 S 0")
    }

    private func connection(port: UInt16) -> ClientConnection {
        ClientConnection(
            id: ConnectionID(high: 7, low: 9), peer: Endpoint(host: "2001:db8::1", port: 50000),
            local: Endpoint(host: "2001:db8::2", port: port), opened: LossSamples.start, mode: "transparent")
    }
}
