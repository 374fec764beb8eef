// Whether a request asks for another protocol.

import HTTPSemantics
import NIOCore

extension Flow {
    /// The request asks for WebSocket, by an upgrade (RFC 6455 §4.1) or by extended CONNECT (RFC 8441 §4), whether it was granted or not.
    package var asksForWebSocket: Bool {
        request?.head.upgrade == .webSocket
    }
}
