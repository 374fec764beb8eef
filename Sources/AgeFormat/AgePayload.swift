// The payload of an age file (C2SP age, "Payload"): a nonce, and chunks of 64 KiB that are encrypted and authenticated each for itself. A chunk is
// bound to its number, and to whether it is the last one, so none can be changed, moved, or left out unnoticed.

import Ciphers
import NIOCore

/// Encrypts and decrypts the chunks of one file.
package struct AgePayload: Sendable {
    /// Bytes before the first chunk.
    package static let nonceSize = 16
    /// Plaintext of every chunk but the last one.
    package static let chunkSize = 64 * 1024
    package static let overhead = ChaCha20Poly1305.tagSize
    /// A full chunk as it is stored.
    package static let sealedSize = chunkSize + overhead

    private let cipher: ChaCha20Poly1305

    /// - Parameter nonce: the payload's first 16 bytes.
    package init(_ fileKey: AgeFileKey, nonce: [UInt8]) {
        precondition(nonce.count == Self.nonceSize, "a nonce has 16 bytes")
        cipher = ChaCha20Poly1305(key: fileKey.payloadKey(nonce: nonce))
    }

    /// A nonce for a new file.
    package static func makeNonce(using generator: inout some RandomNumberGenerator) -> [UInt8] {
        randomBytes(nonceSize, &generator)
    }

    /// Appends a chunk.
    /// - Parameters:
    ///   - plaintext: 64 KiB; of the last chunk 1 byte to 64 KiB, and none when it is the only one.
    ///   - index: counts from 0. No index is used twice.
    package func seal(_ plaintext: ByteBuffer, index: UInt64, isLast: Bool, into out: inout ByteBuffer) {
        let size = plaintext.readableBytes
        precondition(isLast ? size <= Self.chunkSize && (size > 0 || index == 0) : size == Self.chunkSize, "chunks are full")
        cipher.seal(plaintext, nonce: Self.nonce(index, isLast), into: &out)
    }

    /// Decrypts a chunk.
    /// - Returns: false, with nothing appended, when it is not the chunk that was written at this place.
    package func open(_ sealed: ByteBuffer, index: UInt64, isLast: Bool, into out: inout ByteBuffer) -> Bool {
        let size = sealed.readableBytes - Self.overhead
        guard isLast ? size <= Self.chunkSize && (size > 0 || index == 0) : size == Self.chunkSize else { return false }
        return cipher.open(sealed, nonce: Self.nonce(index, isLast), into: &out)
    }

    /// Eleven bytes count the chunks, and the last byte marks the last one.
    private static func nonce(_ index: UInt64, _ isLast: Bool) -> [UInt8] {
        [0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: index >> UInt64(8 * (7 - $0))) } + [isLast ? 1 : 0]
    }
}
