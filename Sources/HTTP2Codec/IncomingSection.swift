// A field section whose fields arrive one by one from HPACK: stored as `name: value` lines, and checked by the rules of RFC 9113 §8.2 and
// §8.3 at the same time. An error is kept as one sentence; the section is still collected, so that it can be recorded.

import HTTPSemantics
import NIOCore

/// The fields of one HEADERS frame and its CONTINUATIONs.
struct IncomingSection {
    private(set) var wire = ByteBufferAllocator().buffer(capacity: 512)
    private(set) var lines: [FieldSection.Line] = []
    private var neverIndexed: [Int] = []
    /// Lines at the start whose names begin with a colon.
    private(set) var pseudoCount = 0
    /// Size as RFC 9113 §6.5.2 counts it.
    private(set) var size = 0
    private(set) var isTooLarge = false
    /// Why the section is malformed.
    private(set) var fault: String?
    /// A fault that is refused with lenient validation too: the section could not be forwarded, or would be ambiguous.
    private(set) var isDangerous = false

    init() { lines.reserveCapacity(16) }

    mutating func fail(_ sentence: String, isDangerous: Bool = false) {
        if fault == nil { fault = sentence }
        self.isDangerous = self.isDangerous || isDangerous
    }

    /// Adds one field.
    /// - Parameter limits: beyond them the field is dropped and ``isTooLarge`` is set.
    mutating func append(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isNeverIndexed: Bool, limits: HTTP2Limits
    ) {
        size += name.count + value.count + 32
        guard size <= limits.maximumFieldSectionSize, lines.count < limits.maximumFieldCount else {
            isTooLarge = true
            return
        }
        unsafe check(name, value)
        guard name.count > 0 else { return }
        let start = wire.writerIndex
        let valueStart = start + name.count + 2
        unsafe wire.writeWithUnsafeMutableBytes(minimumWritableBytes: name.count + value.count + 4) { line in
            unsafe line.baseAddress!.copyMemory(from: name.baseAddress!, byteCount: name.count)
            unsafe line.storeBytes(of: UInt16(littleEndian: 0x203A), toByteOffset: name.count, as: UInt16.self)
            if let source = value.baseAddress {
                unsafe (line.baseAddress! + name.count + 2).copyMemory(from: source, byteCount: value.count)
            }
            unsafe line.storeBytes(of: UInt16(littleEndian: 0x0A0D), toByteOffset: name.count + value.count + 2, as: UInt16.self)
            return name.count + value.count + 4
        }
        if isNeverIndexed { neverIndexed.append(lines.count) }
        lines.append(
            FieldSection.Line(
                name: ByteRange(start, start + name.count), value: ByteRange(valueStart, valueStart + value.count)))
    }

    private mutating func check(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard let first = unsafe name.first else { return fail("a field has no name", isDangerous: true) }
        if first == 0x3A {
            if pseudoCount < lines.count { fail("a pseudo-field follows a regular field", isDangerous: true) }
            pseudoCount += 1
        }
        unsafe check(name: name, from: first == 0x3A ? 1 : 0)
        if unsafe !value.isClear(0, value.count, of: { $0.below(0x20) | $0.equal(to: 0x7F) }) {
            for i in 0..<value.count {
                let byte = unsafe value[i]
                guard byte < 0x20 && byte != 0x09 || byte == 0x7F else { continue }
                if byte == 0x00 || byte == 0x0A || byte == 0x0D {
                    fail("a field value holds NUL, CR or LF", isDangerous: true)
                } else {
                    fail("a field value holds a control character")
                }
            }
        }
        if let first = unsafe value.first, let last = unsafe value.last, first.isBlank || last.isBlank {
            fail("a field value begins or ends with white space")
        }
    }

    private mutating func check(name: UnsafeRawBufferPointer, from start: Int) {
        // Most names are of lower-case letters, digits and hyphens.
        if unsafe name.isClear(start, name.count, of: { $0.notLetterDigitOrHyphen | $0.upperCase }) { return }
        // RFC 9113 §8.2.1: upper case, controls, space, DEL and above, and a colon make a message malformed.
        let isName = unsafe name.isClear(start, name.count) {
            $0.below(0x21) | $0.equal(to: 0x3A) | $0.equal(to: 0x7F) | $0.beyondASCII
        }
        if !isName {
            fail("a field name holds a character it may not hold", isDangerous: true)
        }
        if unsafe !name.isClear(start, name.count, of: { $0.upperCase }) { fail("a field name is not in lower case") }
        if unsafe !name.isClear(start, name.count, of: { $0.notLetterDigitOrHyphen }) {
            for i in start..<name.count {
                let byte = unsafe name[i]
                if !byte.isTokenCharacter { fail("a field name is not a token") }
            }
        }
    }

    /// The value of a pseudo-field; nil if it is missing. A second one is a fault, noted by ``check(pseudo:)``.
    func pseudo(_ name: StaticString) -> ByteRange? {
        for index in 0..<min(pseudoCount, lines.count) where wire.equals(lines[index].name, name) { return lines[index].value }
        return nil
    }

    /// RFC 9113 §8.3: only defined pseudo-fields, each once.
    /// - Parameter foreign: pseudo-fields that are defined elsewhere. Undefined ones are harmless.
    mutating func check(pseudo known: [StaticString], foreign: [StaticString]? = nil) {
        var seen = 0
        for place in 0..<pseudoCount {
            let name = lines[place].name
            guard let index = known.firstIndex(where: { wire.equals(name, $0) }) else {
                let isDangerous = foreign.map { $0.contains { wire.equalsIgnoringCase(name, $0) } } ?? true
                fail("the pseudo-field \(String(buffer: wire.slice(name))) is not defined here", isDangerous: isDangerous)
                continue
            }
            if seen &>> index & 1 != 0 { fail("a pseudo-field stands twice", isDangerous: true) }
            seen |= 1 &<< index
        }
    }

    /// Ends the section. The empty line is added to ``wire``. Pseudo-fields are gone afterwards, except from there.
    mutating func finish() -> FieldSection {
        let end = wire.writerIndex
        wire.writeStaticString("\r\n")
        guard pseudoCount < lines.count else { return FieldSection() }
        // In place: the lines are used once, and no pseudo-field is asked for afterwards.
        var fields: [FieldSection.Line] = []
        swap(&fields, &lines)
        fields.removeFirst(pseudoCount)
        let start = fields[0].name.start
        for index in fields.indices {
            fields[index].name.start &-= start
            fields[index].name.end &-= start
            fields[index].value.start &-= start
            fields[index].value.end &-= start
        }
        let never = neverIndexed.isEmpty ? [] : neverIndexed.compactMap { $0 >= pseudoCount ? $0 - pseudoCount : nil }
        return FieldSection(
            wire: wire.slice(ByteRange(Int(start), end)), lines: fields, isCanonical: true, neverIndexed: never)
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == 0x20 || self == 0x09 }
}
