// The frames of a flow file, and whether every byte of them is intact.

import FlowModel
import FlowRecords
import NIOCore

/// One frame of a file, or a stretch of damage, with its description.
package struct ArchiveStructureLine: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case segment, block, index, footer, other, damage
    }

    package var kind: Kind
    package var offset: UInt64
    /// Bytes in the file; of a block all its frames.
    package var length: UInt64
    /// Blocks: the sequence number, bytes before compression, all records and the flows that are whole in it, their times.
    package var sequence: UInt64?
    package var uncompressed: UInt64?
    package var records: UInt32?
    package var flows: UInt32?
    package var times: ClosedRange<Timestamp>?
    /// The rules of redaction that the block names; nil without any.
    package var redactionRules: [String]?
    /// Whether every checksum is right; nil when they were not checked.
    package var isIntact: Bool?
    /// One line of text, without its end.
    package var text: String
}

/// What a file is as a whole.
package struct ArchiveSummary: Sendable, Equatable {
    /// It was closed in order: a footer ends it.
    package var isSealed = false
    /// Flows, those without an end in the file included: as many as a reader returns.
    package var flows: UInt64 = 0
    package var bytes: UInt64 = 0
    /// The earliest start and the latest end of its flows, or of their parts in the file; nil without flows.
    package var times: ClosedRange<Timestamp>?
}

/// Scans a file and describes its frames.
package struct ArchiveStructure {
    private let input: ArchiveInput
    private var frames: ArchiveFrameScanner
    private let verifies: Bool
    private let counts: Bool
    private var lastKind = ArchiveStructureLine.Kind.segment
    private var times: ClosedRange<Timestamp>?
    private var segment: Timestamp?
    private var sequence: UInt64 = 0
    private var waiting: [ArchiveStructureLine] = []
    /// The damage found so far.
    package private(set) var damage: [ArchiveDamage] = []
    package private(set) var blocks = 0
    private var endedFlows: UInt64 = 0
    private var openFlows: Set<FlowID> = []
    /// Of the segment before, until the first block of this one is checked.
    private var heldFlows: (segment: Timestamp, flows: Set<FlowID>)?
    private var isEncryptionReported = false
    /// Bytes that were read.
    package var offset: UInt64 { frames.offset }
    /// Flows whose heads can be read, including those without an end: as many as a reader returns. Counted when everything is checked.
    package var flows: UInt64 { endedFlows + UInt64(openFlows.count + (heldFlows?.flows.count ?? 0)) }

    /// - Parameter verifies: decompress and check everything, content included.
    package init(path: String, verifies: Bool) throws(ArchiveError) {
        try self.init(try ArchiveInput(path: path), verifies: verifies)
    }

    /// - Parameters:
    ///   - input: an input at its beginning.
    ///   - counts: count flows for ``summary``, which decompresses records of blocks with parts of flows.
    package init(_ input: ArchiveInput, verifies: Bool, counts: Bool = false) throws(ArchiveError) {
        self.counts = counts
        self.input = input
        frames = ArchiveFrameScanner(input: input)
        self.verifies = verifies
        try frames.checkBeginning(isStrict: false)
    }

    /// The file as a whole, after the last line, when flows are counted.
    package var summary: ArchiveSummary {
        ArchiveSummary(isSealed: lastKind == .footer, flows: flows, bytes: frames.offset, times: times)
    }

    /// The next line; nil at the end, when ``damage`` is complete.
    package mutating func next() throws(ArchiveError) -> ArchiveStructureLine? {
        guard let line = try nextLine() else { return nil }
        lastKind = line.kind
        if let found = line.times {
            times = times.map { min($0.lowerBound, found.lowerBound)...max($0.upperBound, found.upperBound) } ?? found
        }
        return line
    }

    private mutating func nextLine() throws(ArchiveError) -> ArchiveStructureLine? {
        if !waiting.isEmpty { return waiting.removeFirst() }
        let start = frames.offset
        guard let frame = try frames.next() else {
            if try frames.giveUpIncomplete() { return try nextLine() }
            if let damage = frames.endDamage() { return report(damage) }
            return try reportEncryption()
        }
        switch frame {
        case .segment(let header):
            sequence = 0
            holdOpenFlows()
            segment = header.created
            var line = line(.segment, start, frames.offset - start)
            line.isIntact = verifies ? true : nil
            line.text = "segment  version \(header.versionWritten), readable from version \(header.versionNeeded)"
            return line
        case .block(let header, let offset):
            return try block(header, offset)
        case .other(let magic, let length):
            return other(magic, start, length)
        case .damage(let damage):
            return report(damage)
        }
    }

    /// What the encryption of the whole input shows.
    private mutating func reportEncryption() throws(ArchiveError) -> ArchiveStructureLine? {
        guard !isEncryptionReported else { return nil }
        isEncryptionReported = true
        waiting = input.takeDamage().map { report($0) }
        if let damage = try input.endDamage() { waiting.append(report(damage)) }
        return waiting.isEmpty ? nil : waiting.removeFirst()
    }

    private mutating func report(_ found: ArchiveDamage) -> ArchiveStructureLine {
        damage.append(found)
        var line = line(.damage, found.offset, found.length)
        line.isIntact = false
        line.text = "\(found)"
        return line
    }

    private func other(_ magic: UInt32, _ start: UInt64, _ length: UInt64) -> ArchiveStructureLine {
        let kind: ArchiveStructureLine.Kind =
            magic == ArchiveFormat.indexMagic ? .index : magic == ArchiveFormat.footerMagic ? .footer : .other
        var line = line(kind, start, length)
        line.text = "\(magic == ArchiveFormat.paddingMagic ? "padding" : "\(kind)")  \(length) bytes"
        // The checksums of indexes and footers are always checked. Frames of other programs have none.
        if kind != .other { line.isIntact = true }
        return line
    }

    private mutating func block(_ header: BlockHeader, _ offset: UInt64) throws(ArchiveError) -> ArchiveStructureLine {
        // The header of its segment may be lost.
        if header.segment != segment {
            sequence = 0
            holdOpenFlows()
        }
        segment = header.segment
        blocks += 1
        var missing: ArchiveStructureLine?
        if header.sequence > sequence {
            missing = report(ArchiveDamage(.missing(blocks: header.sequence - sequence), offset: offset, length: 0))
        }
        sequence = header.sequence &+ 1
        let faults = verifies ? try check(header, offset) : []
        if counts, !verifies { try count(header, offset) }
        if !faults.isEmpty { damage.append(ArchiveDamage(block: header, offset: offset)) }
        let rules = header.holdsRules ? try redactionRules(header) : nil
        frames.skipFrames(of: header)
        var line = line(.block, offset, UInt64(header.frameLength + header.bodyLength))
        line.sequence = header.sequence
        line.uncompressed = UInt64(header.recordsSize) + UInt64(header.detailsSize) + UInt64(header.contentSize)
        line.records = header.records
        line.flows = header.flows
        line.times = header.times
        line.redactionRules = rules
        line.isIntact = verifies ? faults.isEmpty : nil
        line.text = Self.text(header, line, faults)
        guard let missing else { return line }
        waiting.append(line)
        return missing
    }

    private static func text(_ header: BlockHeader, _ line: ArchiveStructureLine, _ faults: [String]) -> String {
        let size = line.uncompressed ?? 0
        var parts = ["block \(header.sequence)  \(header.records) records, \(header.flows) whole flows"]
        parts.append("records \(header.recordsFrame) of \(header.recordsSize) bytes")
        parts.append("details \(header.detailsFrame) of \(header.detailsSize)")
        parts.append("content \(header.contentFrames) of \(header.contentSize) in \(header.chunks.count) chunks")
        parts.append("\(size == 0 ? 0 : line.length * 100 / size) %")
        if let rules = line.redactionRules { parts.append("redacted by \(rules.joined(separator: " "))") }
        if let isIntact = line.isIntact { parts.append(isIntact ? "checksums right" : faults.joined(separator: ", ")) }
        return parts.joined(separator: ", ")
    }

    /// The rules of redaction in the block whose header was just read; nil when they cannot be read.
    private func redactionRules(_ header: BlockHeader) throws(ArchiveError) -> [String]? {
        guard let bytes = try input.bytes(at: 0, count: Int(header.recordsFrame)),
            let records = decodeLZ4Frame(bytes, size: Int(header.recordsSize))
        else { return nil }
        var walk = RecordWalk(records)
        var rules: [String] = []
        while let entry = try? walk.next() {
            guard entry.type == RecordType.redactionRules else { continue }
            let record = records.slice(Int(entry.start) + RecordType.prefix, Int(entry.length) - RecordType.prefix)
            rules += (try? RedactionRulesRecord.rules(record)) ?? []
        }
        return rules.isEmpty ? nil : rules
    }

    /// Decompresses all frames of the block whose header was just read.
    private mutating func check(_ header: BlockHeader, _ offset: UInt64) throws(ArchiveError) -> [String] {
        let bytes = try input.bytes(at: 0, count: header.bodyLength) ?? ByteBuffer()
        var faults: [String] = []
        let length = Int(header.recordsFrame)
        let records = decodeLZ4Frame(bytes.slice(0, length), size: Int(header.recordsSize), isThorough: true)
        if records == nil { faults.append("records damaged") }
        let rest = bytes.slice(length, header.bodyLength - length)
        let source = BlockSource(place: .memory(rest), header: header, blockOffset: offset)
        let others = try source.faults()
        // Without details no flow can be shown.
        if let records, !others.contains(BlockSource.detailsFault) {
            count(
                DecodedBlock(
                    header: header, offset: offset, records: records, source: source, connections: SegmentConnections()))
        }
        return faults + others
    }

    /// Counts the flows of the block whose header was just read.
    private mutating func count(_ header: BlockHeader, _ offset: UInt64) throws(ArchiveError) {
        guard header.holdsParts else {
            continueFlows(from: nil)
            endedFlows += UInt64(header.flows)
            return
        }
        guard let bytes = try input.bytes(at: 0, count: Int(header.recordsFrame)),
            let records = decodeLZ4Frame(bytes, size: Int(header.recordsSize))
        else { return }
        let source = BlockSource(place: .memory(ByteBuffer()), header: header, blockOffset: offset)
        count(
            DecodedBlock(header: header, offset: offset, records: records, source: source, connections: SegmentConnections()))
    }

    /// Counts flows as a reader returns them.
    private mutating func count(_ block: DecodedBlock) {
        var view = RecordView(block)
        var walk = RecordWalk(block.records)
        continueFlows(from: FoundRecords.predecessor(in: block.records))
        while let entry = try? walk.next() {
            if entry.type == RecordType.tombstone {
                var reader = RecordReader(block.content(entry))
                if let high = try? reader.number(UInt64.self), let low = try? reader.number(UInt64.self) {
                    openFlows.remove(FlowID(high: high, low: low))
                }
            }
            guard entry.type == RecordType.flow, view.move(to: entry) else { continue }
            if view.isFirst, openFlows.remove(view.id) != nil { endedFlows += 1 }
            if view.isLast {
                openFlows.remove(view.id)
                endedFlows += 1
            } else {
                openFlows.insert(view.id)
            }
        }
    }

    /// A segment has ended. Its flows may continue in the next one.
    private mutating func holdOpenFlows() {
        continueFlows(from: nil)
        heldFlows = segment.map { ($0, openFlows) }
        openFlows = []
    }

    private mutating func continueFlows(from name: Timestamp?) {
        guard let held = heldFlows else { return }
        heldFlows = nil
        if held.segment == name { openFlows = held.flows } else { endedFlows += UInt64(held.flows.count) }
    }

    private func line(_ kind: ArchiveStructureLine.Kind, _ offset: UInt64, _ length: UInt64) -> ArchiveStructureLine {
        ArchiveStructureLine(kind: kind, offset: offset, length: length, text: "")
    }
}
