// One request and its response, on their way through.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

/// The state of an exchange. On a client connection of HTTP/1 at most one is in progress, pipelined requests wait their turn; on one of
/// HTTP/2 each stream has its own.
final class Exchange {
    let flow: FlowID
    /// On the client's connection: the HTTP/2 stream, or the number of the request. An upgrade makes it 1.
    var stream: StreamID
    let request: RequestHead
    let framing: BodyFraming
    private(set) var destination: Destination
    /// What the request-target and the Host field, or the :authority, become; nil leaves them.
    let target: ByteBuffer?
    private(set) var authority: ByteBuffer?

    /// Where the request went, and its stream there when that is HTTP/2, until the exchange ends: see ``Upstream/forget(_:)``.
    var upstream: Upstream?
    var upstreamStream: StreamID?
    /// Content from an HTTP/2 client that came before its request could be sent, or before the answer to its wish for WebSocket.
    var pendingContent: [RequestEvent] = []
    /// What of the request's content went to a server of HTTP/2 that has not answered, and its trailers: should the server not look at it, it is
    /// said again. nil when there is too much of it, or the server speaks HTTP/1.
    var retryBuffer: ByteBuffer?
    var retryTrailers: FieldSection?
    /// Content that has gone on, for which the client's window was opened; and what of it goes on once more.
    private var forwardedBytes = 0
    private var forwardedBeforeRetry = 0
    /// Content that was passed on to a socket which does not take it: the windows of its sender open when it does.
    var unconsumedRequest = 0
    var unconsumedResponse = 0
    /// The message goes to HTTP/1 and its length is not known: it is chunked, or ends with the connection.
    var chunksRequest = false
    var chunksResponse = false
    /// Content that was promised to a client of HTTP/1 and has not come: below zero when there is more. nil when no length was said.
    var remainingContentLength: Int?
    /// The same of a request that came by HTTP/2, promised to a server of HTTP/1.
    var remainingRequestLength: Int?
    /// Two recipients could have read different ends of its messages: their connections are not used again (RFC 9112 §6.3).
    var isFramingAmbiguous = false
    /// The response's chunks are undone for a client of HTTP/1.0.
    var undoesChunks = false

    /// Its server is played from a recording.
    var recorded: RecordedServer?
    /// It goes to a server although there is a responder.
    private(set) var isForwarded = false

    /// A WebSocket conversation of which one side at least is a stream of HTTP/2.
    var webSocket: WebSocketRelay?
    /// How far WebSocket from one version of HTTP to the other has come.
    var bootstrap: WebSocketBootstrap?
    /// Who said first that nothing more comes.
    var closedBy: Side?

    /// It has ended, however; nothing of it is passed on any more.
    var isOver = false
    /// The head is on its way to the server.
    var isSent = false
    var requestIsComplete = false
    /// Any byte of a response, interim ones included, has come.
    var hasResponseBegun = false
    var response: ResponseHead?
    var responseIsComplete = false
    var endsWithConnection = false
    var requestSize: UInt64 = 0
    var responseSize: UInt64 = 0
    /// How often it was said again.
    var attempts = 0

    init(
        flow: FlowID, stream: StreamID, request: RequestHead, framing: BodyFraming, destination: Destination, target: ByteBuffer?,
        authority: ByteBuffer?
    ) {
        self.flow = flow
        self.stream = stream
        self.request = request
        self.framing = framing
        self.destination = destination
        self.target = target
        self.authority = authority
    }

    /// The responder sends it on.
    func forward(to destination: Destination) {
        isForwarded = true
        self.destination = destination
        let endpoint = destination.endpoint
        let isDefault = endpoint.port == (destination.isTLS == true ? 443 : 80)
        authority = ByteBuffer(string: isDefault ? Endpoint.hostInURI(endpoint.host) : endpoint.description)
    }

    /// Content for a client of HTTP/1 is not sent on as it came on the wire.
    var isFramedAnew: Bool { upstream?.http2 != nil || recorded != nil || undoesChunks }

    /// All of the request is at hand, and no response has begun: it can be sent once more where the server has not processed it.
    var isReplayable: Bool {
        (framing == .none || isUpgradePending || retryBuffer != nil || !isSent) && !hasResponseBegun && attempts == 0
    }

    /// Begins the request anew with what was said of it.
    func rewind(_ retryBuffer: ByteBuffer?) {
        forwardedBeforeRetry = forwardedBytes
        guard isSent else { return }
        isSent = false
        var again: [RequestEvent] = []
        let isChunked = framing == .chunked
        if let retryBuffer, retryBuffer.readableBytes > 0 {
            again.append(.content(retryBuffer, wire: isChunked ? HTTP1Encoder.chunk(retryBuffer) : retryBuffer, isLast: false))
        }
        if requestIsComplete {
            let wire = isChunked ? HTTP1Encoder.lastChunk(trailers: retryTrailers) : ByteBuffer()
            again.append(.end(trailers: retryTrailers, wire: wire))
        }
        pendingContent = again + pendingContent
    }

    /// Content of the request has gone on.
    /// - Returns: how much of it for the first time.
    func countForwarded(_ bytes: Int) -> Int {
        let repeated = min(bytes, forwardedBeforeRetry)
        forwardedBeforeRetry -= repeated
        forwardedBytes += bytes - repeated
        return bytes - repeated
    }

    /// Saying it twice means no more than saying it once (RFC 9110 §9.2.2).
    var isSafeToRetry: Bool {
        isReplayable
            && (request.isMethod("GET") || request.isMethod("HEAD") || request.isMethod("OPTIONS") || request.isMethod("PUT")
                || request.isMethod("DELETE") || request.isMethod("TRACE") || isUpgradePending)
    }

    /// As much of a response's content as a client of HTTP/1 was told of: it would read the rest as another response.
    func clampedToContentLength(_ content: ByteBuffer) -> ByteBuffer {
        guard let promised = remainingContentLength else { return content }
        remainingContentLength = promised - content.readableBytes
        return content.getSlice(at: content.readerIndex, length: min(content.readableBytes, max(0, promised))) ?? ByteBuffer()
    }

    /// All that the server promised has come, and only the end of its stream has not, which HTTP/2 may say by itself (RFC 9113 §8.1).
    var isAnswered: Bool {
        guard requestIsComplete, !responseIsComplete, let response, response.version.major >= 2, webSocket == nil, !isUpgraded
        else {
            return false
        }
        if isHead || response.status == 204 || response.status == 304 { return true }
        return response.fields.contentLength == responseSize
    }

    /// The response is whole, and the request is not.
    var isAnsweredEarly: Bool { responseIsComplete && !requestIsComplete && webSocket == nil && !isUpgraded }

    var isHead: Bool { request.isMethod("HEAD") }

    /// `http://host/path`, as an upstream proxy is asked (RFC 9112 §3.2.2).
    var absoluteTarget: ByteBuffer {
        let named = authority ?? (request.authorityRange.isEmpty ? request.fields.first("host") : request.authority)
        var out = ByteBuffer(string: "http://")
        out.writeImmutableBuffer(named ?? ByteBuffer(string: destination.endpoint.description))
        let path = target ?? request.target
        if !path.readableBytesView.elementsEqual([0x2A]) { out.writeImmutableBuffer(path) }
        return out
    }

    /// RFC 9113 §8.5: a tunnel on a stream.
    var isPlainConnect: Bool { request.version.major >= 2 && request.isMethod("CONNECT") && request.schemeRange.isEmpty }

    /// RFC 8441 §4: CONNECT that names a protocol, and so a :scheme and a :path.
    var isExtendedConnect: Bool { request.version.major >= 2 && request.upgrade != nil }
}
