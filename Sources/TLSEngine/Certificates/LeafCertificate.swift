// A certificate that the recorder presents to a client in a server's place: the request for one, and the certificate that is made or
// loaded.

import COpenSSL
import NIOCore

/// A request for a certificate. Equal requests may get the same certificate.
package struct LeafRequest: Sendable, Hashable {
    /// The name in the client's SNI, or the host or address that it connects to if it sent none.
    package var serverName: String
    /// The upstream server's certificate, DER, whose names and organisation are copied; nil if it is not known.
    package var upstream: ByteBuffer?
    package var key: LeafKey

    package init(serverName: String, upstream: ByteBuffer? = nil, key: LeafKey = .ecdsa) {
        self.serverName = serverName
        self.upstream = upstream
        self.key = key
    }
}

/// The kind of key that a made certificate has.
package enum LeafKey: Sendable, Hashable {
    /// On P-256: small, fast, and accepted by every client of the last ten years.
    case ecdsa
    /// 2048 bits, for clients that accept nothing else.
    case rsa
}

/// Why a certificate could not be made or loaded, as a sentence for the user.
package struct CertificateError: Error, Sendable, Hashable {
    package var message: String

    package init(_ message: String) { self.message = message }
}

/// A certificate with its chain and key. Any number of connections on any thread may use it.
// Sendable: all three are OpenSSL objects that are not changed after init; connections take counted references.
@safe package final class LeafCertificate: @unchecked Sendable {
    let certificate: X509Certificate
    let key: PrivateKey
    private let issuers: [X509Certificate]
    // SAFETY: nil when there are no issuers; owned, the certificates in it by `issuers`; freed in deinit.
    let issuerStack: OpaquePointer?
    /// When the certificate expires, in seconds since 1970.
    package let notAfter: Int64
    /// When the certificate becomes valid, in seconds since 1970.
    package let notBefore: Int64

    /// Whether our authority made it; false for one that was loaded.
    let isMade: Bool

    /// `issuers` are sent after the certificate, in their order.
    init(
        _ certificate: X509Certificate, key: PrivateKey, issuers: [X509Certificate], isMade: Bool
    ) throws(CertificateError) {
        guard let notBefore = certificate.notBefore, let notAfter = certificate.notAfter else {
            throw CertificateError("the certificate's times cannot be read")
        }
        self.certificate = certificate
        self.key = key
        self.issuers = issuers
        self.isMade = isMade
        self.notBefore = notBefore
        self.notAfter = notAfter
        if issuers.isEmpty {
            unsafe issuerStack = nil
        } else {
            unsafe issuerStack = mitm_sk_X509_new_null()
            for issuer in issuers { unsafe mitm_sk_X509_push(issuerStack, issuer.pointer) }
        }
    }

    /// Loads an own certificate: PEM text with the certificate first, then its issuers if any, and the private key anywhere.
    /// - Parameter passphrase: opens an encrypted key.
    package convenience init(pem: String, passphrase: String? = nil) throws(CertificateError) {
        let contents = try PEMContents(pem, passphrase: passphrase)
        guard let certificate = contents.certificates.first else { throw CertificateError("it contains no certificate") }
        guard let key = contents.key else { throw CertificateError("it contains no private key") }
        guard key.belongs(to: certificate) else {
            throw CertificateError("the private key does not belong to the first certificate")
        }
        try self.init(certificate, key: key, issuers: Array(contents.certificates.dropFirst()), isMade: false)
    }

    deinit {
        // The stack only; its certificates are owned by `issuers`.
        unsafe mitm_sk_X509_free(issuerStack)
    }

    /// The certificates as they are sent, DER, leaf first.
    package var chain: [ByteBuffer] { [certificate.der] + issuers.map(\.der) }
    /// The leaf alone, PEM.
    package var certificatePEM: String { certificate.pem }
}
