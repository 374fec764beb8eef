// SHA-256 over OpenSSL (FIPS 180-4; EVP_DigestInit(3)).

import COpenSSL
import NIOCore

/// Computes the SHA-256 digest of bytes that arrive in pieces. Not thread-safe.
@safe package final class SHA256 {
    /// Bytes of a digest.
    package static let size = 32

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
        precondition(isDone, "SHA-256 takes any bytes")
    }

    /// Adds the readable bytes.
    package func update(_ bytes: ByteBuffer) { update(bytes.readableBytesUInt8Span) }

    /// The digest of all bytes since the beginning or the last call: 32 bytes. The next digest begins with no bytes.
    package func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Self.size)
        let isDone = unsafe EVP_DigestFinal_ex(context, &digest, nil) == 1
        precondition(isDone, "a digest that was begun can be finished")
        begin()
        return digest
    }

    /// The digest of a span: 32 bytes.
    package static func digest(_ bytes: Span<UInt8>) -> [UInt8] {
        let digest = SHA256()
        digest.update(bytes)
        return digest.finish()
    }

    package static func digest(_ bytes: ByteBuffer) -> [UInt8] { digest(bytes.readableBytesUInt8Span) }
    package static func digest(_ bytes: [UInt8]) -> [UInt8] { digest(bytes.span) }

    private func begin() {
        ERR_clear_error()
        let isDone = unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
        precondition(isDone, "every OpenSSL has SHA-256")
    }
}
