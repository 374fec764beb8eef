// Reads an age file on a disk anywhere: the chunk with a place is found by its number. A chunk that does not authenticate is as many zeros, so
// every place behind it stays, and the checksums of the flow file find what is missing.

import AgeFormat
import FlowRecords
import Glibc
import NIOCore
import Synchronization

/// The plaintext of a file. May be shared by threads. The file may grow.
final class DecryptedFile: Sendable {
    /// Chunks that were decrypted last.
    private static let keptChunks = 4

    private struct State {
        var kept: [(index: UInt64, bytes: ByteBuffer)] = []
        var refused = RefusedChunks()
        var end = End()
        var decrypted = 0
    }

    /// Where the plaintext ends, for a size of the file.
    private struct End {
        var storedSize: UInt64 = 0
        var size: UInt64 = 0
        /// The last chunk says that it is the last one.
        var isFinal = false
        /// Bytes after the last whole chunk.
        var torn: UInt64 = 0
    }

    private let payload: AgePayload
    /// Where the first chunk begins.
    private let start: UInt64
    private let state = Mutex(State())

    /// - Parameter start: where the first chunk begins in the file.
    init(_ payload: AgePayload, start: UInt64) {
        self.payload = payload
        self.start = start
    }

    /// Chunks that were decrypted.
    var decryptedChunks: Int { state.withLock { $0.decrypted } }

    /// Bytes of plaintext that can be read now.
    func size(_ file: ArchiveFile) throws(ArchiveError) -> UInt64 { try end(file).size }

    private func end(_ file: ArchiveFile) throws(ArchiveError) -> End {
        let stored = try file.storedSize()
        let known = state.withLock { $0.end }
        if known.storedSize == stored { return known }
        var end = End(storedSize: stored)
        let (whole, rest) = (max(stored, start) - start).quotientAndRemainder(dividingBy: UInt64(AgePayload.sealedSize))
        end.size = whole * UInt64(AgePayload.chunkSize)
        if rest > 0 {
            let sealed = try file.readStored(at: place(whole), count: Int(rest))
            var bytes = ByteBuffer()
            end.isFinal = payload.open(sealed, index: whole, isLast: true, into: &bytes)
            end.torn = end.isFinal ? 0 : rest
            end.size += UInt64(bytes.readableBytes)
            if end.isFinal { keep(bytes, whole) }
        } else if whole > 0 {
            let sealed = try file.readStored(at: place(whole - 1), count: AgePayload.sealedSize)
            var bytes = ByteBuffer()
            if payload.open(sealed, index: whole - 1, isLast: false, into: &bytes) {
                keep(bytes, whole - 1)
            } else if payload.open(sealed, index: whole - 1, isLast: true, into: &bytes) {
                end.isFinal = true
                keep(bytes, whole - 1)
            }
        }
        state.withLock { [end] in $0.end = end }
        return end
    }

    private func place(_ index: UInt64) -> UInt64 { start + index * UInt64(AgePayload.sealedSize) }

    private func keep(_ bytes: ByteBuffer, _ index: UInt64) {
        state.withLock { state in
            state.decrypted += 1
            state.kept.removeAll { $0.index == index }
            if state.kept.count >= Self.keptChunks { state.kept.removeFirst() }
            state.kept.append((index, bytes))
        }
    }

    /// Appends plaintext from an offset; less than requested at the end.
    func read(_ file: ArchiveFile, at offset: UInt64, count: Int, into out: inout ByteBuffer) throws(ArchiveError) {
        let size = try end(file).size
        guard offset < size else { return }
        let end = min(size, offset + UInt64(count))
        let chunkSize = UInt64(AgePayload.chunkSize)
        var position = offset
        while position < end {
            let index = position / chunkSize
            let bytes = try chunk(index, file)
            let from = Int(position - index * chunkSize)
            let to = min(bytes.readableBytes, Int(min(end - index * chunkSize, chunkSize)))
            guard from < to else { return }
            out.writeImmutableBuffer(bytes.slice(from, to - from))
            position = index * chunkSize + UInt64(to)
        }
    }

    /// The plaintext of a chunk; zeros when it does not authenticate.
    private func chunk(_ index: UInt64, _ file: ArchiveFile) throws(ArchiveError) -> ByteBuffer {
        let kept = state.withLock { state -> ByteBuffer? in
            guard let found = state.kept.firstIndex(where: { $0.index == index }) else { return nil }
            let chunk = state.kept.remove(at: found)
            state.kept.append(chunk)
            return chunk.bytes
        }
        if let kept { return kept }
        let sealed = try file.readStored(at: place(index), count: AgePayload.sealedSize)
        var bytes = ByteBuffer()
        let isAuthentic = [false, true].contains { payload.open(sealed, index: index, isLast: $0, into: &bytes) }
        guard isAuthentic else {
            state.withLock { $0.refused.insert(index) }
            return ByteBuffer(repeating: 0, count: max(0, sealed.readableBytes - AgePayload.overhead))
        }
        keep(bytes, index)
        return bytes
    }

    /// Damage that was found since the last call.
    func takeDamage() -> [ArchiveDamage] { state.withLock { $0.refused.take() } }

    /// What the end of the file lacks; nil when it is there.
    func missingEnd(_ file: ArchiveFile) throws(ArchiveError) -> ArchiveDamage? {
        let end = try end(file)
        return end.isFinal ? nil : ArchiveDamage(.unfinished, offset: end.size, length: end.torn)
    }
}

/// Numbers of chunks that were refused.
struct RefusedChunks {
    private var known: Set<UInt64> = []
    private var unreported: Set<UInt64> = []

    mutating func insert(_ index: UInt64) {
        if known.insert(index).inserted { unreported.insert(index) }
    }

    /// One damage for each run of neighbours that was not reported.
    mutating func take() -> [ArchiveDamage] {
        let size = UInt64(AgePayload.chunkSize)
        var runs: [ArchiveDamage] = []
        for index in unreported.sorted() {
            if let last = runs.last, last.offset + last.length == index * size {
                runs[runs.count - 1].length += size
            } else {
                runs.append(ArchiveDamage(.refused, offset: index * size, length: size))
            }
        }
        unreported = []
        return runs
    }
}
