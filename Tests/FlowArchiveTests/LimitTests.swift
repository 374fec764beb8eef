// What a file may make a reader do: memory and time are bounded, whatever a recording holds and whatever a hostile file claims.
// Memory is measured in a process that runs the one test and no other: tests that run beside it would count too.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// The most memory that this process has ever had resident, in bytes; proc_pid_status(5).
private func peakBytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.filter(\.isNumber))) * 1024
}

@Suite("The limits of a flow file", .serialized)
struct LimitTests {
    @Test("A body of 256 MiB is written and read in little memory")
    func largeBody() async {
        await #expect(processExitsWith: .success) { try LimitTests.writeAndReadLargeBody() }
    }

    private static func writeAndReadLargeBody() throws {
        let total = 256 * 1024 * 1024
        let chunk = 64 * 1024
        var generator = SeededGenerator(seed: 51)
        let random = ByteBuffer(bytes: (0..<chunk).map { _ in UInt8.random(in: 0...255, using: &generator) })
        var samples = SampleFlows(seed: 52)
        let events = samples.next(bodyBytes: 0)
        try withTemporaryDirectory { directory in
            let path = directory + "/large.mflow"
            let before = try peakBytes()
            let writer = try ArchiveWriter(
                storage: try POSIXStorage.open(path: path, truncates: true), now: Timestamp(nanoseconds: 1))
            try writer.append(contentsOf: Array(events.dropLast(2)))
            for index in 0..<total / chunk {
                var content = random
                content.setInteger(index, at: 0)
                let piece = FlowPiece(from: .server, content: content)
                try writer.append(FlowEvent(flow: events[0].flow, at: Timestamp(nanoseconds: Int64(index)), what: .piece(piece)))
            }
            try writer.append(contentsOf: Array(events.suffix(2)))
            try writer.close()
            let reader = try ArchiveReader(path: path)
            var size = 0
            var isInOrder = true
            while let item = try reader.next() {
                guard case .flow(let flow) = item else { continue }
                try flow.pieces.forEach { _, piece in
                    guard piece.from == .server else { return true }
                    isInOrder = isInOrder && piece.content.getInteger(at: piece.content.readerIndex) == size / chunk
                    size += piece.content.readableBytes
                    return true
                }
            }
            #expect(size == total)
            #expect(isInOrder)
            let grown = try peakBytes() - before
            #expect(grown < total / 4, "\(grown / 1024 / 1024) MiB")
        }
    }

    @Test("A hundred thousand messages of one connection are read back in order")
    func manyMessages() throws {
        var samples = SampleFlows(seed: 53, certificates: 0)
        let events = samples.next(bodyBytes: 0)
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        try writer.append(contentsOf: Array(events.dropLast(1)))
        let count = 100_000
        for index in 0..<count {
            let piece = FlowPiece(kind: .text, from: .client, content: ByteBuffer(integer: index))
            try writer.append(FlowEvent(flow: events[0].flow, at: Timestamp(nanoseconds: Int64(index)), what: .piece(piece)))
        }
        try writer.append(events.last!)
        try writer.close()
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(storage.bytes, to: path)
            guard case .flow(let flow)? = try ArchiveReader(path: path).next() else { return #expect(Bool(false), "no flow") }
            var next = 0
            try flow.pieces.forEach { at, piece in
                guard piece.content.getInteger(at: piece.content.readerIndex) == next, at.nanoseconds == Int64(next) else {
                    return false
                }
                next += 1
                return true
            }
            #expect(next == count)
            #expect(flow.pieces.count == count)
        }
    }

    /// A file of one block.
    private static func honest() throws -> ByteBuffer {
        var samples = SampleFlows(seed: 54)
        return try archive(samples.next(bodyBytes: 10), closes: false)
    }

    /// A block header that makes a claim, with a right checksum, and some bytes behind it.
    private static func claiming(_ offset: Int, _ value: UInt64, bytes: Int, in honest: ByteBuffer) -> ByteBuffer {
        var file = honest
        let payload = 32 + 8
        for index in 0..<bytes {
            file.setInteger(UInt8(truncatingIfNeeded: value >> UInt64(8 * index)), at: payload + offset + index)
        }
        let length: UInt32 = file.getInteger(at: 36, endianness: .little)!
        let checksum = referenceXXHash32(file.getSlice(at: payload, length: Int(length) - 4)!)
        file.setInteger(checksum, at: payload + Int(length) - 4, endianness: .little)
        return file
    }

    /// The fields of a block's header, by offset and length; and what they are made to claim.
    private static let fields: [(offset: Int, bytes: Int)] = [(24, 4), (28, 4), (32, 4), (36, 4), (40, 2), (152, 4), (156, 4)]
    private static let values: [UInt64] = [0, 1, 0x7FFF, 0xFFFF, 0x0200_0001, 0x7FFF_FFFF, 0xFFFF_FFFF]

    @Test("A block header that claims what cannot be is refused", arguments: fields, values)
    func claimIsRefused(field: (offset: Int, bytes: Int), value: UInt64) throws {
        let honest = try Self.honest()
        let file = Self.claiming(field.offset, value, bytes: field.bytes, in: honest)
        try withTemporaryDirectory { directory in
            let reading = try readAll(file, in: directory)
            let fromPipe = try readFromPipe(file)
            #expect(reading.tellsDamage == (file != honest))
            #expect(fromPipe.tellsDamage == (file != honest))
        }
    }

    @Test("What a block header claims is not believed: no memory is taken for it")
    func memoryOfClaims() async {
        await #expect(processExitsWith: .success) {
            let honest = try LimitTests.honest()
            let before = try peakBytes()
            for field in LimitTests.fields {
                for value in LimitTests.values {
                    let file = LimitTests.claiming(field.offset, value, bytes: field.bytes, in: honest)
                    try withTemporaryDirectory { directory in
                        _ = try readAll(file, in: directory)
                        _ = try readFromPipe(file)
                    }
                }
            }
            let grown = try peakBytes() - before
            #expect(grown < 64 * 1024 * 1024, "\(grown / 1024 / 1024) MiB")
        }
    }
}
