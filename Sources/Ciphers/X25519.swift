// X25519 over OpenSSL (RFC 7748 section 5; EVP_PKEY_new(3), EVP_PKEY_derive(3)).

import COpenSSL

/// Key agreement on Curve25519. Keys and secrets have 32 bytes.
package enum X25519 {
    package static let keySize = 32

    /// The public key of a private key: its product with the base point.
    package static func publicKey(of privateKey: [UInt8]) -> [UInt8] {
        precondition(privateKey.count == keySize, "a key has 32 bytes")
        ERR_clear_error()
        guard let key = unsafe EVP_PKEY_new_raw_private_key_ex(nil, "X25519", nil, privateKey, keySize) else {
            fatalError("every OpenSSL has X25519")
        }
        defer { unsafe EVP_PKEY_free(key) }
        var bytes = [UInt8](repeating: 0, count: keySize)
        var count = keySize
        let isDone = unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1
        precondition(isDone && count == keySize, "a private key has a public key")
        return bytes
    }

    /// The secret that the owner of a private key shares with the owner of a public key.
    /// - Returns: nil when it is all zeros, because the public key is of low order (RFC 7748 section 6.1).
    package static func sharedSecret(_ privateKey: [UInt8], _ publicKey: [UInt8]) -> [UInt8]? {
        precondition(privateKey.count == keySize && publicKey.count == keySize, "a key has 32 bytes")
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let own = unsafe EVP_PKEY_new_raw_private_key_ex(nil, "X25519", nil, privateKey, keySize) else { return nil }
        defer { unsafe EVP_PKEY_free(own) }
        guard let peer = unsafe EVP_PKEY_new_raw_public_key_ex(nil, "X25519", nil, publicKey, keySize) else { return nil }
        defer { unsafe EVP_PKEY_free(peer) }
        guard let context = unsafe EVP_PKEY_CTX_new(own, nil) else { fatalError("out of memory") }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var secret = [UInt8](repeating: 0, count: keySize)
        var count = keySize
        let isDone =
            unsafe EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, peer) == 1
            && EVP_PKEY_derive(context, &secret, &count) == 1
        return isDone && count == keySize && secret.contains { $0 != 0 } ? secret : nil
    }
}
