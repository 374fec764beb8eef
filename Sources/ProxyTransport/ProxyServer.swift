// The running proxy: event loops, listeners, and an orderly end. Sessions come from the owner, who describes the listeners.

import FlowModel
import Glibc
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import TLSEngine

/// Listens, and drives a session for each client. One event loop for each core; a client and the servers that it causes to be
/// contacted live on one of them. Its threads run until ``shutDown(grace:)``.
package final class ProxyServer: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var isShutDown = false
        /// The event loop of the next session without a listener.
        var nextLoop = 0
    }

    private let group: MultiThreadedEventLoopGroup
    private let services: SharedServices
    private let loops: [LoopContext]
    private let state = Mutex(State())

    /// - Parameters:
    ///   - loops: event loops, each with a thread.
    ///   - sink: receives the records of all sessions.
    ///   - certificates: makes a certificate; called on a thread that it may block.
    ///   - log: takes a line of the event log; called from every event loop, and must not block.
    package convenience init(
        loops: Int = System.coreCount, limits: TransportLimits = TransportLimits(), sink: any FlowSink, clock: RecorderClock,
        certificates: @escaping @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError>,
        log: @escaping @Sendable (LogLine) -> Void
    ) {
        self.init(
            loops: loops, limits: limits, sink: sink, clock: clock, certificates: certificates, log: log, lookUp: systemLookup)
    }

    /// - Parameter lookUp: finds the addresses of a name; may block.
    init(
        loops: Int, limits: TransportLimits, sink: any FlowSink, clock: RecorderClock,
        certificates: @escaping @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError>,
        log: @escaping @Sendable (LogLine) -> Void, lookUp: @escaping @Sendable (String) -> NameService.Answer
    ) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, loops))
        let lookupThreads = NIOThreadPool(numberOfThreads: max(1, limits.maximumLookups))
        let certificateThreads = NIOThreadPool(numberOfThreads: max(1, loops))
        // Password guessing takes no more than this from other clients.
        let passwordThreads = NIOThreadPool(numberOfThreads: max(1, loops / 2))
        lookupThreads.start()
        certificateThreads.start()
        passwordThreads.start()
        let services = SharedServices(
            limits: limits, clock: clock, sink: sink, certificates: certificates, log: log, admission: Admission(limits: limits),
            lookupThreads: lookupThreads, certificateThreads: certificateThreads, passwordThreads: passwordThreads, lookUp: lookUp)
        self.services = services
        self.loops = group.makeIterator().enumerated().map { LoopContext(eventLoop: $1, index: $0, services: services) }
    }

    /// Counts of client connections so far.
    package var counts: TransportCounts { services.admission.counts }

    /// The listening sockets.
    var listeners: [any Channel] { state.withLock { $0.listeners } }

    /// Starts a listener.
    ///
    /// - Returns: the address that it listens on.
    /// - Throws: the reason, in a sentence: `cannot listen on 127.0.0.1:8080: address already in use`.
    @discardableResult
    package func listen(_ spec: ListenerSpec) async throws(TransportError) -> Endpoint {
        guard !spec.host.isEmpty else {
            throw TransportError("cannot listen on an empty address; name one, or * for every address")
        }
        guard spec.host == "*" else { return try await bind(spec) }
        var every = spec
        every.host = "::"
        // A system without IPv6 has no such address.
        do throws(TransportError) { return try await bind(every, takesIPv4: true) } catch {
            every.host = "0.0.0.0"
            return try await bind(every)
        }
    }

    /// - Parameter takesIPv4: a listener on `::` takes clients of IPv4 too, whatever the system's default (ipv6(7), IPV6_V6ONLY).
    private func bind(_ spec: ListenerSpec, takesIPv4: Bool = false) async throws(TransportError) -> Endpoint {
        let wanted = Endpoint(host: spec.host, port: spec.port)
        do {
            guard !state.withLock({ $0.isShutDown }) else { throw Self.isEnding }
            let address =
                try SocketAddress(literal: wanted) ?? SocketAddress.makeAddressResolvingHost(spec.host, port: Int(spec.port))
            var bootstrap = bootstrap(spec, name: wanted.description)
            if takesIPv4 {
                bootstrap = bootstrap.serverChannelOption(
                    ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 0)
            }
            let channel = try await bootstrap.bind(to: address).get()
            let isLate = state.withLock { state in
                if !state.isShutDown { state.listeners.append(channel) }
                return state.isShutDown
            }
            guard !isLate, let bound = channel.localAddress, let endpoint = bound.endpoint else {
                channel.close(promise: nil)
                throw Self.isEnding
            }
            services.admission.listens(on: bound)
            return endpoint
        } catch {
            throw TransportError("cannot listen on \(wanted): \(failureDescription(error))")
        }
    }

    /// Starts a session that no client connection causes; the event loops take turns. It is over when it closes its client and its
    /// connections are gone. Does nothing once the proxy is shutting down.
    /// - Parameters:
    ///   - peer: the session's client address; `local` is its own.
    ///   - makeSession: called on the event loop that the session stays on.
    package func start(
        peer: Endpoint, local: Endpoint, makeSession: @escaping @Sendable (_ loop: Int) -> any ProxySessionProtocol
    ) {
        let loop = state.withLock { state -> LoopContext? in
            guard !state.isShutDown else { return nil }
            state.nextLoop = (state.nextLoop + 1) % loops.count
            return loops[state.nextLoop]
        }
        guard let loop else { return }
        loop.eventLoop.execute {
            guard !loop.isShuttingDown else { return }
            SessionDriver(session: makeSession(loop.index), loop: loop).startHeadless(peer: peer, local: local)
        }
    }

    private static let isEnding = TransportError("the proxy is shutting down")

    private func bootstrap(_ spec: ListenerSpec, name: String) -> ServerBootstrap {
        let acceptor = Acceptor(spec: spec, services: services)
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: services.limits.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Linux hands this one down to the sockets that are accepted, so that each saves the call.
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // One at a time, so the limit on connections is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { [services] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptGate(name: name, services: services))
                }
            }
            .childChannelInitializer { [loops, services] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop }) else { return }
                    do {
                        try Connection(handle: .client, origin: .accepted(acceptor), loop: loop).adopt(channel)
                    } catch {
                        services.admission.clientLeft()
                        throw error
                    }
                }
            }
    }

    /// Ends the proxy: accepts no more clients, notifies every session, waits until all are gone, and cuts off what is left after the
    /// grace. All records are in the sink when it returns. The second call does nothing.
    package func shutDown(grace: TimeAmount = .seconds(5)) async {
        let listeners = state.withLock { state -> [any Channel]? in
            guard !state.isShutDown else { return nil }
            state.isShutDown = true
            return state.listeners
        }
        guard let listeners else { return }
        for listener in listeners { try? await listener.close().get() }
        let endings = loops.map { loop in loop.eventLoop.flatSubmit { loop.shutDown(grace: grace) } }
        for ending in endings { try? await ending.get() }
        try? await services.lookupThreads.shutdownGracefully()
        try? await services.certificateThreads.shutdownGracefully()
        try? await services.passwordThreads.shutdownGracefully()
        try? await group.shutdownGracefully()
    }
}
