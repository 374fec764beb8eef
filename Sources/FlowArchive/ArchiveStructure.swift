// What a flow file is made of, frame by frame, and whether every byte of it is right.

import FlowModel
import NIOCore

/// One frame of a file, for people.
package struct ArchiveStructureLine: Sendable, Equatable {
    package var offset: UInt64
    /// One line without its end.
    package var text: String
}

/// Walks a file and says what it is made of.
package struct ArchiveStructure {
    private let input: ArchiveInput
    private var frames: FrameWalker
    private let verifies: Bool
    private var sequence: UInt64 = 0
    /// What is damaged, as far as the walk has come.
    package private(set) var damage: [ArchiveDamage] = []
    package private(set) var blocks = 0
    package private(set) var flows: UInt64 = 0

    /// - Parameter verifies: decompress and check everything, content included.
    package init(path: String, verifies: Bool) throws(ArchiveError) {
        input = try ArchiveInput(path: path)
        frames = FrameWalker(input: input)
        self.verifies = verifies
        try frames.checkBeginning(path: path)
    }

    package init(descriptor: Int32, name: String, verifies: Bool) throws(ArchiveError) {
        input = ArchiveInput(descriptor: descriptor, name: name)
        frames = FrameWalker(input: input)
        self.verifies = verifies
        try frames.checkBeginning(path: name)
    }

    /// The next line; nil at the end, when ``damage`` is complete.
    package mutating func next() throws(ArchiveError) -> ArchiveStructureLine? {
        let start = frames.offset
        guard let frame = try frames.next() else {
            guard let damage = try frames.leftover() else { return nil }
            self.damage.append(damage)
            input.skip(Int(clamping: try input.remaining()))
            return line(damage.offset, damage.description)
        }
        switch frame {
        case .segment(let header):
            sequence = 0
            return line(start, "segment  version \(header.versionWritten), readable from version \(header.versionNeeded)")
        case .block(let header, let offset, let isWhole):
            return try block(header, offset, isWhole)
        case .index(let length):
            return line(start, "index    \(length) bytes")
        case .footer(let length):
            return line(start, "footer   \(length) bytes")
        case .other(let length):
            return line(start, "other    \(length) bytes")
        case .damage(let damage):
            self.damage.append(damage)
            return line(damage.offset, damage.description)
        }
    }

    private mutating func block(_ header: BlockHeader, _ offset: UInt64, _ isWhole: Bool) throws(ArchiveError)
        -> ArchiveStructureLine
    {
        blocks += 1
        flows += UInt64(header.flows)
        if header.sequence > sequence {
            damage.append(ArchiveDamage(.missing(blocks: header.sequence - sequence), offset: offset, length: 0))
        }
        sequence = header.sequence + 1
        var faults: [String] = []
        if verifies { faults = try check(header) }
        if !faults.isEmpty {
            var found = ArchiveDamage(.damaged, offset: offset, length: UInt64(header.metadataFrame) + header.contentFrames)
            found.block = header.sequence
            found.records = header.records
            found.times = header.times
            damage.append(found)
        }
        frames.skipFrames(of: header, isWhole: isWhole)
        let ratio = Self.ratio(
            UInt64(header.metadataFrame) + header.contentFrames, of: UInt64(header.metadataSize) + header.contentSize)
        let state = verifies ? faults.isEmpty ? ", checksums right" : ", " + faults.joined(separator: ", ") : ""
        return line(
            offset,
            "block \(header.sequence)  \(header.records) records, \(header.flows) whole flows, metadata \(header.metadataFrame) of \(header.metadataSize) bytes, content \(header.contentFrames) of \(header.contentSize) bytes in \(header.parts.count) parts, \(ratio)\(state)"
        )
    }

    private func check(_ header: BlockHeader) throws(ArchiveError) -> [String] {
        let decoder = LZ4FrameDecoder()
        var faults: [String] = []
        let metadata = try input.peek(Int(header.metadataFrame)) ?? ByteBuffer()
        if decoder.decode(metadata, size: Int(header.metadataSize)) == nil { faults.append("metadata damaged") }
        var distance = Int(header.metadataFrame)
        for (index, part) in header.parts.enumerated() {
            let frame = try input.bytes(at: distance, count: Int(part.frame)) ?? ByteBuffer()
            if decoder.decode(frame, size: Int(part.size)) == nil { faults.append("content part \(index) damaged") }
            distance += Int(part.frame)
        }
        return faults
    }

    private func line(_ offset: UInt64, _ text: String) -> ArchiveStructureLine { ArchiveStructureLine(offset: offset, text: text) }

    private static func ratio(_ stored: UInt64, of size: UInt64) -> String {
        guard size > 0 else { return "0 %" }
        return "\(stored * 100 / size) %"
    }
}
