// The listeners and their event loops.

import FlowModel
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import TLSEngine

/// What the transport allows, and how patient it is.
package struct TransportLimits: Sendable {
    /// Client connections at a time; beyond it accepting pauses until one closes. Half of a usual limit of 20,000 descriptors.
    package var maximumConnections = 10_000
    /// Client connections at a time from one address; nil is no limit of its own.
    package var maximumConnectionsPerClient: Int?
    /// How long connecting to a server may take, all of its addresses together.
    package var connectTimeout: TimeAmount = .seconds(30)
    /// A peer that takes nothing of what is left to send is dropped after so long.
    package var closePatience: TimeAmount = .seconds(30)

    package init() {}

    /// Beyond the high mark of unsent bytes the other side is not read; below the low mark it is again.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 64 * 1024, high: 256 * 1024)
    /// A read takes up to 64 KiB on a busy connection and little memory on an idle one.
    static let receiveAllocator = AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 4096, maximum: 65536)
}

/// What all loops have in common.
struct TransportSettings: Sendable {
    let limits: TransportLimits
    let sink: any FlowSink
    let clock: RecorderClock
    let certificates: @Sendable (LeafRequest, Int64) -> Result<LeafCertificate, CertificateError>
    let log: @Sendable (LogLine) -> Void
}

/// A listener cannot be had, in one sentence.
package struct ListenError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// Accepts clients and runs a session for each.
package final class ProxyServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let settings: TransportSettings
    private let loops: [ObjectIdentifier: NIOLoopBound<LoopContext>]
    private let listeners = Mutex<[any Channel]>([])
    private let gate: AcceptGate

    /// - Parameters:
    ///   - loops: threads that serve connections.
    ///   - certificates: makes or finds a certificate; called on the loops with the time in seconds since 1970.
    package init(
        loops: Int, limits: TransportLimits, sink: any FlowSink, clock: RecorderClock,
        certificates: @escaping @Sendable (LeafRequest, Int64) -> Result<LeafCertificate, CertificateError>,
        log: @escaping @Sendable (LogLine) -> Void
    ) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let settings = TransportSettings(limits: limits, sink: sink, clock: clock, certificates: certificates, log: log)
        self.group = group
        self.settings = settings
        self.gate = AcceptGate(limits: limits)
        var contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>] = [:]
        for eventLoop in group.makeIterator() {
            let context = try? eventLoop.submit {
                NIOLoopBound(LoopContext(eventLoop: eventLoop, settings: settings), eventLoop: eventLoop)
            }.wait()
            contexts[ObjectIdentifier(eventLoop)] = context
        }
        self.loops = contexts
    }

    /// Binds an address and serves what connects to it.
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - makeSession: called on a loop for each client.
    /// - Returns: the address that was bound.
    /// - Throws: why it cannot be had.
    package func listen(
        host: String, port: UInt16, makeSession: @escaping @Sendable () -> any ProxySessionProtocol
    ) async throws(ListenError) -> Endpoint {
        let gate = gate
        let settings = settings
        let loops = loops
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ListenerGate(gate: gate, log: settings.log))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: TransportLimits.waterMark)
            .childChannelOption(.recvAllocator, value: TransportLimits.receiveAllocator)
            .childChannelInitializer { channel in
                let address = channel.remoteAddress?.ipAddress ?? ""
                guard let context = loops[ObjectIdentifier(channel.eventLoop)], gate.admit(address) else {
                    settings.log(LogLine(.warning, "\(address): refused, it has as many connections as one client may have"))
                    return channel.close()
                }
                return channel.eventLoop.makeCompletedFuture {
                    let driver = SessionDriver(session: makeSession(), loop: context.value) { gate.release(address) }
                    try channel.pipeline.syncOperations.addHandler(driver.makeClientPump())
                }
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: Int(port)).get()
            listeners.withLock { $0.append(channel) }
            return Endpoint(channel.localAddress)
        } catch {
            throw ListenError(
                description: "cannot listen on \(Endpoint(host: host, port: port)): \(Self.describe(error)); choose another address with --listen-host and --listen-port")
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE: "the address is already in use"
        case let error as IOError where error.errnoCode == EACCES: "there is no permission to use it"
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL: "it is no address of this machine"
        case is SocketAddressError: "there is no such host"
        default: Pump.describe(error).text
        }
    }

    /// Stops accepting, tells every session to end, waits for them, drops those that take longer than the grace.
    package func shutDown(grace: TimeAmount) async {
        for listener in listeners.withLock({ $0 }) { try? await listener.close() }
        await withTaskGroup(of: Void.self) { tasks in
            for context in loops.values {
                tasks.addTask { await Self.shutDown(context, grace) }
            }
        }
        try? await group.shutdownGracefully()
    }

    private static func shutDown(_ context: NIOLoopBound<LoopContext>, _ grace: TimeAmount) async {
        let eventLoop = context.eventLoop
        let ended = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            let timeout = eventLoop.scheduleTask(in: grace) {
                context.value.abandon()
                ended.succeed()
            }
            context.value.shutDown {
                timeout.cancel()
                ended.succeed()
            }
        }
        try? await ended.futureResult.get()
        // What the last connections still said.
        try? await eventLoop.submit { context.value.abandon() }.get()
    }
}
