// The keys of age: recipients, to which a file is encrypted, and identities, which open it (C2SP age, "Native recipient types").

import Ciphers
import Digests
import NIOCore

/// A public key, `age1…`: files that are encrypted to it are opened by its identity.
package struct AgeRecipient: Sendable, Hashable, CustomStringConvertible {
    static let prefix = "age"

    let publicKey: [UInt8]

    init(publicKey: [UInt8]) { self.publicKey = publicKey }

    /// - Parameter text: `age1…`.
    /// - Throws: ``AgeError/invalidKey(_:)``, whose text completes "'age1…' ".
    package init(_ text: String) throws(AgeError) {
        if text.lowercased().hasPrefix(AgeIdentity.prefix) {
            throw .invalidKey("is a private key; name the recipient of it, which begins with age1 (age-keygen -y prints it)")
        }
        if text.hasPrefix("age1pq") { throw .invalidKey("is a post-quantum recipient, which this program does not support") }
        if text.hasPrefix("ssh-") {
            throw .invalidKey("is an SSH key, which this program does not support; make a key with age-keygen")
        }
        guard text.hasPrefix("age1") else { throw .invalidKey("is not an age recipient, which begins with age1") }
        guard let (prefix, bytes) = Bech32.decode(text) else { throw .invalidKey("is not an age recipient: it has a mistake") }
        guard prefix == Self.prefix, bytes.count == X25519.keySize else {
            throw .invalidKey("is a recipient of an age plugin, which this program does not support")
        }
        publicKey = bytes
    }

    package var description: String { Bech32.encode(prefix: Self.prefix, publicKey) }

    private static let info = Array("age-encryption.org/v1/X25519".utf8)

    /// The stanza from which the owner of the identity gets the file key.
    /// - Parameter ephemeral: 32 random bytes that are used once.
    func stanza(wrapping fileKey: AgeFileKey, ephemeral: [UInt8]) throws(AgeError) -> AgeStanza {
        let share = X25519.publicKey(of: ephemeral)
        guard let secret = X25519.sharedSecret(ephemeral, publicKey) else {
            throw .invalidKey("is not an age recipient: no secret can be shared with it")
        }
        var body = ByteBuffer()
        Self.wrapping(secret, share: share, publicKey).seal(
            ByteBuffer(bytes: fileKey.bytes), nonce: AgeFileKey.wrapNonce, into: &body)
        return AgeStanza(arguments: [AgeStanza.x25519, AgeBase64.encode(share)], body: Array(body.readableBytesView))
    }

    /// The cipher that wraps a file key.
    static func wrapping(_ secret: [UInt8], share: [UInt8], _ publicKey: [UInt8]) -> ChaCha20Poly1305 {
        ChaCha20Poly1305(key: HKDFSHA256.derive(secret: secret, salt: share + publicKey, info: info, length: 32))
    }
}

/// What opens a file.
package enum AgeIdentity: Sendable, Hashable {
    /// A private key.
    case x25519(privateKey: [UInt8])
    case passphrase(String)

    /// Of a private key's text, in lower case.
    static let prefix = "age-secret-key-"

    /// - Parameter text: `AGE-SECRET-KEY-1…`.
    /// - Throws: ``AgeError/invalidKey(_:)``, whose text does not repeat the key.
    package init(_ text: String) throws(AgeError) {
        let lower = text.lowercased()
        if lower.hasPrefix("age-secret-key-pq-") { throw .invalidKey("is a post-quantum key, which this program does not support") }
        if lower.hasPrefix("age-plugin-") { throw .invalidKey("is a key of an age plugin, which this program does not support") }
        if lower.hasPrefix("age1") { throw .invalidKey("is a recipient; name the file with the private key, AGE-SECRET-KEY-1…") }
        guard let (prefix, bytes) = Bech32.decode(text), prefix == Self.prefix, bytes.count == X25519.keySize else {
            throw .invalidKey("is not an age key, AGE-SECRET-KEY-1…")
        }
        self = .x25519(privateKey: bytes)
    }

    /// The recipient of a private key; nil for a passphrase.
    package var recipient: AgeRecipient? {
        guard case .x25519(let privateKey) = self else { return nil }
        return AgeRecipient(publicKey: X25519.publicKey(of: privateKey))
    }

    /// The file key, when a stanza was made for this identity.
    /// - Returns: nil when it was not.
    /// - Throws: ``AgeError/malformedHeader(_:)`` for a stanza of the identity's kind that is not valid.
    func unwrap(_ stanza: AgeStanza) throws(AgeError) -> AgeFileKey? {
        switch (self, stanza.arguments[0]) {
        case (.x25519(let privateKey), AgeStanza.x25519): try Self.unwrap(stanza, privateKey)
        case (.passphrase(let passphrase), AgeStanza.scrypt): try Self.unwrap(stanza, passphrase: passphrase)
        default: nil
        }
    }

    private static func unwrap(_ stanza: AgeStanza, _ privateKey: [UInt8]) throws(AgeError) -> AgeFileKey? {
        guard stanza.arguments.count == 2, let share = AgeBase64.decode(stanza.arguments[1]), share.count == X25519.keySize else {
            throw .malformedHeader("the arguments of an X25519 stanza")
        }
        guard stanza.body.count == AgeFileKey.wrappedSize else { throw .malformedHeader("the length of an X25519 stanza") }
        guard let secret = X25519.sharedSecret(privateKey, share) else { throw .malformedHeader("the share of an X25519 stanza") }
        return AgeFileKey(stanza, AgeRecipient.wrapping(secret, share: share, X25519.publicKey(of: privateKey)))
    }

    /// The largest work factor, as of the program age: 4 GiB of memory.
    private static let maximumLogarithm = 22

    private static func unwrap(_ stanza: AgeStanza, passphrase: String) throws(AgeError) -> AgeFileKey? {
        guard stanza.arguments.count == 3, let salt = AgeBase64.decode(stanza.arguments[1]), salt.count == 16 else {
            throw .malformedHeader("the arguments of a scrypt stanza")
        }
        let digits = stanza.arguments[2].utf8
        guard digits.count <= 3, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits.first != UInt8(ascii: "0"), let logarithm = Int(stanza.arguments[2])
        else { throw .malformedHeader("the work factor of a scrypt stanza") }
        guard logarithm <= maximumLogarithm else { throw .malformedHeader("the work factor of a scrypt stanza is too large") }
        guard stanza.body.count == AgeFileKey.wrappedSize else { throw .malformedHeader("the length of a scrypt stanza") }
        let prefix = Array("age-encryption.org/v1/scrypt".utf8)
        guard let key = Scrypt.key(passphrase: Array(passphrase.utf8), salt: prefix + salt, logarithm: logarithm, length: 32) else {
            throw .malformedHeader("the work factor of a scrypt stanza needs more memory than there is")
        }
        return AgeFileKey(stanza, ChaCha20Poly1305(key: key))
    }
}

/// The key of one file, 16 bytes, from which its other keys are derived.
package struct AgeFileKey: Sendable, Hashable {
    static let size = 16
    static let wrappedSize = size + ChaCha20Poly1305.tagSize
    /// A wrapping key is used once, so its nonce is all zeros.
    static let wrapNonce = [UInt8](repeating: 0, count: ChaCha20Poly1305.nonceSize)

    let bytes: [UInt8]

    /// Makes a key that no other file has.
    package init(using generator: inout some RandomNumberGenerator) { bytes = randomBytes(Self.size, &generator) }

    /// - Parameter stanza: its body has ``wrappedSize`` bytes.
    /// - Returns: nil when it was wrapped with another key.
    init?(_ stanza: AgeStanza, _ cipher: ChaCha20Poly1305) {
        var key = ByteBuffer()
        guard cipher.open(ByteBuffer(bytes: stanza.body), nonce: Self.wrapNonce, into: &key) else { return nil }
        bytes = Array(key.readableBytesView)
    }

    /// The key that authenticates the header.
    var headerKey: [UInt8] { HKDFSHA256.derive(secret: bytes, salt: [], info: Array("header".utf8), length: 32) }

    /// - Parameter nonce: the payload's first 16 bytes.
    func payloadKey(nonce: [UInt8]) -> [UInt8] {
        HKDFSHA256.derive(secret: bytes, salt: nonce, info: Array("payload".utf8), length: 32)
    }
}

func randomBytes(_ count: Int, _ generator: inout some RandomNumberGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
}
