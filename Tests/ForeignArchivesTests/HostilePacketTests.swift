import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Packets of hostile flows")
struct HostilePacketTests {
    private static let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "\n\n", "",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
        "HEAD  HTTP/9.9\nUpgrade: h2c\nConnection: upgrade\nHTTP2-Settings: \n\n",
        ":method: GET\r\n:path: /\r\nx: \(String(repeating: "y", count: 40_000))\r\n\r\n",
        ":method: CONNECT\r\n:protocol: websocket\r\nsec-websocket-extensions: x\r\n\r\n", ":\r\n:\r\n\r\n",
    ]
    private static let responses = [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", "",
        ":status: 200\r\n\r\n", ":status: 999\r\nConnection: close\r\n\r\n", "HTTP/1.0 abc\n\n",
    ]

    /// A flow whose events need not make sense, on one of a few connections.
    private static func flow(_ number: Int, _ random: inout SeededGenerator) -> Flow {
        func head(_ texts: [String], _ random: inout SeededGenerator) -> (ByteBuffer, HTTPVersion) {
            let text = texts.randomElement(using: &random) ?? ""
            return (ByteBuffer(string: text), text.hasPrefix(":") ? .http2 : .http1_1)
        }
        var client = LossSamples.client.value
        client.id = ConnectionID(high: 1, low: UInt64.random(in: 0..<4, using: &random))
        client.peer = Endpoint(
            host: ["192.0.2.1", "::1", "", "name"].randomElement(using: &random)!, port: 5000 + UInt16(client.id.low))
        var flow = FlowBuilder(
            FlowKind.allCases.randomElement(using: &random)!, id: FlowID(high: 2, low: UInt64(number)),
            at: LossSamples.start.advanced(byNanoseconds: Int64.random(in: -1_000_000...9_000_000, using: &random)),
            client: Shared(client), target: LossSamples.target, stream: StreamID(UInt32.random(in: 0...5, using: &random)))
        if Bool.random(using: &random) { flow = flow.event(.server(LossSamples.server)) }
        for _ in 0..<Int.random(in: 0..<12, using: &random) {
            let side: Side = Bool.random(using: &random) ? .client : .server
            let at = Int64.random(in: 0...9, using: &random)
            switch Int.random(in: 0..<9, using: &random) {
            case 0:
                let (wire, version) = head(requests, &random)
                flow = flow.event(.request(RequestHead(parsing: wire, version: version)), at: at)
            case 1, 2:
                let (wire, version) = head(responses, &random)
                flow = flow.event(.response(ResponseHead(parsing: wire, version: version)), at: at)
            case 3:
                let (wire, version) = head(responses, &random)
                flow = flow.event(.interim(ResponseHead(parsing: wire, version: version)), at: at)
            case 4: flow = flow.event(.finished(side), at: at)
            case 5: flow = flow.event(.malformed(from: side, ByteBuffer(repeating: 0x78, count: 3)), at: at)
            case 6: flow = flow.event(.trailers(from: side, FieldSection([("a", "b")])), at: at)
            default:
                let kind = FlowPiece.Kind(rawValue: UInt8.random(in: 0...5, using: &random))!
                let size = [0, 1, 125, 126, 65_536, 300_001].randomElement(using: &random)!
                flow = flow.event(
                    .piece(FlowPiece(kind: kind, from: side, content: ByteBuffer(repeating: 0x61, count: size))), at: at)
            }
        }
        var ending = FlowEnding(state: [.complete, .incomplete, .failed].randomElement(using: &random)!)
        ending.isReset = Bool.random(using: &random)
        return Bool.random(using: &random) ? flow.ended(ending, at: 9).flow : flow.flow
    }

    @Test(
        "Lengths, checksums and sequence numbers are right whatever flows come, in whatever order",
        arguments: 1...40 as ClosedRange<UInt64>)
    func sound(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var options = PcapngOptions()
        options.sides = PcapngOptions.Sides.allCases.randomElement(using: &random)!
        options.ports = PcapngOptions.Ports.allCases.randomElement(using: &random)!
        var writer = PcapngWriter(version: "1", options)
        var out = ByteBuffer()
        for number in 0..<20 {
            let flow = Self.flow(number, &random)
            let isWritten = try writer.write(flow, into: &out) { _ in }
            #expect(isWritten || flow.kind != .http || flow.request == nil || options.sides == .server)
        }
        try writer.finish(into: &out) { _ in }
        #expect(writer.report.flows == 20)
        _ = try PacketFile(out)
    }

    @Test("Flows are written before the input ends, so that many of them need no more memory than some")
    func bounded() throws {
        var writer = PcapngWriter(version: "1")
        var out = ByteBuffer()
        var drained = 0
        for number in 0..<4_500 {
            let flow = FlowBuilder(
                id: FlowID(high: 3, low: UInt64(number)), at: LossSamples.start.advanced(byNanoseconds: Int64(number) * 1_000_000),
                client: LossSamples.client, target: LossSamples.target, stream: StreamID(UInt32(number) * 2 + 1)
            )
            .request(":method: GET\r\n:path: /\(number)\r\n\r\n").response(":status: 204\r\n\r\n", at: 5).ended(at: 5).flow
            _ = try writer.write(flow, into: &out) { _ in }
            if number == 4_400 { drained = out.readableBytes }
        }
        #expect(drained > 100_000)
        try writer.finish(into: &out) { _ in }
        let file = try PacketFile(out)
        #expect(file.packets.map(\.at) == file.packets.map(\.at).sorted())
        #expect(file.packets.count { !$0.comments.isEmpty } == 4_500)
    }
}
