// Recordings as age files: written, read, cut, changed, and written to a storage that fails.

import AgeFormat
import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

private let identity = AgeIdentity.x25519(privateKey: [UInt8](repeating: 7, count: 32))
private let keys = ArchiveKeys([identity])
private let chunkSize = 64 * 1024
private let sealedSize = chunkSize + 16

/// Flow after flow, and after every fourth one a stream of bytes that do not compress: some chunks.
private func events(_ count: Int, seed: UInt64, noise size: Int = 60_000) -> [FlowEvent] {
    var samples = SampleFlows(seed: seed)
    var generator = SeededGenerator(seed: seed)
    return (0..<count).flatMap { index -> [FlowEvent] in
        let flow = samples.next()
        guard index % 4 == 0, let last = flow.last?.at, case .opened(var opening) = flow[0].what else { return flow }
        let noise = ByteBuffer(bytes: (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) })
        opening.kind = .tcp
        let whats: [FlowEvent.What] = [
            .opened(opening), .piece(FlowPiece(kind: .data, from: .client, content: noise)), .ended(FlowEnding(state: .complete)),
        ]
        return flow + whats.map { FlowEvent(flow: FlowID(high: 1, low: UInt64(index)), at: last, what: $0) }
    }
}

/// Writes events to an encrypted file in memory.
private func encrypted(
    _ events: [FlowEvent], to recipients: [AgeIdentity] = [identity], on storage: ScriptedStorage = ScriptedStorage(),
    flushEvery: Int = .max, closes: Bool = true
) throws -> ByteBuffer {
    let encryption = ArchiveEncryption(recipients.compactMap(\.recipient))
    var options = ArchiveOptions()
    options.blockTarget = 32 * 1024
    let writer = try ArchiveWriter(
        storage: try encryption.storage(over: storage), options: options, now: Timestamp(nanoseconds: 1))
    for (index, event) in events.enumerated() {
        try writer.append(event)
        if index % flushEvery == flushEvery - 1 { try writer.flush() }
    }
    if closes { try writer.close() } else { try writer.flush() }
    return storage.bytes
}

/// Reads a file with one thread and with several, and from a pipe, which must come to the same.
private func read(_ bytes: ByteBuffer, in directory: String, keys: ArchiveKeys = keys) throws -> Reading {
    let path = directory + "/read.mflow.age"
    try write(bytes, to: path)
    let reading = try readAll(ArchiveReader(try ArchiveInput(path: path, keys: keys)))
    let again = try readAll(ArchiveReader(try ArchiveInput(path: path, keys: keys), jobs: 3))
    #expect(reading == again)
    return reading
}

private func readFromPipe(_ bytes: ByteBuffer, keys: ArchiveKeys = keys) throws -> Reading {
    try throughPipe(bytes) { try readAll(ArchiveReader(ArchiveInput(descriptor: $0, name: "a pipe", keys: keys))) }
}

@Suite("An encrypted flow file")
struct EncryptedFileTests {
    private static let flows = events(28, seed: 71)
    private static let expected = Result { try Reading(flows: assemble(flows).map(describe)) }

    @Test("It has the flows of one that is not encrypted, for each of its recipients, on a disk and in a pipe")
    func roundTrip() throws {
        let other = AgeIdentity.x25519(privateKey: [UInt8](repeating: 8, count: 32))
        let bytes = try encrypted(Self.flows, to: [other, identity])
        let expected = try Self.expected.get()
        try withTemporaryDirectory { directory in
            for keys in [keys, ArchiveKeys([other])] {
                #expect(try read(bytes, in: directory, keys: keys) == expected)
                #expect(try readFromPipe(bytes, keys: keys) == expected)
            }
            var structure = try ArchiveStructure(try ArchiveInput(path: directory + "/read.mflow.age", keys: keys), verifies: true)
            var lines: [ArchiveStructureLine] = []
            while let line = try structure.next() { lines.append(line) }
            #expect(lines.last?.kind == .footer)
            #expect(lines.allSatisfy { $0.isIntact != false })
            #expect(structure.flows == UInt64(expected.flows.count))
        }
    }

    @Test("Decrypted, it is the flow file that would be written without encryption")
    func plaintext() throws {
        var options = ArchiveOptions()
        options.blockTarget = 32 * 1024
        let bytes = try encrypted(Self.flows)
        let plain = try archive(Self.flows, options: options)
        #expect(plain.readableBytes > 3 * chunkSize)
        let decrypted = try throughPipe(bytes) { descriptor in
            try ArchiveInput(descriptor: descriptor, name: "a pipe", keys: keys).rest(maximum: 1 << 24)
        }
        #expect(decrypted == plain)
    }

    @Test("Without its key it is refused with one sentence")
    func keysAreNeeded() throws {
        let bytes = try encrypted(Self.flows)
        try withTemporaryDirectory { directory in
            let path = directory + "/read.mflow.age"
            func failure(_ keys: ArchiveKeys) -> String {
                do { return "\(try read(bytes, in: directory, keys: keys))" } catch { return "\(error)" }
            }
            #expect(failure(ArchiveKeys()) == "\(path) is encrypted; give the file of a key that opens it with -i")
            let other = ArchiveKeys([.x25519(privateKey: [UInt8](repeating: 9, count: 32))])
            #expect(failure(other) == "\(path) is encrypted to other keys than those of -i; give the file of a key that opens it")
        }
    }

    @Test("Whatever was flushed can be read, although the file has no end", arguments: [1, 7, 100])
    func flushes(every: Int) throws {
        let events = Array(Self.flows.prefix(every == 1 ? 12 : every == 7 ? 42 : 200))
        let storage = ScriptedStorage()
        let encryption = ArchiveEncryption([identity.recipient!])
        let writer = try ArchiveWriter(storage: try encryption.storage(over: storage), now: Timestamp(nanoseconds: 1))
        try withTemporaryDirectory { directory in
            for end in stride(from: every, through: events.count, by: every) {
                for event in events[end - every..<end] { try writer.append(event) }
                try writer.flush()
                let expected = try assemble(Array(events[..<end])).map(describe)
                let reading = try read(storage.bytes, in: directory)
                #expect(reading.flows == expected)
                #expect(reading.damage.map(\.kind) == [.unfinished])
                let fromPipe = try readFromPipe(storage.bytes)
                #expect(fromPipe == reading)
                // Nothing more is written when there is nothing to write.
                let size = storage.bytes.readableBytes
                try writer.flush()
                #expect(storage.bytes.readableBytes == size)
            }
            try writer.close()
            let expected = try Reading(flows: assemble(events).map(describe))
            #expect(try read(storage.bytes, in: directory) == expected)
        }
    }

    @Test("A storage that fails at any call, however often, and takes the bytes later loses nothing", arguments: 1...4, [1, 3])
    func failing(call: Int, times: Int) throws {
        let storage = ScriptedStorage()
        storage.failingCalls = call..<call + times
        if times == 3 { storage.shortCall = (call + 3, 100) }
        let encryption = ArchiveEncryption([identity.recipient!])
        let sealing = try encryption.storage(over: storage)
        // Without the first byte there is no file.
        guard let writer = try? ArchiveWriter(storage: sealing, now: Timestamp(nanoseconds: 1)) else { return #expect(call == 1) }
        for (index, event) in Self.flows.enumerated() {
            try? writer.append(event)
            if index % 50 == 49 { try? writer.flush() }
        }
        while !storage.isClosed { try? writer.close() }
        let expected = try Self.expected.get()
        try withTemporaryDirectory { directory in
            let reading = try read(storage.bytes, in: directory)
            #expect(reading == expected)
        }
    }

    @Test("Cut anywhere, it is reported as cut, and whole chunks before are read")
    func cut() throws {
        let bytes = try encrypted(Self.flows, flushEvery: 60)
        let expected = try Self.expected.get()
        let header = bytes.readableBytes % 40_009
        let cuts = Array(stride(from: 0, to: bytes.readableBytes, by: 40_009)) + [1, 18, 19, 30, header, bytes.readableBytes - 1]
        try withTemporaryDirectory { directory in
            for cut in cuts where cut > 0 {
                let part = bytes.getSlice(at: 0, length: cut)!
                let reading = try read(part, in: directory)
                #expect(reading.damage.last?.kind == .unfinished, "cut at \(cut)")
                #expect(reading.flows.count <= expected.flows.count)
                #expect(try readFromPipe(part).damage.last?.kind == .unfinished)
                if cut > bytes.readableBytes - sealedSize / 2 { #expect(reading.flows.count > expected.flows.count / 2) }
            }
        }
    }

    @Test("Each chunk that was changed is refused and reported, and flows in the others are read")
    func changed() throws {
        let bytes = try encrypted(Self.flows)
        let expected = try Self.expected.get()
        let start = bytes.readableBytes - payloadSize(bytes)
        let chunks = (payloadSize(bytes) + sealedSize - 1) / sealedSize
        #expect(chunks > 4)
        try withTemporaryDirectory { directory in
            for chunk in 0..<chunks {
                var changed = bytes
                let at = min(start + chunk * sealedSize + 30_000, bytes.readableBytes - 1)
                changed.setInteger(bytes.getInteger(at: at, as: UInt8.self)! ^ 1, at: at)
                let path = directory + "/read.mflow.age"
                try write(changed, to: path)
                let reading = try readAll(ArchiveReader(try ArchiveInput(path: path, keys: keys)))
                let isLast = chunk == chunks - 1
                // The last chunk is not full, so without it the file looks cut.
                let found = reading.damage.filter { $0.kind == (isLast ? .unfinished : .refused) }
                #expect(found.map(\.offset) == [UInt64(chunk * chunkSize)], "chunk \(chunk): \(reading.damage)")
                // Nothing but whole flows, and flows whose content is reported, comes out.
                for flow in reading.flows where !flow.hasSuffix(Reading.damagedContent) {
                    #expect(expected.flows.contains(flow) || flow.contains("incomplete") || flow.contains("lost"))
                }
                #expect(reading.flows.count > expected.flows.count / 3)
                #expect(try readFromPipe(changed).damage.contains { $0.kind == (isLast ? .unfinished : .refused) })
            }
        }
    }

    private func payloadSize(_ bytes: ByteBuffer) -> Int {
        let header = try? AgeHeader(bytes)
        return bytes.readableBytes - (header?.length ?? 0) - 16
    }

    @Test("Chunks that change places are refused, and bytes after the end are reported")
    func moved() throws {
        let bytes = try encrypted(Self.flows)
        let start = bytes.readableBytes - payloadSize(bytes)
        var swapped = bytes
        let (one, two) = (
            bytes.getBytes(at: start + sealedSize, length: sealedSize)!,
            bytes.getBytes(at: start + 2 * sealedSize, length: sealedSize)!
        )
        swapped.setBytes(two, at: start + sealedSize)
        swapped.setBytes(one, at: start + 2 * sealedSize)
        try withTemporaryDirectory { directory in
            let refused = try read(swapped, in: directory).damage.filter { $0.kind == .refused }
            #expect(refused == [ArchiveDamage(.refused, offset: UInt64(chunkSize), length: UInt64(2 * chunkSize))])
            for extra in [1, sealedSize, 200_000] {
                var longer = bytes
                longer.writeRepeatingByte(1, count: extra)
                #expect(!(try read(longer, in: directory).damage.isEmpty))
                #expect(!(try readFromPipe(longer).damage.isEmpty))
            }
        }
    }

    @Test("A query that skips blocks by the index decrypts few chunks")
    func fewChunks() throws {
        // Each flow is whole in its block.
        let bytes = try encrypted(events(240, seed: 72, noise: 9000))
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow.age"
            try write(bytes, to: path)
            let chunks = bytes.readableBytes / sealedSize
            let input = try ArchiveInput(path: path, keys: keys)
            let reader = ArchiveReader(input, where: StatusIs(status: 418))
            #expect(try readAll(reader) == Reading())
            #expect(reader.blocksSkipped > 10)
            #expect(input.decryptedChunks <= 6, "of \(chunks)")
            #expect(chunks > 8)
        }
    }

    @Test("A reader follows a file while it is written, from before its first byte")
    func growing() throws {
        let bytes = try encrypted(Self.flows, flushEvery: 100)
        let expected = try Self.expected.get()
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow.age"
            try write(ByteBuffer(), to: path)
            let reader = ArchiveReader(try ArchiveInput(path: path, keys: keys))
            var reading = Reading()
            let writing = try #require(FileHandle(forWritingAtPath: path))
            var rest = bytes
            while let piece = rest.readSlice(length: min(25_000, rest.readableBytes)), piece.readableBytes > 0 {
                #expect(reader.mayGrow)
                try writing.write(contentsOf: Data(piece.readableBytesView))
                while let item = try reader.next() {
                    guard case .flow(let flow) = item else { return #expect(Bool(false), "\(item)") }
                    reading.flows.append(try describe(flow))
                }
            }
            #expect(!reader.mayGrow)
            for case .flow(let flow) in try reader.finish() { reading.flows.append(try describe(flow)) }
            #expect(reading == expected)
        }
    }

    @Test("An existing file is neither continued with encryption nor without, and not replaced")
    func existing() throws {
        let bytes = try encrypted(Self.flows)
        try withTemporaryDirectory { directory in
            let (sealed, plain) = (directory + "/a.mflow.age", directory + "/a.mflow")
            try write(bytes, to: sealed)
            try write(try archive(Self.flows), to: plain)
            func failure(_ body: () throws -> Void) -> String { do { try body(); return "" } catch { return "\(error)" } }
            let continued = "an encrypted file cannot be continued; choose another name, or remove it first"
            let ours = failure { _ = try POSIXStorage.open(path: sealed, truncates: false) }
            #expect(ours == "\(sealed) is encrypted, and \(continued)")
            let encrypting = failure { _ = try POSIXStorage.open(path: plain, truncates: false, isEncrypted: true) }
            #expect(encrypting == "\(plain) exists, and \(continued)")
            let replaced = "is encrypted, so it was not replaced; choose another name, or remove it first"
            #expect(failure { _ = try POSIXStorage.open(path: sealed, truncates: true) } == "\(sealed) \(replaced)")
            #expect(failure { _ = try POSIXStorage.replacing(path: sealed) } == "\(sealed) \(replaced)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: sealed)) == Data(bytes.readableBytesView))
        }
    }
}
