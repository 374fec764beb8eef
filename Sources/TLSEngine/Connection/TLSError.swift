// A failure of a TLS connection as a value: a kind for the program and one sentence for the user. OpenSSL's error queue belongs to the
// thread, so it is cleared before a call and drained into a value right after a failure; nothing else reads it.

import COpenSSL

/// Why a TLS connection failed. ``TLSConnection/takeCiphertext()`` still returns the alert for the peer, if there is one.
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
        /// The peer sent FIN without close_notify (RFC 8446 §6.1): the plaintext may be incomplete.
        case truncated
        /// The peer broke the protocol.
        case protocolError
        /// Invalid use of the connection: a name or an ALPN list that cannot be sent, a write after close.
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

/// The cause in OpenSSL's error queue of this thread: the first error of the TLS library, or else the first error.
struct OpenSSLFailure {
    /// `ERR_LIB_SSL`, …
    var library: Int32
    /// `SSL_R_…`; for the SSL library, 1000 and the alert's number when the peer sent a fatal alert.
    var reason: Int32
    /// OpenSSL's text, for example `wrong version number`.
    var text: String

    /// Takes the whole queue, so that the next call starts with an empty one; nil if it was empty.
    static func drain() -> OpenSSLFailure? {
        var code: UInt = 0
        while case let next = ERR_get_error(), next != 0 {
            // A cipher or a key reports its error before TLS does, but the error of TLS describes the situation.
            if code == 0 || (ERR_GET_LIB(next) == ERR_LIB_SSL && ERR_GET_LIB(code) != ERR_LIB_SSL) { code = next }
        }
        guard code != 0 else { return nil }
        let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) } ?? "OpenSSL error \(code)"
        return OpenSSLFailure(library: ERR_GET_LIB(code), reason: ERR_GET_REASON(code), text: text)
    }

    /// For a hot path, before a call: peeking costs a third of clearing, and the queue is nearly always empty.
    @inline(__always)
    static func clearQueue() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The alert that the peer sent, if the error is one (ssl_err: reasons from SSL_AD_REASON_OFFSET on).
    var peerAlert: UInt8? {
        guard library == ERR_LIB_SSL, reason > SSL_AD_REASON_OFFSET, reason <= SSL_AD_REASON_OFFSET + 255 else { return nil }
        return UInt8(reason - SSL_AD_REASON_OFFSET)
    }
}

extension CertificateError {
    /// The attempt that failed, and the reason from OpenSSL's queue.
    static func openSSL(_ attempt: String) -> CertificateError {
        CertificateError(OpenSSLFailure.drain().map { "\(attempt): \($0.text)" } ?? attempt)
    }
}
