// The two ends of an exchange. Only the four types behind these verbs, and the translation of heads, know a version of HTTP.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

/// Where the response of an exchange goes.
enum ClientStream {
    case http1(ClientHTTP1)
    case http2(ClientHTTP2, StreamID)

    // MARK: The response

    func sendInterim(_ head: ResponseHead, of exchange: Exchange) {
        switch self {
        case .http1(let connection): connection.sendInterim(head, to: exchange.request)
        case .http2(let connection, let stream): connection.sendInterim(head, on: stream)
        }
    }

    func sendHead(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange) {
        switch self {
        case .http1(let connection): connection.sendHead(head, framing, of: exchange)
        case .http2(let connection, let stream): connection.sendHead(head, framing, on: stream)
        }
    }

    func sendContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) {
        switch self {
        case .http1(let connection): connection.sendContent(content, wire: wire, of: exchange)
        case .http2(let connection, let stream): connection.sendContent(content, of: exchange, on: stream)
        }
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        switch self {
        case .http1(let connection): connection.sendEnd(trailers, wire: wire, of: exchange)
        case .http2(let connection, let stream): connection.sendEnd(trailers, on: stream)
        }
    }

    /// The client got more or less content than the declared length, and cannot detect it.
    var hasLengthMismatch: Bool {
        if case .http1(let connection) = self { connection.hasLengthMismatch } else { false }
    }

    /// Accepts a conversation that was requested in the server's version of HTTP.
    /// - Returns: data of it that the client has sent already.
    func acceptConversation(_ head: ResponseHead, key: String) -> ByteBuffer {
        switch self {
        case .http1(let connection): return connection.switchProtocols(head, key: key)
        case .http2(let connection, let stream):
            connection.accept(head, on: stream)
            return ByteBuffer()
        }
    }

    // MARK: Answers of our own

    /// Sends an answer of our own, which ends the exchange.
    func answer(_ reply: LocalReply) {
        switch self {
        case .http1(let connection): connection.answer(reply)
        case .http2(let connection, let stream): connection.connection.answer(reply, on: stream)
        }
    }

    /// An answer as this client will receive it.
    func localReply(_ answer: LocalContent, hasContent: Bool = true) -> LocalReply {
        switch self {
        case .http1: .http1(answer, hasContent: hasContent)
        case .http2: .http2(answer, hasContent: hasContent)
        }
    }

    /// The connection carries other exchanges, so it outlives this one.
    var isMultiplexed: Bool {
        if case .http2 = self { true } else { false }
    }

    /// The client's version, where it has no transfer codings.
    func versionWithoutCodings(_ request: RequestHead) -> String? {
        switch self {
        case .http1: request.version == .http1_0 ? "HTTP/1.0" : nil
        case .http2: "HTTP/2"
        }
    }

    // MARK: Flow control

    /// Opens the client's window by the forwarded content. HTTP/1 has no windows.
    func consumed(_ bytes: Int) {
        if case .http2(let connection, let stream) = self { connection.connection.consumed(bytes, on: stream) }
    }

    var canAcceptMore: Bool {
        switch self {
        case .http1(let connection): connection.transport.isWritable
        case .http2(let connection, let stream): connection.connection.queuedBytes(on: stream) < FlowControl.highWaterMark
        }
    }

    /// Bytes that wait for the client's window.
    var queuedBytes: Int {
        if case .http2(let connection, let stream) = self { connection.connection.queuedBytes(on: stream) } else { 0 }
    }

    // MARK: Ends

    /// Ignores the rest of the request; the stream ends with the response.
    func endInput() {
        if case .http2(let connection, let stream) = self { connection.connection.endInput(of: stream) }
    }

    func reset(_ code: HTTP2ErrorCode) {
        if case .http2(let connection, let stream) = self { connection.connection.reset(stream, code) }
    }

    func forget(_ exchange: Exchange) {
        switch self {
        case .http1(let connection): if connection.exchange === exchange { connection.exchange = nil }
        case .http2(let connection, let stream): connection.exchanges[stream] = nil
        }
    }

    /// Exchanges are notified in this order.
    var order: UInt32 {
        if case .http2(_, let stream) = self { stream.value } else { 0 }
    }
}

/// Where the request of an exchange goes. A recorded server is an endpoint like any other.
enum ServerStream {
    case http1(ServerHTTP1)
    case http2(ServerHTTP2, StreamID)
    case recorded(RecordedServer)

    // MARK: The request

    func sendContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) throws(ExchangeFailure) {
        switch self {
        case .http1(let connection): try connection.sendContent(content, wire: wire, of: exchange)
        case .http2(let connection, let stream): connection.sendContent(content, of: exchange, on: stream)
        case .recorded(let server): try server.receive(content, of: exchange)
        }
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) throws(ExchangeFailure) {
        switch self {
        case .http1(let connection): try connection.sendEnd(trailers, wire: wire, of: exchange)
        case .http2(let connection, let stream): connection.sendEnd(trailers, of: exchange, on: stream)
        case .recorded: break
        }
    }

    /// The conversation was refused, so nothing follows the request's head.
    func endConversation() {
        if case .http2(let connection, let stream) = self { connection.connection.sendEnd(trailers: nil, on: stream) }
    }

    /// The retry buffer of the request is not needed any more.
    func releaseRetryBuffer(of exchange: Exchange) {
        if case .http2(let connection, _) = self { connection.releaseRetryBuffer(of: exchange) }
    }

    // MARK: Flow control

    /// Opens the server's window by the forwarded content. HTTP/1 has no windows.
    func consumed(_ bytes: Int) {
        if case .http2(let connection, let stream) = self { connection.connection.consumed(bytes, on: stream) }
    }

    var canAcceptMore: Bool {
        switch self {
        case .http1(let connection): connection.transport.isWritable
        case .http2(let connection, let stream): connection.connection.queuedBytes(on: stream) < FlowControl.highWaterMark
        case .recorded: true
        }
    }

    /// Bytes that wait for the server's window.
    var queuedBytes: Int {
        if case .http2(let connection, let stream) = self { connection.connection.queuedBytes(on: stream) } else { 0 }
    }

    /// Our answers to the server's pings were sent on its connection.
    func countUnreadReplies(_ bytes: Int) {
        switch self {
        case .http1(let connection): connection.transport.countUnreadReplies(bytes)
        case .http2(let connection, _): connection.transport.countUnreadReplies(bytes)
        case .recorded: break
        }
    }

    // MARK: Ends

    /// The server's bytes after a head that ends its messages.
    func takeEarly() -> ByteBuffer {
        if case .http1(let connection) = self { connection.decoder.takeRest() } else { ByteBuffer() }
    }

    /// The connection may carry another exchange.
    func persists(after exchange: Exchange) -> Bool {
        guard let response = exchange.responseHead, !exchange.isUpgraded else { return false }
        switch self {
        case .http2: return true
        case .http1: return exchange.connectionUse.isReusable && response.keepsConnection && exchange.request.keepsServerConnection
        case .recorded where response.isFramedByStream: return !exchange.connectionUse.endsWithConnection
        case .recorded:
            return exchange.connectionUse.isReusable && response.keepsConnection && exchange.request.keepsServerConnection
        }
    }

    /// The server has answered, and its connection cannot be used after the response: the rest of the request is not read (RFC 9112 §9.6).
    func readsNoMore(of exchange: Exchange) -> Bool {
        if case .http1(let connection) = self { !persists(after: exchange) || connection.transport.hasEnded } else { false }
    }

    func forget(_ exchange: Exchange) {
        switch self {
        case .http1(let connection): if connection.exchange === exchange { connection.exchange = nil }
        case .http2(let connection, let stream): connection.forget(stream)
        case .recorded(let server): server.stop()
        }
    }

    var recorded: RecordedServer? {
        if case .recorded(let server) = self { server } else { nil }
    }

    /// The connection carries other exchanges, so it outlives this one.
    var isMultiplexed: Bool {
        if case .http2 = self { true } else { false }
    }
}

/// The protocol of a client's connection.
enum ClientHTTP {
    case http1(ClientHTTP1)
    case http2(ClientHTTP2)

    var http1: ClientHTTP1? {
        if case .http1(let connection) = self { connection } else { nil }
    }

    var http2: ClientHTTP2? {
        if case .http2(let connection) = self { connection } else { nil }
    }

    /// Exchanges in progress, in the order of their streams.
    var exchanges: [Exchange] {
        switch self {
        case .http1(let connection): connection.exchange.map { [$0] } ?? []
        case .http2(let connection): connection.inOrder
        }
    }

    func stream(_ stream: StreamID) -> ClientStream {
        switch self {
        case .http1(let connection): .http1(connection)
        case .http2(let connection): .http2(connection, stream)
        }
    }

    func begin(_ exchange: Exchange, _ stream: StreamID) {
        switch self {
        case .http1(let connection): connection.exchange = exchange
        case .http2(let connection): connection.exchanges[stream] = exchange
        }
    }

    /// Requests are concurrent.
    var isMultiplexed: Bool {
        if case .http2 = self { true } else { false }
    }

    /// The version in which a refused request is recorded.
    var version: HTTPVersion { isMultiplexed ? .http2 : .http1_1 }
}

/// The protocol of a connection to a server.
enum ServerHTTP {
    case http1(ServerHTTP1)
    case http2(ServerHTTP2)

    var http1: ServerHTTP1? {
        if case .http1(let connection) = self { connection } else { nil }
    }

    var http2: ServerHTTP2? {
        if case .http2(let connection) = self { connection } else { nil }
    }

    /// Exchanges in progress, in the order of the client's streams.
    var exchanges: [Exchange] {
        switch self {
        case .http1(let connection): connection.exchange.map { [$0] } ?? []
        case .http2(let connection): connection.inOrder
        }
    }

    var isIdle: Bool {
        switch self {
        case .http1(let connection): connection.exchange == nil
        case .http2(let connection): connection.exchanges.isEmpty
        }
    }

    /// Another request may be sent now.
    var takesRequests: Bool {
        switch self {
        case .http1(let connection): connection.exchange == nil
        case .http2(let connection): connection.connection.takesRequests
        }
    }

    /// No message is cut when the connection ends now.
    var isBetweenMessages: Bool {
        switch self {
        case .http1(let connection): connection.decoder.isBetweenMessages
        case .http2: true
        }
    }

    /// Whether a request is in progress on it.
    func carries(_ stream: ServerStream) -> Bool {
        switch (self, stream) {
        case (.http1(let connection), .http1(let other)): connection === other
        case (.http2(let connection), .http2(let other, _)): connection === other
        default: false
        }
    }

    /// It carries concurrent requests.
    var isMultiplexed: Bool {
        if case .http2 = self { true } else { false }
    }
}

extension RequestHead {
    /// It came on a stream, whose end is the end of its content.
    var isFramedByStream: Bool { version.major >= 2 }

    /// The client lets the connection persist. HTTP/2 requests do not declare it.
    fileprivate var keepsServerConnection: Bool { isFramedByStream || keepsConnection }
}

extension ResponseHead {
    /// It came on a stream, whose end is the end of its content.
    var isFramedByStream: Bool { version.major >= 2 }
}
