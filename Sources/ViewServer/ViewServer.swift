// Serves a view: a page on loopback, and the calls that it makes.

import FlowView
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// Serves the page of one index.
package final class ViewServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let api: ViewAPI
    private let secret: String
    private let codes: SessionCodes
    private let host: String
    private let connections: OpenConnections

    /// Listens.
    /// - Parameters:
    ///   - host: the address to listen on.
    ///   - port: 0 takes a free one.
    ///   - secret: nil makes a random one.
    /// - Throws: why it cannot listen there.
    package init(
        _ index: FlowIndex, _ options: ViewOptions, host: String, port: Int, secret: String? = nil,
        limits: ViewLimits = ViewLimits()
    ) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let api = ViewAPI(index, options)
        let secret = secret ?? RequestGuard.randomSecret()
        let connections = OpenConnections(limits)
        let codes = SessionCodes()
        do {
            let channel = try ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 128)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try connections.add(channel)
                        let address = channel.localAddress
                        let requestGuard = RequestGuard(
                            hosts: [host, address?.ipAddress ?? host], port: address?.port ?? port, secret: secret, codes: codes)
                        try Self.configure(channel, api, requestGuard, connections)
                    }
                }
                .bind(host: host, port: port).wait()
            self.channel = channel
        } catch {
            try? group.syncShutdownGracefully()
            throw error
        }
        (self.group, self.api, self.host, self.connections) = (group, api, host, connections)
        (self.secret, self.codes) = (secret, codes)
    }

    package var port: Int { channel.localAddress?.port ?? 0 }

    /// The address for a browser. Its fragment has the secret: a browser does not send it, and no log has it.
    package var address: String { address(with: secret) }

    /// The address for a browser that this program starts: other users can see what a program is started with, so it opens one session.
    package func addressForBrowser() -> String { address(with: codes.make()) }

    private func address(with key: String) -> String {
        let name = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
        return "http://\(name):\(port)/#k=\(key)"
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
        _ channel: any Channel, _ api: ViewAPI, _ requestGuard: RequestGuard, _ connections: OpenConnections
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
        let connection = ViewConnection(api, requestGuard, connections)
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
