// One request and its response, on their way through.

import FlowModel
import HTTPSemantics
import NIOCore

/// The state of an exchange. At most one is in progress on a client connection of HTTP/1: pipelined requests wait their turn.
struct Exchange {
    let flow: FlowID
    let request: RequestHead
    let destination: Destination
    /// What the request-target and the Host field become; nil leaves them.
    let target: ByteBuffer?
    let host: ByteBuffer?
    /// The request has no content, so that it can be said again.
    let isBodiless: Bool

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
    var isRepeated = false

    /// Saying it twice means no more than saying it once (RFC 9110 §9.2.2), and it is all at hand.
    var isRepeatable: Bool {
        isBodiless && !hasResponseBegun && !isRepeated
            && (request.isMethod("GET") || request.isMethod("HEAD") || request.isMethod("OPTIONS") || request.isMethod("PUT")
                || request.isMethod("DELETE") || request.isMethod("TRACE"))
    }
}
