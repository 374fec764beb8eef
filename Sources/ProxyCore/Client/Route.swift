// The route of a client's requests, or of its whole stream.

import FlowModel

/// Where the whole stream of a client goes: in reverse mode from the start, in regular mode after CONNECT.
struct Route {
    var destination: Destination
    /// The client may use any protocol: after CONNECT.
    var isTunnel: Bool
    /// The name that the client asked for in its ClientHello.
    var serverName: String?
    /// Why the server is not reachable, if known already. Requests are answered with it.
    var failure: FlowError?
    /// The server connection is HTTP/2 without TLS, with prior knowledge (RFC 9113 §3.3).
    var isCleartextHTTP2 = false
    /// The content is relayed as bytes, without detection.
    var isTCP = false
    /// The failure is recorded.
    var isFailureRecorded = false
}
