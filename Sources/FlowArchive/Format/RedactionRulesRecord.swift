// The record of the rules by which the flows of a segment were redacted. It has no key and no secret.

import FlowRecords
import NIOCore

enum RedactionRulesRecord {
    /// Rules of a file that a reader keeps.
    static let maximum = 4096

    /// The rules of a record.
    /// - Parameter record: without its length and type.
    static func rules(_ record: ByteBuffer) throws(MalformedRecord) -> [String] {
        var reader = RecordReader(record)
        var rules: [String] = []
        for _ in 0..<(try reader.count()) { rules.append(try reader.text()) }
        return rules
    }
}
