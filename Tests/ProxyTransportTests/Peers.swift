// The other ends of the proxy's connections in tests: clients and servers on loopback that follow a script and note what happens.

import FlowModel
import NIOCore
import NIOPosix

/// One end of a connection that is not the proxy's.
final class Peer: Sendable {
    /// What it saw so far.
    struct Seen: Sendable, Equatable {
        var bytes = ByteBuffer()
        /// Nothing more comes: it saw a FIN, or the connection is gone.
        var ended = false
        var reset = false
    }

    let channel: any Channel
    private let seen: Watched<Seen>

    fileprivate init(channel: any Channel, seen: Watched<Seen>) {
        self.channel = channel
        self.seen = seen
    }

    static func connect(to endpoint: Endpoint) async throws -> Peer {
        let seen = Watched(Seen())
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Watcher(seen)) }
            }
            .connect(to: SocketAddress(ipAddress: endpoint.host, port: Int(endpoint.port))).get()
        return Peer(channel: channel, seen: seen)
    }

    func send(_ bytes: ByteBuffer) { channel.writeAndFlush(bytes, promise: nil) }
    func send(_ text: String) { send(ByteBuffer(string: text)) }
    func finish() { channel.close(mode: .output, promise: nil) }
    func close() { channel.close(promise: nil) }

    func reset() async throws {
        guard let options = channel as? any SocketOptionProvider else { return }
        try await options.setSoLinger(.init(l_onoff: 1, l_linger: 0)).get()
        try await channel.close().get()
    }

    func setReading(_ isOn: Bool) async throws { try await channel.setOption(.autoRead, value: isOn).get() }

    /// What was seen, once it fulfils a condition.
    @discardableResult
    func seen(until check: @escaping @Sendable (Seen) -> Bool) async -> Seen { await seen.wait(until: check) }

    func received(count: Int) async -> ByteBuffer { await seen { $0.bytes.readableBytes >= count }.bytes }
    func received(_ text: String) async -> String { String(buffer: await received(count: text.utf8.count)) }
    /// Everything up to the end, however that came.
    func receivedToEnd() async -> Seen { await seen { $0.ended } }

    fileprivate final class Watcher: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let seen: Watched<Seen>
        init(_ seen: Watched<Seen>) { self.seen = seen }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Self.unwrapInboundIn(data)
            seen.change { $0.bytes.writeImmutableBuffer(bytes) }
        }
        func channelInactive(context: ChannelHandlerContext) { seen.change { $0.ended = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { seen.change { $0.reset = true } }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed { seen.change { $0.ended = true } }
        }
    }
}

/// A server that hands over whom it accepted.
final class Server: Sendable {
    let endpoint: Endpoint
    private let channel: any Channel
    private let accepted: Journal<Peer>

    private init(channel: any Channel, endpoint: Endpoint, accepted: Journal<Peer>) {
        self.channel = channel
        self.endpoint = endpoint
        self.accepted = accepted
    }

    static func start() async throws -> Server {
        let accepted = Journal<Peer>()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let seen = Watched(Peer.Seen())
                accepted.append(Peer(channel: channel, seen: seen))
                return channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Peer.Watcher(seen)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = UInt16(channel.localAddress?.port ?? 0)
        return Server(channel: channel, endpoint: Endpoint(host: "127.0.0.1", port: port), accepted: accepted)
    }

    /// The n-th connection, from 0, once it is there.
    func connection(_ index: Int = 0) async -> Peer { await accepted.wait(count: index + 1)[index] }

    func stop() async throws { try await channel.close().get() }
}

/// A pattern in which a piece that is missing, doubled or misplaced shows: its period is a prime.
func pattern(_ count: Int) -> ByteBuffer {
    let block = ByteBuffer(bytes: (0..<(251 * 64)).map { UInt8($0 % 251) })
    var buffer = ByteBuffer()
    buffer.reserveCapacity(count + block.readableBytes)
    while buffer.readableBytes < count { buffer.writeImmutableBuffer(block) }
    return buffer.getSlice(at: 0, length: count)!
}
