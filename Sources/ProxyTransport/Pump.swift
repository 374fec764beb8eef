// The one handler in each channel's pipeline: what the socket says becomes events of the session.

import Glibc
import NIOCore
import ProxyCore

/// Connects a channel to its session's driver. Used on the channel's event loop only.
final class Pump: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let handle: ConnectionHandle
    private let driver: SessionDriver
    private(set) var context: ChannelHandlerContext?
    /// The session wants to read from here.
    var wantsReading = true
    var isClosing = false
    private var isAutoReading = true
    private var error: (text: String, isReset: Bool)?

    init(handle: ConnectionHandle, driver: SessionDriver) {
        self.handle = handle
        self.driver = driver
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        driver.opened(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        driver.received(unwrapInboundIn(data), from: self)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        driver.readComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        driver.tell(.writable(handle, context.channel.isWritable))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else { return }
        driver.tell(.halfClosed(handle))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = Self.describe(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        driver.closed(self, error: isClosing ? nil : error?.text, isReset: error?.isReset ?? false)
    }

    // MARK: What the session asks for

    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    func flush() { context?.flush() }

    /// Closes the writing half behind what was written.
    func finish() {
        guard let context else { return }
        whenWritten(context) { context in context.close(mode: .output, promise: nil) }
    }

    /// Closes both halves behind what was written, or after a while when the peer takes nothing.
    func close(within patience: TimeAmount) {
        guard let context, !isClosing else { return }
        isClosing = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let timeout = context.eventLoop.scheduleTask(in: patience) { bound.value.abort() }
        whenWritten(context) { context in
            timeout.cancel()
            context.close(promise: nil)
        }
    }

    /// Closes at once, with a reset.
    func abort() {
        guard let context else { return }
        isClosing = true
        // On the channel's own loop the option is set before this returns.
        _ = (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        context.close(promise: nil)
    }

    /// An empty write is done when everything before it is.
    private func whenWritten(_ context: ChannelHandlerContext, _ body: @escaping (ChannelHandlerContext) -> Void) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { [weak self] _ in
            guard let context = self?.context else { return }
            body(context)
        }
    }

    func applyReading(isPaused: Bool) {
        let reads = wantsReading && !isPaused
        guard reads != isAutoReading, let context else { return }
        isAutoReading = reads
        try? context.channel.syncOptions?.setOption(.autoRead, value: reads)
    }

    static func describe(_ error: any Error) -> (text: String, isReset: Bool) {
        guard let error = error as? IOError else { return ("\(error)", false) }
        switch error.errnoCode {
        case ECONNRESET, EPIPE: return ("connection reset by peer", true)
        case ECONNREFUSED: return ("connection refused", false)
        case ETIMEDOUT: return ("timed out", false)
        case ENETUNREACH: return ("network unreachable", false)
        case EHOSTUNREACH: return ("no route to host", false)
        default: return (unsafe String(cString: strerror(error.errnoCode)).lowercased(), false)
        }
    }
}
