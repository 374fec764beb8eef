// Reads one head or trailer section (RFC 9112 §2 to §5) in one pass over its bytes: the lines, and the framing that they declare. Tolerates
// bare LF and obs-fold; refuses ambiguous lines. Invalid names and control characters are noted: the decoder decides whether they pass.

import Glibc
import HTTPSemantics
import NIOCore

/// The fields of a section that decide framing and routing.
struct FieldFacts {
    /// Bytes of the lines, without the empty line after them.
    var length = 0
    /// Offset after the empty line; nil if there is no empty line.
    var end: Int?
    /// CRLF everywhere and no folded line, so the bytes can be forwarded unchanged.
    var isCanonical = true
    var contentLength: UInt64?
    var codings = Codings()
    var hosts = 0
    /// There is an Upgrade field.
    var hasUpgrade = false
    /// The errors of Host and Content-Length, to be thrown when it is certain that they matter.
    var hostFault: HTTP1Error? { isHostInvalid ? HTTP1Error(.host, "the Host field is not host[:port]") : nil }
    var lengthFault: HTTP1Error? { invalidLength.map { HTTP1Error(.framing, $0.message) } }
    var isHostInvalid = false
    var invalidLength: InvalidLength?
    /// The first line whose name is not a token, and the first whose value holds a control character.
    var oddName: Int?
    var oddValue: Int?
    /// The first line with white space in its name, or between its name and the colon.
    var spacedName: Int?
    /// The start-line holds a control character.
    var isStartLineOdd = false

    /// A name or a value is unusual.
    var hasOddities: Bool { oddName != nil || oddValue != nil || spacedName != nil }

    enum InvalidLength {
        case notNumber, different

        var message: String {
            switch self {
            case .notNumber: "Content-Length is not a number"
            case .different: "Content-Length is given with different values"
            }
        }
    }

    /// The value of Transfer-Encoding, over all its lines (RFC 9112 §6.1).
    struct Codings: Equatable {
        var isPresent = false
        var endsInChunked = false
        /// How often chunked is named.
        var chunked = 0
        /// A coding that is not in IANA's registry.
        var hasUnknown = false
        /// An empty element, or no element.
        var isMalformed = false
        /// The number of elements, and how many of them are identity.
        var count = 0
        var identities = 0

        /// Identity alone, which RFC 2616 defined as no coding.
        var isIdentity: Bool { identities > 0 && identities == count }

        /// Chunked is named once, as the last one, and the others are known.
        var isCertain: Bool { endsInChunked && chunked == 1 && !hasUnknown && !isMalformed }
    }
}

/// A start-line and the lines after it. A decoder has one, which is filled in place.
struct ParsedHead {
    /// The start-line without its end.
    var line = ByteRange.empty
    /// Offset of the first field line.
    var fieldsAt = 0
    var facts = FieldFacts()
    var lines: [FieldSection.Line] = []

    /// Most heads have fewer lines.
    private static let usualLines = 24

    /// Begins another section.
    mutating func clear() {
        facts = FieldFacts()
        lines = []
        lines.reserveCapacity(Self.usualLines)
    }

    /// The lines, which are needed once.
    mutating func takeLines() -> [FieldSection.Line] {
        var taken: [FieldSection.Line] = []
        swap(&taken, &lines)
        return taken
    }
}

/// A parser over the bytes of one section. Offsets are counted from the section's first byte.
@safe struct HeadParser {
    private let base: UnsafeRawPointer
    private let count: Int
    private let maximumFieldCount: Int

    // SAFETY: used within the closure that provides the bytes, of which there is one at least.
    init(bytes: UnsafeRawBufferPointer, maximumFieldCount: Int) {
        unsafe base = bytes.baseAddress!
        count = bytes.count
        self.maximumFieldCount = maximumFieldCount
    }

    private func byte(_ offset: Int) -> UInt8 {
        assert(0..<count ~= offset)
        return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// The offset of the next LF at or after an offset, or the count of bytes.
    private func lineFeed(from offset: Int) -> Int {
        guard offset < count, let found = unsafe memchr(base + offset, 0x0A, count - offset) else { return count }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Reads a head from its start-line through the empty line.
    func head(into parsed: inout ParsedHead) throws(HTTP1Error) {
        let start = try startLine()
        parsed.line = start.line
        parsed.fieldsAt = start.next
        try fields(from: start.next, into: &parsed)
        if !start.isCanonical { parsed.facts.isCanonical = false }
        parsed.facts.isStartLineOdd = start.isOdd
    }

    /// The range of the start-line without its end, and the offset after it. A bare CR or NUL in it is a fault.
    private func startLine() throws(HTTP1Error) -> (line: ByteRange, next: Int, isCanonical: Bool, isOdd: Bool) {
        let end = lineFeed(from: 0)
        let hasCR = end > 0 && byte(end - 1) == 0x0D
        let line = ByteRange(0, hasCR ? end - 1 : end)
        return (line, end + 1, hasCR, try hasControls(0, line.count, orThrow: .startLine, "the start-line"))
    }

    /// Reads field lines until the empty line.
    /// - Parameter start: offset of the first line; ranges are counted from there.
    func fields(from start: Int, into parsed: inout ParsedHead) throws(HTTP1Error) {
        parsed.clear()
        var position = start
        while position < count {
            if let next = plainField(position, start, &parsed) {
                position = next
                continue
            }
            let feed = lineFeed(from: position)
            let hasCR = feed > position && byte(feed - 1) == 0x0D
            let end = hasCR ? feed - 1 : feed
            if !hasCR { parsed.facts.isCanonical = false }
            if end == position {
                if feed < count { parsed.facts.end = feed + 1 }
                break
            }
            parsed.facts.length = min(feed + 1, count) - start
            let first = byte(position)
            if first == 0x20 || first == 0x09 {
                try fold(position, end, start, &parsed)
            } else {
                try field(position, end, start, &parsed)
            }
            position = feed + 1
        }
    }

    /// Reads a line as most are, in one pass: the name has letters, digits, hyphens and dots alone, the value has no control character
    /// but tabs, and CRLF ends it.
    /// - Returns: the offset after the line; nil for another line, which is left alone.
    @inline(__always) private func plainField(_ position: Int, _ start: Int, _ parsed: inout ParsedHead) -> Int? {
        guard parsed.lines.count < maximumFieldCount else { return nil }
        let colon = nameEnd(position)
        guard colon > position, colon < count, byte(colon) == 0x3A else { return nil }
        var from = colon &+ 1
        while from < count, byte(from) == 0x20 || byte(from) == 0x09 { from &+= 1 }
        var line = from
        repeat {
            line = firstControl(line)
            guard line &+ 1 < count else { return nil }
            if byte(line) == 0x0D, byte(line &+ 1) == 0x0A { break }
            guard byte(line) == 0x09 else { return nil }
            line &+= 1
        } while true
        var to = line
        while to > from, byte(to &- 1) == 0x20 || byte(to &- 1) == 0x09 { to &-= 1 }
        parsed.lines.append(
            FieldSection.Line(name: ByteRange(position &- start, colon &- start), value: ByteRange(from &- start, to &- start)))
        parsed.facts.length = line &+ 2 &- start
        interpret(position, colon &- position, from..<to, &parsed.facts)
        return line &+ 2
    }

    /// The offset of the first byte at or after an offset that is not a letter, digit, hyphen or dot; at the end of the bytes it may be an
    /// offset before it.
    @inline(__always) private func nameEnd(_ from: Int) -> Int {
        var position = from
        while position &+ 8 <= count {
            let others = unsafe EightBytes(at: base + position).notLetterDigitOrHyphen
            if others != 0 { return position &+ others.trailingZeroBitCount / 8 }
            position &+= 8
        }
        return position
    }

    /// The offset of the first control character at or after an offset; the count of bytes or more if there is none.
    @inline(__always) private func firstControl(_ from: Int) -> Int {
        var position = from
        while position &+ 8 <= count {
            let controls = unsafe EightBytes(at: base + position).controls
            if controls != 0 { return position &+ controls.trailingZeroBitCount / 8 }
            position &+= 8
        }
        guard position < count, count >= 8 else { return count }
        // The last bytes are in the last group of eight; zeros follow them here.
        let rest = unsafe EightBytes(EightBytes(at: base + (count &- 8)).value &>> UInt64(8 &* (position &+ 8 &- count)))
        return position &+ rest.controls.trailingZeroBitCount / 8
    }

    /// Whether a control character other than a tab is in a range. CR and NUL are dangerous (RFC 9110 §5.5).
    private func hasControls(
        _ from: Int, _ to: Int, orThrow kind: HTTP1Error.Kind, _ place: StaticString
    ) throws(HTTP1Error) -> Bool {
        let bytes = unsafe UnsafeRawBufferPointer(start: base, count: count)
        if unsafe bytes.isClear(from, to, of: { $0.controls }) { return false }
        var isOdd = false
        for i in from..<to where byte(i) < 0x20 && byte(i) != 0x09 || byte(i) == 0x7F {
            guard byte(i) != 0x0D, byte(i) != 0x00 else { throw HTTP1Error(kind, "\(place) holds a bare CR or NUL") }
            isOdd = true
        }
        return isOdd
    }

    private func field(_ position: Int, _ end: Int, _ start: Int, _ parsed: inout ParsedHead) throws(HTTP1Error) {
        guard parsed.lines.count < maximumFieldCount else {
            throw HTTP1Error(.fieldsTooLarge, "there are more than \(maximumFieldCount) fields")
        }
        var colon = position
        while colon < end, byte(colon) != 0x3A {
            let byte = byte(colon)
            if byte == 0x20 || byte == 0x09 {
                if parsed.facts.spacedName == nil { parsed.facts.spacedName = parsed.lines.count }
                parsed.facts.isCanonical = false
            } else if !byte.isTokenCharacter {
                guard byte != 0x0D, byte != 0x00 else { throw HTTP1Error(.field, "a field name holds a bare CR or NUL") }
                if parsed.facts.oddName == nil { parsed.facts.oddName = parsed.lines.count }
            }
            colon += 1
        }
        guard colon < end else { throw HTTP1Error(.field, "a field line has no colon") }
        guard colon > position else { throw HTTP1Error(.field, "a field has no name") }
        var nameEnd = colon
        while byte(nameEnd - 1) == 0x20 || byte(nameEnd - 1) == 0x09 { nameEnd -= 1 }
        let value = try value(colon + 1, end, &parsed)
        let line = FieldSection.Line(
            name: ByteRange(position - start, nameEnd - start), value: ByteRange(value.lowerBound - start, value.upperBound - start)
        )
        parsed.lines.append(line)
        interpret(position, nameEnd - position, value, &parsed.facts)
    }

    /// The value without white space around it.
    private func value(_ from: Int, _ to: Int, _ parsed: inout ParsedHead) throws(HTTP1Error) -> Range<Int> {
        var start = from
        var end = to
        while start < end, byte(start) == 0x20 || byte(start) == 0x09 { start += 1 }
        while end > start, byte(end - 1) == 0x20 || byte(end - 1) == 0x09 { end -= 1 }
        if try hasControls(start, end, orThrow: .field, "a field value"), parsed.facts.oddValue == nil {
            parsed.facts.oddValue = parsed.lines.count
        }
        return start..<end
    }

    /// A line that continues the preceding value (RFC 9112 §5.2).
    private func fold(_ position: Int, _ end: Int, _ start: Int, _ parsed: inout ParsedHead) throws(HTTP1Error) {
        guard let last = parsed.lines.last else {
            throw HTTP1Error(.field, "white space stands before the first field")
        }
        let isOdd = parsed.facts.oddValue != nil
        let continuation = try value(position, end, &parsed)
        if !isOdd, parsed.facts.oddValue != nil { parsed.facts.oddValue = parsed.lines.count - 1 }
        parsed.facts.isCanonical = false
        let nameStart = Int(last.name.start) + start
        if isNamed(nameStart, last.name.count, "content-length") || isNamed(nameStart, last.name.count, "transfer-encoding")
            || isNamed(nameStart, last.name.count, "host")
        {
            throw HTTP1Error(.framing, "a field that decides where the message goes or ends is folded")
        }
        if !continuation.isEmpty {
            parsed.lines[parsed.lines.count - 1].value.end = UInt32(truncatingIfNeeded: continuation.upperBound - start)
        }
    }

    private func isNamed(_ position: Int, _ count: Int, _ name: StaticString) -> Bool {
        guard count == name.utf8CodeUnitCount else { return false }
        var i = 0
        while i < count {
            guard count >= 8 else {
                if byte(position + i).lowercased != (unsafe name.utf8Start[i]) { return false }
                i += 1
                continue
            }
            // The last eight bytes may overlap those before them.
            let at = min(i, count - 8)
            let expected = unsafe EightBytes(at: UnsafeRawPointer(name.utf8Start) + at)
            if unsafe EightBytes(at: base + position + at).lowercased != expected.value { return false }
            i += 8
        }
        return true
    }

    /// Notes the fields that decide the framing.
    private func interpret(_ position: Int, _ count: Int, _ value: Range<Int>, _ facts: inout FieldFacts) {
        switch count {
        case 4 where isNamed(position, count, "host"):
            facts.hosts += 1
            if !isHost(value) { facts.isHostInvalid = true }
        case 7 where isNamed(position, count, "upgrade"):
            facts.hasUpgrade = true
        case 14 where isNamed(position, count, "content-length"):
            readLength(value, &facts)
        case 17 where isNamed(position, count, "transfer-encoding"):
            readCodings(value, &facts)
        default:
            break
        }
    }

    /// Content-Length: digits, or a list of the same number (RFC 9112 §6.3, rule 5).
    private func readLength(_ value: Range<Int>, _ facts: inout FieldFacts) {
        var isValid = !value.isEmpty
        var start = value.lowerBound
        while isValid, start <= value.upperBound {
            var end = start
            while end < value.upperBound, byte(end) != 0x2C { end += 1 }
            guard let number = number(start, end) else {
                isValid = false
                break
            }
            if let known = facts.contentLength, known != number {
                facts.invalidLength = .different
                return
            }
            facts.contentLength = number
            start = end + 1
        }
        if !isValid { facts.invalidLength = .notNumber }
    }

    private func number(_ from: Int, _ to: Int) -> UInt64? {
        var start = from
        var end = to
        while start < end, byte(start) == 0x20 || byte(start) == 0x09 { start += 1 }
        while end > start, byte(end - 1) == 0x20 || byte(end - 1) == 0x09 { end -= 1 }
        guard end > start, end - start <= 18 else { return nil }
        var number: UInt64 = 0
        for i in start..<end {
            let digit = byte(i) &- 0x30
            guard digit < 10 else { return nil }
            number = number * 10 + UInt64(digit)
        }
        return number
    }

    /// Transfer-Encoding: a list of codings, over all lines; chunked comes last and once (RFC 9112 §6.1).
    private func readCodings(_ value: Range<Int>, _ facts: inout FieldFacts) {
        facts.codings.isPresent = true
        if value.isEmpty { facts.codings.isMalformed = true }
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, byte(end) != 0x2C { end += 1 }
            var wordStart = start
            var wordEnd = end
            while wordStart < wordEnd, byte(wordStart) == 0x20 || byte(wordStart) == 0x09 { wordStart += 1 }
            while wordEnd > wordStart, byte(wordEnd - 1) == 0x20 || byte(wordEnd - 1) == 0x09 { wordEnd -= 1 }
            let isChunked = isNamed(wordStart, wordEnd - wordStart, "chunked")
            let isKnown = (["gzip", "x-gzip", "deflate", "compress", "x-compress"] as [StaticString]).contains {
                isNamed(wordStart, wordEnd - wordStart, $0)
            }
            facts.codings.endsInChunked = isChunked
            facts.codings.count += 1
            if isNamed(wordStart, wordEnd - wordStart, "identity") { facts.codings.identities += 1 }
            if isChunked { facts.codings.chunked += 1 }
            if wordStart == wordEnd {
                facts.codings.isMalformed = true
            } else if !isChunked, !isKnown {
                facts.codings.hasUnknown = true
            }
            start = end + 1
        }
    }

    private func isHost(_ value: Range<Int>) -> Bool {
        // Letters, digits, dots, hyphens and a colon are most of all hosts.
        let bytes = unsafe UnsafeRawBufferPointer(start: base, count: count)
        let isPlain = unsafe bytes.isClear(value.lowerBound, value.upperBound) {
            // What may pass besides a colon is a semicolon after it, which a host may hold.
            $0.notLetterDigitOrHyphen & ~$0.equal(to: 0x3A)
        }
        if isPlain { return true }
        var index = value.lowerBound
        while index < value.upperBound {
            let byte = byte(index)
            if byte | 0x20 &- 0x61 >= 26, byte &- 0x2D >= 14 || byte == 0x2F {
                switch byte {
                case 0x00...0x20, 0x22, 0x23, 0x2C, 0x2F, 0x3C, 0x3E, 0x3F, 0x40, 0x5C, 0x5E, 0x60, 0x7B...0x7D, 0x7F...0xFF:
                    return false
                default: break
                }
            }
            index += 1
        }
        return true
    }
}
