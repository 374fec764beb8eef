// ChaCha20-Poly1305 over OpenSSL (RFC 8439; EVP_EncryptInit(3), EVP_chacha20_poly1305(3)), without additional data.

import COpenSSL
import NIOCore

/// Encrypts and decrypts with one key. A nonce must not be used twice with a key.
package struct ChaCha20Poly1305: Sendable {
    package static let keySize = 32
    package static let nonceSize = 12
    /// Bytes that follow the ciphertext and authenticate it.
    package static let tagSize = 16

    private let key: [UInt8]

    /// - Parameter key: 32 bytes.
    package init(key: [UInt8]) {
        precondition(key.count == Self.keySize, "a key has 32 bytes")
        self.key = key
    }

    /// Encrypts bytes.
    /// - Parameters:
    ///   - plaintext: its readable bytes, at most 1 GiB.
    ///   - nonce: 12 bytes.
    ///   - out: receives the ciphertext and the tag.
    package func seal(_ plaintext: ByteBuffer, nonce: [UInt8], into out: inout ByteBuffer) {
        precondition(nonce.count == Self.nonceSize, "a nonce has 12 bytes")
        let size = plaintext.readableBytes + Self.tagSize
        unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
            unsafe plaintext.withUnsafeReadableBytes { unsafe seal($0, nonce, into: target) }
            return size
        }
    }

    private func seal(_ source: UnsafeRawBufferPointer, _ nonce: [UInt8], into target: UnsafeMutableRawBufferPointer) {
        unsafe withContext { context in
            let start = unsafe target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            var written: Int32 = 0
            let isDone =
                unsafe EVP_EncryptInit_ex(context, EVP_chacha20_poly1305(), nil, key, nonce) == 1
                && (source.isEmpty
                    || EVP_EncryptUpdate(
                        context, start, &written, source.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(source.count)) == 1)
                && EVP_EncryptFinal_ex(context, start + Int(written), &written) == 1
                && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagSize), start + source.count) == 1
            precondition(isDone, "every OpenSSL has ChaCha20-Poly1305")
        }
    }

    /// Decrypts bytes.
    /// - Parameters:
    ///   - sealed: the ciphertext and the tag.
    ///   - nonce: 12 bytes.
    ///   - out: receives the plaintext.
    /// - Returns: false when the bytes are not what was encrypted with this key and nonce; nothing is appended then.
    package func open(_ sealed: ByteBuffer, nonce: [UInt8], into out: inout ByteBuffer) -> Bool {
        precondition(nonce.count == Self.nonceSize, "a nonce has 12 bytes")
        let size = sealed.readableBytes - Self.tagSize
        guard size >= 0 else { return false }
        var isAuthentic = false
        unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, size)) { target in
            isAuthentic = unsafe sealed.withUnsafeReadableBytes { unsafe open($0, nonce, into: target) }
            // What does not authenticate is not left in memory that may be read by mistake.
            if !isAuthentic { for index in 0..<size { unsafe target[index] = 0 } }
            return isAuthentic ? size : 0
        }
        return isAuthentic
    }

    private func open(_ source: UnsafeRawBufferPointer, _ nonce: [UInt8], into target: UnsafeMutableRawBufferPointer) -> Bool {
        unsafe withContext { context in
            let size = source.count - Self.tagSize
            let start = unsafe target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            let bytes = unsafe source.baseAddress!.assumingMemoryBound(to: UInt8.self)
            var written: Int32 = 0
            // EVP_CIPHER_CTX_ctrl(3) only reads the tag.
            return unsafe EVP_DecryptInit_ex(context, EVP_chacha20_poly1305(), nil, key, nonce) == 1
                && EVP_CIPHER_CTX_ctrl(
                    context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagSize), UnsafeMutablePointer(mutating: bytes + size)) == 1
                && (size == 0 || EVP_DecryptUpdate(context, start, &written, bytes, Int32(size)) == 1)
                && EVP_DecryptFinal_ex(context, start + Int(written), &written) == 1
        }
    }

    /// Runs with a context that is freed afterwards.
    private func withContext<Result>(_ body: (OpaquePointer) -> Result) -> Result {
        ERR_clear_error()
        guard let context = unsafe EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
        defer {
            unsafe EVP_CIPHER_CTX_free(context)
            ERR_clear_error()
        }
        return unsafe body(context)
    }
}
