// Files of records, from which flows are joined: what a tool needs to read them, whatever the format.

import FlowModel
import NIOCore

/// Reads a file of records in bytes that arrive in pieces.
package protocol RecordFile {
    init(isCompressed: Bool)
    /// Appends the next bytes of the file.
    mutating func receive(_ bytes: ByteBuffer)
    /// The file ends.
    mutating func end()
    /// What the next record gives.
    /// - Returns: nil if more bytes are needed, or at the end.
    mutating func next() -> RecordFileItem?
    /// The flows of which not all records are in the file, at its end.
    mutating func finish() -> [Flow]
    /// Records that are not flows of HTTP, by what they are.
    var leftOut: [String: Int] { get }
}

/// What a record gives.
package enum RecordFileItem {
    /// The flows that are complete with it: none, one, or more.
    case flows([Flow])
    /// Damage in one sentence with its offset, and what was done.
    case damage(String)
}

/// A WARC file.
package struct WARCFile: RecordFile {
    private var reader: WARCReader
    private var joined = WARCFlows()

    package init(isCompressed: Bool) { reader = WARCReader(isCompressed: isCompressed) }

    package var leftOut: [String: Int] { joined.leftOut }
    package mutating func receive(_ bytes: ByteBuffer) { reader.receive(bytes) }
    package mutating func end() { reader.end() }
    package mutating func finish() -> [Flow] { joined.finish() }

    package mutating func next() -> RecordFileItem? {
        switch reader.next() {
        case .record(let fields, let block):
            do throws(WARCRecordError) {
                return .flows(try joined.take(fields, block))
            } catch {
                return .damage("a record \(error); it was left out")
            }
        case .damage(let sentence): return .damage(sentence)
        case nil: return nil
        }
    }
}

/// A file of GoReplay.
package struct GorFile: RecordFile {
    private var reader: GorReader
    private var joined = GorFlows()

    package init(isCompressed: Bool) { reader = GorReader(isCompressed: isCompressed) }

    package var leftOut: [String: Int] { joined.leftOut }
    package mutating func receive(_ bytes: ByteBuffer) { reader.receive(bytes) }
    package mutating func end() { reader.end() }
    package mutating func finish() -> [Flow] { joined.finish() }

    package mutating func next() -> RecordFileItem? {
        switch reader.next() {
        case .record(let record): .flows(joined.take(record))
        case .damage(let sentence): .damage(sentence)
        case nil: nil
        }
    }
}
