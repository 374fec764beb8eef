// Facts of the connections of a flow, as texts that predicates compare. The flows of a connection share them, so the archive's view of a record
// makes each text once for a block.

import HTTPSemantics
import NIOCore

/// A fact of a client or server connection that is a text.
package enum ConnectionText: UInt8, Sendable, CaseIterable {
    /// The identifier, as a UUID.
    case id
    /// `ip:port` of a client; `host:port` of a server as it was requested.
    case address
    /// `TLSv1.3`; empty when the handshake chose no version.
    case tlsVersion
    /// OpenSSL's name of the cipher suite.
    case cipher
    case serverName
    /// The protocol chosen by ALPN.
    case alpn
    case ja3
    case ja4
    /// ``verified``, or why the chain of a server is not valid.
    case verification

    /// ``verification`` of a valid chain.
    package static let verified = ByteBuffer(string: "verified")
}

extension TLSDetails {
    /// - Returns: nil when the connection has no such text.
    fileprivate func text(_ text: ConnectionText) -> ByteBuffer? {
        let found: String? =
            switch text {
            case .id, .address: nil
            case .tlsVersion: version ?? ""
            case .cipher: cipher
            case .serverName: serverName
            case .alpn: alpn
            case .ja3: ja3
            case .ja4: ja4
            case .verification:
                isVerified.map { $0 ? String(buffer: ConnectionText.verified) : verificationError ?? "not verified" }
            }
        return found.map { ByteBuffer(string: $0) }
    }
}

extension ClientConnection {
    /// - Returns: nil when the connection has no such text.
    package func text(_ text: ConnectionText) -> ByteBuffer? {
        // One whose record was lost.
        guard !peer.host.isEmpty else { return nil }
        return switch text {
        case .id: ByteBuffer(string: id.description)
        case .address: ByteBuffer(string: peer.description)
        default: tls?.text(text)
        }
    }
}

extension ServerConnection {
    /// - Returns: nil when the connection has no such text.
    package func text(_ text: ConnectionText) -> ByteBuffer? {
        switch text {
        case .id: ByteBuffer(string: id.description)
        case .address: ByteBuffer(string: target.description)
        default: tls?.text(text)
        }
    }
}

extension ServerConnection {
    /// The names in the server's own certificate, as ``certificateNames(_:)`` writes them; nil without a certificate that can be read.
    package var certificateNames: ByteBuffer? { (tls?.certificates.first).flatMap { FlowModel.certificateNames($0) } }
}
