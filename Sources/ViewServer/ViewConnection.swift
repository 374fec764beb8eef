// One HTTP connection of a view: collects each request, answers it on another thread, and writes the response.

import Dispatch
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Answers the requests of one connection, one after the other.
final class ViewConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Bytes of a request's content.
    private static let maximumBody = 64 * 1024

    private let api: ViewAPI
    private let requestGuard: RequestGuard
    private let connections: OpenConnections
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    /// Closes the connection when no whole request arrives.
    private var deadline: Scheduled<Void>?

    init(_ api: ViewAPI, _ requestGuard: RequestGuard, _ connections: OpenConnections) {
        self.api = api
        self.requestGuard = requestGuard
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) { awaitRequest(context.channel) }
    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    private func awaitRequest(_ channel: any Channel) {
        deadline = channel.eventLoop.scheduleTask(in: connections.limits.requestTime) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var part):
            guard var head else { return }
            body.writeBuffer(&part)
            guard body.readableBytes > Self.maximumBody else { return }
            self.head = nil
            head.headers.replaceOrAdd(name: "Connection", value: "close")
            Self.write(ViewAPI.response(to: .tooLarge), head, to: context.channel)
        case .end:
            guard let head else { return }
            self.head = nil
            deadline?.cancel()
            respond(to: head, context.channel)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The request of a WebSocket that was refused comes as any other one, and is answered.
        if error is NIOWebSocketUpgradeError { return }
        context.close(promise: nil)
    }

    private func respond(to head: HTTPRequestHead, _ channel: any Channel) {
        let (api, requestGuard, body, connections) = (api, requestGuard, body, connections)
        let connection = NIOLoopBound(self, eventLoop: channel.eventLoop)
        // Requests wait for files, and a body of a response for the client.
        DispatchQueue.global().async(group: connections.answers) {
            let response = Self.response(to: head, body, api, requestGuard)
            if case .bytes = response.body {
                Self.write(response, head, to: channel)
            } else if connections.beginStream() {
                Self.write(response, head, to: channel)
                connections.endStream()
            } else {
                Self.write(ViewAPI.response(to: .busy), head, to: channel)
            }
            channel.eventLoop.execute { if channel.isActive { connection.value.awaitRequest(channel) } }
        }
    }

    private static func response(
        to head: HTTPRequestHead, _ body: ByteBuffer, _ api: ViewAPI, _ requestGuard: RequestGuard
    ) -> ViewResponse {
        do throws(RequestGuard.Refusal) {
            try requestGuard.checkOrigin(head)
            let path = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0]
            if let file = PageFile.all[String(path)] {
                guard head.method == .GET else { return ViewAPI.response(to: .notAllowed) }
                return file.response(to: head.headers)
            }
            guard head.method == .GET || head.method == .POST else { return ViewAPI.response(to: .notAllowed) }
            if path == "/session", head.method == .POST {
                // The secret, or a code, comes as a bearer token and becomes a cookie.
                try requestGuard.checkSession(head)
                var response = ViewResponse(.ok, .json, ByteBuffer(string: "{}"))
                response.extra = [("Set-Cookie", requestGuard.cookie)]
                return response
            }
            try requestGuard.checkSecret(head)
        } catch {
            return refusal(error)
        }
        return api.response(to: head, body)
    }

    private static func refusal(_ refusal: RequestGuard.Refusal) -> ViewResponse {
        switch refusal {
        case .forbidden(let reason): ViewAPI.response(to: ViewError(.forbidden, reason))
        case .unauthorized:
            ViewAPI.response(to: ViewError(.unauthorized, "the request does not have the secret of the printed address"))
        }
    }

    /// Writes a response, on a thread that may wait.
    private static func write(_ response: ViewResponse, _ request: HTTPRequestHead, to channel: any Channel) {
        var isBegun = false
        func begin() {
            guard !isBegun else { return }
            isBegun = true
            var head = HTTPResponseHead(version: request.version, status: response.status, headers: response.fields)
            if !request.isKeepAlive { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            channel.write(HTTPServerResponsePart.head(head), promise: nil)
        }
        switch response.body {
        case .bytes(let bytes):
            begin()
            channel.write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
        case .stream(let write):
            do {
                try write { piece in
                    guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
                    guard piece.readableBytes > 0 else { return }
                    begin()
                    try channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(piece))).wait()
                }
                begin()
            } catch {
                guard !isBegun else {
                    // A body that is not whole must not look as if it were.
                    return channel.close(promise: nil)
                }
                let error = error as? ViewError ?? ViewError(.internalServerError, "\(error)")
                return Self.write(ViewAPI.response(to: error), request, to: channel)
            }
        }
        if request.isKeepAlive {
            // Without a promise: the view may end meanwhile, and its event loops keep none.
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        } else {
            channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
        }
    }
}

extension ViewError {
    fileprivate static var notAllowed: ViewError { ViewError(.methodNotAllowed, "only GET and POST are answered") }
    fileprivate static var busy: ViewError { ViewError(.serviceUnavailable, "too many files are being sent; wait for one of them") }
    fileprivate static var tooLarge: ViewError { ViewError(.payloadTooLarge, "the request is too large") }
}
