// Translates OpenSSL's reason codes to what the user needs: what failed, and which side caused it.

import COpenSSL

extension TLSError {
    /// Describes why a call on a connection failed.
    /// - Parameters:
    ///   - cause: the error in OpenSSL's queue; nil if it was empty.
    ///   - firstBytes: the first two bytes that the peer sent, or fewer.
    static func describe(
        _ cause: OpenSSLFailure?, ssl: OpaquePointer, isClient: Bool, isEstablished: Bool, firstBytes: [UInt8]
    ) -> TLSError {
        let peer = isClient ? "server" : "client"
        guard let cause else { return TLSError(.protocolError, "TLS failed without a reason") }
        if let alert = cause.peerAlert { return unsafe refused(alert, ssl: ssl, isClient: isClient) }
        // RFC 8446 §5.1: a record begins with its type, 20 to 24, and version 3.
        let isRecord = firstBytes.count < 2 || ((20...24).contains(firstBytes[0]) && firstBytes[1] == 3)
        if !isEstablished, !isRecord { return TLSError(.notTLS, "the \(peer) does not speak TLS") }
        guard cause.library == ERR_LIB_SSL else { return TLSError(.protocolError, "TLS failed: \(cause.text)") }
        switch cause.reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            let why = unsafe String(cString: X509_verify_cert_error_string(SSL_get_verify_result(ssl)))
            return TLSError(.verificationFailed, "certificate verify failed: \(why)")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH, SSL_R_WRONG_SSL_VERSION,
            SSL_R_UNKNOWN_SSL_VERSION:
            return TLSError(.versionOrCipherMismatch, "there is no TLS version in common with the \(peer)")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS:
            return TLSError(.versionOrCipherMismatch, "there is no cipher in common with the \(peer): \(cause.text)")
        case SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_NO_CIPHERS_AVAILABLE:
            return TLSError(.versionOrCipherMismatch, "the TLS settings leave nothing to offer: \(cause.text)")
        default:
            return TLSError(.protocolError, "the \(peer) broke the TLS protocol: \(cause.text)")
        }
    }

    /// The peer sent a fatal alert (RFC 8446 §6.2).
    private static func refused(_ alert: UInt8, ssl: OpaquePointer, isClient: Bool) -> TLSError {
        let name = alertName(alert)
        let kind = Kind.peerAlert(name)
        switch (isClient, alert) {
        case (false, 42...46), (false, 48):
            let server = unsafe TLSFacts.serverName(of: ssl) ?? "a server without a name"
            return TLSError(kind, "the client does not trust the certificate for \(server) (alert \"\(name)\")")
        case (true, 42...46), (true, 48):
            return TLSError(kind, "the server does not accept the client certificate (alert \"\(name)\")")
        case (true, 116): return TLSError(kind, "the server requires a client certificate (alert \"\(name)\")")
        case (true, 70): return TLSError(kind, "there is no TLS version in common with the server (alert \"\(name)\")")
        default: return TLSError(kind, "the \(isClient ? "server" : "client") ended TLS with the alert \"\(name)\"")
        }
    }

    /// The alert's name; OpenSSL 3.0 does not know those that are listed here.
    private static func alertName(_ alert: UInt8) -> String {
        switch alert {
        case 86: return "inappropriate fallback"
        case 109: return "missing extension"
        case 116: return "certificate required"
        case 120: return "no application protocol"
        default:
            let name = unsafe String(cString: SSL_alert_desc_string_long(CInt(alert)))
            return name == "unknown" ? "alert \(alert)" : name
        }
    }
}
