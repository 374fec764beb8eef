// The seam between a session and the world: what a session is told and what it asks for. Both vocabularies are on this page.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// A connection as a session knows it: 0 is the client's, upstream connections are numbered from 1 in the order they were asked for.
package struct ConnectionHandle: Sendable, Hashable, CustomStringConvertible {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }
    package static let client = ConnectionHandle(0)
    package var description: String { self == .client ? "client" : "upstream \(value)" }
}

/// What a session is told. The moment is given beside it.
package enum ProxyEvent: Sendable {
    /// The first event: a client is connected.
    case started(peer: Endpoint, local: Endpoint)
    /// Bytes were read. At most one read's worth, never empty.
    case received(ConnectionHandle, ByteBuffer)
    /// The peer sent its FIN; nothing more will be received. We may still send.
    case halfClosed(ConnectionHandle)
    /// The connection is gone in both directions: reset or failed by the peer, or closed because we asked (then `error` is nil).
    case closed(ConnectionHandle, error: String?, isReset: Bool)
    /// A connection that was asked for is there.
    case opened(ConnectionHandle, peer: Endpoint, local: Endpoint)
    /// A connection that was asked for cannot be had. In words: `connection refused`, `no such host`, `timed out`.
    case openFailed(ConnectionHandle, reason: String)
    /// Bytes queue up in a connection (false), or it takes more again (true). A session answers false by reading less from the other side.
    case writable(ConnectionHandle, Bool)
    /// The moment of ``ProxyCommand/wake(at:)`` has come.
    case timerFired
    /// The answer to ``ProxyCommand/forge(_:_:)``.
    case certificateReady(RequestID, Result<LeafCertificate, CertificateError>)
    /// The answer to ``ProxyCommand/verify(_:_:_:)``.
    case loginVerified(RequestID, isRight: Bool)
    /// The recorder ends: finish what can be finished at once, record the rest as incomplete.
    case shutdown
}

/// What a session asks for. The driver carries commands out in order, after the call that appended them has returned.
package enum ProxyCommand: Sendable {
    /// Connect to a server; answered by `opened` or `openFailed`. The name is looked up by the driver.
    case open(ConnectionHandle, Endpoint)
    /// Send bytes. The driver flushes once, behind the last command.
    case send(ConnectionHandle, ByteBuffer)
    /// Send FIN behind what was sent.
    case finish(ConnectionHandle)
    /// Close both directions behind what was sent. Answered by `closed`. Of a client that has no connection (``ReplaySession``): the session
    /// is over.
    case close(ConnectionHandle)
    /// Close at once with a reset, dropping what was not sent. Answered by `closed`.
    case abort(ConnectionHandle)
    /// Stop or go on reading from a connection. Connections read from the start.
    case read(ConnectionHandle, Bool)
    /// Send `timerFired` at this moment, or as soon as possible after it; replaces the moment that was asked for before.
    case wake(at: Timestamp)
    /// Make a certificate for a server's name; answered by `certificateReady` with the same number. Several may be made at a time.
    case forge(RequestID, LeafRequest)
    /// Check a login, elsewhere than on the event loop; answered by `loginVerified` with the same number.
    case verify(RequestID, Login, CredentialCheck)
    case log(LogLine)
}

/// The number of a question that a session asks its driver: the answer has the same.
package struct RequestID: Sendable, Hashable {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }
}

/// A line for the event log.
package struct LogLine: Sendable, Equatable {
    package enum Level: UInt8, Sendable, Comparable {
        case debug, info
        /// What people want to see without asking: the data of TCP hosts.
        case notice
        case warning, error
        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }
    package var level: Level
    package var text: String

    package init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// What a session appends to while it handles an event: commands for the driver, and flow events for the recording.
package struct ProxyOutput {
    package var commands: [ProxyCommand] = []
    package var records: [FlowEvent] = []

    package init() {}
}

/// What a driver needs of a session; tests drive a session in the same way.
package protocol ProxySessionProtocol: AnyObject {
    /// Handles one event, completely, and appends what follows from it. Never called again before it has returned.
    func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput)
}
