// The proxy that servers are reached through, in mode upstream.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

/// Address, protocol and credentials of the upstream proxy.
package struct UpstreamProxy: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case http
        /// HTTP in TLS.
        case https
        case socks5
    }

    package var kind: Kind
    package var endpoint: Endpoint
    package var user: String?
    package var password: String?

    package init(kind: Kind, endpoint: Endpoint, user: String? = nil, password: String? = nil) {
        self.kind = kind
        self.endpoint = endpoint
        self.user = user
        self.password = password
    }

    /// The value of Proxy-Authorization (RFC 7617), if there are credentials.
    var authorization: String? {
        user.map { "Basic " + Base64.encode(ByteBuffer(string: "\($0):\(password ?? "")")) }
    }
}
