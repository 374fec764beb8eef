// Forms of an authority's certificate for its clients: the fingerprint by which people compare it, and a file for programs that want PKCS #12.

import COpenSSL
import NIOCore

extension CertificateAuthority {
    /// SHA-256 of the certificate's DER form, as `openssl x509 -fingerprint -sha256` prints it: 32 pairs of hexadecimal digits with colons
    /// between them.
    package var fingerprint: String {
        var digest = [UInt8](repeating: 0, count: 32)
        let isMade = unsafe certificateDER.withUnsafeReadableBytes { der in
            unsafe EVP_Digest(der.baseAddress, der.count, &digest, nil, EVP_sha256(), nil) == 1
        }
        precondition(isMade, "a digest of a buffer can be made")
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: ":")
    }

    /// The certificate alone as a PKCS #12 file.
    package func certificatePKCS12(password: String) throws(CertificateError) -> ByteBuffer {
        try TrustStore.pkcs12([certificatePEM], password: password)
    }
}
