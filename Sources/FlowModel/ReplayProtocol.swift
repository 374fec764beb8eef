// The protocol of a connection on which recorded flows are sent again.

/// What the client side of a replay speaks.
package enum ReplayProtocol: Sendable, Hashable {
    /// One request after the other.
    case http1
    /// Requests on streams, overlapping as recorded.
    case http2
    /// Bytes of one flow.
    case bytes
}
