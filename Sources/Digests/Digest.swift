// Digests over OpenSSL (FIPS 180-4; EVP_DigestInit(3)).

import COpenSSL
import NIOCore

/// Computes the digest of bytes that arrive in pieces. Not thread-safe.
@safe package final class Digest {
    package enum Algorithm: Sendable {
        /// For formats that need it: it detects damage, and proves nothing.
        case sha1
        case sha256

        /// Bytes of a digest.
        package var size: Int {
            switch self {
            case .sha1: 20
            case .sha256: 32
            }
        }

        fileprivate var implementation: OpaquePointer? {
            switch self {
            case .sha1: unsafe EVP_sha1()
            case .sha256: unsafe EVP_sha256()
            }
        }
    }

    private let algorithm: Algorithm
    // SAFETY: non-null until deinit; never leaves this object.
    private let context: OpaquePointer

    package init(_ algorithm: Algorithm) {
        guard let made = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
        self.algorithm = algorithm
        unsafe context = made
        begin()
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    package func update(_ bytes: Span<UInt8>) {
        let isDone = unsafe bytes.withUnsafeBufferPointer { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
        precondition(isDone, "a digest takes any bytes")
    }

    /// Adds the readable bytes.
    package func update(_ bytes: ByteBuffer) { update(bytes.readableBytesUInt8Span) }

    /// The digest of all bytes since the beginning or the last call. The next digest begins with no bytes.
    package func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: algorithm.size)
        let isDone = unsafe EVP_DigestFinal_ex(context, &digest, nil) == 1
        precondition(isDone, "a digest that was begun can be finished")
        begin()
        return digest
    }

    /// The digest of a span.
    package static func of(_ bytes: Span<UInt8>, by algorithm: Algorithm) -> [UInt8] {
        let digest = Digest(algorithm)
        digest.update(bytes)
        return digest.finish()
    }

    package static func of(_ bytes: ByteBuffer, by algorithm: Algorithm) -> [UInt8] {
        of(bytes.readableBytesUInt8Span, by: algorithm)
    }

    private func begin() {
        ERR_clear_error()
        let isDone = unsafe EVP_DigestInit_ex(context, algorithm.implementation, nil) == 1
        precondition(isDone, "every OpenSSL has this digest")
    }
}
