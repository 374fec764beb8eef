// What is kept of requests, and the pool of connections that they go out on, without a session.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("What a request needs to be sent again")
struct RetryBufferTests {
    private static func render(_ events: [RequestEvent]) -> [String] {
        events.map { event in
            switch event {
            case .content(let bytes, let wire, _): "content \(String(buffer: bytes)) as \(String(buffer: wire))"
            case .end(let trailers, let wire): "end \(trailers?.pairs.map(\.name) ?? []) as \(String(buffer: wire))"
            default: "\(event)"
            }
        }
    }

    /// A buffer that has kept some content.
    private static func buffer(_ parts: [String]) -> RetryBuffer {
        var buffer = RetryBuffer()
        buffer.begin()
        for part in parts { buffer.append(ByteBuffer(string: part)) }
        return buffer
    }

    static let rewinds: [(parts: [String], wasSent: Bool, isComplete: Bool, framing: BodyFraming, events: [String])] = [
        ([], true, true, .none, ["end [] as "]),
        (["ab", "c"], true, true, .length(3), ["content abc as abc", "end [] as "]),
        (["ab"], true, false, .length(3), ["content ab as ab"]),
        (["ab", "c"], true, true, .chunked, ["content abc as 3\r\nabc\r\n", "end [] as 0\r\n\r\n"]),
        (["abc"], true, true, .stream, ["content abc as abc", "end [] as "]),
        (["abc"], false, true, .length(3), []),
    ]

    @Test("The content is sent once more in one piece, in its framing", arguments: rewinds)
    func rewind(parts: [String], wasSent: Bool, isComplete: Bool, framing: BodyFraming, events: [String]) {
        var buffer = Self.buffer(parts)
        #expect(buffer.isWhole && buffer.bytes == parts.joined().utf8.count && !buffer.hasBeenUsed)
        #expect(Self.render(buffer.rewind(wasSent: wasSent, isComplete: isComplete, framing)) == events)
        #expect(buffer.hasBeenUsed)
    }

    @Test("A request is sent a second time, not a third")
    func twice() {
        var buffer = Self.buffer(["abc"])
        _ = buffer.rewind(wasSent: true, isComplete: true, .length(3))
        buffer.begin()
        buffer.append(ByteBuffer(string: "abc"))
        #expect(!buffer.isWhole && buffer.bytes == 0)
    }

    @Test("Trailers are kept with the content, and dropped with it")
    func trailers() {
        var kept = Self.buffer(["abc"])
        kept.end(FieldSection([("sum", "1")]))
        #expect(
            Self.render(kept.rewind(wasSent: true, isComplete: true, .chunked))
                == ["content abc as 3\r\nabc\r\n", "end [\"sum\"] as 0\r\nsum: 1\r\n\r\n"])
        var dropped = Self.buffer(["abc"])
        dropped.discard()
        dropped.append(ByteBuffer(string: "more"))
        dropped.end(FieldSection([("sum", "1")]))
        #expect(!dropped.isWhole && dropped.bytes == 0)
    }

    @Test("Content that is forwarded a second time does not open the client's window again")
    func windows() {
        var buffer = Self.buffer(["abcdef"])
        #expect([buffer.countForwarded(4), buffer.countForwarded(2)] == [4, 2])
        _ = buffer.rewind(wasSent: true, isComplete: false, .stream)
        #expect([buffer.countForwarded(5), buffer.countForwarded(3), buffer.countForwarded(1)] == [0, 2, 1])
    }
}

@Suite("A pool of connections")
struct ServerPoolTests {
    private func connection(_ number: UInt32, to host: String, isTLS: Bool? = false, _ context: SessionContext) -> Upstream {
        Upstream(
            Transport(.socket(ConnectionHandle(number))),
            to: Destination(endpoint: Endpoint(host: host, port: 80), isTLS: isTLS), isRouted: false, context)
    }

    @Test("A request goes to a connection that is ready, or waits for one that is opening")
    func assignment() throws {
        let context = try SessionContext.forTests()
        let (a, b) = (connection(1, to: "a.example", context), connection(2, to: "b.example", context))
        var pool = ServerPool()
        pool.add(a)
        pool.add(b)
        #expect(pool.ready(for: a.destination) == nil && pool.opening(to: a.destination) === a)
        a.becomeReady()
        #expect(pool.ready(for: a.destination) === a && pool.opening(to: a.destination) == nil)
        #expect(pool.ready(for: b.destination) == nil && pool.opening(to: b.destination) === b)
        #expect(pool.ready(for: Destination(endpoint: a.destination.endpoint, isTLS: true)) == nil)
        a.transport.hasEnded = true
        #expect(pool.ready(for: a.destination) == nil)
    }

    @Test("Connections are found by their handles until they are removed")
    func handles() throws {
        let context = try SessionContext.forTests()
        let (a, b) = (connection(1, to: "a.example", context), connection(2, to: "b.example", context))
        var pool = ServerPool()
        #expect(pool.first == nil && pool[ConnectionHandle(1)] == nil)
        pool.add(a)
        pool.add(b)
        #expect(pool.first === a && pool[ConnectionHandle(2)] === b && pool[ConnectionHandle(3)] == nil)
        pool.remove(a)
        #expect(pool.first === b && pool[ConnectionHandle(1)] == nil)
    }

    @Test("A client causes a bounded number of connections at a time")
    func room() throws {
        let context = try SessionContext.forTests()
        var pool = ServerPool()
        for number in 1...256 {
            #expect(pool.hasRoom)
            pool.add(connection(UInt32(number), to: "a.example", context))
        }
        #expect(!pool.hasRoom)
        pool.remove(pool.connections[7])
        #expect(pool.hasRoom)
    }
}

@Suite("Priority signals that come early")
struct PendingPrioritiesTests {
    @Test("The last signal of a stream is taken once")
    func takes() {
        var pending = PendingPriorities()
        pending.keep(update: ByteBuffer(string: "u=1"), of: StreamID(1))
        pending.keep(update: ByteBuffer(string: "u=2"), of: StreamID(1))
        pending.keep(update: ByteBuffer(string: "u=3"), of: StreamID(3))
        #expect(pending.take(StreamID(5)).update == nil)
        #expect(pending.take(StreamID(1)).update == ByteBuffer(string: "u=2"))
        #expect(pending.take(StreamID(1)).update == nil)
        #expect(pending.take(StreamID(3)).update == ByteBuffer(string: "u=3"))
    }

    @Test("A client that names many streams does not make us keep them all")
    func isBounded() {
        var pending = PendingPriorities()
        for stream in 0..<1001 { pending.keep(update: ByteBuffer(string: "u=1"), of: StreamID(UInt32(stream))) }
        let kept = (0..<1001).count { pending.take(StreamID(UInt32($0))).update != nil }
        #expect(kept <= 1000)
    }
}
