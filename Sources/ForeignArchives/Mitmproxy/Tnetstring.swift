// Tagged netstrings, `<length>:<payload><tag>`, the values of mitmproxy's flow files (tnetstrings.info, with `;` for text).
//
// A value is read in place: a tag and the bytes of its payload. The values in a list or dictionary are read on demand, one level at
// a time, so deep nesting and many values cost nothing until then. Nothing is trusted: a length that exceeds its payload, an
// unknown tag and invalid digits are errors with an offset.

import HTTPSemantics
import NIOCore

/// An error in a tagged netstring, and its offset.
package struct TnetstringError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable {
        /// The length is not one to twelve digits and a colon.
        case length
        /// The value is cut off.
        case truncated
        case tag(UInt8)
        /// The value is missing or of another kind than this one.
        case expected(String)
        /// A key without a value, or a key that is not text.
        case key
    }

    package var kind: Kind
    /// In bytes from the beginning of the input.
    package var offset: UInt64

    package var description: String {
        switch kind {
        case .length: "no length at offset \(offset)"
        case .truncated: "a value at offset \(offset) is cut off"
        case .tag(let tag): "a value of the unknown type \(tag) at offset \(offset)"
        case .expected(let what): "no \(what) at offset \(offset)"
        case .key: "a key without a value at offset \(offset)"
        }
    }
}

/// One value.
package struct Tnetstring: Sendable, Equatable {
    package enum Tag: UInt8, Sendable {
        case bytes = 0x2C
        case text = 0x3B
        case integer = 0x23
        case float = 0x5E
        case bool = 0x21
        case null = 0x7E
        case list = 0x5D
        case dictionary = 0x7D
    }

    /// The same limit as in mitmproxy's reader.
    private static let maximumDigits = 12
    /// The limit for a list or dictionary in memory: a value needs three bytes in the file and many more in memory.
    private static let maximumValues = 1 << 18

    package var tag: Tag
    package var payload: ByteBuffer
    /// Where the payload begins, in bytes from the beginning of the input.
    package var offset: UInt64

    /// The total size of the value at the beginning of some bytes: length, colon, payload, tag.
    /// - Returns: nil if more bytes are needed.
    package static func length(at beginning: ByteBuffer, offset: UInt64) throws(TnetstringError) -> Int? {
        let bytes = beginning.readableBytesUInt8Span
        var length = 0
        for i in 0..<bytes.count {
            let digit = bytes[i] &- 0x30
            if i > 0, bytes[i] == 0x3A { return i + 1 + length + 1 }
            guard digit < 10, i < maximumDigits else { throw TnetstringError(kind: .length, offset: offset) }
            length = length * 10 + Int(digit)
        }
        return nil
    }

    /// Reads the first value of some bytes.
    /// - Parameter offset: of the bytes in the input; it is advanced by the size of the value, like the reader index of the bytes.
    package init(takingFrom bytes: inout ByteBuffer, offset: inout UInt64) throws(TnetstringError) {
        guard let whole = try Self.length(at: bytes, offset: offset), whole <= bytes.readableBytes else {
            throw TnetstringError(kind: .truncated, offset: offset)
        }
        var head = 0
        while let byte: UInt8 = bytes.getInteger(at: bytes.readerIndex + head), byte != 0x3A { head += 1 }
        head += 1
        guard let payload = bytes.getSlice(at: bytes.readerIndex + head, length: whole - head - 1),
            let tag: UInt8 = bytes.getInteger(at: bytes.readerIndex + whole - 1)
        else { throw TnetstringError(kind: .truncated, offset: offset) }
        guard let known = Tag(rawValue: tag) else {
            throw TnetstringError(kind: .tag(tag), offset: offset + UInt64(whole - 1))
        }
        self.tag = known
        self.payload = payload
        self.offset = offset + UInt64(head)
        bytes.moveReaderIndex(forwardBy: whole)
        offset += UInt64(whole)
    }

    package var isNull: Bool { tag == .null }

    /// The elements of a list of limited length.
    package func elements() throws(TnetstringError) -> [Tnetstring] {
        guard tag == .list else { throw error("list") }
        return try values()
    }

    /// Visits the elements of a list of any length.
    package func forEachElement(_ visit: (Tnetstring) throws(TnetstringError) -> Void) throws(TnetstringError) {
        guard tag == .list else { throw error("list") }
        var rest = payload
        var at = offset
        while rest.readableBytes > 0 { try visit(try Tnetstring(takingFrom: &rest, offset: &at)) }
    }

    /// The entries of a dictionary, in their order; keys are text or bytes.
    package func entries() throws(TnetstringError) -> TnetstringEntries {
        guard tag == .dictionary else { throw error("dictionary") }
        let values = try values()
        var entries = TnetstringEntries(offset: offset)
        var i = 0
        while i < values.count {
            guard i + 1 < values.count, values[i].tag == .text || values[i].tag == .bytes else {
                throw TnetstringError(kind: .key, offset: values[i].offset)
            }
            entries.entries.append((values[i].payload, values[i + 1]))
            i += 2
        }
        return entries
    }

    private func values() throws(TnetstringError) -> [Tnetstring] {
        var values: [Tnetstring] = []
        var rest = payload
        var at = offset
        while rest.readableBytes > 0 {
            guard values.count < Self.maximumValues else {
                throw TnetstringError(kind: .expected("end of so long a list"), offset: at)
            }
            values.append(try Tnetstring(takingFrom: &rest, offset: &at))
        }
        return values
    }

    /// Bytes, of a value that is bytes or text.
    package func bytes() throws(TnetstringError) -> ByteBuffer {
        guard tag == .bytes || tag == .text else { throw error("bytes") }
        return payload
    }

    /// The same as text; invalid UTF-8 becomes U+FFFD.
    package func text() throws(TnetstringError) -> String { String(buffer: try bytes()) }

    package func integer() throws(TnetstringError) -> Int {
        guard tag == .integer, payload.readableBytes < 24, let value = Int(String(buffer: payload)) else { throw error("number") }
        return value
    }

    package func bool() throws(TnetstringError) -> Bool {
        if tag == .bool, payload == ByteBuffer(string: "true") { return true }
        if tag == .bool, payload == ByteBuffer(string: "false") { return false }
        throw error("true or false")
    }

    package func error(_ expected: String) -> TnetstringError { TnetstringError(kind: .expected(expected), offset: offset) }
}

/// The entries of a dictionary. Lookup is linear, because there are never many.
package struct TnetstringEntries: Sendable {
    fileprivate(set) var entries: [(key: ByteBuffer, value: Tnetstring)] = []
    /// Where the dictionary's payload begins.
    package let offset: UInt64

    fileprivate init(offset: UInt64) { self.offset = offset }

    /// The value of the first of these keys that exists; nil if none does, or if the value is null.
    package subscript(_ names: StaticString...) -> Tnetstring? {
        for name in names {
            for entry in entries where entry.key.equals(ByteRange(0, entry.key.readableBytes), name) {
                return entry.value.isNull ? nil : entry.value
            }
        }
        return nil
    }

    /// Whether the key exists, even if its value is null.
    package func contains(_ name: StaticString) -> Bool {
        entries.contains { $0.key.equals(ByteRange(0, $0.key.readableBytes), name) }
    }
}
