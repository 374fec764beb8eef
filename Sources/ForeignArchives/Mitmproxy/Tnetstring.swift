// Tagged netstrings, `<length>:<payload><tag>`, of which mitmproxy's flow files are made (tnetstrings.info, with `;` for text).
//
// A value is read where it stands: a tag and the bytes of its payload. What is in a list or dictionary is found when it is asked for, one
// level at a time, so neither a deep nesting nor a great number of values costs anything before. Nothing is trusted: a length that leads
// out of its payload, an unknown tag and digits that are no number are errors with the offset at which they stand.

import HTTPSemantics
import NIOCore

/// Why bytes are not what they should be, and where.
package struct TnetstringError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable {
        /// No one to twelve digits and a colon.
        case length
        /// The bytes end before the value does.
        case truncated
        case tag(UInt8)
        /// A value of another kind stands here than belongs here; what would.
        case expected(String)
        /// A key without a value, or one that is no text.
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

    /// A reader of mitmproxy's accepts no more digits either.
    private static let maximumDigits = 12
    /// Of a list or dictionary that is held as a whole: a value takes three bytes in the file and many more in memory.
    private static let maximumValues = 1 << 18

    package var tag: Tag
    package var payload: ByteBuffer
    /// Where the payload begins, in bytes from the beginning of the input.
    package var offset: UInt64

    /// How many bytes the value at the beginning of some bytes has in all: length, colon, payload, tag.
    /// - Returns: nil when more bytes are needed to tell.
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

    /// Takes the first value of some bytes.
    /// - Parameter offset: where the bytes stand in the input; moved behind the value, as the bytes' reader index is.
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

    /// The elements of a list, no more than there are fields in any head.
    package func elements() throws(TnetstringError) -> [Tnetstring] {
        guard tag == .list else { throw error("list") }
        return try values()
    }

    /// Goes through a list of any length.
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

    /// The same as text; what is no UTF-8 becomes U+FFFD.
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

/// The entries of a dictionary. Looking for one goes through them: there are never many.
package struct TnetstringEntries: Sendable {
    fileprivate(set) var entries: [(key: ByteBuffer, value: Tnetstring)] = []
    /// Where the dictionary's payload begins.
    package let offset: UInt64

    fileprivate init(offset: UInt64) { self.offset = offset }

    /// The value of the first key that is there; nil when none is, or when it is null.
    package subscript(_ names: StaticString...) -> Tnetstring? {
        for name in names {
            for entry in entries where entry.key.equals(ByteRange(0, entry.key.readableBytes), name) {
                return entry.value.isNull ? nil : entry.value
            }
        }
        return nil
    }

    /// Whether there is such a key, be its value null.
    package func contains(_ name: StaticString) -> Bool {
        entries.contains { $0.key.equals(ByteRange(0, $0.key.readableBytes), name) }
    }
}
