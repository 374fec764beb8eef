// What may be asked of a flow. A Flow in memory answers, and so does the archive's view of a record that is still in its block;
// the filter language is written once, against this.

import HTTPSemantics
import NIOCore

/// The questions. Text answers are bytes that share storage with what is asked wherever they stand there as such; nil is "there is none".
package protocol FlowQuestions {
    var id: FlowID { get }
    var kind: FlowKind { get }
    var state: FlowState { get }
    var started: Timestamp { get }
    var ended: Timestamp? { get }
    var isWebSocket: Bool { get }
    var errorMessage: ByteBuffer? { get }
    /// `ip:port` of the client.
    var clientAddress: ByteBuffer? { get }
    /// `host:port` of the server as it was asked for.
    var serverAddress: ByteBuffer? { get }
    /// The host of ``FlowTarget``.
    var targetScheme: ByteBuffer { get }
    var targetHost: ByteBuffer { get }
    var targetPort: UInt16 { get }
    /// HTTP: parts of the request, nil when there is none.
    var method: ByteBuffer? { get }
    /// The request-target as written.
    var requestTarget: ByteBuffer? { get }
    /// HTTP/2: the value of `:authority`; nil for HTTP/1.
    var requestAuthority: ByteBuffer? { get }
    /// Of the answer that the client got, a server's or the recorder's own; 0 when it got none.
    var status: Int { get }
    /// The recorder answered itself.
    var hasLocalReply: Bool { get }
    /// The messages of the notes.
    var noteTexts: [ByteBuffer] { get }
    var requestFields: FieldSection? { get }
    var responseFields: FieldSection? { get }
    var commentText: ByteBuffer? { get }
    var isTagged: Bool { get }
    var pieces: any FlowPieces { get }
    /// The host that people would name: the target's; where that is an address, the name in the Host field or `:authority` when there is
    /// one. Without port.
    var displayHost: ByteBuffer { get }
}

extension Flow: FlowQuestions {
    package var errorMessage: ByteBuffer? { error.map { ByteBuffer(string: $0.message) } }
    package var clientAddress: ByteBuffer? { client.map { ByteBuffer(string: $0.value.peer.description) } }
    package var serverAddress: ByteBuffer? { server.map { ByteBuffer(string: $0.value.target.description) } }
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
}

extension FlowQuestions {
    package var displayHost: ByteBuffer {
        let target = targetHost
        guard target.readableBytes == 0 || target.isAddress else { return target }
        return target.named(by: requestAuthority ?? requestFields?.first("host"))
    }

    /// The URL of the request with the host that people would name, for a target in origin form `scheme://host[:port]/path`; the
    /// port is left out when it is the scheme's own. An absolute-form target is given as it is, CONNECT gives `host:port`.
    package var displayURL: ByteBuffer? {
        guard let target = requestTarget, let method else { return nil }
        let isConnect = method.equals(ByteRange(0, method.readableBytes), "CONNECT")
        // RFC 9113 §8.5: CONNECT of HTTP/2 has an :authority alone.
        if isConnect, target.readableBytes == 0 { return requestAuthority ?? target }
        let first = target.readableBytesView.first
        if first != 0x2F && first != 0x2A || isConnect { return target }
        var url = targetScheme
        url.writeStaticString("://")
        url.writeImmutableBuffer(displayHost.bracketed)
        let isDefault = targetScheme.equalsIgnoringCase("https") ? targetPort == 443 : targetPort == 80
        if !isDefault, targetPort != 0 { url.writeString(":\(targetPort)") }
        url.writeImmutableBuffer(target)
        return url
    }
}

extension ByteBuffer {
    /// This host, or the one in an authority (`host[:port]`) when that is a name: where an address was asked for, what the client calls
    /// the server says more.
    package func named(by authority: ByteBuffer?) -> ByteBuffer {
        guard let host = authority?.hostWithoutPort, host.readableBytes > 0, !host.isAddress else { return self }
        return host
    }

    /// An IP address rather than a name: it holds a colon, or nothing but digits and dots.
    package var isAddress: Bool {
        readableBytesView.contains(0x3A) || readableBytesView.allSatisfy { $0 == 0x2E || $0 &- 0x30 < 10 }
    }

    /// The host of `host[:port]`, an IPv6 address without its brackets.
    package var hostWithoutPort: ByteBuffer {
        let bytes = readableBytesUInt8Span
        if bytes.count > 0, bytes[0] == 0x5B {
            for i in 0..<bytes.count where bytes[i] == 0x5D { return slice(ByteRange(1, i)) }
            return self
        }
        for i in 0..<bytes.count where bytes[i] == 0x3A { return slice(ByteRange(0, i)) }
        return self
    }

    /// A host as it stands in a URI: an IPv6 address gets brackets.
    package var bracketed: ByteBuffer {
        guard readableBytesView.contains(0x3A) else { return self }
        var bracketed = ByteBuffer(string: "[")
        bracketed.writeImmutableBuffer(self)
        bracketed.writeStaticString("]")
        return bracketed
    }
}

/// A yes-or-no question put to many flows: the seam by which a reader asks a filter it does not know.
package protocol FlowPredicate: Sendable {
    /// - Throws: what fetching content throws.
    func matches(_ flow: some FlowQuestions) throws -> Bool

    /// Whether a flow among these could match. A reader that hears false passes over all of them without looking at any.
    func mayMatch(_ group: some FlowGroupQuestions) -> Bool
}

extension FlowPredicate {
    /// A predicate that says no more of itself looks at every flow.
    package func mayMatch(_ group: some FlowGroupQuestions) -> Bool { true }
}

/// What is known of many flows at once without looking at any of them. A yes may be wrong, a no never is.
package protocol FlowGroupQuestions {
    /// From the first start to the last end; nil when there are no flows.
    var times: ClosedRange<Timestamp>? { get }
    func mayHold(_ kind: FlowKind) -> Bool
    /// A flow with this status, or with none when it is 0.
    func mayHold(status: Int) -> Bool
    /// The methods of the requests; nil when they may be any.
    var methodNames: [ByteBuffer]? { get }
    /// The hosts of the flows: that of each target, and those that the request names in its Host field, in `:authority` and in a target of
    /// absolute form, without ports. nil when they are not known.
    var hosts: [ByteBuffer]? { get }
}
