// A field section: the header or trailer lines of one message, kept as the received bytes.
//
// Order, case, duplicates, white space and line ends are the sender's. The lines are found once and stored as ranges, so a lookup copies
// nothing. HTTP/2 fields are stored in the same form, one `name: value` line each.
// Terms: RFC 9110 §5.

import NIOCore

/// The header or trailer fields of a message, as received (RFC 9110 §5). Immutable; an object, so that passing it on copies nothing.
@usableFromInline package final class FieldSection: Sendable {
    /// The place of one field in ``FieldSection/wire``: offsets in bytes from its reader index.
    package struct Line: Sendable, Equatable {
        package var name: ByteRange
        /// The field value without the white space around it. A folded value (obs-fold) holds its line ends.
        package var value: ByteRange

        package init(name: ByteRange, value: ByteRange) {
            self.name = name
            self.value = value
        }
    }

    /// The lines as received, each with its line end, without the empty line that ends the section.
    package let wire: ByteBuffer
    package let lines: [Line]
    /// Each line ends in CRLF and no line is folded, so the bytes can be forwarded unchanged. Set by the codec that received them.
    package let isCanonical: Bool
    /// HTTP/2: indexes of lines that their sender excludes from compression tables; so must an intermediary that forwards them
    /// (RFC 7541 §7.1.3).
    package let neverIndexed: [Int]
    /// The bits of all names: a name whose bit is not set is not the name of any line.
    @usableFromInline package let names: UInt64
    /// The bits that the names of several lines have.
    @usableFromInline let repeatedNames: UInt64
    /// For each bit of ``names`` the first line whose name has it, or 255 where it is beyond.
    @usableFromInline let firstLines: InlineArray<64, UInt8>

    /// For a codec that has found the lines.
    /// - Parameters:
    ///   - wire: the lines' bytes; every range in `lines` is an offset from its reader index and lies inside it.
    ///   - lines: one entry for each field line, in order.
    package init(wire: ByteBuffer, lines: [Line], isCanonical: Bool = true, neverIndexed: [Int] = []) {
        self.wire = wire
        self.lines = lines
        self.isCanonical = isCanonical
        self.neverIndexed = neverIndexed
        var (names, repeated): (UInt64, UInt64) = (0, 0)
        var firsts = InlineArray<64, UInt8>(repeating: 0)
        unsafe wire.withUnsafeReadableBytes { bytes in
            for (index, line) in lines.enumerated() where Int(line.name.start) < bytes.count {
                let place = unsafe Self.place(count: line.name.count, first: bytes[Int(line.name.start)])
                let bit: UInt64 = 1 &<< UInt64(place)
                if names & bit == 0 { firsts[place] = UInt8(clamping: index) } else { repeated |= bit }
                names |= bit
            }
        }
        self.names = names
        repeatedNames = repeated
        firstLines = firsts
    }

    /// One of 64 numbers, by a name's length and its first byte without regard to case.
    @inlinable @inline(__always) package static func place(count: Int, first: UInt8) -> Int {
        (count &* 7 &+ Int(first | 0x20)) & 63
    }

    /// The first line with a name; nil if there is no such line. The name is compared without regard to case (RFC 9110 §5.1).
    /// - Parameter name: in lower case.
    @inlinable @inline(__always) package func line(_ name: StaticString) -> Int? {
        let place = unsafe Self.place(count: name.utf8CodeUnitCount, first: name.utf8Start[0])
        return names &>> UInt64(place) & 1 != 0 ? search(name, from: Int(firstLines[place])) : nil
    }

    /// The next line with a name after one that has it.
    /// - Parameter name: in lower case.
    @inlinable @inline(__always) package func line(_ name: StaticString, after index: Int) -> Int? {
        let place = unsafe Self.place(count: name.utf8CodeUnitCount, first: name.utf8Start[0])
        return repeatedNames &>> UInt64(place) & 1 != 0 ? search(name, from: index + 1) : nil
    }

    @usableFromInline func search(_ name: StaticString, from start: Int) -> Int? {
        var index = start
        while index < lines.count {
            let range = lines[index].name
            if range.count == name.utf8CodeUnitCount, wire.equalsIgnoringCase(range, name) { return index }
            index += 1
        }
        return nil
    }

    package convenience init() {
        self.init(wire: ByteBuffer(), lines: [])
    }

    /// Finds the lines of a section that was received before: tolerant, never fails. A line without a colon becomes a field with an empty
    /// value; a line that begins with white space continues the preceding value.
    /// - Parameter wire: field lines, ended by LF or CRLF; an empty line ends the section.
    package convenience init(parsing wire: ByteBuffer) {
        var lines: [Line] = []
        // Most sections have no more; growing would copy them four times.
        lines.reserveCapacity(12)
        let end = wire.readableBytesUInt8Span.withFieldLines { name, value in
            if let name {
                lines.append(Line(name: name, value: value))
            } else if !lines.isEmpty {
                lines[lines.count - 1].value.end = value.end
            }
        }
        let isCanonical = !lines.contains { $0.hasSpaceBeforeColon(in: wire) }
        self.init(wire: wire.slice(ByteRange(0, end)), lines: lines, isCanonical: isCanonical)
    }

    /// There is white space between a name and its colon, which must not be forwarded (RFC 9112 §5.1).
    package var hasSpaceBeforeColon: Bool { lines.contains { $0.hasSpaceBeforeColon(in: wire) } }

    /// Stores fields as `name: value` lines, in order.
    package convenience init(_ fields: [(name: String, value: String)]) {
        var wire = ByteBuffer()
        var lines: [Line] = []
        lines.reserveCapacity(fields.count)
        for field in fields {
            let start = wire.writerIndex
            wire.writeString(field.name)
            let nameEnd = wire.writerIndex
            wire.writeStaticString(": ")
            let valueStart = wire.writerIndex
            wire.writeString(field.value)
            lines.append(
                Line(name: ByteRange(start, nameEnd), value: ByteRange(valueStart, wire.writerIndex)))
            wire.writeStaticString("\r\n")
        }
        self.init(wire: wire, lines: lines)
    }

    package var isEmpty: Bool { lines.isEmpty }

    /// The bytes of a range of this section, sharing its storage.
    package func slice(_ range: ByteRange) -> ByteBuffer {
        wire.slice(range)
    }

    /// The value of the first field with this name, or nil.
    /// - Parameter name: in lower case.
    package func first(_ name: StaticString) -> ByteBuffer? { line(name).map { wire.slice(lines[$0].value) } }

    /// The values of all fields with this name, in order.
    /// - Parameter name: in lower case.
    package func all(_ name: StaticString) -> [ByteBuffer] {
        var values: [ByteBuffer] = []
        var next = line(name)
        while let index = next {
            values.append(wire.slice(lines[index].value))
            next = line(name, after: index)
        }
        return values
    }

    /// - Parameter name: in lower case.
    package func contains(_ name: StaticString) -> Bool { line(name) != nil }

    /// Whether a list-valued field (RFC 9110 §5.6.1) holds this token, without regard to case.
    /// - Parameters:
    ///   - name: in lower case.
    ///   - token: in lower case.
    package func list(_ name: StaticString, contains token: StaticString) -> Bool {
        var next = line(name)
        while let index = next {
            var rest = lines[index].value
            next = line(name, after: index)
            // Most lists have one element.
            if wire.equalsIgnoringCase(rest, token) { return true }
            guard wire.hasComma(rest) else {
                if wire.equalsIgnoringCase(wire.trimmedRange(Int(rest.start), Int(rest.end)), token) { return true }
                continue
            }
            while let element = wire.takeListElement(of: &rest) {
                if wire.equalsIgnoringCase(element, token) { return true }
            }
        }
        return false
    }

    /// Names and values as text. Where they are not UTF-8, bytes above 127 are written as `\xe9`, so different values stay different.
    package var pairs: [(name: String, value: String)] { lines.map { (wire.slice($0.name).text, wire.slice($0.value).text) } }
}

extension FieldSection: Equatable {
    /// Two sections are equal if their bytes are.
    @usableFromInline package static func == (a: FieldSection, b: FieldSection) -> Bool { a.wire == b.wire }
}

extension FieldSection: CustomStringConvertible {
    @usableFromInline package var description: String { String(buffer: wire) }
}

extension ByteBuffer {
    fileprivate var text: String {
        if let text = String(validating: readableBytesView, as: UTF8.self) { return text }
        return readableBytesView.map { $0 < 0x80 ? String(Unicode.Scalar($0)) : "\\x" + String($0, radix: 16) }.joined()
    }
}

extension FieldSection.Line {
    fileprivate func hasSpaceBeforeColon(in wire: ByteBuffer) -> Bool {
        let end = Int(name.end)
        return end < Int(value.start) && wire.readableBytesUInt8Span[end] != 0x3A
    }
}
