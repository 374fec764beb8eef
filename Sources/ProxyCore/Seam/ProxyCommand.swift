// The seam between a session and the world: the commands of a session. The events that it receives are in ProxyEvent.swift.

import FlowModel
import NIOCore
import TLSEngine

/// A command of a session. The driver carries commands out in order, after the call that appended them has returned.
package enum ProxyCommand: Sendable {
    /// Connect to a server; answered by `opened` or `openFailed`. The name is looked up by the driver.
    case open(ConnectionHandle, Endpoint)
    /// Send bytes. The driver flushes once, after the last command.
    case send(ConnectionHandle, ByteBuffer)
    /// Send FIN after what was sent.
    case finish(ConnectionHandle)
    /// Close both directions after what was sent. Answered by `closed`. Of a client that has no connection (``ReplaySession``): the session
    /// has ended.
    case close(ConnectionHandle)
    /// Close at once with a reset, dropping unsent output. Answered by `closed`.
    case abort(ConnectionHandle)
    /// Stop or resume reading from a connection. Connections read from the start.
    case read(ConnectionHandle, Bool)
    /// Send `timerFired` at this time, or as soon as possible after it; replaces the time that was requested before.
    case wake(at: Timestamp)
    /// Make a certificate for a server's name; answered by `certificateReady` with the same number. Several may be made at a time.
    case forge(RequestID, LeafRequest)
    /// Check a login, not on the event loop; answered by `loginVerified` with the same number.
    case verify(RequestID, Login, CredentialCheck)
    case log(LogLine)
}

/// The number of a request of a session to its driver: the answer has the same.
package struct RequestID: Sendable, Hashable {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }
}

/// A line for the event log.
package struct LogLine: Sendable, Equatable {
    package enum Level: UInt8, Sendable, Comparable {
        case debug, info
        /// Shown by default: the data of TCP hosts.
        case notice
        case warning, error
        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }
    package var level: Level
    /// A name for programs, such as `server-connected` (docs/event-log.md).
    package var event: String
    package var text: String
    package var client: Endpoint?
    package var server: Endpoint?

    package init(_ level: Level, _ event: String, _ text: String, client: Endpoint? = nil, server: Endpoint? = nil) {
        self.level = level
        self.event = event
        self.text = text
        self.client = client
        self.server = server
    }
}
