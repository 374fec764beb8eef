// The properties of a TLS connection, as values.

import COpenSSL
import NIOCore

/// The properties of a TLS connection after its handshake, or as far as the handshake went.
package struct TLSFacts: Sendable, Equatable {
    /// `TLSv1.3`; nil if no version was negotiated.
    package var version: String?
    /// OpenSSL's name of the cipher suite, for example `TLS_AES_128_GCM_SHA256`.
    package var cipher: String?
    /// The protocol that ALPN selected.
    package var alpn: String?
    /// The server name that the client sent (RFC 6066 §3); nil if it sent none.
    package var serverName: String?
    /// Client role: the chain that the server sent, in this handshake or in that of the resumed session; DER, leaf first.
    package var peerCertificates: [ByteBuffer] = []
    package var isResumed = false
    /// Client role: whether verification of the chain and the name succeeded; nil if no certificate was received.
    package var isVerified: Bool?
    /// Client role: why verification failed, in OpenSSL's words, for example `certificate has expired`.
    package var verificationError: String?

    package init() {}
}

extension TLSFacts {
    /// Reads them from a connection.
    init(of ssl: OpaquePointer, isClient: Bool) {
        guard let cipher = unsafe SSL_get_current_cipher(ssl) else {
            serverName = unsafe TLSFacts.serverName(of: ssl)
            unsafe readVerification(of: ssl, isClient: isClient)
            return
        }
        version = unsafe String(cString: SSL_get_version(ssl))
        self.cipher = unsafe String(cString: SSL_CIPHER_get_name(cipher))
        serverName = unsafe TLSFacts.serverName(of: ssl)
        isResumed = unsafe SSL_session_reused(ssl) == 1
        var chosen: UnsafePointer<UInt8>?
        var length: CUnsignedInt = 0
        unsafe SSL_get0_alpn_selected(ssl, &chosen, &length)
        if let chosen = unsafe chosen {
            alpn = unsafe String(decoding: UnsafeBufferPointer(start: chosen, count: Int(length)), as: UTF8.self)
        }
        unsafe readVerification(of: ssl, isClient: isClient)
    }

    static func serverName(of ssl: OpaquePointer) -> String? {
        unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) }
    }

    private mutating func readVerification(of ssl: OpaquePointer, isClient: Bool) {
        guard isClient, let chain = unsafe SSL_get_peer_cert_chain(ssl) else { return }
        let count = unsafe mitm_sk_X509_num(chain)
        for index in 0..<count {
            guard let certificate = unsafe mitm_sk_X509_value(chain, index) else { continue }
            unsafe peerCertificates.append(X509Certificate.der(of: certificate))
        }
        let result = unsafe SSL_get_verify_result(ssl)
        isVerified = result == Int(X509_V_OK)
        if result != Int(X509_V_OK) { verificationError = unsafe String(cString: X509_verify_cert_error_string(result)) }
    }
}
