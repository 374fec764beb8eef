// Decrypts an age file that passes once. Plaintext is passed on chunk by chunk, as soon as a chunk is there and authenticates.

import AgeFormat
import FlowRecords
import NIOCore

/// The bytes of a pipe: its beginning decides whether they are encrypted.
struct DecryptedPipe {
    private enum State {
        /// Not enough has come to know.
        case undecided
        case plain
        /// The header or the nonce is not complete.
        case opening
        case open(AgePayload)
        /// The last chunk has come.
        case ended
    }

    private let keys: ArchiveKeys
    private let path: String
    private var state = State.undecided
    /// Bytes that are not decrypted yet.
    private var stored = ByteBuffer()
    private var index: UInt64 = 0
    private var refused = RefusedChunks()
    /// The end is missing, or something follows it.
    private(set) var endDamage: ArchiveDamage?

    init(_ keys: ArchiveKeys, path: String) {
        self.keys = keys
        self.path = path
    }

    /// Bytes are passed on as they come.
    var isPlain: Bool { if case .plain = state { true } else { false } }

    /// Takes bytes from the pipe.
    /// - Parameters:
    ///   - isEnd: nothing follows.
    ///   - out: receives plaintext.
    /// - Throws: why the file cannot be decrypted.
    mutating func receive(_ bytes: ByteBuffer, isEnd: Bool, into out: inout ByteBuffer) throws(ArchiveError) {
        stored.writeImmutableBuffer(bytes)
        if case .undecided = state { decide(isEnd) }
        if case .opening = state { try open() }
        switch state {
        case .plain:
            out.writeBuffer(&stored)
        case .open(let payload):
            decrypt(payload, into: &out)
            if isEnd { end(payload, into: &out) }
        case .undecided where isEnd, .opening where isEnd:
            endDamage = ArchiveDamage(.unfinished, offset: 0, length: UInt64(stored.readableBytes))
        case .ended where stored.readableBytes > 0:
            let length = UInt64(stored.readableBytes) + (endDamage?.length ?? 0)
            endDamage = ArchiveDamage(.damaged, offset: outLength, length: length)
            stored.clear()
        case .undecided, .opening, .ended: break
        }
        stored.discardReadBytes()
    }

    /// Plaintext of the chunks so far.
    private var outLength: UInt64 { index * UInt64(AgePayload.chunkSize) }

    private mutating func decide(_ isEnd: Bool) {
        let beginning = AgeHeader.beginning
        if stored.readableBytesView.starts(with: beginning) {
            state = .opening
        } else if isEnd && stored.readableBytes == 0 || !beginning.starts(with: stored.readableBytesView) {
            state = .plain
        }
    }

    private mutating func open() throws(ArchiveError) {
        guard let (header, key) = try keys.open(stored, path: path) else { return }
        guard stored.readableBytes >= header.length + AgePayload.nonceSize else { return }
        stored.moveReaderIndex(forwardBy: header.length)
        state = .open(AgePayload(key, nonce: stored.readBytes(length: AgePayload.nonceSize) ?? []))
    }

    /// Full chunks.
    private mutating func decrypt(_ payload: AgePayload, into out: inout ByteBuffer) {
        while let sealed = stored.readSlice(length: AgePayload.sealedSize) {
            if payload.open(sealed, index: index, isLast: false, into: &out) {
                index += 1
            } else if payload.open(sealed, index: index, isLast: true, into: &out) {
                index += 1
                state = .ended
                return
            } else {
                refused.insert(index)
                out.writeRepeatingByte(0, count: AgePayload.chunkSize)
                index += 1
            }
        }
    }

    private mutating func end(_ payload: AgePayload, into out: inout ByteBuffer) {
        guard case .open = state else { return }
        if payload.open(stored, index: index, isLast: true, into: &out) {
            state = .ended
        } else {
            endDamage = ArchiveDamage(.unfinished, offset: outLength, length: UInt64(stored.readableBytes))
        }
        stored.clear()
    }

    /// Damage that was found since the last call.
    mutating func takeDamage() -> [ArchiveDamage] { refused.take() }
}
