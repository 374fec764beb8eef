// Writes a recording: gathers what flows say until a block is full or it is time to flush, and appends the block. A flow that is whole
// within a block becomes one record; one that goes on leaves a part in each block that it has something in.

import FlowModel
import HTTPSemantics
import NIOCore

/// When written blocks are made to survive a loss of power.
package enum ArchiveSync: String, Sendable, CaseIterable {
    /// The system writes them when it likes; a crash of the recorder loses nothing all the same.
    case none
    /// With each flush.
    case interval
    /// With each block, and a block is written for each batch of events.
    case always
}

/// How a recording is laid out.
package struct ArchiveOptions: Sendable {
    /// Decompressed bytes of metadata and content after which a block is written.
    package var blockTarget = 1024 * 1024
    package var compression = ArchiveCompression.fast
    package var sync = ArchiveSync.none

    package init() {}
}

/// Writes one segment of a flow file. Owned by one thread.
package final class ArchiveWriter {
    /// Content of one piece is cut where it is larger than this, so that a block stays within its limits.
    static let maximumPiece = 8 * 1024 * 1024
    /// Certificates that are remembered; when there are more they are written again.
    static let maximumCertificates = 4096

    private let storage: any ArchiveStorage
    private let options: ArchiveOptions
    private var header = BlockHeader()
    private var metadata = ByteBuffer()
    private var content = ByteBuffer()
    /// Content parts of the block that are compressed already.
    private var parts = ByteBuffer()
    private var contentOffset: UInt64 = 0
    private var open: [FlowID: FlowPart] = [:]
    private var connections: [ObjectIdentifier: (facts: AnyObject, record: UInt32)] = [:]
    private var certificates: [ByteBuffer: UInt32] = [:]
    private var certificateCount: UInt32 = 0
    private var segmentLength: UInt64 = 0
    private var index: [(offset: UInt64, header: ByteBuffer)] = []
    /// A block that the storage did not take.
    private var unwritten: (head: ByteBuffer, parts: ByteBuffer)?
    /// Storage that is used again for each block: the header with the metadata frame, and that frame.
    private var head = ByteBuffer()
    private var frame = ByteBuffer()
    /// When the oldest thing was said that is not in the file.
    private var oldest: Timestamp?
    private var spare: [FlowPart] = []
    private var last: (flow: FlowID, part: FlowPart)?

    /// Begins a segment: appends its header.
    /// - Parameter storage: stands at the end of what it holds.
    package init(storage: any ArchiveStorage, options: ArchiveOptions = ArchiveOptions(), now: Timestamp) throws(ArchiveError) {
        self.storage = storage
        self.options = options
        var bytes = ByteBuffer()
        SegmentHeader(created: now).write(into: &bytes)
        try storage.append(bytes, ByteBuffer())
        segmentLength = UInt64(bytes.readableBytes)
        metadata.reserveCapacity(options.blockTarget)
    }

    /// The time of the oldest event that is not in the file; nil when all are.
    package var unflushedSince: Timestamp? { oldest }

    /// Flows that have begun and not ended.
    package var openFlows: Int { open.count }

    /// Whether a flow has begun here and not ended.
    package func holds(_ flow: FlowID) -> Bool { open[flow] != nil }

    /// Takes one event. A full block is written.
    package func append(_ event: FlowEvent) throws(ArchiveError) {
        if oldest == nil { oldest = event.at }
        let part = part(of: event)
        try take(event, part)
        if case .ended = event.what { close(event.flow, part) }
        if metadata.readableBytes + Int(contentOffset) >= options.blockTarget { try writeBlock() }
    }

    /// Events of one flow often follow each other, so the last one's part is at hand.
    private func part(of event: FlowEvent) -> FlowPart {
        if let last, last.flow == event.flow { return last.part }
        let part: FlowPart
        if let known = open[event.flow] {
            part = known
        } else {
            part = spare.popLast() ?? FlowPart(at: event.at)
            part.restart(at: event.at)
            open[event.flow] = part
        }
        last = (event.flow, part)
        return part
    }

    package func append(contentsOf events: [FlowEvent]) throws(ArchiveError) {
        for event in events { try append(event) }
        if options.sync == .always { try flush() }
    }

    /// A flow that was written in part must not be seen by readers.
    package func discard(_ flow: FlowID) throws(ArchiveError) {
        open[flow] = nil
        last = nil
        metadata.writeMultipleIntegers(
            UInt32(24), RecordType.discard, UInt8(0), UInt16(0), flow.high, flow.low, endianness: .little)
        header.records += 1
        header.flags |= BlockHeader.holdsParts
    }

    /// Writes everything that was said, also of flows that go on.
    package func flush() throws(ArchiveError) {
        if unwritten != nil || oldest != nil || header.records > 0 { try writeBlock() }
        if options.sync != .none { try storage.sync() }
    }

    /// Writes what is left, the index and the footer, and closes the storage. Flows that are open stay incomplete.
    package func close() throws(ArchiveError) {
        try flush()
        var bytes = ByteBuffer()
        writeIndex(into: &bytes)
        try storage.append(bytes, ByteBuffer())
        if options.sync != .none { try storage.sync() }
        try storage.close()
    }

    // MARK: Events

    private func take(_ event: FlowEvent, _ part: FlowPart) throws(ArchiveError) {
        switch event.what {
        case .opened(let opening):
            part.opened(opening, client: record(opening.client), at: event.at)
        case .server(let server):
            part.connection(ItemTag.server, record: record(server), at: event.at)
        case .client(let client):
            part.connection(ItemTag.client, record: record(client), at: event.at)
        case .request(let head):
            part.request(head, at: event.at)
        case .interim(let head):
            part.response(ItemTag.interim, head, at: event.at)
        case .response(let head):
            part.response(ItemTag.response, head, at: event.at)
        case .piece(let piece):
            try take(piece, event.at, part)
        case .trailers(let side, let fields):
            part.trailers(side, fields, at: event.at)
        case .finished(let side):
            part.finished(side, at: event.at)
        case .ended(let ending):
            part.ended(ending, at: event.at)
        }
    }

    private func take(_ piece: FlowPiece, _ at: Timestamp, _ part: FlowPart) throws(ArchiveError) {
        var rest = piece.content
        repeat {
            let bytes = rest.readSlice(length: min(rest.readableBytes, Self.maximumPiece)) ?? ByteBuffer()
            part.piece(piece, size: bytes.readableBytes, continues: rest.readableBytes > 0, offset: contentOffset, at: at)
            addContent(bytes)
            // A block holds so much at the most; the rest goes to the next one.
            if rest.readableBytes > 0 { try writeBlock() }
        } while rest.readableBytes > 0
    }

    /// Appends to the block's content, and compresses each part when it is full.
    private func addContent(_ bytes: ByteBuffer) {
        contentOffset += UInt64(bytes.readableBytes)
        var bytes = bytes
        while bytes.readableBytes > 0 {
            let room = ArchiveFormat.contentPart - content.readableBytes
            guard var piece = bytes.readSlice(length: min(room, bytes.readableBytes)) else { return }
            content.writeBuffer(&piece)
            if content.readableBytes == ArchiveFormat.contentPart { endPart() }
        }
    }

    private func endPart() {
        let before = parts.readableBytes
        writeLZ4Frame(content, options.compression, into: &parts)
        header.parts.append((UInt32(parts.readableBytes - before), UInt32(content.readableBytes)))
        content.clear()
    }

    /// The flow has ended: its last part, perhaps its only one, becomes a record.
    private func close(_ flow: FlowID, _ part: FlowPart) {
        open[flow] = nil
        last = nil
        write(flow, part, isLast: true)
        if spare.count < 64 { spare.append(part) }
    }

    private func write(_ flow: FlowID, _ part: FlowPart, isLast: Bool) {
        part.write(flow, isLast: isLast, into: &metadata)
        header.records += 1
        header.earliest = min(header.earliest, part.prefix.started)
        header.latest = max(header.latest, part.prefix.ended)
        if isLast, part.isFirst { header.flows += 1 } else { header.flags |= BlockHeader.holdsParts }
        header.note(kind: part.prefix.kind, method: part.prefix.method, status: part.prefix.status, host: part.host)
    }

    // MARK: Connections

    /// The position of a connection's record in this block, plus one; the record is written when it is not there yet.
    private func record(_ client: Shared<ClientConnection>) -> UInt32 {
        if let known = connections[ObjectIdentifier(client)] { return known.record }
        let certificates = numbers(of: client.value.tls?.certificates)
        return addRecord(RecordType.client, for: client) {
            ConnectionRecord.write(client.value, certificates: certificates, into: &$0)
        }
    }

    private func record(_ server: Shared<ServerConnection>) -> UInt32 {
        if let known = connections[ObjectIdentifier(server)] { return known.record }
        let certificates = numbers(of: server.value.tls?.certificates)
        return addRecord(RecordType.server, for: server) {
            ConnectionRecord.write(server.value, certificates: certificates, into: &$0)
        }
    }

    private func addRecord(_ type: UInt8, for facts: AnyObject, _ write: (inout ByteBuffer) -> Void) -> UInt32 {
        let position = UInt32(metadata.readableBytes)
        writeRecord(type, write)
        connections[ObjectIdentifier(facts)] = (facts, position + 1)
        return position + 1
    }

    private func writeRecord(_ type: UInt8, _ write: (inout ByteBuffer) -> Void) {
        let start = metadata.writerIndex
        metadata.writeMultipleIntegers(UInt32(0), type, UInt8(0), UInt16(0), endianness: .little)
        write(&metadata)
        metadata.setInteger(UInt32(metadata.writerIndex - start), at: start, endianness: .little)
        header.records += 1
    }

    /// The numbers of certificates in this segment; new ones are written.
    private func numbers(of chain: [ByteBuffer]?) -> [UInt32] {
        (chain ?? []).map { der in
            if let number = certificates[der] { return number }
            if certificates.count >= Self.maximumCertificates { certificates.removeAll() }
            let number = certificateCount
            certificateCount += 1
            certificates[der] = number
            writeRecord(RecordType.certificate) {
                $0.writeInteger(number, endianness: .little)
                $0.writeImmutableBuffer(der)
            }
            return number
        }
    }

    // MARK: Blocks

    private func writeBlock() throws(ArchiveError) {
        if let block = unwritten {
            try storage.append(block.head, block.parts)
            unwritten = nil
        }
        for (id, part) in open where !part.isEmpty {
            write(id, part, isLast: false)
            part.goOn()
        }
        guard header.records > 0 || contentOffset > 0 else { return }
        if content.readableBytes > 0 { endPart() }
        frame.clear()
        writeLZ4Frame(metadata, options.compression, into: &frame)
        header.metadataFrame = UInt32(frame.readableBytes)
        header.metadataSize = UInt32(metadata.readableBytes)
        head.clear()
        header.write(into: &head)
        index.append((segmentLength, ByteBuffer(bytes: head.readableBytesView)))
        head.writeImmutableBuffer(frame)
        segmentLength += UInt64(head.readableBytes + parts.readableBytes)
        do throws(ArchiveError) {
            try storage.append(head, parts)
        } catch {
            unwritten = (head, parts)
            beginBlock()
            throw error
        }
        beginBlock()
        if options.sync == .always { try storage.sync() }
    }

    private func beginBlock() {
        let sequence = header.sequence + 1
        header = BlockHeader()
        header.sequence = sequence
        metadata.clear()
        parts.clear()
        contentOffset = 0
        connections.removeAll(keepingCapacity: true)
        oldest = nil
    }

    /// The index repeats the header of each block with its offset in the segment; the footer finds the index.
    private func writeIndex(into out: inout ByteBuffer) {
        var entries = ByteBuffer()
        entries.writeInteger(UInt32(index.count), endianness: .little)
        for entry in index {
            entries.writeInteger(entry.offset, endianness: .little)
            entries.writeImmutableBuffer(entry.header)
        }
        entries.writeInteger(xxHash32(entries), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.indexMagic, UInt32(entries.readableBytes), endianness: .little)
        out.writeBuffer(&entries)
        var footer = ByteBuffer(bytes: ArchiveFormat.signature)
        let indexLength = UInt64(out.readableBytes)
        footer.writeMultipleIntegers(segmentLength, segmentLength + indexLength, endianness: .little)
        footer.writeInteger(xxHash32(footer), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.footerMagic, UInt32(footer.readableBytes), endianness: .little)
        out.writeBuffer(&footer)
    }
}
