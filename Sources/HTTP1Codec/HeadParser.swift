// Reads one head or trailer section (RFC 9112 §2 to §5) in one pass over its bytes: the lines, and the framing that they declare. Tolerates
// bare LF and obs-fold; refuses ambiguous lines. Invalid names and control characters are noted: the decoder decides whether they pass.

import Glibc
import HTTPSemantics
import NIOCore

/// The fields of a section that decide framing and routing.
struct FieldFacts {
    var lines: [FieldSection.Line] = []
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

/// A start-line and the lines after it.
struct ParsedHead {
    /// The start-line without its end.
    var line: ByteRange
    /// Offset of the first field line.
    var fieldsAt: Int
    var facts: FieldFacts
}

/// A parser over the bytes of one section. Offsets are counted from the section's first byte.
@safe struct HeadParser {
    private let bytes: UnsafeRawBufferPointer
    private let maximumFieldCount: Int

    // SAFETY: used within the closure that provides the bytes.
    init(bytes: UnsafeRawBufferPointer, maximumFieldCount: Int) {
        unsafe self.bytes = unsafe bytes
        self.maximumFieldCount = maximumFieldCount
    }

    private var count: Int { unsafe bytes.count }

    private func byte(_ offset: Int) -> UInt8 { unsafe bytes[offset] }

    /// The offset of the next LF at or after an offset, or the count of bytes.
    private func lineFeed(from offset: Int) -> Int {
        let count = count
        guard offset < count, let base = unsafe bytes.baseAddress else { return count }
        guard let found = unsafe memchr(base + offset, 0x0A, count - offset) else { return count }
        return unsafe found - UnsafeMutableRawPointer(mutating: base)
    }

    /// Reads a head from its start-line through the empty line.
    func head() throws(HTTP1Error) -> ParsedHead {
        let start = try startLine()
        var facts = try fields(from: start.next)
        facts.isCanonical = facts.isCanonical && start.isCanonical
        facts.isStartLineOdd = start.isOdd
        return ParsedHead(line: start.line, fieldsAt: start.next, facts: facts)
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
    func fields(from start: Int) throws(HTTP1Error) -> FieldFacts {
        var facts = FieldFacts()
        facts.lines.reserveCapacity(24)
        var position = start
        while position < count {
            let feed = lineFeed(from: position)
            let hasCR = feed > position && byte(feed - 1) == 0x0D
            let end = hasCR ? feed - 1 : feed
            if !hasCR { facts.isCanonical = false }
            if end == position {
                if feed < count { facts.end = feed + 1 }
                break
            }
            facts.length = min(feed + 1, count) - start
            let first = byte(position)
            if first == 0x20 || first == 0x09 {
                try fold(position, end, start, &facts)
            } else {
                try field(position, end, start, &facts)
            }
            position = feed + 1
        }
        return facts
    }

    /// Whether a control character other than a tab is in a range. CR and NUL are dangerous (RFC 9110 §5.5).
    private func hasControls(
        _ from: Int, _ to: Int, orThrow kind: HTTP1Error.Kind, _ place: StaticString
    ) throws(HTTP1Error) -> Bool {
        if unsafe bytes.isClear(from, to, of: { $0.below(0x20) | $0.equal(to: 0x7F) }) { return false }
        var isOdd = false
        for i in from..<to where byte(i) < 0x20 && byte(i) != 0x09 || byte(i) == 0x7F {
            guard byte(i) != 0x0D, byte(i) != 0x00 else { throw HTTP1Error(kind, "\(place) holds a bare CR or NUL") }
            isOdd = true
        }
        return isOdd
    }

    private func field(_ position: Int, _ end: Int, _ start: Int, _ facts: inout FieldFacts) throws(HTTP1Error) {
        guard facts.lines.count < maximumFieldCount else {
            throw HTTP1Error(.fieldsTooLarge, "there are more than \(maximumFieldCount) fields")
        }
        var colon = nameEnd(position, end)
        while colon < end, byte(colon) != 0x3A {
            let byte = byte(colon)
            if byte == 0x20 || byte == 0x09 {
                if facts.spacedName == nil { facts.spacedName = facts.lines.count }
                facts.isCanonical = false
            } else if !byte.isTokenCharacter {
                guard byte != 0x0D, byte != 0x00 else { throw HTTP1Error(.field, "a field name holds a bare CR or NUL") }
                if facts.oddName == nil { facts.oddName = facts.lines.count }
            }
            colon += 1
        }
        guard colon < end else { throw HTTP1Error(.field, "a field line has no colon") }
        guard colon > position else { throw HTTP1Error(.field, "a field has no name") }
        var nameEnd = colon
        while byte(nameEnd - 1) == 0x20 || byte(nameEnd - 1) == 0x09 { nameEnd -= 1 }
        let value = try value(colon + 1, end, &facts)
        let line = FieldSection.Line(
            name: ByteRange(position - start, nameEnd - start), value: ByteRange(value.lowerBound - start, value.upperBound - start)
        )
        facts.lines.append(line)
        interpret(position, nameEnd - position, value, &facts)
    }

    /// Skips letters, digits, hyphens and dots of a name, eight at a time.
    /// - Returns: the offset of the colon, or an offset that only such characters precede.
    private func nameEnd(_ from: Int, _ to: Int) -> Int {
        guard let base = unsafe bytes.baseAddress else { return from }
        var position = from
        while position &+ 8 <= to {
            let eight = unsafe EightBytes(at: base + position)
            let colons = eight.equal(to: 0x3A)
            let faults = eight.notLetterDigitOrHyphen
            if colons != 0 {
                let before = (colons & (0 &- colons)) &- 1
                return faults & before == 0 ? position &+ colons.trailingZeroBitCount / 8 : position
            }
            if faults != 0 { return position }
            position &+= 8
        }
        return position
    }

    /// The value without white space around it.
    private func value(_ from: Int, _ to: Int, _ facts: inout FieldFacts) throws(HTTP1Error) -> Range<Int> {
        var start = from
        var end = to
        while start < end, byte(start) == 0x20 || byte(start) == 0x09 { start += 1 }
        while end > start, byte(end - 1) == 0x20 || byte(end - 1) == 0x09 { end -= 1 }
        if try hasControls(start, end, orThrow: .field, "a field value"), facts.oddValue == nil {
            facts.oddValue = facts.lines.count
        }
        return start..<end
    }

    /// A line that continues the preceding value (RFC 9112 §5.2).
    private func fold(_ position: Int, _ end: Int, _ start: Int, _ facts: inout FieldFacts) throws(HTTP1Error) {
        guard let last = facts.lines.last else {
            throw HTTP1Error(.field, "white space stands before the first field")
        }
        let isOdd = facts.oddValue != nil
        let continuation = try value(position, end, &facts)
        if !isOdd, facts.oddValue != nil { facts.oddValue = facts.lines.count - 1 }
        facts.isCanonical = false
        let nameStart = Int(last.name.start) + start
        if isNamed(nameStart, last.name.count, "content-length") || isNamed(nameStart, last.name.count, "transfer-encoding")
            || isNamed(nameStart, last.name.count, "host")
        {
            throw HTTP1Error(.framing, "a field that decides where the message goes or ends is folded")
        }
        if !continuation.isEmpty {
            facts.lines[facts.lines.count - 1].value.end = UInt32(truncatingIfNeeded: continuation.upperBound - start)
        }
    }

    private func isNamed(_ position: Int, _ count: Int, _ name: StaticString) -> Bool {
        guard count == name.utf8CodeUnitCount else { return false }
        for i in 0..<count {
            let expected = unsafe name.utf8Start[i]
            let byte = byte(position + i)
            if (byte &- 0x41 < 26 ? byte | 0x20 : byte) != expected { return false }
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
        var index = value.lowerBound
        while index < value.upperBound {
            let byte = byte(index)
            // Letters, digits, dots and hyphens are most of all hosts.
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
