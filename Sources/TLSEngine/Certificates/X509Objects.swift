// The two OpenSSL objects that certificates are made of, each owned by one Swift object, and their text form (PEM, RFC 7468).

import COpenSSL
import NIOCore

/// A certificate.
// Sendable: an X509 is not changed after it was made, and its reference count is atomic.
@safe final class X509Certificate: @unchecked Sendable {
    // SAFETY: non-null until deinit.
    let pointer: OpaquePointer

    init(takingOwnership pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe X509_free(pointer) }

    /// Reads DER; nil if it is not exactly one certificate.
    init?(der: ByteBuffer) {
        ERR_clear_error()
        let parsed: OpaquePointer? = unsafe der.withUnsafeReadableBytes { bytes in
            var cursor = unsafe bytes.bindMemory(to: UInt8.self).baseAddress
            return unsafe d2i_X509(nil, &cursor, bytes.count)
        }
        guard let parsed = unsafe parsed else {
            ERR_clear_error()
            return nil
        }
        unsafe self.pointer = parsed
    }

    var der: ByteBuffer { unsafe X509Certificate.der(of: pointer) }

    /// The DER form of a certificate that is owned elsewhere.
    static func der(of certificate: OpaquePointer) -> ByteBuffer {
        let size = unsafe i2d_X509(certificate, nil)
        guard size > 0 else { return ByteBuffer() }
        var buffer = ByteBuffer()
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(size)) { space in
            var cursor = unsafe space.bindMemory(to: UInt8.self).baseAddress
            return unsafe Int(i2d_X509(certificate, &cursor))
        }
        return buffer
    }

    var pem: String { unsafe pemText { unsafe PEM_write_bio_X509($0, pointer) } }

    /// SHA-256 of the SubjectPublicKeyInfo, 32 bytes.
    var publicKeyDigest: [UInt8] {
        var encoded: UnsafeMutablePointer<UInt8>?
        let size = unsafe i2d_X509_PUBKEY(X509_get_X509_PUBKEY(pointer), &encoded)
        defer { unsafe mitm_OPENSSL_free(encoded) }
        var digest = [UInt8](repeating: 0, count: 32)
        let isMade = unsafe size > 0 && EVP_Digest(encoded, Int(size), &digest, nil, EVP_sha256(), nil) == 1
        precondition(isMade, "the key of a certificate that was read can be encoded")
        return digest
    }

    /// Seconds since 1970; nil if the certificate's time cannot be read.
    var notAfter: Int64? { unsafe seconds(X509_get0_notAfter(pointer)) }
    var notBefore: Int64? { unsafe seconds(X509_get0_notBefore(pointer)) }

    private func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var days: Int32 = 0
        var rest: Int32 = 0
        guard let epoch = unsafe ASN1_TIME_set(nil, 0) else { return nil }
        defer { unsafe ASN1_TIME_free(epoch) }
        guard unsafe ASN1_TIME_diff(&days, &rest, epoch, time) == 1 else { return nil }
        return Int64(days) * 86_400 + Int64(rest)
    }
}

/// A private key.
// Sendable: an EVP_PKEY is not changed after it was made, signing takes a context of its own, and its reference count is atomic.
@safe final class PrivateKey: @unchecked Sendable {
    // SAFETY: non-null until deinit.
    let pointer: OpaquePointer

    init(takingOwnership pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe EVP_PKEY_free(pointer) }

    /// PKCS #8, not encrypted.
    var pem: String { unsafe pemText { unsafe PEM_write_bio_PKCS8PrivateKey($0, pointer, nil, nil, 0, nil, nil) } }

    func belongs(to certificate: X509Certificate) -> Bool {
        defer { ERR_clear_error() }
        return unsafe X509_check_private_key(certificate.pointer, pointer) == 1
    }
}

/// The contents of a PEM text: certificates in their order, and at most one private key. Anything else is skipped.
struct PEMContents {
    var certificates: [X509Certificate]
    var key: PrivateKey?

    /// Reads the text; `passphrase` opens an encrypted key. Bounded by the text's own size.
    init(_ text: String, passphrase: String?) throws(CertificateError) {
        certificates = try PEMContents.certificates(text)
        key = try PEMContents.key(text, passphrase: passphrase)
    }

    static func certificates(_ text: String) throws(CertificateError) -> [X509Certificate] {
        var found: [X509Certificate] = []
        ERR_clear_error()
        unsafe withMemoryBIO(text) { bio in
            while let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
                unsafe found.append(X509Certificate(takingOwnership: certificate))
            }
        }
        try PEMContents.expectEndOfText("the certificate cannot be read")
        return found
    }

    private static func key(_ text: String, passphrase: String?) throws(CertificateError) -> PrivateKey? {
        guard text.contains("PRIVATE KEY-----") else { return nil }
        ERR_clear_error()
        let key: PrivateKey? = unsafe withMemoryBIO(text) { bio in
            var secret = Array((passphrase ?? "").utf8CString)
            let read = unsafe secret.withUnsafeMutableBufferPointer { secret in
                // The default callback would prompt on the terminal.
                unsafe PEM_read_bio_PrivateKey(bio, nil, givePassphrase, secret.baseAddress)
            }
            return unsafe read.map { unsafe PrivateKey(takingOwnership: $0) }
        }
        guard let key else {
            // Both forms of an encrypted key contain this word: RFC 7468 §11, RFC 1421 §4.6.1.1.
            guard passphrase != nil || !text.contains("ENCRYPTED") else {
                ERR_clear_error()
                throw CertificateError("the private key is encrypted and there is no passphrase for it")
            }
            throw .openSSL(passphrase == nil ? "the private key cannot be read" : "the private key cannot be opened")
        }
        return key
    }

    /// Reading at the end of a PEM text fails with "no start line"; every other error is a failure.
    private static func expectEndOfText(_ attempt: String) throws(CertificateError) {
        let last = ERR_peek_last_error()
        if last == 0 || (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE) {
            ERR_clear_error()
        } else {
            throw .openSSL(attempt)
        }
    }
}

/// pem_password_cb(3): the passphrase is a C string in `context`; -1 if it is empty.
private func givePassphrase(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: CInt, _ isWriting: CInt, _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let buffer = unsafe buffer, let context = unsafe context else { return -1 }
    let secret = unsafe context.assumingMemoryBound(to: CChar.self)
    let length = unsafe strlen(secret)
    guard length > 0, length <= Int(size) else { return -1 }
    unsafe buffer.update(from: secret, count: length)
    return CInt(length)
}

/// Lends a BIO that reads the text; freed afterwards.
func withMemoryBIO<R>(_ text: String, _ body: (OpaquePointer) -> R) -> R {
    var text = text + "\n"  // never empty: a BIO refuses to read from nothing
    return text.withUTF8 { bytes in
        guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { fatalError("out of memory") }
        defer { unsafe BIO_free(bio) }
        return unsafe body(bio)
    }
}

/// The text that `write` puts into a BIO.
private func pemText(_ write: (OpaquePointer) -> CInt) -> String {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { fatalError("out of memory") }
    defer { unsafe BIO_free(bio) }
    let isWritten = unsafe write(bio) == 1
    precondition(isWritten, "a certificate or key in memory can always be written")
    var start: UnsafeMutablePointer<CChar>?
    let length = unsafe mitm_BIO_get_mem_data(bio, &start)
    return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}
