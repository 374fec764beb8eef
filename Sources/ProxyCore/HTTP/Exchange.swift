// One request and its response, on their way through. An exchange knows no version of HTTP: what is sent goes through ``client`` and ``server``.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

/// The state of an exchange.
final class Exchange {
    enum Response {
        case none
        /// Interim responses have arrived: the server processes the request, so it is not sent a second time.
        case begun
        case streaming(ResponseHead)
        case complete(ResponseHead)
    }

    /// What the two sides send.
    enum Content {
        case message
        /// WebSocket is asked for in the server's version of HTTP, which is not the client's (RFC 8441 §5).
        /// - key: Sec-WebSocket-Key on the side that speaks HTTP/1, the client's or ours.
        case handshake(key: String)
        /// The answer to such a handshake is an ordinary response.
        case refused
        /// Frames in DATA on both sides.
        case frames(Conversation)
        /// The connection of HTTP/1, on one side, carries bytes of a conversation and no messages any more; nil: they are not read as frames.
        case upgraded(Conversation?)
    }

    let flow: FlowID
    let request: RequestHead
    let framing: BodyFraming
    private(set) var target: ExchangeTarget
    /// Where the response goes.
    var client: ClientStream
    /// Where the request goes; nil until it is on its way.
    var server: ServerStream?
    /// Content that waits for the server, or for the answer to a handshake.
    var pendingContent: [RequestEvent] = []
    /// What may have to be sent once more.
    var retry: RetryBuffer?
    var content = Content.message
    private(set) var response = Response.none
    /// The client has sent the whole request.
    var requestIsComplete = false
    /// Nothing of it is forwarded any more.
    private(set) var isOver = false
    /// The side that was the first to end its direction.
    var closedBy: Side?
    /// What made its connections unfit for another exchange.
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

    /// A responder sends it on to a server.
    func forward(to destination: Destination) {
        server = nil
        target = target.forwarded(to: destination)
    }

    /// The request can be sent once more where the server has not processed it: all of it is available, and no response has begun.
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

    /// Takes the request back, to be sent once more.
    func rewind() {
        var buffer = retry ?? RetryBuffer()
        server?.releaseRetryBuffer(of: self)
        let events = buffer.rewind(wasSent: server != nil, isComplete: requestIsComplete, framing)
        retry = buffer
        server = nil
        pendingContent = events + pendingContent
    }

    /// Content of the request has been forwarded: its sender may send as much more.
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

    /// Part of a response has arrived: the server processes the request.
    func responseBegan() {
        if case .none = response { response = .begun }
        server?.releaseRetryBuffer(of: self)
    }

    func received(_ head: ResponseHead) { response = .streaming(head) }

    func responseEnded() {
        if let head = responseHead { response = .complete(head) }
        if closedBy == nil { closedBy = .server }
    }

    /// Content of the response has been forwarded: its sender may send as much more.
    func responseForwarded(_ bytes: Int) { server?.consumed(bytes) }

    /// RFC 9110 §6.4.1: the response has no content, whatever its server sends.
    var isBodiless: Bool {
        guard let status = responseHead?.status else { return isHead }
        return isHead || status == 204 || status == 304
    }

    /// All that the server promised has come, and only the end of its stream has not, which HTTP/2 may send by itself (RFC 9113 §8.1).
    var isAnswered: Bool {
        guard requestIsComplete, case .streaming(let head) = response, webSocket == nil, !isUpgraded, head.isFramedByStream else {
            return false
        }
        return isBodiless || head.fields.contentLength == sizes.response
    }

    /// The response is whole, and the request is not.
    var isAnsweredEarly: Bool { responseIsComplete && !requestIsComplete && webSocket == nil && !isUpgraded }

    // MARK: Its end

    /// Nothing of it is forwarded any more.
    func end() {
        server?.releaseRetryBuffer(of: self)
        isOver = true
        server = nil
    }

    // MARK: Conversations

    /// A WebSocket conversation of which one side at least is a stream of HTTP/2.
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

    /// A client of HTTP/2 asked for WebSocket and has no answer yet: what it sends belongs to a conversation that may never be.
    var isUpgradePending: Bool { isExtendedConnect && responseHead == nil && asksForWebSocket }

    /// The close frames of both sides have come.
    var isConversationOver: Bool { webSocket?.relay.isClosed == true }

    /// How it ended: a conversation that both sides have closed is complete, however its connections went.
    func ending(_ ending: FlowEnding) -> FlowEnding {
        isConversationOver ? FlowEnding(state: .complete, closedBy: closedBy ?? ending.closedBy) : ending
    }
}

/// Frames of WebSocket of which one side at least is a stream of HTTP/2.
final class Conversation {
    var relay: WebSocketRelay
    /// Bytes of each side whose windows are still to be opened: what comes and what is forwarded differ by our own frames.
    private var unconsumed = (request: 0, response: 0)

    init(_ relay: WebSocketRelay) { self.relay = relay }

    /// Bytes came.
    func count(_ bytes: Int, from side: Side) {
        switch side {
        case .client: unconsumed.request += bytes
        case .server: unconsumed.response += bytes
        }
    }

    /// The other side has taken what came.
    /// - Returns: how much that was.
    func takeUnconsumed(from side: Side) -> Int {
        defer { if side == .client { unconsumed.request = 0 } else { unconsumed.response = 0 } }
        return side == .client ? unconsumed.request : unconsumed.response
    }
}

/// Where a request goes, and the parts of its head that change with that.
struct ExchangeTarget {
    private(set) var destination: Destination
    /// What the request-target becomes; nil leaves it.
    var path: ByteBuffer?
    /// What the Host field, or the :authority, becomes; nil leaves it.
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

    /// `http://host/path`, as an upstream proxy is asked (RFC 9112 §3.2.2).
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

/// Why an exchange goes no further.
struct ExchangeFailure: Error {
    /// Of the answer, where the client has none yet.
    var status: Int
    var side: Side?
    var message: String
}
