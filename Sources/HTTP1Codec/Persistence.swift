// Whether a connection persists after a message (RFC 9112 §9.3).

import HTTPSemantics

extension RequestHead {
    /// Whether the sender asks to keep the connection of the message open.
    package var keepsConnection: Bool { persists(version, fields) }

    /// Whether a client asks a proxy to keep the connection open: Proxy-Connection counts where there is no Connection field.
    package var keepsClientConnection: Bool {
        if !fields.contains("connection"), fields.contains("proxy-connection") {
            if fields.list("proxy-connection", contains: "close") { return false }
            if fields.list("proxy-connection", contains: "keep-alive") { return true }
        }
        return keepsConnection
    }
}

extension ResponseHead {
    /// Whether the sender keeps the connection of the message open.
    package var keepsConnection: Bool { persists(version, fields) }
}

private func persists(_ version: HTTPVersion, _ fields: FieldSection) -> Bool {
    if fields.list("connection", contains: "close") { return false }
    return version != .http1_0 || fields.list("connection", contains: "keep-alive")
}
