// A certificate that the recorder shows to a client in a server's place: what is asked for, and what is made.

import NIOCore

/// Asks for a certificate. Equal requests may be answered with the same certificate.
package struct LeafRequest: Sendable, Hashable {
    /// The name that the client asked for (SNI), or the host or address that it connects to when it named none.
    package var serverName: String
    /// The upstream server's own certificate, DER, whose names and organisation are mirrored; nil when it is not known.
    package var upstream: ByteBuffer?

    package init(serverName: String, upstream: ByteBuffer? = nil) {
        self.serverName = serverName
        self.upstream = upstream
    }
}

/// Why a certificate could not be made or loaded, in words for people.
package struct CertificateError: Error, Sendable, Hashable {
    package var message: String

    package init(_ message: String) { self.message = message }
}
