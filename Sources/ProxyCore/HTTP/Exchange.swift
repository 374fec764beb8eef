// One request and its response. An exchange knows no version of HTTP: ``client`` and ``server`` send for it.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

/// The state of an exchange.
final class Exchange {
    enum Response {
        case none
        /// Interim responses were received: the server has processed the request, so it is not sent again.
        case begun
        case streaming(ResponseHead)
        case complete(ResponseHead)
    }

    /// The kind of the two sides' data.
    enum Content {
        case message
        /// WebSocket is requested in the server's version of HTTP, which is not the client's (RFC 8441 §5).
        /// - key: Sec-WebSocket-Key on the side that speaks HTTP/1, the client's or ours.
        case handshake(key: String)
        /// The answer to such a handshake is an ordinary response.
        case refused
        /// Frames in DATA on both sides.
        case frames(Conversation)
        /// The HTTP/1 connection of one side carries bytes of a conversation and no more messages; nil: they are not read as frames.
        case upgraded(Conversation?)
    }

    let flow: FlowID
    let request: RequestHead
    let framing: BodyFraming
    private(set) var target: ExchangeTarget
    /// Where the response goes.
    var client: ClientStream
    /// Where the request goes; nil until it is sent.
    var server: ServerStream?
    /// Content that waits for the server, or for the answer to a handshake.
    var pendingContent: [RequestEvent] = []
    /// Data that may have to be sent again.
    var retry: RetryBuffer?
    var content = Content.message
    private(set) var response = Response.none
    /// The client has sent the whole request.
    var requestIsComplete = false
    /// Nothing more of it is forwarded.
    private(set) var isOver = false
    /// The side that was the first to end its direction.
    var closedBy: Side?
    /// Why its connections cannot carry another exchange.
    var connectionUse = ConnectionUse()
    var sizes = (request: UInt64(0), response: UInt64(0))

    init(
        flow: FlowID, client: ClientStream, request: RequestHead, framing: BodyFraming, target: ExchangeTarget
    ) {
        self.flow = flow
        self.client = client
        self.request = request
        self.framing = framing
        self.target = target
    }

    // MARK: The request

    var destination: Destination { target.destination }

    /// A responder forwards it to a server.
    func forward(to destination: Destination) {
        server = nil
        target = target.forwarded(to: destination)
    }

    /// The request can be sent again if the server has not processed it: all of it is available, and no response has begun.
    var isReplayable: Bool {
        guard case .none = response, retry?.hasBeenUsed != true else { return false }
        return framing == .none || isUpgradePending || retry?.isWhole == true || server == nil
    }

    /// The method is idempotent (RFC 9110 §9.2.2), so the request may be sent again even if the server has processed it.
    var isSafeToRetry: Bool {
        guard isReplayable else { return false }
        let methods: [StaticString] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]
        return isUpgradePending || methods.contains { request.isMethod($0) }
    }

    /// Takes the request back, to be sent again.
    func rewind() {
        var buffer = retry ?? RetryBuffer()
        server?.releaseRetryBuffer(of: self)
        let events = buffer.rewind(wasSent: server != nil, isComplete: requestIsComplete, framing)
        retry = buffer
        server = nil
        pendingContent = events + pendingContent
    }

    /// Content of the request was forwarded: its sender's window opens.
    func requestForwarded(_ bytes: Int) {
        client.consumed(retry?.countForwarded(bytes) ?? bytes)
    }

    var isHead: Bool { request.isMethod("HEAD") }

    /// A tunnel on a stream (RFC 9113 §8.5).
    var isPlainConnect: Bool { request.upgrade == nil && request.isMethod("CONNECT") }

    /// CONNECT that names a protocol (RFC 8441 §4).
    var isExtendedConnect: Bool { request.upgrade != nil && request.isMethod("CONNECT") }

    /// The client asks for WebSocket: by extended CONNECT (RFC 8441 §5), or by Upgrade.
    var asksForWebSocket: Bool { request.upgrade == .webSocket }

    // MARK: The response

    var responseHead: ResponseHead? {
        switch response {
        case .none, .begun: nil
        case .streaming(let head), .complete(let head): head
        }
    }

    var responseIsComplete: Bool {
        if case .complete = response { true } else { false }
    }

    /// Some of a response was received: the server has processed the request.
    func responseBegan() {
        if case .none = response { response = .begun }
        server?.releaseRetryBuffer(of: self)
    }

    func received(_ head: ResponseHead) { response = .streaming(head) }

    func responseEnded() {
        if let head = responseHead { response = .complete(head) }
        if closedBy == nil { closedBy = .server }
    }

    /// Content of the response was forwarded: its sender's window opens.
    func responseForwarded(_ bytes: Int) { server?.consumed(bytes) }

    /// RFC 9110 §6.4.1: the response has no content, whatever its server sends.
    var isBodiless: Bool {
        guard let status = responseHead?.status else { return isHead }
        return isHead || status == 204 || status == 304
    }

    /// The declared length was received, and only the end of the stream is missing, which HTTP/2 may send separately (RFC 9113 §8.1).
    var isAnswered: Bool {
        guard requestIsComplete, case .streaming(let head) = response, webSocket == nil, !isUpgraded, head.isFramedByStream else {
            return false
        }
        return isBodiless || head.fields.contentLength == sizes.response
    }

    /// The response is complete, and the request is not.
    var isAnsweredEarly: Bool { responseIsComplete && !requestIsComplete && webSocket == nil && !isUpgraded }

    // MARK: Its end

    /// Nothing more of it is forwarded.
    func isForgotten() {
        server?.releaseRetryBuffer(of: self)
        isOver = true
        server = nil
    }

    // MARK: Conversations

    /// A WebSocket conversation of which at least one side is an HTTP/2 stream.
    var webSocket: Conversation? {
        switch content {
        case .frames(let conversation): conversation
        case .upgraded(let conversation): conversation
        case .message, .handshake, .refused: nil
        }
    }

    var isUpgraded: Bool {
        if case .upgraded = content { true } else { false }
    }

    var isRefused: Bool {
        if case .refused = content { true } else { false }
    }

    /// A client of HTTP/2 asked for WebSocket and has no answer yet: its data belongs to a conversation that may be refused.
    var isUpgradePending: Bool { isExtendedConnect && responseHead == nil && asksForWebSocket }

    /// The close frames of both sides were received.
    var isConversationOver: Bool { webSocket?.relay.isClosed == true }

    /// How it ended: a conversation that both sides have closed is complete, however its connections ended.
    func ending(_ ending: FlowEnding) -> FlowEnding {
        isConversationOver ? FlowEnding(state: .complete, closedBy: closedBy ?? ending.closedBy) : ending
    }
}

/// WebSocket frames of which at least one side is an HTTP/2 stream.
final class Conversation {
    var relay: WebSocketRelay
    /// Bytes of each side whose windows are not opened yet: received and forwarded data differ by our own frames.
    private var unconsumed = (request: 0, response: 0)

    init(_ relay: WebSocketRelay) { self.relay = relay }

    /// Bytes came.
    func count(_ bytes: Int, from side: Side) {
        switch side {
        case .client: unconsumed.request += bytes
        case .server: unconsumed.response += bytes
        }
    }

    /// The other side has accepted the data.
    /// - Returns: the number of bytes.
    func takeUnconsumed(from side: Side) -> Int {
        defer { if side == .client { unconsumed.request = 0 } else { unconsumed.response = 0 } }
        return side == .client ? unconsumed.request : unconsumed.response
    }
}

/// The destination of a request, and its form in the head.
struct ExchangeTarget {
    private(set) var destination: Destination
    /// The new request-target; nil keeps it.
    var path: ByteBuffer?
    /// The new Host or :authority; nil keeps it.
    private(set) var authority: ByteBuffer?

    init(_ destination: Destination, path: ByteBuffer? = nil, authority: ByteBuffer? = nil) {
        self.destination = destination
        self.path = path
        self.authority = authority
    }

    /// The same request to another server.
    func forwarded(to destination: Destination) -> ExchangeTarget {
        let endpoint = destination.endpoint
        let isDefault = endpoint.port == (destination.isTLS == true ? 443 : 80)
        let authority = isDefault ? Endpoint.hostInURI(endpoint.host) : endpoint.description
        return ExchangeTarget(destination, path: path, authority: ByteBuffer(string: authority))
    }

    /// `http://host/path`, the form for an upstream proxy (RFC 9112 §3.2.2).
    func absolute(_ head: RequestHead) -> ByteBuffer {
        let named = authority ?? (head.authorityRange.isEmpty ? head.fields.first("host") : head.authority)
        var out = ByteBuffer(string: "http://")
        out.writeImmutableBuffer(named ?? ByteBuffer(string: destination.endpoint.description))
        let path = path ?? head.target
        if !path.readableBytesView.elementsEqual([0x2A]) { out.writeImmutableBuffer(path) }
        return out
    }
}

/// Whether the connections of an exchange may carry another one.
struct ConnectionUse {
    /// Two recipients could have read different ends of its messages (RFC 9112 §6.3).
    var isFramingAmbiguous = false
    /// The response ends where its connection ends.
    var endsWithConnection = false

    var isReusable: Bool { !isFramingAmbiguous && !endsWithConnection }
}

/// Why an exchange fails.
struct ExchangeFailure: Error {
    /// Of the answer, if the client has no answer yet.
    var status: Int
    var side: Side?
    var message: String
}
