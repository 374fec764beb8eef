// Runs one session: tells it what happens on its connections and carries out what it asks for, after each event, in order. What
// happens meanwhile waits, so a session is never entered twice.

import FlowModel
import NIOCore
import NIOPosix
import ProxyCore

/// The driver of one session. Used on one event loop.
final class SessionDriver {
    private let session: any ProxySessionProtocol
    private let loop: LoopContext
    private let release: () -> Void
    private var client: Pump?
    private var upstreams: [(handle: ConnectionHandle, pump: Pump?)] = []
    private var output = ProxyOutput()
    private var waiting: [ProxyEvent] = []
    private var isRunning = false
    private var isReading = false
    private var unflushed: [Pump] = []
    private var timers = SessionTimers()

    /// - Parameter release: called once, when the session is over.
    init(session: any ProxySessionProtocol, loop: LoopContext, release: @escaping () -> Void) {
        self.session = session
        self.loop = loop
        self.release = release
    }

    // MARK: What the channels say

    func makeClientPump() -> Pump {
        let pump = Pump(handle: .client, driver: self)
        client = pump
        return pump
    }

    func opened(_ pump: Pump) {
        guard let channel = pump.context?.channel else { return }
        let peer = Endpoint(channel.remoteAddress)
        let local = Endpoint(channel.localAddress)
        if pump.handle == .client {
            loop.add(self)
            if loop.isPaused { pump.applyReading(isPaused: true) }
            tell(.started(peer: peer, local: local))
        } else if let index = upstreams.firstIndex(where: { $0.handle == pump.handle }) {
            upstreams[index].pump = pump
            if loop.isPaused { pump.applyReading(isPaused: true) }
            tell(.opened(pump.handle, peer: peer, local: local))
        } else {
            // The session gave it up while it was being made.
            pump.abort()
        }
    }

    func received(_ bytes: ByteBuffer, from pump: Pump) {
        isReading = true
        tell(.received(pump.handle, bytes))
    }

    func readComplete() {
        isReading = false
        flush()
    }

    func closed(_ pump: Pump, error: String?, isReset: Bool) {
        if pump.handle == .client {
            client = nil
        } else {
            upstreams.removeAll { $0.handle == pump.handle }
        }
        isReading = false
        tell(.closed(pump.handle, error: error, isReset: isReset))
        endIfOver()
    }

    /// Tells the session an event and carries out what follows.
    func tell(_ event: ProxyEvent) {
        waiting.append(event)
        guard !isRunning else { return }
        isRunning = true
        var next = 0
        while next < waiting.count {
            let event = waiting[next]
            next += 1
            session.receive(event, at: loop.settings.clock.now, into: &output)
            loop.record(&output.records)
            for command in output.commands { run(command) }
            output.commands.removeAll(keepingCapacity: true)
        }
        waiting.removeAll(keepingCapacity: true)
        isRunning = false
        if !isReading { flush() }
    }

    private func flush() {
        guard !unflushed.isEmpty else { return }
        let pumps = unflushed
        unflushed.removeAll(keepingCapacity: true)
        for pump in pumps { pump.flush() }
    }

    // MARK: What the session asks for

    private func run(_ command: ProxyCommand) {
        switch command {
        case .open(let handle, let endpoint):
            connect(handle, endpoint)
        case .send(let handle, let bytes):
            guard let pump = pump(handle) else { return }
            pump.write(bytes)
            if !unflushed.contains(where: { $0 === pump }) { unflushed.append(pump) }
        case .finish(let handle):
            pump(handle)?.finish()
        case .close(let handle):
            guard let pump = pump(handle) else { return forget(handle) }
            pump.close(within: loop.settings.limits.closePatience)
        case .abort(let handle):
            guard let pump = pump(handle) else { return forget(handle) }
            pump.abort()
        case .read(let handle, let reads):
            guard let pump = pump(handle) else { return }
            pump.wantsReading = reads
            pump.applyReading(isPaused: loop.isPaused)
        case .startTimer(let timer, let nanoseconds):
            let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
            timers.start(timer, in: .nanoseconds(nanoseconds), on: loop.eventLoop) { bound.value.timerMayHaveFired(timer) }
        case .cancelTimer(let timer):
            timers.cancel(timer)
        case .forge(let request):
            let seconds = loop.settings.clock.now.nanoseconds / 1_000_000_000
            waiting.append(.certificateReady(loop.settings.certificates(request, seconds)))
        case .log(let line):
            loop.settings.log(line)
        }
    }

    private func pump(_ handle: ConnectionHandle) -> Pump? {
        if handle == .client { return client }
        return upstreams.first { $0.handle == handle }?.pump
    }

    /// A connection that is still being made is not wanted any more.
    private func forget(_ handle: ConnectionHandle) {
        upstreams.removeAll { $0.handle == handle && $0.pump == nil }
        endIfOver()
    }

    private func timerMayHaveFired(_ timer: ProxyTimer) {
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let isDue = timers.fire(timer, on: loop.eventLoop) { bound.value.timerMayHaveFired(timer) }
        if isDue { tell(.timerFired(timer)) }
    }

    func applyReading() {
        client?.applyReading(isPaused: loop.isPaused)
        for upstream in upstreams { upstream.pump?.applyReading(isPaused: loop.isPaused) }
    }

    func abandon() {
        client?.abort()
        for upstream in upstreams { upstream.pump?.abort() }
    }

    private func endIfOver() {
        guard client == nil, upstreams.isEmpty, !timers.isOver else { return }
        timers.end()
        loop.remove(self)
        release()
    }

    // MARK: Connecting

    private func connect(_ handle: ConnectionHandle, _ endpoint: Endpoint) {
        upstreams.append((handle, nil))
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let bootstrap = ClientBootstrap(group: loop.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: TransportLimits.waterMark)
            .channelOption(.recvAllocator, value: TransportLimits.receiveAllocator)
            .connectTimeout(loop.settings.limits.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Pump(handle: handle, driver: bound.value))
                }
            }
        let connecting: EventLoopFuture<any Channel>
        // An address needs no resolver.
        if let address = try? SocketAddress(ipAddress: endpoint.host, port: Int(endpoint.port)) {
            connecting = bootstrap.connect(to: address)
        } else {
            connecting = bootstrap.connect(host: endpoint.host, port: Int(endpoint.port))
        }
        connecting.whenFailure { error in
            bound.value.connectFailed(handle, Self.describe(error))
        }
    }

    private func connectFailed(_ handle: ConnectionHandle, _ reason: String) {
        guard let index = upstreams.firstIndex(where: { $0.handle == handle && $0.pump == nil }) else { return }
        upstreams.remove(at: index)
        tell(.openFailed(handle, reason: reason))
        endIfOver()
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return describe(first.error) }
            return "no such host"
        case ChannelError.connectTimeout: return "timed out"
        case SocketAddressError.unknown: return "no such host"
        default: return Pump.describe(error).text
        }
    }
}

extension Endpoint {
    init(_ address: SocketAddress?) {
        self.init(host: address?.ipAddress ?? "", port: UInt16(address?.port ?? 0))
    }
}
