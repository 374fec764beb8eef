// SHA-1 over OpenSSL (FIPS 180-4; EVP_DigestInit(3)), for formats that need it: it detects damage, and proves nothing.

import COpenSSL
import NIOCore

/// Computes the SHA-1 digest of bytes that arrive in pieces. Not thread-safe.
@safe package final class SHA1 {
    /// Bytes of a digest.
    package static let size = 20

    // SAFETY: non-null until deinit; never leaves this object.
    private let context: OpaquePointer

    package init() {
        guard let made = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
        unsafe context = made
        begin()
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    package func update(_ bytes: Span<UInt8>) {
        let isDone = unsafe bytes.withUnsafeBufferPointer { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
        precondition(isDone, "SHA-1 takes any bytes")
    }

    /// Adds the readable bytes.
    package func update(_ bytes: ByteBuffer) { update(bytes.readableBytesUInt8Span) }

    /// The digest of all bytes since the beginning or the last call: 20 bytes. The next digest begins with no bytes.
    package func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Self.size)
        let isDone = unsafe EVP_DigestFinal_ex(context, &digest, nil) == 1
        precondition(isDone, "a digest that was begun can be finished")
        begin()
        return digest
    }

    private func begin() {
        ERR_clear_error()
        let isDone = unsafe EVP_DigestInit_ex(context, EVP_sha1(), nil) == 1
        precondition(isDone, "every OpenSSL has SHA-1")
    }
}
