// Writes an Arrow IPC stream (Arrow columnar format 1.5, "Serialization and Interprocess Communication"): the schema, batches of rows, and the
// mark of the end. Every batch has dictionaries of its own, which replace those before, so memory does not grow with the stream.

import HTTPSemantics
import NIOCore

/// Writes the messages of a stream.
package struct ArrowStreamWriter: Sendable {
    /// MetadataVersion.V5
    private static let version: Int16 = 4
    /// The numbers in the union `MessageHeader`.
    private static let schemaHeader: UInt8 = 1
    private static let dictionaryHeader: UInt8 = 2
    private static let batchHeader: UInt8 = 3

    package let fields: [ArrowField]
    private let metadata: [(key: String, value: String)]

    /// - Parameter metadata: of the schema.
    package init(_ fields: [ArrowField], metadata: [(key: String, value: String)] = []) {
        self.fields = fields
        self.metadata = metadata
    }

    /// Arrays for the values of a batch.
    package func arrays() -> [ArrowArray] { fields.map { ArrowArray($0) } }

    /// Appends the schema, which begins the stream.
    package func writeSchema(into out: inout ByteBuffer) {
        Self.write(Self.schemaHeader, fields.schema(metadata: metadata), nil, into: &out)
    }

    /// Appends a batch of rows, after its dictionaries.
    /// - Parameter arrays: those of ``arrays()``, with the same number of values each.
    package func writeBatch(_ arrays: [ArrowArray], into out: inout ByteBuffer) {
        precondition(arrays.map(\.field) == fields && arrays.allSatisfy { $0.count == arrays[0].count })
        var body = ArrowBody()
        for (index, array) in arrays.enumerated() {
            array.add(to: &body)
            guard let dictionary = array.dictionaryArray else { continue }
            var values = ArrowBody()
            dictionary.add(to: &values)
            let table = FlatTable([(0, .long(Int64(index))), (1, .table(values.table(count: dictionary.count)))])
            Self.write(Self.dictionaryHeader, table, values.bytes, into: &out)
        }
        Self.write(Self.batchHeader, body.table(count: arrays.first?.count ?? 0), body.bytes, into: &out)
    }

    /// Appends the mark of the end.
    package func writeEnd(into out: inout ByteBuffer) {
        out.writeMultipleIntegers(UInt32.max, UInt32(0), endianness: .little)
    }

    /// Appends a message: a mark, the length of its description, the description, the body. All begin at multiples of 8.
    private static func write(_ header: UInt8, _ table: FlatTable, _ body: ByteWriter?, into out: inout ByteBuffer) {
        let length = body?.count ?? 0
        let message = FlatTable([
            (0, .short(version)), (1, .byte(header)), (2, .table(table)), (3, .long(Int64(length))),
        ]).encoded()
        while message.count % 8 != 0 { message.append(UInt8(0)) }
        out.writeMultipleIntegers(UInt32.max, UInt32(message.count), endianness: .little)
        _ = unsafe out.writeBytes(message.bytes)
        if let body { _ = unsafe out.writeBytes(body.bytes) }
    }
}
