// The seam between a session and the world: the events that a session receives. Its commands are in ProxyCommand.swift.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// A connection of a session: 0 is the client's, upstream connections are numbered from 1 in the order of their requests.
package struct ConnectionHandle: Sendable, Hashable, CustomStringConvertible {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }
    package static let client = ConnectionHandle(0)
    package var description: String { self == .client ? "client" : "upstream \(value)" }
}

/// An event for a session. Its moment is passed separately.
package enum ProxyEvent: Sendable {
    /// The first event: a client is connected.
    case started(peer: Endpoint, local: Endpoint)
    /// Bytes were read. At most one read's worth, never empty.
    case received(ConnectionHandle, ByteBuffer)
    /// The peer sent its FIN; nothing more will be received. We may still send.
    case halfClosed(ConnectionHandle)
    /// The connection is gone in both directions: reset or failed by the peer, or closed because we asked (then `error` is nil).
    case closed(ConnectionHandle, error: String?, isReset: Bool)
    /// A connection that was asked for is established.
    case opened(ConnectionHandle, peer: Endpoint, local: Endpoint)
    /// A connection that was asked for could not be opened. The reason as text: `connection refused`, `no such host`, `timed out`.
    case openFailed(ConnectionHandle, reason: String)
    /// A connection that was asked for cannot be opened now, because no descriptor is free: the request is dropped. ``descriptorsFree``
    /// follows.
    case noDescriptor(ConnectionHandle)
    /// After ``noDescriptor(_:)``: one may be free, for a request that is repeated.
    case descriptorsFree
    /// The output of a connection queues up (false), or it accepts more again (true). After false a session reads less from the other side.
    case writable(ConnectionHandle, Bool)
    /// The time of ``ProxyCommand/wake(at:)`` has come.
    case timerFired
    /// The answer to ``ProxyCommand/forge(_:_:)``.
    case certificateReady(RequestID, Result<LeafCertificate, CertificateError>)
    /// The answer to ``ProxyCommand/verify(_:_:_:)``.
    case loginVerified(RequestID, isRight: Bool)
    /// The recorder ends: finish what can be finished at once, record the rest as incomplete.
    case shutdown
}

/// The interface of a session to its driver; tests drive a session in the same way.
package protocol ProxySessionProtocol: AnyObject {
    /// Handles one event, completely, and appends what follows from it. Never called again before it has returned.
    func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput)
}
