// Certificates to trust as one PKCS #12 file (RFC 7292), the form of a trust store that Java reads. A certificate of such a file is trusted
// only if its bag has Oracle's attribute "trusted key usage"; keytool writes it the same way.

import COpenSSL
import NIOCore

package enum TrustStore {
    /// Oracle's trusted key usage; its value is an extended key usage, here any.
    private static let trustedKeyUsage = "2.16.840.1.113894.746875.1.1"

    /// A PKCS #12 file of certificates that are trusted for every purpose. The certificates are not encrypted. The file is protected against
    /// changes with HMAC-SHA-1, which every release of Java can verify; the password is no secret.
    /// - Parameter certificates: PEM, one each; those that cannot be read are left out.
    package static func pkcs12(_ certificates: [String], password: String) throws(CertificateError) -> ByteBuffer {
        ERR_clear_error()
        var bags: OpaquePointer?
        var safes: OpaquePointer?
        defer {
            unsafe mitm_sk_PKCS12_SAFEBAG_free(bags)
            unsafe mitm_sk_PKCS7_free(safes)
        }
        for (index, pem) in certificates.enumerated() {
            guard let certificate = try? PEMContents.certificates(pem).first else { continue }
            let name = "certificate \(index + 1)"
            // The bag takes a reference of its own to the certificate.
            guard let bag = unsafe PKCS12_add_cert(&bags, certificate.pointer),
                unsafe PKCS12_add_friendlyname_utf8(bag, name, CInt(name.utf8.count)) == 1,
                unsafe addTrustedKeyUsage(to: bag)
            else { throw .openSSL("a certificate cannot be added to a trust store") }
        }
        let unencrypted: CInt = -1
        guard unsafe bags != nil, unsafe PKCS12_add_safe(&safes, bags, unencrypted, 0, nil) == 1,
            let store = unsafe PKCS12_add_safes(safes, 0)
        else { throw .openSSL("a trust store cannot be made") }
        defer { unsafe PKCS12_free(store) }
        let length = CInt(password.utf8.count)
        guard unsafe PKCS12_set_mac(store, password, length, nil, 0, PKCS12_DEFAULT_ITER, EVP_sha1()) == 1 else {
            throw .openSSL("a trust store cannot be made")
        }
        var encoded: UnsafeMutablePointer<UInt8>?
        let size = unsafe i2d_PKCS12(store, &encoded)
        defer { unsafe mitm_OPENSSL_free(encoded) }
        guard size > 0 else { throw .openSSL("a trust store cannot be made") }
        return unsafe ByteBuffer(bytes: UnsafeRawBufferPointer(start: encoded, count: Int(size)))
    }

    private static func addTrustedKeyUsage(to bag: OpaquePointer) -> Bool {
        guard let anyUsage = unsafe OBJ_nid2obj(NID_anyExtendedKeyUsage) else { return false }
        // With a length of -1 the value is the object itself (X509_ATTRIBUTE_set1_data(3)).
        let value = unsafe UnsafeRawPointer(anyUsage).assumingMemoryBound(to: UInt8.self)
        return unsafe PKCS12_add1_attr_by_txt(bag, trustedKeyUsage, V_ASN1_OBJECT, value, -1) == 1
    }
}
