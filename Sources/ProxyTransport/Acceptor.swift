// One listener: it accepts clients, starts their sessions, and stops accepting when there is no room.

import FlowModel
import Glibc
import NIOCore
import NIOPosix
import ProxyCore

/// One listener as its `--mode` describes it.
package struct ListenerSpec: Sendable {
    /// An address or a name to listen on; `0.0.0.0` or `::` for all.
    package var host: String
    /// 0 takes any free port.
    package var port: UInt16
    /// Whether clients are sent here by the packet filter, so each session knows its client's original destination.
    package var readsOriginalDestination: Bool
    /// Makes the session of one client. Called on the event loop that the session stays on.
    package var makeSession: @Sendable (AcceptedConnection) -> any ProxySessionProtocol

    package init(
        host: String, port: UInt16, readsOriginalDestination: Bool = false,
        makeSession: @escaping @Sendable (AcceptedConnection) -> any ProxySessionProtocol
    ) {
        self.host = host
        self.port = port
        self.readsOriginalDestination = readsOriginalDestination
        self.makeSession = makeSession
    }
}

/// Facts that a session may need before its first event.
package struct AcceptedConnection: Sendable, Equatable {
    package var peer: Endpoint
    package var local: Endpoint
    /// The client's original destination before the packet filter redirected it; nil without a redirection.
    package var originalDestination: Endpoint?
    /// The number of the event loop, from 0. Sessions of one loop may share what is not safe between threads.
    package var loop: Int
}

/// Makes the sessions of one listener's clients. Called on every event loop.
final class Acceptor: Sendable {
    private let spec: ListenerSpec
    private let services: SharedServices

    init(spec: ListenerSpec, services: SharedServices) {
        self.spec = spec
        self.services = services
    }

    /// A session for a new client; nil when the client has too many connections.
    func session(for connection: Connection, channel: any Channel, peer: Endpoint, local: Endpoint) -> (any ProxySessionProtocol)? {
        switch services.admission.admit(peer.host) {
        case .welcome:
            connection.clientHost = peer.host
        case .tooMany(let isFirst):
            if isFirst {
                services.log(LogLine(.warning, "limit", "\(peer.host) has too many connections; more of them are closed at once"))
            }
            return nil
        }
        let original = spec.readsOriginalDestination ? originalDestination(of: channel, isIPv6: peer.host.utf8.contains(0x3A)) : nil
        return spec.makeSession(
            AcceptedConnection(peer: peer, local: local, originalDestination: original, loop: connection.loop.index))
    }

    /// A client connection has closed, whether it was admitted or not.
    func connectionGone(_ connection: Connection) {
        services.admission.clientLeft()
        if let host = connection.clientHost { services.admission.release(host) }
    }

    /// Asks connection tracking for the original destination of a redirected client, iptables-extensions(8) under REDIRECT.
    private func originalDestination(of channel: any Channel, isIPv6: Bool) -> Endpoint? {
        guard let options = channel as? any SocketOptionProvider else { return nil }
        var found: SocketAddress?
        // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST are both 80, in <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>.
        let name = NIOBSDSocket.Option(rawValue: 80)
        // SAFETY: the kernel writes the socket address of the level's family, and no more than the size of the value asked for.
        if isIPv6 {
            let answer: EventLoopFuture<sockaddr_in6> = options.unsafeGetSocketOption(level: .ipv6, name: name)
            answer.assumeIsolated().whenSuccess { found = SocketAddress($0) }
        } else {
            let answer: EventLoopFuture<sockaddr_in> = options.unsafeGetSocketOption(level: .ip, name: name)
            answer.assumeIsolated().whenSuccess { found = SocketAddress($0) }
        }
        return found?.endpoint
    }
}

/// In the listening socket's pipeline. While there is no room for a client the socket is not polled, because a client that waits
/// in the kernel would make it readable all the time. Used on the listener's event loop only.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let services: SharedServices
    private let name: String
    private var isResting = false
    /// When the log last reported that no client is accepted. At the limit that changes with every client.
    private var reported: NIODeadline?

    init(name: String, services: SharedServices) {
        self.name = name
        self.services = services
    }

    func read(context: ChannelHandlerContext) {
        if isResting { return }
        guard let shortage = services.admission.shortage else { return context.read() }
        switch shortage {
        case .connections:
            let limit = services.limits.maximumConnections
            report(.warning, "\(limit) connections are open; new clients of \(name) wait until one closes")
        case .descriptors:
            report(.warning, "no descriptors are left; new clients of \(name) wait until a connection closes")
        }
        rest(shortage, isExpected: true, context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        services.admission.clientArrived()
        context.fireChannelRead(data)
    }

    /// An error of accept(2) that leaves the listener intact, most often EMFILE.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, error.errnoCode != ECONNABORTED, !isResting else { return }
        let reason = failureDescription(errno: error.errnoCode)
        report(.error, "cannot accept clients of \(name): \(reason); trying again when a connection closes")
        rest(.descriptors, isExpected: false, context)
        // Descriptors may also be freed elsewhere in the process, or limits raised from outside.
        context.eventLoop.scheduleTask(in: services.limits.acceptBackoff) { [services] in services.admission.descriptorFreed() }
    }

    private func report(_ level: LogLine.Level, _ text: String) {
        let now = NIODeadline.now()
        if let reported, now - reported < .minutes(1) { return }
        reported = now
        services.log(LogLine(level, "limit", text))
    }

    private func rest(_ shortage: Admission.Shortage, isExpected: Bool, _ context: ChannelHandlerContext) {
        isResting = true
        setPolling(false, context)
        let waker = NIOLoopBound((gate: self, context: context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        services.admission.rest(shortage, isExpected: isExpected) {
            eventLoop.execute { waker.value.gate.wake(waker.value.context) }
        }
    }

    private func wake(_ context: ChannelHandlerContext) {
        guard isResting, context.channel.isActive else { return }
        // Another listener, or a connection to a server, may have taken the descriptor.
        if let shortage = services.admission.shortage { return rest(shortage, isExpected: true, context) }
        isResting = false
        setPolling(true, context)
    }

    /// Withholding `read` is not enough: after accept(2) failed SwiftNIO still has the last one pending.
    private func setPolling(_ isOn: Bool, _ context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: isOn)
    }
}
