// Whether a connection goes on after a message (RFC 9112 §9.3).

import HTTPSemantics

extension RequestHead {
    /// As the sender asks for the connection that the message is on.
    package var keepsConnection: Bool { persists(version, fields) }

    /// As a client asks a proxy: Proxy-Connection counts where Connection says nothing.
    package var keepsClientConnection: Bool {
        if !fields.contains("connection"), fields.contains("proxy-connection") {
            if fields.list("proxy-connection", contains: "close") { return false }
            if fields.list("proxy-connection", contains: "keep-alive") { return true }
        }
        return keepsConnection
    }
}

extension ResponseHead {
    /// As the sender says of the connection that the message is on.
    package var keepsConnection: Bool { persists(version, fields) }
}

private func persists(_ version: HTTPVersion, _ fields: FieldSection) -> Bool {
    if fields.list("connection", contains: "close") { return false }
    return version != .http1_0 || fields.list("connection", contains: "keep-alive")
}
