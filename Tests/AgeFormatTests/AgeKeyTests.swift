// Keys as text, and the primitives behind them.

import Ciphers
import NIOCore
import TestSupport
import Testing

@testable import AgeFormat

@Suite("The keys of age")
struct AgeKeyTests {
    @Test("The specification's identity has the specification's recipient, and both have one text")
    func example() throws {
        let identity = try AgeIdentity(exampleIdentity)
        #expect(identity == .x25519(privateKey: [UInt8](repeating: 0x42, count: 32)))
        #expect(identity.recipient?.description == exampleRecipient)
        #expect(try AgeRecipient(exampleRecipient) == identity.recipient)
        #expect(try AgeIdentity(exampleIdentity.lowercased()) == identity)
    }

    @Test("Text with any other character at any place is not a recipient")
    func changed() {
        let characters = Array(exampleRecipient)
        for index in characters.indices {
            for other in ["q", "p", "1", "b", "A", " "] where String(characters[index]) != other {
                var changed = characters
                changed[index] = Character(other)
                #expect(throws: AgeError.self) { try AgeRecipient(String(changed)) }
            }
        }
        for count in characters.indices { #expect(throws: AgeError.self) { try AgeRecipient(String(characters.prefix(count))) } }
    }

    @Test(
        "A key of another kind is named in the error",
        arguments: [
            (exampleIdentity, "is a private key; name the recipient of it, which begins with age1 (age-keygen -y prints it)"),
            ("age1pqexample", "is a post-quantum recipient, which this program does not support"),
            ("ssh-ed25519 AAAA", "is an SSH key, which this program does not support; make a key with age-keygen"),
            ("recipients.txt", "is not an age recipient, which begins with age1"),
            (Bech32.encode(prefix: "age1yubikey", [1, 2]), "is a recipient of an age plugin, which this program does not support"),
        ])
    func otherKinds(text: String, error: String) {
        #expect(throws: AgeError.invalidKey(error)) { try AgeRecipient(text) }
    }

    @Test("An error about a private key does not repeat it")
    func secretsStaySecret() {
        let wrong = String(exampleIdentity.dropLast()) + "Q"
        #expect(throws: AgeError.invalidKey("is not an age key, AGE-SECRET-KEY-1…")) { try AgeIdentity(wrong) }
    }

    @Test("Bech32 encodes and decodes bytes of every length")
    func bech32() {
        var generator = SeededGenerator(seed: 5)
        for count in 0...70 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let text = Bech32.encode(prefix: "test-", bytes)
            #expect(Bech32.decode(text)?.bytes == bytes)
            #expect(Bech32.decode(text.uppercased())?.prefix == "test-")
            #expect(Bech32.decode(text.prefix(6).uppercased() + text.dropFirst(6)) == nil)
        }
    }

    /// RFC 7748 section 6.1: Bob's private key, and both public keys.
    @Test("X25519 agrees as in RFC 7748, and refuses a public key of low order")
    func x25519() {
        let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        let alice = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(X25519.publicKey(of: bob) == bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
        #expect(X25519.sharedSecret(bob, alice) == bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"))
        #expect(X25519.sharedSecret(bob, [UInt8](repeating: 0, count: 32)) == nil)
    }

    /// RFC 7914 section 12.
    @Test("scrypt derives the key of RFC 7914")
    func scrypt() {
        let key = Scrypt.key(passphrase: Array("pleaseletmein".utf8), salt: Array("SodiumChloride".utf8), logarithm: 14, length: 64)
        #expect(
            key
                == bytes(
                    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                        + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"))
    }
}

private func bytes(_ hex: String) -> [UInt8] {
    stride(from: 0, to: hex.count, by: 2).map { UInt8(hex.dropFirst($0).prefix(2), radix: 16)! }
}
