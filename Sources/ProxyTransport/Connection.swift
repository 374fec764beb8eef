// The pump: the one handler in a socket's pipeline. A read becomes an event of the session, a command of the session becomes
// a call of SwiftNIO, and the socket's separate notifications are combined into one end of the connection.

import FlowModel
import NIOCore
import NIOPosix
import ProxyCore

/// One connection, established or being established. Used on its event loop only.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The owner of the connection, which decides what happens when the socket is established.
    enum Origin {
        case accepted(Acceptor)
        case dialed(Dial)
    }

    let handle: ConnectionHandle
    let loop: LoopContext
    /// The address under which the client was counted.
    var clientHost: String?
    private var origin: Origin?
    private var driver: SessionDriver?
    /// The driver that counts this socket until it is closed.
    private var counter: SessionDriver?
    private var context: ChannelHandlerContext?
    /// Bytes sent since the last flush: small pieces, such as a head and the content after it, share one write.
    private var unsent = ByteBuffer()
    /// Something was sent since the last flush.
    private var needsFlush = false
    private var isReadingWanted = true
    private var isReading = true
    /// The peer sent its FIN.
    private var isInputEnded = false
    private var isFinishAsked = false
    private var isOutputEnded = false
    private var isCloseAsked = false
    private var isAborted = false
    private var failure: (any Error)?

    init(handle: ConnectionHandle, origin: Origin, loop: LoopContext) {
        self.handle = handle
        self.origin = origin
        self.loop = loop
    }

    /// Sets a new socket up and becomes its handler.
    func adopt(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { throw TransportError("the socket takes no options") }
        let limits = loop.services.limits
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.recvAllocator, value: LoopReceiveAllocator(shared: loop.receiveBuffer))
        // One read, its effects, then the next socket: with reads of 64 KiB more would only delay the others.
        try options.setOption(.maxMessagesPerRead, value: 1)
        let marks = ChannelOptions.Types.WriteBufferWaterMark(low: limits.lowWaterMarkBytes, high: limits.highWaterMarkBytes)
        try options.setOption(.writeBufferWaterMark, value: marks)
        try channel.pipeline.syncOperations.addHandler(self)
    }

    // MARK: commands of the session

    /// Above this size, a separate write costs less than copying the bytes that follow.
    private static let maximumJoinedBytes = 8 * 1024

    /// - Returns: whether this is the first write since the last flush.
    func send(_ bytes: ByteBuffer) -> Bool {
        guard context != nil, !isFinishAsked, !isCloseAsked else { return false }
        if unsent.readableBytes == 0 {
            unsent = bytes
        } else if let joined = loop.received?.slice(joining: unsent, bytes) {
            // A head and the content after it are sent on as they came.
            unsent = joined
        } else if unsent.readableBytes + bytes.readableBytes <= Self.maximumJoinedBytes {
            unsent.writeImmutableBuffer(bytes)
        } else {
            writeUnsent()
            unsent = bytes
        }
        // After the write, which may have changed the writability, and so have flushed.
        defer { needsFlush = true }
        return !needsFlush
    }

    private func writeUnsent() {
        context?.write(NIOAny(takeUnsent()), promise: nil)
    }

    private func takeUnsent() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &unsent)
        return taken
    }

    /// Writes the collected output.
    func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context?.writeAndFlush(NIOAny(takeUnsent()), promise: nil)
    }

    func setReading(_ isWanted: Bool) {
        isReadingWanted = isWanted
        applyReading()
    }

    /// Starts or stops reading, as the session and the loop's pause require.
    func applyReading() {
        let isDue = isReadingWanted && !loop.isPaused
        guard isDue != isReading, let context else { return }
        isReading = isDue
        try? context.channel.syncOptions?.setOption(.autoRead, value: isDue)
    }

    /// Sends FIN after the output.
    func finish() {
        guard context != nil, !isFinishAsked, !isCloseAsked else { return }
        isFinishAsked = true
        whenSent { $0.endOutput() }
    }

    private func endOutput() {
        guard let context, !isCloseAsked else { return }
        isOutputEnded = true
        if isInputEnded { context.close(promise: nil) } else { context.close(mode: .output, promise: nil) }
    }

    /// Closes both directions after the output.
    func close() {
        guard context != nil, !isCloseAsked else { return }
        isCloseAsked = true
        whenSent { $0.context?.close(promise: nil) }
    }

    /// Calls back when the kernel has accepted all output; never if the connection fails before. SwiftNIO itself drops what is
    /// unsent when it closes, and when it ends the second of two directions.
    private func whenSent(_ body: @escaping (Connection) -> Void) {
        guard let context else { return }
        flush()
        let unsent = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        guard unsent > 0 else { return body(self) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenSuccess { [weak self] in
            if let self { body(self) }
        }
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: sent)
    }

    /// Closes with a reset.
    func abort() {
        guard let context, !isAborted else { return }
        isAborted = true
        isCloseAsked = true
        // The preceding data is under way, as far as the kernel accepts it.
        flush()
        if let options = context.channel as? any SocketOptionProvider {
            // A linger time of zero makes close(2) send a reset, socket(7).
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    // MARK: notifications of the socket

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        counter?.sockets.closed(handle)
        counter = nil
        if case .accepted(let acceptor) = origin { acceptor.connectionGone(self) }
        loop.services.admission.descriptorFreed()
        origin = nil
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        guard driver == nil, let origin, let peer = context.channel.remoteAddress?.endpoint,
            let local = context.channel.localAddress?.endpoint
        else { return context.close(promise: nil) }
        if case .dialed(let dial) = origin { isReadingWanted = dial.isReadingWanted }
        applyReading()
        switch origin {
        case .accepted(let acceptor):
            // A client that is accepted while the proxy ends is too late.
            guard !loop.isShuttingDown,
                let session = acceptor.session(for: self, channel: context.channel, peer: peer, local: local)
            else { return context.close(promise: nil) }
            let driver = SessionDriver(session: session, loop: loop)
            self.driver = driver
            counter = driver
            driver.sockets.opened(handle)
            driver.start(client: self, peer: peer, local: local)
        case .dialed(let dial):
            guard let driver = dial.claim() else { return context.close(promise: nil) }
            self.driver = driver
            // The dial has counted it.
            counter = driver
            driver.opened(dial, self, peer: peer, local: local)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let received = loop.receiveBuffer.detach(Connection.unwrapInboundIn(data))
        guard let driver, !isCloseAsked else { return }
        loop.received = received
        driver.deliver(.received(handle, received), at: loop.services.clock.now())
        loop.received = nil
        // A connection that was closed reads no more, so no end of its reading flushes the others.
        if isCloseAsked { driver.flush() }
    }

    func channelReadComplete(context: ChannelHandlerContext) { driver?.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard let driver, !isCloseAsked else { return }
        driver.deliver(.writable(handle, context.channel.isWritable))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { endInput() }
    }

    private func endInput() {
        guard !isInputEnded else { return }
        isInputEnded = true
        guard let driver, !isCloseAsked else { return }
        driver.deliver(.halfClosed(handle))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { failure = failure ?? error }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        guard let driver else { return }
        self.driver = nil
        let (error, isReset) = ending(driver)
        driver.closed(self, error: error, isReset: isReset)
    }

    /// How the connection ended, once it has.
    private func ending(_ driver: SessionDriver) -> (error: String?, isReset: Bool) {
        if isCloseAsked { return (nil, false) }
        if let failure { return (failureDescription(failure), ProxyTransport.isReset(failure)) }
        if isOutputEnded {
            // SwiftNIO does not report the peer's FIN after ours: it closes.
            if !isInputEnded { driver.deliver(.halfClosed(handle)) }
            return (nil, false)
        }
        // The reason is unknown: a write failed, which happens when the peer reset the connection.
        return ("connection reset by peer", true)
    }
}

extension SocketAddress {
    /// The address and port as text; nil for a socket without an address.
    var endpoint: Endpoint? {
        guard let ipAddress, let port else { return nil }
        // A socket that listens on all addresses of both families shows IPv4 clients in this form (RFC 4291 §2.5.5.2).
        let isMapped = ipAddress.utf8.count > 7 && ipAddress.hasPrefix("::ffff:") && ipAddress.utf8.contains(0x2E)
        return Endpoint(host: isMapped ? String(ipAddress.dropFirst(7)) : ipAddress, port: UInt16(truncatingIfNeeded: port))
    }
}
