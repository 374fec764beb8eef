// A certificate that the recorder shows to a client in a server's place: what is asked for, and what is made or loaded.

import COpenSSL
import NIOCore

/// Asks for a certificate. Equal requests may be answered with the same certificate.
package struct LeafRequest: Sendable, Hashable {
    /// The name that the client asked for (SNI), or the host or address that it connects to when it named none.
    package var serverName: String
    /// The upstream server's own certificate, DER, whose names and organisation are mirrored; nil when it is not known.
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
    /// On P-256: small and fast, and what every client of the last ten years takes.
    case ecdsa
    /// 2048 bits, for clients that take nothing else.
    case rsa
}

/// Why a certificate could not be made or loaded, in words for people.
package struct CertificateError: Error, Sendable, Hashable {
    package var message: String

    package init(_ message: String) { self.message = message }
}

/// A certificate with its chain and key, ready to be shown. One may serve any number of connections on any thread.
// Sendable: all three are OpenSSL objects that are not changed after init; connections take counted references.
@safe package final class LeafCertificate: @unchecked Sendable {
    let certificate: X509Certificate
    let key: PrivateKey
    private let issuers: [X509Certificate]
    // SAFETY: nil when there are no issuers; owned, the certificates in it by `issuers`; freed in deinit.
    let issuerStack: OpaquePointer?
    /// When the certificate ends to be valid, seconds since 1970.
    package let notAfter: Int64
    /// When the certificate begins to be valid, seconds since 1970.
    package let notBefore: Int64

    /// Whether our authority made it; false for one that was loaded.
    let isMade: Bool

    /// `issuers` are sent behind the certificate, in their order.
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
        guard let certificate = contents.certificates.first else { throw CertificateError("there is no certificate in it") }
        guard let key = contents.key else { throw CertificateError("there is no private key in it") }
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
