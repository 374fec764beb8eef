// A session: one client connection and the server connections that it causes. It hands each event to the part that it concerns, and lets
// the parts move what they have for each other.
//
//     ProxyEvent ──▶ ProxySession ──▶ ClientStack: TLS ▸ HTTP/1 │ HTTP/2 ▸ tunnel      one for the connection,
//                                        │    ▲                                       one for each CONNECT on a stream of HTTP/2
//                                        ▼    │
//                                     Upstream: the proxy on the way ▸ TLS ▸ HTTP/1 │ HTTP/2 │ bytes
//
// The parts append commands and flow events to the output of the context.

import FlowModel

/// The state machine of one client connection. Sans-IO: see ``ProxyEvent`` and ``ProxyCommand``. Used on one thread.
package final class ProxySession: ProxySessionProtocol {
    private let context: SessionContext
    private let client: ClientStack

    /// - Parameters:
    ///   - seed: random, for identities.
    ///   - originalDestination: mode transparent: where the client was going.
    package init(configuration: ProxyConfiguration, seed: UInt64, originalDestination: Endpoint? = nil) {
        context = SessionContext(configuration: configuration, seed: seed)
        client = ClientStack(context, originalDestination: originalDestination)
    }

    /// The deadlines that are set.
    package var deadlines: Deadlines { context.deadlines }

    package func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput) {
        context.begin(at: now, &output)
        client.handle(event)
        client.settle()
        context.end(&output)
    }

    /// Ends detection: the client's bytes are relayed as they come.
    func endDetection(at now: Timestamp, into output: inout ProxyOutput) {
        context.begin(at: now, &output)
        client.endDetection()
        client.settle()
        context.end(&output)
    }
}
