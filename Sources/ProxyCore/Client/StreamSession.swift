// A tunnel on a stream (RFC 9113 §8.5). What a client of HTTP/2 says behind CONNECT is the business of a session of its own, whose client
// connection is the stream: it detects, intercepts, records as it does for a client that connected by TCP. The session that has the connection
// carries it: events go in, commands come out, handles and timers are translated.

import FlowModel
import HTTPSemantics
import TLSEngine

/// A session that a stream carries.
final class StreamSession {
    let stream: StreamID
    let session: ProxySession
    /// The client was told that its tunnel is open.
    var isOpen = false
    /// Nothing goes to the stream any more.
    var isOver = false
    /// The session was told that its client is gone.
    var isClientClosed = false
    /// The session takes what comes; otherwise so many bytes wait for their window.
    var reads = true
    var unconsumed = 0
    /// What the session was told of its client.
    var isWritable = true
    /// Its server connections as the driver knows them.
    var handles: [ConnectionHandle: ConnectionHandle] = [:]

    init(_ stream: StreamID, _ session: ProxySession) {
        self.stream = stream
        self.session = session
    }

    var isDone: Bool { isClientClosed && handles.isEmpty }
}

/// The sessions that the streams of a client carry.
struct StreamSessions {
    private(set) var all: [StreamID: StreamSession] = [:]
    /// Whose a server connection is, and how it is called there.
    var owners: [ConnectionHandle: (owner: StreamSession, handle: ConnectionHandle)] = [:]
    /// Certificates that are waited for: whose each is, and its number there.
    var forging: [RequestID: (owner: StreamSession, request: RequestID)] = [:]
    /// Streams on which bytes were put, or went out.
    var touched: Set<StreamID> = []

    var isEmpty: Bool { all.isEmpty }

    subscript(stream: StreamID) -> StreamSession? {
        get { all[stream] }
        set { all[stream] = newValue }
    }

    /// In an order that is the same each time.
    var inOrder: [StreamSession] { all.values.sorted { $0.stream.value < $1.stream.value } }
}

/// What CONNECT on a stream is answered.
enum ConnectAnswer {
    case accepted
    case refused(LocalReply)
}

extension ProxyEvent {
    /// The connection that it is about.
    var handle: ConnectionHandle? {
        switch self {
        case .received(let handle, _), .halfClosed(let handle), .closed(let handle, _, _), .opened(let handle, _, _),
            .openFailed(let handle, _), .writable(let handle, _):
            handle
        case .started, .timerFired, .certificateReady, .loginVerified, .shutdown:
            nil
        }
    }

    /// The same of a connection that is called otherwise.
    func renamed(_ handle: ConnectionHandle) -> ProxyEvent {
        switch self {
        case .received(_, let bytes): .received(handle, bytes)
        case .halfClosed: .halfClosed(handle)
        case .closed(_, let error, let isReset): .closed(handle, error: error, isReset: isReset)
        case .opened(_, let peer, let local): .opened(handle, peer: peer, local: local)
        case .openFailed(_, let reason): .openFailed(handle, reason: reason)
        case .writable(_, let isWritable): .writable(handle, isWritable)
        case .started, .timerFired, .certificateReady, .loginVerified, .shutdown: self
        }
    }

    /// The connection is no more.
    var isEnd: Bool {
        switch self {
        case .closed, .openFailed: true
        default: false
        }
    }
}
