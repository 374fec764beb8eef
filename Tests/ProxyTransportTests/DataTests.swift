// Bytes, FIN and RST through real sockets.

import FlowModel
import NIOCore
import ProxyCore
import Testing

@testable import ProxyTransport

@Suite(.timeLimit(.minutes(1)))
struct DataTests {
    @Test(
        "What a session sends back reaches the client whole and in order, however large",
        arguments: [1, 2047, 2048, 2049, 16_384, 16_385, 65_535, 65_536, 65_537, 3_000_000])
    func echoed(size: Int) async throws {
        try await withProxy(script: { echo }) { proxy in
            let client = try await proxy.connect()
            client.send(pattern(size))
            client.finish()
            let seen = await client.receivedToEnd()
            #expect(seen == Peer.Seen(bytes: pattern(size), ended: true))
        }
    }

    @Test("A client that half-closes still gets its answer, and the connections end in order")
    func clientHalfCloses() async throws {
        let server = try await Server.start()
        try await withProxy(script: { relay(to: server.endpoint) }) { proxy in
            let client = try await proxy.connect()
            client.send("question")
            // Otherwise the client's end may come before the server's connection.
            _ = await proxy.told.wait { $0.contains(.opened(upstream, peer: server.endpoint)) }
            client.finish()
            let far = await server.connection()
            #expect(await far.receivedToEnd() == Peer.Seen(bytes: ByteBuffer(string: "question"), ended: true))
            far.send("answer")
            far.finish()
            #expect(await client.receivedToEnd().bytes == ByteBuffer(string: "answer"))
            let told = await proxy.told.wait { $0.last == .gone }
            #expect(
                told.filter { if case .received = $0 { false } else { true } } == [
                    .started, .opened(upstream, peer: server.endpoint), .halfClosed(.client), .halfClosed(upstream),
                    .closed(.client, nil, isReset: false), .closed(upstream, nil, isReset: false), .gone,
                ])
        }
        try await server.stop()
    }

    @Test("What is sent to the client behind the close of the server that was just read leaves at once")
    func sentBehindClose() async throws {
        let server = try await Server.start()
        let script: @Sendable (ProxyEvent, Timestamp, inout ProxyOutput) -> Void = { event, _, output in
            switch event {
            case .started: output.commands.append(.open(upstream, server.endpoint))
            case .received(upstream, _):
                output.commands.append(.close(upstream))
                output.commands.append(.send(.client, ByteBuffer(string: "gone")))
            case .received(.client, _), .shutdown: output.commands.append(.close(.client))
            default: break
            }
        }
        try await withProxy(script: { script }) { proxy in
            let client = try await proxy.connect()
            let far = await server.connection()
            far.send("bad")
            #expect(await client.received("gone") == "gone")
            client.finish()
        }
        try await server.stop()
    }

    @Test("A server that half-closes first still receives")
    func serverHalfCloses() async throws {
        let server = try await Server.start()
        try await withProxy(script: { relay(to: server.endpoint) }) { proxy in
            let client = try await proxy.connect()
            let far = await server.connection()
            far.send("hello")
            far.finish()
            #expect(await client.receivedToEnd() == Peer.Seen(bytes: ByteBuffer(string: "hello"), ended: true))
            client.send("still here")
            client.finish()
            #expect(await far.receivedToEnd().bytes == ByteBuffer(string: "still here"))
            await proxy.told.wait { $0.last == .gone }
        }
        try await server.stop()
    }

    @Test("A reset by one peer is reported in words and reaches the other as a reset", arguments: [true, false])
    func reset(byClient: Bool) async throws {
        let server = try await Server.start()
        try await withProxy(script: { relay(to: server.endpoint) }) { proxy in
            let client = try await proxy.connect()
            let far = await server.connection()
            client.send("x")
            _ = await far.received("x")
            try await (byClient ? client : far).reset()
            let other = byClient ? far : client
            #expect(await other.seen { $0.ended }.reset)
            let told = await proxy.told.wait { $0.last == .gone }
            let (first, second) = byClient ? (ConnectionHandle.client, upstream) : (upstream, .client)
            #expect(
                Array(told.suffix(3)) == [
                    .closed(first, "connection reset by peer", isReset: true), .closed(second, nil, isReset: false), .gone,
                ])
        }
        try await server.stop()
    }

    @Test("Closing waits until all is sent, although the client reads late", arguments: [ConnectionEnd.close, .finish])
    func closesBehindWhatWasSent(end: ConnectionEnd) async throws {
        let size = 16 * 1024 * 1024
        let script: @Sendable () -> ScriptedSession.Script = {
            { event, _, output in
                switch event {
                case .received(let handle, _):
                    output.commands += [.send(handle, pattern(size)), end == .close ? .close(handle) : .finish(handle)]
                case .halfClosed(let handle): output.commands.append(.finish(handle))
                default: break
                }
            }
        }
        try await withProxy(script: script) { proxy in
            let client = try await proxy.connect()
            try await client.setReading(false)
            client.send("go")
            // The whole answer does not fit into the kernel: it is being sent and the close waits.
            await proxy.told.wait { $0.contains(.writable(.client, false)) || end == .close && $0.contains(.received(.client, 2)) }
            if end == .finish { client.finish() }
            try await client.setReading(true)
            let seen = await client.receivedToEnd()
            #expect(seen.bytes == pattern(size))
            #expect(!seen.reset)
            client.close()
            await proxy.told.wait { $0.last == .gone }
        }
    }

    enum ConnectionEnd { case close, finish }

    @Test("An abort is a reset, and the rest of what was sent is dropped")
    func aborts() async throws {
        let script: @Sendable () -> ScriptedSession.Script = {
            { event, _, output in
                if case .received(let handle, _) = event {
                    output.commands += [.send(handle, pattern(16 * 1024 * 1024)), .abort(handle)]
                }
            }
        }
        try await withProxy(script: script) { proxy in
            let client = try await proxy.connect()
            client.send("go")
            let seen = await client.seen { $0.ended }
            #expect(seen.reset)
            #expect(seen.bytes.readableBytes < 16 * 1024 * 1024)
            #expect(await proxy.told.wait { $0.last == .gone }.suffix(2) == [.closed(.client, nil, isReset: false), .gone])
        }
    }

    @Test("A client that does not read stops the server's sending after at most one more read, and nothing is lost")
    func backPressure() async throws {
        let size = 64 * 1024 * 1024
        let server = try await Server.start()
        let script: @Sendable () -> ScriptedSession.Script = {
            let forward = relay(to: server.endpoint)
            return { event, now, output in
                forward(event, now, &output)
                // Long enough for a server that is not stopped to send everything.
                if case .writable(.client, false) = event {
                    output.commands.append(.wake(at: now.advanced(byNanoseconds: 200_000_000)))
                }
            }
        }
        try await withProxy(script: script) { proxy in
            let client = try await proxy.connect()
            try await client.setReading(false)
            let far = await server.connection()
            far.send(ByteBuffer(repeating: 7, count: size))
            far.finish()
            let stalled = await proxy.told.wait { $0.contains(.timer) }
            let behind = stalled.split(separator: .writable(.client, false), maxSplits: 1)[1]
            let late = behind.reduce(0) { if case .received(upstream, let count) = $1 { $0 + count } else { $0 } }
            #expect(late <= ReceiveBuffer.capacityBytes)
            try await client.setReading(true)
            let seen = await client.receivedToEnd()
            #expect(seen.bytes.readableBytes == size)
        }
        try await server.stop()
    }

    @Test("What arrived small is kept in memory of its own size, what arrived large takes the loop's buffer with it")
    func receiveBuffer() {
        let shared = ReceiveBuffer()
        func read(_ count: Int) -> ByteBuffer {
            var buffer = shared.take(allocator: ByteBufferAllocator())
            buffer.writeRepeatingByte(UInt8(count & 0xFF), count: count)
            return shared.detach(buffer)
        }
        let small = read(100)
        let large = read(40_000)
        let next = read(50_000)
        #expect([small.capacity, large.capacity, next.capacity] == [128, 65_536, 65_536])
        #expect(small == ByteBuffer(repeating: 100, count: 100))
        #expect(large == ByteBuffer(repeating: UInt8(40_000 & 0xFF), count: 40_000))
        #expect(next == ByteBuffer(repeating: UInt8(50_000 & 0xFF), count: 50_000))
    }
}
