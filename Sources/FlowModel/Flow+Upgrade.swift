// Whether an exchange asks for a conversation of another kind.

import HTTPSemantics
import NIOCore

extension Flow {
    /// The request asks for WebSocket, by an upgrade (RFC 6455 §4.1) or by extended CONNECT (RFC 8441 §4), whatever it was answered.
    package var asksForWebSocket: Bool {
        request?.head.upgrade == .webSocket
    }
}
