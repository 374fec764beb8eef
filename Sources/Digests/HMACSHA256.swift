// HMAC-SHA-256 over OpenSSL (RFC 2104, RFC 4231; EVP_MAC(3), EVP_MAC-HMAC(7)), and HKDF-SHA-256 (RFC 5869) made of it.

import COpenSSL
import NIOCore

/// Computes authentication codes with one key. The key is prepared once; a code costs a copy of that state.
// Sendable: the keyed context is not changed after init; each code is computed on a duplicate of it.
@safe package final class HMACSHA256: @unchecked Sendable {
    /// Bytes of a code.
    package static let size = 32

    // SAFETY: non-null until deinit; EVP_MAC_CTX_dup(3) only reads it.
    private let keyed: OpaquePointer

    /// - Parameter key: any number of bytes, also none (RFC 2104 §3).
    package init(key: [UInt8]) {
        ERR_clear_error()
        guard let algorithm = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else { fatalError("every OpenSSL has HMAC") }
        // A context holds a reference to its algorithm.
        defer { unsafe EVP_MAC_free(algorithm) }
        guard let context = unsafe EVP_MAC_CTX_new(algorithm) else { fatalError("out of memory") }
        unsafe keyed = context
        // An empty array may have no address, and a null key means "the key from before". A key of zeros is the same key: RFC 2104 §2 pads it.
        let key = key.isEmpty ? [0] : key
        var name = Array("SHA256".utf8CString)
        let isKeyed = unsafe name.withUnsafeMutableBufferPointer { name in
            let parameters = unsafe [
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.baseAddress, 0), OSSL_PARAM_construct_end(),
            ]
            return unsafe EVP_MAC_init(context, key, key.count, parameters) == 1
        }
        precondition(isKeyed, "HMAC-SHA-256 takes any key")
    }

    deinit { unsafe EVP_MAC_CTX_free(keyed) }

    /// The authentication code of bytes: 32 bytes.
    package func code(_ bytes: Span<UInt8>) -> [UInt8] {
        guard let context = unsafe EVP_MAC_CTX_dup(keyed) else { fatalError("out of memory") }
        defer { unsafe EVP_MAC_CTX_free(context) }
        var code = [UInt8](repeating: 0, count: Self.size)
        let isDone = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe EVP_MAC_update(context, bytes.baseAddress, bytes.count) == 1
                && EVP_MAC_final(context, &code, nil, Self.size) == 1
        }
        precondition(isDone, "HMAC-SHA-256 takes any bytes")
        return code
    }

    package func code(_ bytes: ByteBuffer) -> [UInt8] { code(bytes.readableBytesUInt8Span) }
    package func code(_ bytes: [UInt8]) -> [UInt8] { code(bytes.span) }
}

/// HKDF-SHA-256 (RFC 5869).
package enum HKDFSHA256 {
    /// The most bytes that can be derived (RFC 5869 §2.3).
    package static let maximumLength = 255 * HMACSHA256.size

    /// Derives key material.
    /// - Parameters:
    ///   - secret: the input keying material.
    ///   - salt: may be empty.
    ///   - info: context, may be empty.
    ///   - length: bytes to derive, at most ``maximumLength``.
    package static func derive(secret: [UInt8], salt: [UInt8], info: [UInt8], length: Int) -> [UInt8] {
        precondition((0...maximumLength).contains(length), "the length is limited by RFC 5869 §2.3")
        let expanding = HMACSHA256(key: HMACSHA256(key: salt).code(secret))
        var derived: [UInt8] = []
        derived.reserveCapacity(length + HMACSHA256.size)
        var block: [UInt8] = []
        var counter: UInt8 = 0
        while derived.count < length {
            counter += 1
            block = expanding.code(block + info + [counter])
            derived += block
        }
        derived.removeLast(derived.count - length)
        return derived
    }
}
