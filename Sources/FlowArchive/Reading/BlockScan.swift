// A block that another thread looks through before its turn: it is decompressed, and its flows are asked in place. What is found is made
// flows in the order of the file, by the thread that reads.

import Dispatch
import FlowModel
import NIOCore
import Synchronization

/// The search of one block. Shared by the thread that reads and the one that searches.
final class BlockScan: Sendable {
    enum Result {
        /// The records, and where in them those stand that the predicate lets through, in order.
        case found(ByteBuffer, [Int])
        /// The frame of the records is damaged.
        case damaged
        /// What the predicate threw.
        case failed(any Error)
    }

    private let result = Mutex<Result?>(nil)
    private let done = DispatchSemaphore(value: 0)

    /// Begins at once, on any thread.
    init(_ block: FetchedBlock, where predicate: some FlowPredicate) {
        DispatchQueue.global().async { [self] in
            let found = Self.search(block, predicate)
            result.withLock { $0 = found }
            done.signal()
        }
    }

    /// Waits until the search is over. Called once.
    func wait() -> Result {
        done.wait()
        return result.withLock { $0 } ?? .damaged
    }

    private static func search(_ fetched: FetchedBlock, _ predicate: some FlowPredicate) -> Result {
        guard let records = decodeLZ4Frame(fetched.records, size: Int(fetched.header.recordsSize)) else { return .damaged }
        let block = DecodedBlock(header: fetched.header, offset: fetched.offset, records: records, source: fetched.source) { _ in
            nil
        }
        var view = RecordView(block)
        var found: [Int] = []
        do {
            while let (type, start, length) = try block.nextRecord() {
                // A record that cannot be understood is told of in its turn.
                guard type == RecordType.flow, view.move(to: start, length: length) else { continue }
                do {
                    if try predicate.matches(view) { found.append(start) }
                } catch let error as ArchiveError where error.kind == .damagedContent {
                    continue
                }
            }
        } catch is MalformedRecord {
            return .found(records, found)
        } catch {
            return .failed(error)
        }
        return .found(records, found)
    }
}
