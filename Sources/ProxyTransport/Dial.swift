// One attempt to reach a server, from the name to an established connection: an address is connected to directly, a name with
// several addresses by Happy Eyeballs (RFC 8305), with one time limit over the lookup and all attempts.

import FlowModel
import NIOCore
import NIOPosix
import ProxyCore

/// A connection that a session has requested and does not have yet. Used on its event loop only.
final class Dial {
    let handle: ConnectionHandle
    var isReadingWanted = true
    /// Nil when the dial is over: connected, failed or cancelled.
    private var driver: SessionDriver?
    private let loop: LoopContext
    private let deadline: NIODeadline
    private var candidates: [any Channel] = []
    /// The socket is counted among the session's.
    private var isCounted = false
    private var lookupTimeout: Scheduled<Void>?

    init(handle: ConnectionHandle, driver: SessionDriver) {
        self.handle = handle
        self.driver = driver
        loop = driver.loop
        deadline = .now() + loop.services.limits.connectTimeout
    }

    func start(_ endpoint: Endpoint) {
        if let address = SocketAddress(literal: endpoint) {
            connect(to: address)
        } else {
            lookUp(endpoint)
        }
    }

    /// Cancels the dial: connections that are being established are closed, and no callback follows.
    func cancel() {
        let driver = claim()
        for candidate in candidates { candidate.close(promise: nil) }
        candidates.removeAll()
        letGo(driver)
    }

    /// Claims the dial for the connection that was established first; nil for later ones.
    func claim() -> SessionDriver? {
        defer { driver = nil }
        lookupTimeout?.cancel()
        lookupTimeout = nil
        return driver
    }

    private func failed(_ reason: String) {
        guard let driver = claim() else { return }
        candidates.removeAll()
        letGo(driver)
        driver.openFailed(self, reason: reason)
    }

    /// No descriptor is free.
    private func postpone() { if let driver = claim() { driver.noDescriptor(self) } }

    private func lookUp(_ endpoint: Endpoint) {
        lookupTimeout = loop.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.failed("timed out") }
        loop.names.addresses(of: endpoint.host) { [weak self] answer in
            guard let self, driver != nil else { return }
            switch answer {
            case .failure(let error): failed(error.message)
            case .success(let addresses) where addresses.count == 1: connect(to: addresses[0].with(port: Int(endpoint.port)))
            case .success(let addresses): race(addresses, endpoint)
            }
        }
    }

    private func connect(to address: SocketAddress) {
        if loop.services.admission.isOwn(address) { return failed(Self.ownAddress) }
        guard count() else { return postpone() }
        watch(bootstrap().connect(to: address))
    }

    private func race(_ addresses: [SocketAddress], _ endpoint: Endpoint) {
        let port = Int(endpoint.port)
        if addresses.contains(where: { loop.services.admission.isOwn($0.with(port: port)) }) { return failed(Self.ownAddress) }
        guard count() else { return postpone() }
        let known = KnownAddresses(eventLoop: loop.eventLoop, addresses: addresses)
        watch(bootstrap().resolver(known).connect(host: endpoint.host, port: port))
    }

    /// Counts one socket before it is made. Parallel attempts are few and short, and not counted.
    /// - Returns: false if no descriptor is left.
    private func count() -> Bool {
        guard let driver, driver.sockets.hasRoom else { return false }
        driver.sockets.opened(handle)
        isCounted = true
        return true
    }

    private func letGo(_ driver: SessionDriver?) {
        guard isCounted, let driver else { return }
        isCounted = false
        driver.sockets.closed(handle)
        loop.services.admission.descriptorFreed()
    }

    private static let ownAddress = "this is the proxy's own address"

    private func bootstrap() -> ClientBootstrap {
        let adopter = NIOLoopBound(self, eventLoop: loop.eventLoop)
        return ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(max(.nanoseconds(1), deadline - .now()))
            .channelInitializer { channel in adopter.value.adopt(channel) }
    }

    private func adopt(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard driver != nil else { return channel.eventLoop.makeFailedFuture(TransportError("cancelled")) }
        let connection = Connection(handle: handle, origin: .dialed(self), loop: loop)
        do {
            try connection.adopt(channel)
            candidates.append(channel)
            return channel.eventLoop.makeSucceededVoidFuture()
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
    }

    private func watch(_ connected: EventLoopFuture<any Channel>) {
        connected.assumeIsolated().whenComplete { result in
            // An established connection has reported it before this.
            if case .failure(let error) = result { self.failed(failureDescription(error)) }
            self.candidates.removeAll()
        }
    }
}

extension SocketAddress {
    /// The address of an endpoint whose host is an address, not a name.
    init?(literal endpoint: Endpoint) {
        let isLiteral =
            endpoint.host.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) } || endpoint.host.utf8.contains(0x3A)
        guard isLiteral, let address = try? SocketAddress(ipAddress: endpoint.host, port: Int(endpoint.port)) else { return nil }
        self = address
    }
}
