// Searches a block: its records are decompressed, and the flows that are whole in it are evaluated in place. With several jobs this happens on
// other threads, ahead of the reader. The reader makes flows of what was found, in the order of the file.

import Dispatch
import FlowModel
import FlowRecords
import NIOCore
import Synchronization

/// The records of a block that a reader has to process, in their order: flows that match or have parts elsewhere, certificates, tombstones.
struct FoundRecords: Sendable {
    let records: ByteBuffer
    var entries: [RecordWalk.Entry] = []
    /// Flows, and parts of flows, that the block has.
    var flows: UInt64 = 0
    /// The name of the segment from which the flows that are open at its end continue; only the first block of a segment has one.
    var predecessor: Timestamp? { Self.predecessor(in: records) }

    /// It precedes the flows of its block.
    static func predecessor(in records: ByteBuffer) -> Timestamp? {
        var walk = RecordWalk(records)
        while let entry = try? walk.next(), entry.type != RecordType.flow {
            guard entry.type == RecordType.continuation, Int(entry.length) >= RecordType.prefix + 8 else { continue }
            return records.getInteger(
                at: records.readerIndex + Int(entry.start) + RecordType.prefix, endianness: .little, as: Int64.self
            ).map { Timestamp(nanoseconds: $0) }
        }
        return nil
    }
    /// Flows that match and are only counted.
    var counted = 0
    /// Why the search ended before the end of the block: an error of the predicate, or a record that is not valid.
    var failure: (any Error)?
}

/// A predicate as a reader evaluates it: one block at a time, by a loop that is specialised for the predicate's type.
struct BlockQuery: Sendable {
    let mayMatch: @Sendable (BlockHeader) -> Bool
    /// Returns nil when the frame of the records is damaged.
    let search: @Sendable (FetchedBlock) -> FoundRecords?
    let matchesRecord: @Sendable (RecordView) throws -> Bool
    let matches: @Sendable (Flow) throws -> Bool

    /// - Parameter countsWhole: flows that are whole in their block are counted instead of listed, if they can be evaluated in any order.
    init(_ predicate: some FlowPredicate, countsWhole: Bool = false, _ meter: ReadingMeter) {
        mayMatch = { header in
            let begin = meter.now
            defer { if meter.isTimed { meter.add { $0.planning += meter.now - begin } } }
            return predicate.mayMatch(header)
        }
        search = { Self.search($0, predicate.forBlock(), countsWhole, meter) }
        matchesRecord = { try predicate.matches($0) }
        matches = { try predicate.matches($0) }
    }

    private static func search(
        _ fetched: FetchedBlock, _ predicate: some FlowPredicate, _ countsWhole: Bool, _ meter: ReadingMeter
    ) -> FoundRecords? {
        let begin = meter.now
        let size = Int(fetched.header.recordsSize)
        let records = decodeLZ4Frame(fetched.records, size: size)
        let decompressed = meter.now
        var found = records.map { FoundRecords(records: $0) }
        if found != nil {
            do { try search(fetched, predicate, countsWhole, into: &found!) } catch { found?.failure = error }
        }
        let end = meter.now
        meter.add { totals in
            totals.recordFrames.note(stored: Int(fetched.header.recordsFrame), bytes: size)
            totals.records += found?.flows ?? 0
            totals.decompressing += decompressed - begin
            totals.searching += end - decompressed - (meter.isTimed ? fetched.source.spent : 0)
        }
        return found
    }

    private static func search(
        _ fetched: FetchedBlock, _ predicate: some FlowPredicate, _ countsWhole: Bool, into found: inout FoundRecords
    ) throws {
        let block = DecodedBlock(fetched, records: found.records, connections: SegmentConnections(knowsCertificates: false))
        // Flows that end between whole ones are evaluated by the reader, which puts them together, so the others of their block are too: a
        // predicate sees flows in the order of the file.
        let evaluatesInPlace = !fetched.header.holdsParts
        var view = RecordView(block)
        var walk = RecordWalk(found.records)
        while let entry = try walk.next() {
            switch entry.type {
            case RecordType.flow:
                guard view.move(to: entry) else { throw MalformedRecord() }
                found.flows += 1
                if view.isWhole, !fetched.isInside { continue }
                guard view.isWhole, evaluatesInPlace else {
                    found.entries.append(entry)
                    continue
                }
                let isMatch = try matches(view, predicate)
                guard isMatch != false else { continue }
                if isMatch == true, countsWhole {
                    found.counted += 1
                    continue
                }
                found.entries.append(entry)
                found.entries[found.entries.count - 1].isUndecided = isMatch == nil
            case RecordType.certificate, RecordType.tombstone, RecordType.redactionRules, RecordType.continuation:
                found.entries.append(entry)
            default:
                // Connections are read when a flow refers to them; other types belong to a later version.
                continue
            }
        }
    }

    /// A flow whose content is damaged does not match. The block's source reports the damage.
    /// - Returns: nil when the reader has to decide, which knows the certificates.
    private static func matches(_ view: RecordView, _ predicate: some FlowPredicate) throws -> Bool? {
        do { return try predicate.matches(view) } catch let error as ArchiveError where error.kind == .damagedContent {
            return false
        } catch is CertificatesUnknown {
            return nil
        }
    }
}

/// The search of one block. Shared by the thread that reads and the one that searches.
final class BlockSearch: Sendable {
    private enum State {
        case waiting
        case done(FoundRecords?)
    }

    private let block: FetchedBlock
    private let query: BlockQuery
    /// Signalled when another thread has finished; nil when the search runs in ``wait()``.
    private let done: DispatchSemaphore?
    private let state = Mutex(State.waiting)

    /// - Parameter isConcurrent: the search begins at once on another thread.
    init(_ block: FetchedBlock, _ query: BlockQuery, isConcurrent: Bool) {
        self.block = block
        self.query = query
        done = isConcurrent ? DispatchSemaphore(value: 0) : nil
        guard let done else { return }
        DispatchQueue.global().async { [self] in
            let found = query.search(block)
            state.withLock { $0 = .done(found) }
            done.signal()
        }
    }

    /// The result. Called once.
    func wait() -> FoundRecords? {
        guard let done else { return query.search(block) }
        done.wait()
        return state.withLock { if case .done(let found) = $0 { found } else { nil } }
    }
}
