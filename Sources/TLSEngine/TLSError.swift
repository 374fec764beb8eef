// What can go wrong on a TLS connection, as a value: a kind for the program and one sentence for people. OpenSSL's error queue
// belongs to the thread, so it is cleared before a call and drained into a value right after a failure; nothing else reads it.

import COpenSSL

/// Why a TLS connection failed. The alert that tells the peer, if one is due, is still to be had by ``TLSConnection/takeCiphertext()``.
package struct TLSError: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// The peer's certificate was not accepted (client role).
        case verificationFailed
        /// The peer refused with a fatal alert, by its name in RFC 8446 §6: `unknown CA`, `protocol version`.
        case peerAlert(String)
        /// The first bytes cannot be TLS.
        case notTLS
        /// The two sides have no version or no cipher suite in common.
        case versionOrCipherMismatch
        /// The peer's FIN came without a close_notify (RFC 8446 §6.1): what was read may not be all.
        case truncated
        /// The peer broke the protocol.
        case protocolError
        /// The connection was asked for what cannot be: a name or an ALPN list that cannot be sent, a write after close.
        case invalidUse
    }

    package var kind: Kind
    /// One sentence without a full stop: `certificate verify failed: certificate has expired`.
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// The cause in OpenSSL's error queue of this thread: the first error of TLS itself, or the first at all.
struct OpenSSLFailure {
    /// `ERR_LIB_SSL`, …
    var library: Int32
    /// `SSL_R_…`; for the SSL library, 1000 and the alert's number when the peer sent a fatal alert.
    var reason: Int32
    /// OpenSSL's words, for example `wrong version number`.
    var text: String

    /// Takes the whole queue, so that the next call starts with an empty one; nil when it was empty.
    static func drain() -> OpenSSLFailure? {
        var code: UInt = 0
        while case let next = ERR_get_error(), next != 0 {
            // A cipher or a key complains before TLS does, but TLS knows what was going on.
            if code == 0 || (ERR_GET_LIB(next) == ERR_LIB_SSL && ERR_GET_LIB(code) != ERR_LIB_SSL) { code = next }
        }
        guard code != 0 else { return nil }
        let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) } ?? "OpenSSL error \(code)"
        return OpenSSLFailure(library: ERR_GET_LIB(code), reason: ERR_GET_REASON(code), text: text)
    }

    /// What a hot path does before a call: looking is a third of the cost of clearing, and there is hardly ever anything to clear.
    @inline(__always)
    static func clearQueue() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The alert that the peer sent, when that is what the error says (ssl_err: reasons from SSL_AD_REASON_OFFSET on).
    var peerAlert: UInt8? {
        guard library == ERR_LIB_SSL, reason > SSL_AD_REASON_OFFSET, reason <= SSL_AD_REASON_OFFSET + 255 else { return nil }
        return UInt8(reason - SSL_AD_REASON_OFFSET)
    }
}

extension CertificateError {
    /// What was attempted, and what OpenSSL's queue says about why it failed.
    static func openSSL(_ attempt: String) -> CertificateError {
        CertificateError(OpenSSLFailure.drain().map { "\(attempt): \($0.text)" } ?? attempt)
    }
}
