// Fetches single flows by their places in a file, for an index of recordings.

import FlowModel
import FlowRecords
import Glibc
import NIOCore
import Synchronization

/// The place of a flow that is whole in its block.
package struct FlowPlace: Sendable, Hashable {
    /// Offset of the block's header in the file.
    package var block: UInt64
    /// Offset of the flow's record in the block's records.
    package var record: UInt32

    package init(block: UInt64, record: UInt32) {
        self.block = block
        self.record = record
    }
}

extension RecordView {
    /// The flow's place; nil when it has parts in several blocks.
    package var flowPlace: FlowPlace? { isWhole ? FlowPlace(block: blockOffset, record: UInt32(start)) : nil }
}

/// Reads flows of one file in any order. May be shared by threads. Certificates are left empty.
package final class ArchiveLookup: Sendable {
    /// Recently read blocks, the newest last: flows are often fetched in the order of time.
    private static let keptBlocks = 4

    private struct Block {
        var place: UInt64
        var header: BlockHeader
        var records: ByteBuffer
        var source: BlockSource
    }

    private let file: ArchiveFile
    package var path: String { file.path }
    private let recent = Mutex<[Block]>([])

    /// - Throws: why the file cannot be opened.
    package convenience init(path: String) throws(ArchiveError) { try self.init(try ArchiveInput(path: path)) }

    /// - Throws: when the input is not a file.
    package init(_ input: ArchiveInput) throws(ArchiveError) {
        guard let file = input.file else {
            throw ArchiveError(.system(ESPIPE), "\(input.path) can only be read front to back; copy it to a file first")
        }
        self.file = file
        file.keepOpen()
    }

    /// Bytes that the file has now; nil when the system does not report it.
    package var size: UInt64? { try? file.size() }

    /// Reads the same file from its beginning, also if it has lost its name or another file has it now.
    /// - Throws: when the file cannot be read, or too many files are open.
    package func input() throws(ArchiveError) -> ArchiveInput { ArchiveInput(try file.forAnotherReader()) }

    /// - Throws: when the block is damaged or no longer there.
    package func flow(at place: FlowPlace) throws -> Flow {
        let (view, block) = try record(at: place)
        do {
            return try PartialFlow.whole(view, block)
        } catch let error as ArchiveError {
            throw ArchiveError(error.kind, "\(file.path): \(error)", damage: error.damage)
        }
    }

    /// Lends the record of a flow. The certificates of its connections are not known.
    /// - Throws: when the block is damaged or no longer there; what the body throws.
    package func withRecord<Result>(at place: FlowPlace, _ body: (RecordView) throws -> Result) throws -> Result {
        try body(try record(at: place).view)
    }

    private func record(at place: FlowPlace) throws(ArchiveError) -> (view: RecordView, block: DecodedBlock) {
        let found = try block(at: place)
        let records = found.records
        let block = DecodedBlock(
            header: found.header, offset: place.block, records: records, source: found.source, connections: SegmentConnections())
        var view = RecordView(block)
        guard
            let length = records.getInteger(at: records.readerIndex + Int(place.record), endianness: .little, as: UInt32.self),
            Int(length) <= records.readableBytes - Int(place.record),
            view.move(to: RecordWalk.Entry(type: RecordType.flow, start: place.record, length: length))
        else { throw damaged(place) }
        return (view, block)
    }

    private func block(at place: FlowPlace) throws(ArchiveError) -> Block {
        let known = recent.withLock { recent -> Block? in
            guard let index = recent.lastIndex(where: { $0.place == place.block }) else { return nil }
            let block = recent.remove(at: index)
            recent.append(block)
            return block
        }
        if let known { return known }
        let head = try file.read(at: place.block, count: ArchiveFormat.frameHeader)
        guard
            let (magic, size) = head.getMultipleIntegers(at: head.readerIndex, endianness: .little, as: (UInt32, UInt32).self),
            magic == ArchiveFormat.blockMagic,
            let header = BlockHeader(
                payload: try file.read(
                    at: place.block + UInt64(ArchiveFormat.frameHeader),
                    count: Int(min(size, UInt32(ArchiveFormat.maximumHeaderPayload)))))
        else { throw damaged(place) }
        let start = place.block + UInt64(header.frameLength)
        let frame = try file.read(at: start, count: Int(header.recordsFrame))
        guard let records = decodeLZ4Frame(frame, size: Int(header.recordsSize)) else { throw damaged(place) }
        let source = BlockSource(
            place: .file(file, start + UInt64(header.recordsFrame)), header: header, blockOffset: place.block)
        let block = Block(place: place.block, header: header, records: records, source: source)
        recent.withLock { recent in
            if recent.count >= Self.keptBlocks { recent.removeFirst() }
            recent.append(block)
        }
        return block
    }

    private func damaged(_ place: FlowPlace) -> ArchiveError {
        ArchiveError(.damagedContent, "\(file.path): the block at offset \(place.block) cannot be read")
    }
}
