// Priority signals of an HTTP/2 client on their way to the server, where that is wanted. They come with a request, before and after it; what
// comes before the request is on its way waits for it.

import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// PRIORITY, or the priority in HEADERS.
    func forward(_ priority: HTTP2Priority, of stream: StreamID, _ http2: ClientHTTP2) {
        guard configuration.forwardsPriority else { return }
        guard case .http2(let server, let there) = http2.exchanges[stream]?.server else {
            return http2.pendingPriorities.keep(priority, of: stream)
        }
        server.connection.sendPriority(translated(priority, for: server), on: there)
    }

    /// PRIORITY_UPDATE.
    func forward(update value: ByteBuffer, of stream: StreamID, _ http2: ClientHTTP2) {
        guard configuration.forwardsPriority else { return }
        guard case .http2(let server, let there) = http2.exchanges[stream]?.server else {
            return http2.pendingPriorities.keep(update: value, of: stream)
        }
        server.connection.sendPriorityUpdate(value, on: there)
    }

    /// What the client has signalled of an exchange whose request is sent now.
    func takePriority(of exchange: Exchange) -> (priority: HTTP2Priority?, update: ByteBuffer?) {
        guard case .http2(let client, let stream) = exchange.client else { return (nil, nil) }
        return client.pendingPriorities.take(stream)
    }

    /// A dependency is named by its number on each connection; one that is not there is the root.
    func translated(_ priority: HTTP2Priority, for server: ServerHTTP2) -> HTTP2Priority {
        var priority = priority
        let dependency = http.http2?.exchanges[priority.dependency]
        if case .http2(let other, let there) = dependency?.server, other === server {
            priority.dependency = there
        } else {
            priority.dependency = StreamID(0)
        }
        return priority
    }
}
