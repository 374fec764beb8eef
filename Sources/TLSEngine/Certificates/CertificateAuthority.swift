// The certificate authority that issues every certificate of the recorder. It is generated once; the caller stores it as PEM. RFC 5280
// defines the fields of a certificate. Browsers require more (a subject alternative name, a validity of less than 200 days); comments
// name those places.

import COpenSSL
import NIOCore
import Synchronization

/// A certificate authority: its certificate and its key. No file access: PEM text comes in and goes out.
package final class CertificateAuthority: Sendable {
    package enum KeyType: Sendable, Equatable {
        case ecdsaP256
        /// 2048 to 8192 bits.
        case rsa(bits: Int)
    }

    private let certificate: X509Certificate
    private let key: PrivateKey
    /// One key for every leaf of this process: making one for each would cost more than the signature.
    private let leafKey: PrivateKey
    /// The key for clients that accept RSA only; made for the first such client.
    private let leafKeyRSA = Mutex<PrivateKey?>(nil)
    /// The chain after the leaf: the authority and the certificates between it and its root. A root is sent too, although RFC 8446 §4.4.2
    /// allows it to be omitted: a client that is pinned to the authority's key looks for it in the chain.
    private let issuers: [X509Certificate]

    // Two days back for clients whose clock is slow; CA/Browser Forum ballot SC-081: less than 200 days from March 2026 on.
    private static let secondsInADay: Int64 = 86_400
    private static let leafBackdating = 2 * secondsInADay
    private static let leafValidity = 197 * secondsInADay
    private static let authorityValidity = 3_650 * secondsInADay

    private init(_ certificate: X509Certificate, key: PrivateKey, intermediates: [X509Certificate]) throws(CertificateError) {
        self.certificate = certificate
        self.key = key
        leafKey = try CertificateAuthority.makeKey(.ecdsaP256)
        issuers = [certificate] + intermediates
    }

    /// Makes a new authority.
    /// - Parameter now: seconds since 1970; the certificate is valid from two days before for ten years.
    package static func generate(keyType: KeyType = .ecdsaP256, now: Int64) throws(CertificateError) -> CertificateAuthority {
        let key = try makeKey(keyType)
        let template = try CertificateTemplate(
            subject: ("mitm", "mitm"), key: key, issuer: nil,
            notBefore: now - leafBackdating, notAfter: now - leafBackdating + authorityValidity)
        try template.add(NID_basic_constraints, "critical,CA:TRUE")
        try template.add(NID_key_usage, "critical,keyCertSign,cRLSign")
        try template.add(NID_subject_key_identifier, "hash")
        let certificate = try template.sign(with: key)
        return try CertificateAuthority(certificate, key: key, intermediates: [])
    }

    /// Loads an authority: PEM text that holds its certificate first, then the certificates up to its root if it is not one itself,
    /// and its private key anywhere.
    /// - Parameter passphrase: opens an encrypted key.
    package convenience init(pem: String, passphrase: String? = nil) throws(CertificateError) {
        let contents = try PEMContents(pem, passphrase: passphrase)
        guard let certificate = contents.certificates.first else { throw CertificateError("it contains no certificate") }
        guard let key = contents.key else { throw CertificateError("it contains no private key") }
        guard key.belongs(to: certificate) else {
            throw CertificateError("the private key does not belong to the first certificate")
        }
        guard unsafe X509_check_ca(certificate.pointer) != 0 else {
            throw CertificateError("the certificate is not one of a certificate authority")
        }
        try self.init(certificate, key: key, intermediates: Array(contents.certificates.dropFirst()))
    }

    /// The certificate that clients must trust.
    package var certificatePEM: String { certificate.pem }
    /// PKCS #8, not encrypted: keep it to yourself.
    package var privateKeyPEM: String { key.pem }
    package var certificateDER: ByteBuffer { certificate.der }
    /// The certificate that clients must trust, then those between it and its root, PEM each.
    package var chainPEM: [String] { issuers.map(\.pem) }
    /// SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 §2.4): the pin by which a browser accepts the chain. 32 bytes.
    package var publicKeyDigest: [UInt8] { certificate.publicKeyDigest }
    /// When the authority expires, in seconds since 1970.
    package var notAfter: Int64 { certificate.notAfter ?? 0 }

    /// Issues a certificate in place of the server's: it has the upstream certificate's names, common name and organisation, and the
    /// requested name. It is valid for 197 days, two of them past.
    /// - Parameter now: seconds since 1970.
    /// - Throws: if a certificate cannot contain the name and there is no other name.
    package func issue(_ request: LeafRequest, now: Int64) throws(CertificateError) -> LeafCertificate {
        let subject = LeafSubject(request)
        guard !subject.names.isEmpty else {
            throw CertificateError("no certificate can be made for the name \"\(request.serverName.prefix(300))\"")
        }
        let leafKey = try key(for: request)
        let notBefore = now - CertificateAuthority.leafBackdating
        let template = try CertificateTemplate(
            subject: (subject.commonName, subject.organization), key: leafKey, issuer: certificate,
            notBefore: notBefore, notAfter: notBefore + CertificateAuthority.leafValidity)
        try template.add(NID_basic_constraints, "critical,CA:FALSE")
        // RFC 5246 §7.4.2: RSA may also encrypt the secret.
        let usage = request.key == .rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature"
        try template.add(NID_key_usage, usage)
        try template.add(NID_ext_key_usage, "serverAuth")
        try template.add(NID_subject_key_identifier, "hash")
        if unsafe X509_get0_subject_key_id(certificate.pointer) != nil {
            try template.add(NID_authority_key_identifier, "keyid:always")
        }
        // RFC 5280 §4.2.1.6: critical when the subject is empty.
        try template.addNames(subject.names, isCritical: subject.commonName == nil && subject.organization == nil)
        return try LeafCertificate(template.sign(with: key), key: leafKey, issuers: issuers, isMade: true)
    }

    private func key(for request: LeafRequest) throws(CertificateError) -> PrivateKey {
        guard request.key == .rsa else { return leafKey }
        let made = leafKeyRSA.withLock { known -> Result<PrivateKey, CertificateError> in
            if let known { return .success(known) }
            do throws(CertificateError) {
                let made = try Self.makeKey(.rsa(bits: 2048))
                known = made
                return .success(made)
            } catch {
                return .failure(error)
            }
        }
        return try made.get()
    }

    private static func makeKey(_ type: KeyType) throws(CertificateError) -> PrivateKey {
        ERR_clear_error()
        let made: OpaquePointer?
        switch type {
        case .ecdsaP256: unsafe made = mitm_EVP_EC_gen("P-256")
        case .rsa(let bits):
            guard (2048...8192).contains(bits) else { throw CertificateError("an RSA key has 2048 to 8192 bits, not \(bits)") }
            unsafe made = mitm_EVP_RSA_gen(UInt32(bits))
        }
        guard let made = unsafe made else { throw .openSSL("no key can be made") }
        return unsafe PrivateKey(takingOwnership: made)
    }
}
