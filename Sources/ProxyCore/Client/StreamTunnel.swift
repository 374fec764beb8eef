// A tunnel on a stream (RFC 9113 §8.5). Bytes of a client of HTTP/2 after CONNECT go to a stack of their own on that stream: it detects,
// intercepts and records as for a client that connected by TCP.

import FlowModel
import HTTPSemantics

/// The client's side of a tunnel on a stream.
final class StreamTunnel {
    let link: StreamLink
    let stack: ClientStack
    /// The stack was notified that its client is gone.
    var isClosed = false

    init(_ connection: ClientStack, _ link: StreamLink) {
        self.link = link
        stack = ClientStack(connection.context, on: link)
    }

    var stream: StreamID { link.stream }
    /// Neither side has anything left.
    var isDone: Bool { isClosed && stack.servers.openCount == 0 }
}

/// The tunnels on the streams of a client.
struct StreamTunnels {
    private(set) var all: [StreamID: StreamTunnel] = [:]
    /// Streams on which bytes were queued or sent.
    var touched: Set<StreamID> = []

    var isEmpty: Bool { all.isEmpty }

    subscript(stream: StreamID) -> StreamTunnel? {
        get { all[stream] }
        set { all[stream] = newValue }
    }

    /// In a deterministic order.
    var inOrder: [StreamTunnel] { all.values.sorted { $0.stream.value < $1.stream.value } }
}

extension ProxyEvent {
    /// The connection of the event.
    var handle: ConnectionHandle? {
        switch self {
        case .received(let handle, _), .halfClosed(let handle), .closed(let handle, _, _), .opened(let handle, _, _),
            .openFailed(let handle, _), .noDescriptor(let handle), .writable(let handle, _):
            handle
        case .started, .descriptorsFree, .timerFired, .certificateReady, .loginVerified, .shutdown:
            nil
        }
    }

    /// The connection is gone.
    var isEnd: Bool {
        switch self {
        case .closed, .openFailed: true
        default: false
        }
    }
}
