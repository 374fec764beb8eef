// The WebSocket of a page: it says which list it shows, and gets the counts of that list when they change, at most ten times a second. Flows
// are not sent; the page asks for the rows that it shows.

import FlowView
import JSONQuery
import NIOCore
import NIOWebSocket

/// One page that follows a list.
final class LiveConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private static let interval = TimeAmount.milliseconds(100)

    private let api: ViewAPI
    private var view: String?
    private var sent: (view: String, status: ListStatus)?
    private var timer: RepeatedTask?

    init(_ api: ViewAPI) { self.api = api }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.interval) { _ in
            let (connection, context) = bound.value
            connection.send(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
    func channelInactive(context: ChannelHandlerContext) { timer?.cancel() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text:
            guard frame.fin, let asked = JSONTree(parsing: frame.unmaskedData) else { return context.close(promise: nil) }
            view = asked["view"]?.string?.text
            sent = nil
            send(context)
        case .ping:
            guard context.channel.isWritable else { return }
            let answer = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        case .connectionClose:
            let answer = WebSocketFrame(fin: true, opcode: .connectionClose, data: frame.unmaskedData)
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(answer)).whenComplete { _ in channel.close(promise: nil) }
        default: break
        }
    }

    /// Sends the counts if they have changed, and if what was sent before is on its way.
    private func send(_ context: ChannelHandlerContext) {
        guard context.channel.isWritable, let view, let list = api.lists.list(view) else { return }
        let status = list.status
        guard sent?.view != view || sent?.status != status else { return }
        sent = (view, status)
        var json = JSONText()
        json.object { json in
            json.member("view", view)
            json.counts(status)
        }
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: json.bytes)), promise: nil)
    }
}
