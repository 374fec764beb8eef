// Whole age files in memory, such as key files that have a passphrase.

import NIOCore

/// An age file that is small enough to be decrypted as a whole.
package enum AgeSmallFile {
    /// Whether bytes begin as an age file does.
    package static func isEncrypted(_ file: ByteBuffer) -> Bool { file.readableBytesView.starts(with: AgeHeader.beginning) }

    /// - Returns: nil when the payload was cut or changed.
    /// - Throws: why it cannot be opened.
    package static func decrypt(_ file: ByteBuffer, _ identities: [AgeIdentity]) throws(AgeError) -> ByteBuffer? {
        guard let header = try AgeHeader(file) else { throw .malformedHeader("it is cut") }
        var rest = file
        rest.moveReaderIndex(forwardBy: header.length)
        let key = try header.fileKey(identities)
        guard let nonce = rest.readBytes(length: AgePayload.nonceSize) else { return nil }
        let payload = AgePayload(key, nonce: nonce)
        var out = ByteBuffer()
        var index: UInt64 = 0
        while let chunk = rest.readSlice(length: min(rest.readableBytes, AgePayload.sealedSize)) {
            let isLast = rest.readableBytes == 0
            guard payload.open(chunk, index: index, isLast: isLast, into: &out) else { return nil }
            if isLast { return out }
            index += 1
        }
        return nil
    }
}
