// Digests, HMAC and HKDF against the published vectors.

import Digests
import NIOCore
import Testing

private let twoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

@Suite("Digests")
struct DigestsTests {
    @Test(
        "Digests are those of FIPS 180-4, whatever the pieces",
        arguments: [
            (.sha256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (.sha256, twoBlocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            (.sha1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (.sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (.sha1, twoBlocks, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        ] as [(Digest.Algorithm, String, String)])
    func digests(algorithm: Digest.Algorithm, text: String, digest: String) {
        let bytes = Array(text.utf8)
        #expect(hex(Digest.of(bytes.span, by: algorithm)) == digest)
        #expect(hex(Digest.of(ByteBuffer(string: text), by: algorithm)) == digest)
        for cut in 0...bytes.count {
            let incremental = Digest(algorithm)
            incremental.update(ByteBuffer(bytes: bytes[..<cut]))
            incremental.update(ByteBuffer(bytes: bytes[cut...]))
            #expect(hex(incremental.finish()) == digest)
        }
    }

    @Test("A finished digest begins again")
    func again() {
        let digest = Digest(.sha256)
        digest.update([1, 2, 3].span)
        _ = digest.finish()
        digest.update(Array("abc".utf8).span)
        #expect(hex(digest.finish()) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    /// RFC 4231 §4.2 to §4.8, without the truncated code of §4.6; and the empty key and text.
    @Test(
        "HMAC-SHA-256 has the codes of RFC 4231",
        arguments: [
            (bytes(0x0b, 20), Array("Hi There".utf8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (bytes(0xaa, 20), bytes(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (Array(1...25), bytes(0xcd, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                bytes(0xaa, 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (
                bytes(0xaa, 131),
                Array(
                    """
                    This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                    hashed before being used by the HMAC algorithm.
                    """.utf8),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
            ),
            ([], [], "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
        ])
    func hmac(key: [UInt8], text: [UInt8], code: String) {
        let hmac = HMACSHA256(key: key)
        #expect(hex(hmac.code(text)) == code)
        #expect(hex(hmac.code(ByteBuffer(bytes: text))) == code, "a second code does not depend on the first")
    }

    /// RFC 5869 §A.1 to §A.3.
    @Test(
        "HKDF-SHA-256 derives the keys of RFC 5869",
        arguments: [
            (
                bytes(0x0b, 22), Array(0x00...0x0c), Array(0xf0...0xf9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
            ),
            (
                Array(0x00...0x4f), Array(0x60...0xaf), Array(0xb0...0xff),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
                    + "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
            (
                bytes(0x0b, 22), [], [],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
            ),
        ] as [([UInt8], [UInt8], [UInt8], String)])
    func hkdf(secret: [UInt8], salt: [UInt8], info: [UInt8], derived: String) {
        #expect(hex(HKDFSHA256.derive(secret: secret, salt: salt, info: info, length: derived.utf8.count / 2)) == derived)
    }

    @Test("HKDF derives any length up to its limit, each a prefix of the longest")
    func lengths() {
        let longest = HKDFSHA256.derive(secret: [1], salt: [], info: [2], length: HKDFSHA256.maximumLength)
        #expect(longest.count == 8160)
        for length in [0, 1, 31, 32, 33, 8159] {
            #expect(HKDFSHA256.derive(secret: [1], salt: [], info: [2], length: length) == Array(longest.prefix(length)))
        }
    }
}

private func bytes(_ byte: UInt8, _ count: Int) -> [UInt8] { Array(repeating: byte, count: count) }

private func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
