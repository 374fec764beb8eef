// Where a client's requests, or its whole stream, go.

import FlowModel

/// Where the whole stream of a client goes: in reverse mode from the start, in regular mode behind CONNECT.
struct Route {
    var destination: Destination
    /// What the client speaks is its own business: behind CONNECT.
    var isTunnel: Bool
    /// The name that the client asked for in its ClientHello.
    var serverName: String?
    /// Why the server cannot be had, when that is known already. Requests are answered with it.
    var failure: FlowError?
    /// The server is spoken to in HTTP/2 without TLS, with prior knowledge (RFC 9113 §3.3).
    var isCleartextHTTP2 = false
    /// What is inside is bytes, whatever it looks like.
    var isTCP = false
    /// The failure stands in a flow.
    var isFailureRecorded = false
}
