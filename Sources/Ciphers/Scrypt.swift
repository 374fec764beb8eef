// scrypt over OpenSSL (RFC 7914; EVP_PBE_scrypt(3)).

import COpenSSL

/// Derives keys from passphrases, at a cost in time and memory.
package enum Scrypt {
    /// Derives a key with r = 8 and p = 1. It takes 1 KiB of memory times the work factor.
    /// - Parameters:
    ///   - logarithm: the base-two logarithm of the work factor, 1 to 22.
    ///   - length: bytes of the key.
    /// - Returns: nil when there is not enough memory.
    package static func key(passphrase: [UInt8], salt: [UInt8], logarithm: Int, length: Int) -> [UInt8]? {
        precondition((1...22).contains(logarithm), "the caller limits the work")
        ERR_clear_error()
        defer { ERR_clear_error() }
        var key = [UInt8](repeating: 0, count: length)
        let factor = UInt64(1) << UInt64(logarithm)
        let isDone = unsafe passphrase.withUnsafeBytes { passphrase in
            // Without the last argument OpenSSL allows 32 MiB.
            unsafe EVP_PBE_scrypt(
                passphrase.baseAddress?.assumingMemoryBound(to: CChar.self), passphrase.count, salt, salt.count, factor, 8, 1,
                (factor + 16) * 1024 * 2, &key, length) == 1
        }
        return isDone ? key : nil
    }
}
