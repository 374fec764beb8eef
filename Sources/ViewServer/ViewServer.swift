// Serves a view: a page on loopback, and the calls that it makes.

import Dispatch
import FlowView
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Synchronization

/// Serves the page of one index.
package final class ViewServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let api: ViewAPI
    private let requestGuard: RequestGuard
    private let host: String
    private let connections: OpenConnections

    /// Listens.
    /// - Parameters:
    ///   - host: the address to listen on; `*` is every address.
    ///   - port: 0 takes a free one.
    ///   - secret: nil makes a random one.
    /// - Throws: why it cannot listen there.
    package init(_ index: FlowIndex, _ options: ViewOptions, host: String, port: Int, secret: String? = nil) throws {
        // A socket on this address takes clients of IPv4 too.
        let host = host == "*" ? "::" : host
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let api = ViewAPI(index, options)
        let secret = secret ?? RequestGuard.randomSecret()
        let connections = OpenConnections()
        do {
            let channel = try ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 128)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        connections.add(channel)
                        let local = channel.localAddress
                        let requestGuard = RequestGuard(
                            host: host, local: local?.ipAddress, port: local?.port ?? port, secret: secret)
                        try Self.configure(channel, api, requestGuard, connections.answers)
                    }
                }
                .bind(host: host, port: port).wait()
            requestGuard = RequestGuard(host: host, port: channel.localAddress?.port ?? port, secret: secret)
            self.channel = channel
        } catch {
            try? group.syncShutdownGracefully()
            throw error
        }
        (self.group, self.api, self.host, self.connections) = (group, api, host, connections)
    }

    package var port: Int { channel.localAddress?.port ?? 0 }

    /// The address for a browser. Its fragment has the secret: a browser does not send it, and no log has it.
    package var address: String {
        let name = ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
        return "http://\(name):\(port)/#k=\(requestGuard.secret)"
    }

    /// Continues the lists after the index has changed.
    package func advance() { api.lists.advance() }

    /// Closes all connections. Waits for it, and for answers that are being made: their event loop must be there when they are written.
    package func shutDown() {
        try? channel.close().wait()
        guard connections.close() else { return }
        try? group.syncShutdownGracefully()
    }

    private static func configure(
        _ channel: any Channel, _ api: ViewAPI, _ requestGuard: RequestGuard, _ answers: DispatchGroup
    ) throws {
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: 16 * 1024,
            shouldUpgrade: { channel, head in
                let isAllowed = (try? requestGuard.checkOrigin(head)) != nil && (try? requestGuard.checkSecret(head)) != nil
                return channel.eventLoop.makeSucceededFuture(isAllowed && head.uri == "/api/1/live" ? HTTPHeaders() : nil)
            },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LiveConnection(api)) }
            })
        let connection = ViewConnection(api, requestGuard, answers)
        let handlers = channel.pipeline.syncOperations
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        try handlers.configureHTTPServerPipeline(
            withPipeliningAssistance: true,
            withServerUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in context.pipeline.syncOperations.removeHandler(bound.value).whenFailure { _ in } }
            ), withErrorHandling: true)
        try handlers.addHandler(connection)
    }
}

/// The connections of a server, to close them at its end.
private final class OpenConnections: Sendable {
    /// Seconds to wait for answers: one may be reading a large file.
    private static let patience = 2.0

    /// The answers that other threads make.
    let answers = DispatchGroup()
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        channels.withLock { $0[id] = channel }
        channel.closeFuture.whenComplete { [self] _ in _ = channels.withLock { $0.removeValue(forKey: id) } }
    }

    /// - Returns: whether all answers have ended.
    func close() -> Bool {
        for channel in channels.withLock({ Array($0.values) }) { channel.close(promise: nil) }
        return answers.wait(timeout: .now() + Self.patience) == .success
    }
}
