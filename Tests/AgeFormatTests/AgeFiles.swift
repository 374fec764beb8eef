// Files made and read in memory.

import Ciphers
import NIOCore
import TestSupport

@testable import AgeFormat

/// The keys of the example in the specification (C2SP age, "The X25519 recipient type").
let exampleIdentity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
let exampleRecipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

/// A new key.
func identity(seed: UInt64) -> AgeIdentity {
    var generator = SeededGenerator(seed: seed)
    return .x25519(privateKey: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
}

/// The whole file: header, nonce and chunks.
func ageFile(_ plaintext: ByteBuffer, to recipients: [AgeRecipient], seed: UInt64 = 1) throws -> ByteBuffer {
    var generator = SeededGenerator(seed: seed)
    let key = AgeFileKey(using: &generator)
    var out = try AgeHeader.write(key, for: recipients, using: &generator)
    let nonce = AgePayload.makeNonce(using: &generator)
    out.writeBytes(nonce)
    let payload = AgePayload(key, nonce: nonce)
    var rest = plaintext
    var index: UInt64 = 0
    while let chunk = rest.readSlice(length: min(rest.readableBytes, AgePayload.chunkSize)) {
        payload.seal(chunk, index: index, isLast: rest.readableBytes == 0, into: &out)
        index += 1
        if rest.readableBytes == 0 { break }
    }
    return out
}

/// What a reader of a whole file does; nil when a chunk is refused, or none is the last one.
func plaintext(of file: ByteBuffer, _ identities: [AgeIdentity]) throws -> ByteBuffer? {
    guard let header = try AgeHeader(file) else { return nil }
    var rest = file
    rest.moveReaderIndex(forwardBy: header.length)
    let key = try header.fileKey(identities)
    guard let nonce = rest.readBytes(length: AgePayload.nonceSize) else { return nil }
    let payload = AgePayload(key, nonce: nonce)
    var out = ByteBuffer()
    var index: UInt64 = 0
    while true {
        guard let chunk = rest.readSlice(length: min(rest.readableBytes, AgePayload.sealedSize)) else { return nil }
        let isLast = rest.readableBytes == 0
        guard payload.open(chunk, index: index, isLast: isLast, into: &out) else { return nil }
        if isLast { return out }
        index += 1
    }
}

/// A stanza for a passphrase.
func scryptStanza(_ passphrase: String, _ key: AgeFileKey, salt: [UInt8], logarithm: Int) -> AgeStanza {
    let wrapping = Scrypt.key(
        passphrase: Array(passphrase.utf8), salt: Array("age-encryption.org/v1/scrypt".utf8) + salt, logarithm: logarithm,
        length: 32)!
    var body = ByteBuffer()
    ChaCha20Poly1305(key: wrapping).seal(ByteBuffer(bytes: key.bytes), nonce: AgeFileKey.wrapNonce, into: &body)
    return AgeStanza(arguments: ["scrypt", AgeBase64.encode(salt), "\(logarithm)"], body: Array(body.readableBytesView))
}
