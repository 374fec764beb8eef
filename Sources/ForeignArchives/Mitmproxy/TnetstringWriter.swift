// Writes tagged netstrings. The length precedes the value, so the content of a list or dictionary is written to its own buffer
// first.

import FlowModel
import NIOCore

/// Writes values one after the other.
struct TnetstringWriter {
    private(set) var out = ByteBuffer()

    mutating func bytes(_ value: ByteBuffer) { write(value, .bytes) }
    mutating func bytes(_ value: String) { write(ByteBuffer(string: value), .bytes) }
    mutating func text(_ value: String) { write(ByteBuffer(string: value), .text) }
    mutating func integer(_ value: Int) { write(ByteBuffer(string: "\(value)"), .integer) }
    mutating func time(_ value: Timestamp) { write(ByteBuffer(string: value.decimalSeconds), .float) }
    mutating func bool(_ value: Bool) { write(ByteBuffer(string: value ? "true" : "false"), .bool) }
    mutating func null() { write(ByteBuffer(), .null) }

    /// Writes null if there is no value.
    mutating func optional<Value>(_ value: Value?, _ put: (inout TnetstringWriter, Value) -> Void) {
        if let value { put(&self, value) } else { null() }
    }

    mutating func list(_ elements: (inout TnetstringWriter) throws -> Void) rethrows {
        var inner = TnetstringWriter()
        try elements(&inner)
        write(inner.out, .list)
    }

    /// - Parameter entries: writes the keys, each followed by its value.
    mutating func dictionary(_ entries: (inout TnetstringWriter) throws -> Void) rethrows {
        var inner = TnetstringWriter()
        try entries(&inner)
        write(inner.out, .dictionary)
    }

    private mutating func write(_ payload: ByteBuffer, _ tag: Tnetstring.Tag) {
        out.writeString("\(payload.readableBytes):")
        out.writeImmutableBuffer(payload)
        out.writeInteger(tag.rawValue)
    }
}
