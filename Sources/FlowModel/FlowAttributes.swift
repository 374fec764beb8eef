// The attributes of a flow that predicates use. A Flow in memory has them, and so has the archive's view of a record that is still in
// its block: the filter language is written once, for both.

import HTTPSemantics
import NIOCore

/// Attributes of a flow. Texts share storage with the flow where possible; nil means that the flow has no such text.
package protocol FlowAttributes {
    var id: FlowID { get }
    var kind: FlowKind { get }
    var state: FlowState { get }
    var started: Timestamp { get }
    var ended: Timestamp? { get }
    var isWebSocket: Bool { get }
    var errorMessage: ByteBuffer? { get }
    /// The host of ``FlowTarget``.
    var targetScheme: ByteBuffer { get }
    var targetHost: ByteBuffer { get }
    var targetPort: UInt16 { get }
    /// HTTP: parts of the request; nil without one.
    var method: ByteBuffer? { get }
    /// The request-target as written.
    var requestTarget: ByteBuffer? { get }
    /// HTTP/2: the value of `:authority`; nil for HTTP/1.
    var requestAuthority: ByteBuffer? { get }
    /// Status of the response that the client received, from a server or from the recorder itself; 0 without one.
    var status: Int { get }
    /// Whether the recorder answered itself.
    var hasLocalReply: Bool { get }
    /// The messages of the notes.
    var noteTexts: [ByteBuffer] { get }
    var requestFields: FieldSection? { get }
    var responseFields: FieldSection? { get }
    /// The trailer fields that a side sent; nil without any.
    func trailers(from side: Side) -> FieldSection?
    var commentText: ByteBuffer? { get }
    var isTagged: Bool { get }
    var tagTexts: [ByteBuffer] { get }
    var pieces: any FlowPieces { get }
    /// The target's host without port. When that is an address and the Host field or `:authority` has a name, the name.
    var displayHost: ByteBuffer { get }
    /// HTTP: the version of the request; nil without one.
    var requestVersion: HTTPVersion? { get }
    /// The stream of the client connection: its number in HTTP/2, the count of the exchange in HTTP/1.
    var stream: StreamID { get }
    /// Bytes that a side sent on the wire: of content without transfer codings, of WebSocket messages, of a stream, or of a connection that
    /// was passed through. nil without a request, or response, and for a TLS connection that carried nothing.
    /// - Throws: what fetching the items of a flow throws.
    func contentSize(from side: Side) throws -> UInt64?
    /// ``Flow/timeToFirstByte`` in whole microseconds.
    var timeToFirstByteMicroseconds: Int64? { get }
    /// The statuses of the interim responses, in their order.
    var interimStatuses: [Int] { get }
    /// A connection that was passed through unread.
    var isPassthrough: Bool { get }
    /// Content of it is not all stored, because the recorder was asked for less: ``ContentCut``.
    var isTruncated: Bool { get }
    /// What redaction changed before the flow was stored; nil when it changed nothing.
    var redaction: FlowRedaction? { get }
    /// A text of the connection to a side; nil when it has none.
    func connectionText(_ text: ConnectionText, of side: Side) -> ByteBuffer?
    /// Lends a text where it is stored. The body is not called without a text; an empty one may be lent.
    func withText(_ text: FlowText, _ body: (UnsafeRawBufferPointer) -> Void)
    /// ``ServerConnection/certificateNames``.
    /// - Throws: an error that a predicate passes on, when it is too early to answer.
    var serverCertificateNames: ByteBuffer? { get throws }
}

extension Flow: FlowAttributes {
    package var errorMessage: ByteBuffer? { error.map { ByteBuffer(string: $0.message) } }
    package var targetScheme: ByteBuffer { ByteBuffer(string: target.scheme) }
    package var targetHost: ByteBuffer { ByteBuffer(string: target.host) }
    package var targetPort: UInt16 { target.port }
    package var method: ByteBuffer? { request?.head.method }
    package var requestTarget: ByteBuffer? { request?.head.target }
    package var requestAuthority: ByteBuffer? {
        request.flatMap { $0.head.authorityRange.isEmpty ? nil : $0.head.authority }
    }
    package var status: Int { localReply?.value.head.status ?? response?.head.status ?? 0 }
    package var hasLocalReply: Bool { localReply != nil }
    package var noteTexts: [ByteBuffer] { notes.map { ByteBuffer(string: $0.value.message) } }
    package var requestFields: FieldSection? { request?.head.fields }
    package var responseFields: FieldSection? { response?.head.fields }
    package var isTagged: Bool { !tags.isEmpty }
    package var commentText: ByteBuffer? { comment.map { ByteBuffer(string: $0) } }
    package var requestVersion: HTTPVersion? { request?.head.version }
    package func contentSize(from side: Side) throws -> UInt64? {
        switch kind {
        case .tls: return nil
        case .tcp:
            if pieces.count == 0, let passthrough { return side == .client ? passthrough.fromClient : passthrough.fromServer }
            return try pieces.wireSize(from: side)
        case .http:
            guard let size = side == .client ? request?.size : response?.size else { return nil }
            return isWebSocket ? try pieces.wireSize(from: side) : size
        }
    }
    /// HTTP: nanoseconds from the end of the request to the head of the response, or from its beginning when it has no end; 0 when the
    /// response precedes the end. nil without a request or a response.
    package var timeToFirstByte: Int64? {
        guard let request, let response else { return nil }
        return response.started - (request.ended.map { min($0, response.started) } ?? request.started)
    }
    package var timeToFirstByteMicroseconds: Int64? { timeToFirstByte.map { $0 / 1000 } }
    package func trailers(from side: Side) -> FieldSection? { side == .client ? request?.trailers : response?.trailers }
    package var interimStatuses: [Int] { interims.map(\.value.status) }
    package var isPassthrough: Bool { kind == .tcp && passthrough != nil }
    package var isTruncated: Bool {
        if cut(of: .client) != nil || cut(of: .server) != nil { return true }
        // Items that cannot be read are reported where the pieces are fetched.
        guard isWebSocket, let sizes = try? pieces.sizes() else { return false }
        return sizes.client.isCut || sizes.server.isCut
    }
    package var tagTexts: [ByteBuffer] { tags.map { ByteBuffer(string: $0) } }
    package var serverCertificateNames: ByteBuffer? { server?.value.certificateNames }
    package func connectionText(_ text: ConnectionText, of side: Side) -> ByteBuffer? {
        side == .client ? client?.value.text(text) : server?.value.text(text)
    }
}

extension FlowAttributes {
    /// Whether redaction stored the body of a side without content codings.
    package func isStoredDecoded(_ side: Side) -> Bool { redaction?.isDecoded(side) ?? false }

    /// The content codings (RFC 9110 section 8.4.1) of the stored body of a side, in the order in which they were applied.
    package func storedCodings(from side: Side) -> [ByteBuffer] {
        storedCodings(from: side, declaredBy: side == .client ? requestFields : responseFields)
    }

    /// - Parameter fields: those of the side's message, for a caller that has them.
    package func storedCodings(from side: Side, declaredBy fields: FieldSection?) -> [ByteBuffer] {
        let declared = fields?.declaredCodings ?? []
        return declared.isEmpty || isStoredDecoded(side) ? [] : declared
    }

    /// `ip:port` of the client.
    package var clientAddress: ByteBuffer? { connectionText(.address, of: .client) }
    /// `host:port` of the server as it was requested.
    package var serverAddress: ByteBuffer? { connectionText(.address, of: .server) }

    package var displayHost: ByteBuffer {
        let target = targetHost
        guard target.readableBytes == 0 || target.isAddress else { return target }
        return target.named(by: requestAuthority ?? requestFields?.first("host"))
    }

    /// The URL of the request. A target in origin form gives `scheme://host[:port]/path` with ``displayHost`` and without the scheme's
    /// default port. A target in absolute form is returned unchanged; CONNECT gives `host:port`.
    package var displayURL: ByteBuffer? {
        guard let target = requestTarget, let method else { return nil }
        let isConnect = method.equals(ByteRange(0, method.readableBytes), "CONNECT")
        // RFC 9113 §8.5: CONNECT of HTTP/2 has an :authority alone.
        if isConnect, target.readableBytes == 0 { return requestAuthority ?? target }
        let first = target.readableBytesView.first
        if first != 0x2F && first != 0x2A || isConnect { return target }
        let url = ByteWriter(capacity: 128)
        appendOriginURL(to: url)
        return unsafe ByteBuffer(bytes: url.bytes)
    }
}

extension ByteBuffer {
    /// The host of an authority (`host[:port]`) when that is a name, otherwise this host: a name says more than an address.
    package func named(by authority: ByteBuffer?) -> ByteBuffer {
        guard let host = authority?.hostWithoutPort, host.readableBytes > 0, !host.isAddress else { return self }
        return host
    }

    /// An IP address rather than a name.
    package var isAddress: Bool { unsafe withUnsafeReadableBytes { unsafe $0.isAddress } }

    /// The host of `host[:port]`, an IPv6 address without its brackets.
    package var hostWithoutPort: ByteBuffer {
        let place = unsafe withUnsafeReadableBytes { unsafe $0.hostWithoutPort }
        return slice(ByteRange(place.lowerBound, place.upperBound))
    }

    /// A host as written in a URI: an IPv6 address in brackets.
    package var bracketed: ByteBuffer {
        guard readableBytesView.contains(0x3A) else { return self }
        var bracketed = ByteBuffer(string: "[")
        bracketed.writeImmutableBuffer(self)
        bracketed.writeStaticString("]")
        return bracketed
    }
}

/// Selects flows: the seam between readers and filters.
package protocol FlowPredicate: Sendable {
    /// - Throws: what fetching content throws.
    func matches(_ flow: some FlowAttributes) throws -> Bool

    /// False only when no flow of the block matches; a reader then skips the block.
    func mayMatch(_ block: some BlockSummary) -> Bool

    /// The predicate for the flows of one block, which one thread tests one after the other. By default it is the same one; a predicate that
    /// counts returns one with counts of its own, so that threads do not wait for each other.
    func forBlock() -> Self
}

extension FlowPredicate {
    package func forBlock() -> Self { self }

    /// By default no block is skipped.
    package func mayMatch(_ block: some BlockSummary) -> Bool { true }
}

/// Selects every flow.
package struct EveryFlow: FlowPredicate {
    package init() {}
    package func matches(_ flow: some FlowAttributes) -> Bool { true }
}

/// A summary of the flows of a block. True may be wrong, false never is.
package protocol BlockSummary {
    /// From the earliest start to the latest end; nil without flows.
    var times: ClosedRange<Timestamp>? { get }
    func mayContain(_ kind: FlowKind) -> Bool
    /// - Parameter status: 0 means a flow without a response.
    func mayContain(status: Int) -> Bool
    /// The methods of the requests; nil when they are not known.
    var methodNames: [ByteBuffer]? { get }
    /// The hosts of the flows without ports: of each target, Host field, `:authority` and target in absolute form; nil when they are not
    /// known.
    var hosts: [ByteBuffer]? { get }
    /// Bounds of a quantity: no flow of the block has one outside. nil when no flow has the quantity.
    func bounds(of quantity: FlowQuantity) -> ClosedRange<Int64>?
}

extension BlockSummary {
    /// By default they are not known.
    package func bounds(of quantity: FlowQuantity) -> ClosedRange<Int64>? { .min ... .max }
}

/// A number of a flow of which a block's summary knows bounds.
package enum FlowQuantity: Sendable, CaseIterable {
    /// Nanoseconds from start to end.
    case duration
    /// ``FlowAttributes/timeToFirstByteMicroseconds``.
    case timeToFirstByte
    /// ``FlowAttributes/contentSize(from:)`` of each side.
    case requestSize
    case responseSize
}
