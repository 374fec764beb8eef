// Writes an age file: what is appended is gathered into chunks, and a chunk is passed on when it is full. A chunk is written once, so bytes that
// do not fill one wait for more. A flush fills it with padding.

import AgeFormat
import FlowModel
import NIOCore

/// Encrypts on the way to another storage.
final class EncryptedStorage: ArchiveStorage {
    /// Ciphertext that is passed on together.
    private static let batch = 16 * AgePayload.sealedSize

    private let storage: any ArchiveStorage
    private let encryption: ArchiveEncryption
    private let begun: Timestamp?
    private var payload: AgePayload
    /// The number of the next chunk.
    private var index: UInt64 = 0
    /// Plaintext of the next chunk. A full one waits until it is known that it is not the last.
    private var pending: ByteBuffer
    /// What the storage has not taken yet.
    private var sealed: ByteBuffer
    /// Plaintext of the last chunk that was sealed.
    private var lastSealed = 0
    private var hasEnded = false
    /// The owner wants what was written to survive a loss of power.
    private var isSynced = false

    /// - Throws: for a recipient that cannot be used. The header is written with the first chunk.
    init(_ storage: any ArchiveStorage, _ encryption: ArchiveEncryption, begun: Timestamp?) throws(ArchiveError) {
        self.begun = begun
        self.storage = storage
        self.encryption = encryption
        pending = ByteBufferAllocator().buffer(capacity: AgePayload.chunkSize)
        (sealed, payload) = try encryption.beginFile(begun)
    }

    /// Begins the file again, with another key, and with what is in no chunk yet.
    func beginAgain() throws(ArchiveError) {
        (sealed, payload) = try encryption.beginFile(begun)
        index = 0
    }

    /// Takes the bytes. An error of the storage is thrown by the call that cannot take any; what was taken before is kept.
    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        precondition(!hasEnded, "nothing is appended to a closed file")
        try makeRoom()
        var taken = 0
        for buffer in bytes.buffers {
            var rest = buffer
            while rest.readableBytes > 0 {
                if pending.readableBytes == AgePayload.chunkSize {
                    seal(isLast: false)
                    do throws(ArchiveError) {
                        try makeRoom()
                    } catch {
                        guard taken > 0 else { throw error }
                        return taken
                    }
                }
                let count = min(rest.readableBytes, AgePayload.chunkSize - pending.readableBytes)
                if let slice = rest.readSlice(length: count) { pending.writeImmutableBuffer(slice) }
                taken += count
            }
        }
        // An error occurs again with the next call.
        do throws(ArchiveError) { try drain() } catch {}
        return taken
    }

    private func makeRoom() throws(ArchiveError) {
        if sealed.readableBytes >= Self.batch { try drain() }
    }

    private func seal(isLast: Bool) {
        payload.seal(pending, index: index, isLast: isLast, into: &sealed)
        lastSealed = pending.readableBytes
        index += 1
        pending.clear()
    }

    private func drain() throws(ArchiveError) {
        while sealed.readableBytes > 0 { sealed.moveReaderIndex(forwardBy: try storage.append(sealed)) }
        sealed.clear()
    }

    func missing(after count: Int) -> Int {
        let rest = (pending.readableBytes + count) % AgePayload.chunkSize
        return rest == 0 ? 0 : AgePayload.chunkSize - rest
    }

    /// A chunk of which a part was passed on is of no use.
    var keptBytes: Int {
        let beforeLast = sealed.readableBytes - (lastSealed + AgePayload.overhead)
        guard sealed.readableBytes > 0, index > 0 else { return pending.readableBytes }
        let chunks = (max(0, beforeLast) + AgePayload.sealedSize - 1) / AgePayload.sealedSize
        return pending.readableBytes + lastSealed + chunks * AgePayload.chunkSize
    }

    func flush() throws(ArchiveError) {
        if pending.readableBytes == AgePayload.chunkSize { seal(isLast: false) }
        try drain()
        try storage.flush()
    }

    func sync() throws(ArchiveError) {
        isSynced = true
        try drain()
        try storage.sync()
    }

    /// Writes the last chunk. After an error it may be called again.
    func close() throws(ArchiveError) {
        if !hasEnded {
            precondition(pending.readableBytes > 0 || index == 0, "something follows a flush: the last chunk cannot be empty")
            seal(isLast: true)
            hasEnded = true
        }
        try drain()
        if isSynced { try storage.sync() }
        try storage.close()
    }
}
