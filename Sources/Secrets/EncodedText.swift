// Text within text: parts of a content that are written in a code in which a secret cannot be recognized: percent-encoding (RFC 3986
// section 2.1), the escapes of JSON strings (RFC 8259 section 7), Base64 (RFC 4648) and hexadecimal digits.

import Glibc

/// A part of a text that is in a code.
struct EncodedText: Equatable {
    enum Code: Equatable {
        case percent
        case json
        case base64
        case hexadecimal
    }

    let code: Code
    /// Where it is.
    let range: Range<Int>

    /// Without the code. Characters that are not a part of the code stay as they are.
    func decoded(in text: Span<UInt8>) -> [UInt8] {
        let part = text.extracting(range)
        switch code {
        case .percent, .json:
            var bytes: [UInt8] = []
            bytes.reserveCapacity(part.count)
            var position = 0
            while position < part.count {
                let unit = self.unit(in: part, at: position)
                for index in 0..<unit.count { bytes.append(UInt8(truncatingIfNeeded: unit.bytes &>> UInt32(8 * index))) }
                position += unit.length
            }
            return bytes
        case .base64: return Self.decodedBase64(part)
        case .hexadecimal:
            return stride(from: 0, to: part.count - 1, by: 2).map { hexadecimal(part[$0]) << 4 | hexadecimal(part[$0 + 1]) }
        }
    }

    /// Where the text has what was found in the decoded part: whole escapes, and whole groups of Base64.
    /// - Parameter ranges: in the decoded part.
    func places(of ranges: [Range<Int>], in text: Span<UInt8>) -> [Range<Int>] {
        let start = range.lowerBound
        switch code {
        case .hexadecimal: return ranges.map { start + 2 * $0.lowerBound..<start + 2 * $0.upperBound }
        case .base64:
            return ranges.map {
                start + $0.lowerBound / 3 * 4..<min(start + ($0.upperBound + 2) / 3 * 4, range.upperBound)
            }
        case .percent, .json:
            // One pass for all, in the order of their ends.
            let part = text.extracting(range)
            var starts = ranges.indices.sorted { ranges[$0].lowerBound < ranges[$1].lowerBound }[...]
            var ends = ranges.indices.sorted { ranges[$0].upperBound < ranges[$1].upperBound }[...]
            var places = ranges.map { _ in (start, range.upperBound) }
            var (position, decoded) = (0, 0)
            while position < part.count, !ends.isEmpty {
                let unit = self.unit(in: part, at: position)
                while let index = starts.first, ranges[index].lowerBound < decoded + unit.count {
                    places[index].0 = start + position
                    starts.removeFirst()
                }
                position += unit.length
                decoded += unit.count
                while let index = ends.first, ranges[index].upperBound <= decoded {
                    places[index].1 = start + position
                    ends.removeFirst()
                }
            }
            return places.map { $0.0..<$0.1 }
        }
    }

    /// A character or an escape: its length, and the bytes that it stands for, the first one in the low bits.
    private func unit(in part: Span<UInt8>, at position: Int) -> (length: Int, bytes: UInt32, count: Int) {
        let byte = part[position]
        let next = position + 1 < part.count ? part[position + 1] : 0
        switch code {
        case .percent where byte == 0x25 && position + 2 < part.count:
            let last = part[position + 2]
            if isHexadecimal(next), isHexadecimal(last) {
                return (3, UInt32(hexadecimal(next) << 4 | hexadecimal(last)), 1)
            }
        case .json where byte == 0x5C:
            if next == 0x75 { return unicodeUnit(in: part, at: position) }
            if let escaped = Self.escapes[next] { return (2, UInt32(escaped), 1) }
        default: break
        }
        return (1, UInt32(byte), 1)
    }

    static let escapes: [UInt8: UInt8] = [
        0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 0x08, 0x66: 0x0C, 0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09, 0x27: 0x27,
    ]

    /// `\u003a`. Half of a surrogate pair stays a character by itself: no secret has one.
    private func unicodeUnit(in part: Span<UInt8>, at position: Int) -> (length: Int, bytes: UInt32, count: Int) {
        let digits = position + 2..<position + 6
        guard digits.upperBound <= part.count, digits.allSatisfy({ isHexadecimal(part[$0]) }) else {
            return (1, UInt32(part[position]), 1)
        }
        let value = digits.reduce(UInt32(0)) { $0 << 4 | UInt32(hexadecimal(part[$1])) }
        let encoded = UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}")!
        var (bytes, count) = (UInt32(0), 0)
        for byte in encoded {
            bytes |= UInt32(byte) << UInt32(8 * count)
            count += 1
        }
        return (6, bytes, count)
    }

    private static func decodedBase64(_ part: Span<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count / 4 * 3 + 3)
        var word: UInt32 = 0
        var count = 0
        for index in part.indices {
            word = word &<< 6 | UInt32(sextets[Int(part[index])])
            count += 1
            if count % 4 == 0 {
                bytes.append(UInt8(truncatingIfNeeded: word &>> 16))
                bytes.append(UInt8(truncatingIfNeeded: word &>> 8))
                bytes.append(UInt8(truncatingIfNeeded: word))
            }
        }
        if count % 4 >= 2 { bytes.append(UInt8(truncatingIfNeeded: count % 4 == 2 ? word &>> 4 : word &>> 10)) }
        if count % 4 == 3 { bytes.append(UInt8(truncatingIfNeeded: word &>> 2)) }
        return bytes
    }
}

private func isHexadecimal(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }

private func hexadecimal(_ byte: UInt8) -> UInt8 { byte &- 0x30 < 10 ? byte &- 0x30 : (byte | 0x20) &- 0x57 }

/// The value of each character of both alphabets of Base64; 64 for other bytes.
private let sextets: [UInt8] = {
    var values = [UInt8](repeating: 64, count: 256)
    for (value, character) in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8.enumerated() {
        values[Int(character)] = UInt8(truncatingIfNeeded: value)
    }
    (values[0x2D], values[0x5F]) = (62, 63)
    return values
}()

// MARK: Finding them

extension EncodedText {
    /// Fewer characters of Base64, or hexadecimal digits, hold no secret that has a rule.
    private static let minimumRun = 24
    /// Shorter parts with escapes hold none either.
    private static let minimumEscaped = 10
    /// Bytes at the beginning that decide whether a decoded text is one.
    private static let probe = 24

    /// Visits the parts of a text that are in a code, one code after the other. Parts of one code do not overlap.
    /// - Parameter visit: returns false to stop.
    static func forEachPart(of text: Span<UInt8>, _ visit: (EncodedText) throws -> Bool) rethrows {
        guard try forEachEscaped(.percent, sign: 0x25, in: text, visit), try forEachEscaped(.json, sign: 0x5C, in: text, visit)
        else { return }
        try forEachRun(in: text, visit)
    }

    /// Visits the parts with escapes, from delimiter to delimiter.
    /// - Returns: false when the visit stopped.
    private static func forEachEscaped(
        _ code: Code, sign: UInt8, in text: Span<UInt8>, _ visit: (EncodedText) throws -> Bool
    ) rethrows -> Bool {
        /// Everything before it is done.
        var done = 0
        var position = 0
        while let found = place(of: sign, in: text, from: position) {
            position = found
            guard isEscape(code, in: text, at: position) else {
                // A backslash before another byte belongs to it.
                position += code == .json ? 2 : 1
                continue
            }
            var start = position
            while start > done, !isDelimiter(code, text[start - 1]) { start -= 1 }
            var end = position
            while end < text.count {
                let byte = text[end]
                if code == .json, byte == 0x5C {
                    end += 2
                } else if isDelimiter(code, byte) {
                    break
                } else {
                    end += 1
                }
            }
            end = min(end, text.count)
            (done, position) = (end, end)
            guard end - start >= minimumEscaped else { continue }
            guard try visit(EncodedText(code: code, range: start..<end)) else { return false }
        }
        return true
    }

    private static func place(of byte: UInt8, in text: Span<UInt8>, from start: Int) -> Int? {
        // SAFETY: the search is within the bytes from `start` to the end.
        unsafe text.withUnsafeBufferPointer { bytes in
            guard start < bytes.count, let base = bytes.baseAddress else { return nil }
            return unsafe memchr(base + start, Int32(byte), bytes.count - start).map {
                unsafe UnsafeRawPointer($0) - UnsafeRawPointer(base)
            }
        }
    }

    private static func isEscape(_ code: Code, in text: Span<UInt8>, at position: Int) -> Bool {
        if code == .percent {
            return position + 2 < text.count && isHexadecimal(text[position + 1]) && isHexadecimal(text[position + 2])
        }
        return position + 1 < text.count && (text[position + 1] == 0x75 || escapes[text[position + 1]] != nil)
    }

    /// A quotation mark ends a string of JSON. What a URI cannot have (RFC 3986 appendix A) ends one.
    private static func isDelimiter(_ code: Code, _ byte: UInt8) -> Bool {
        if code == .json { return byte == 0x22 }
        return byte <= 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x3C || byte == 0x3E || byte == 0x5C || byte == 0x60
    }

    /// Visits the runs of Base64 or hexadecimal digits that are text when they are decoded.
    private static func forEachRun(in text: Span<UInt8>, _ visit: (EncodedText) throws -> Bool) rethrows {
        let sextets = sextets.span
        let count = text.count
        var start = 0
        while start &+ minimumRun <= count {
            // The last byte that a run from here must have, then those before it: most bytes of other text are not read.
            var before = start &+ minimumRun &- 1
            while before >= start, sextets[Int(text[before])] < 64 { before &-= 1 }
            guard before < start else {
                start = before &+ 1
                continue
            }
            var end = start &+ minimumRun
            while end < count, sextets[Int(text[end])] < 64 { end &+= 1 }
            if let part = run(start..<end, in: text), try !visit(part) { return }
            start = end &+ 1
        }
    }

    private static func run(_ range: Range<Int>, in text: Span<UInt8>) -> EncodedText? {
        // A single character after the last group stands for nothing.
        let end = range.count % 4 == 1 ? range.upperBound - 1 : range.upperBound
        let isHexadecimal = range.count % 2 == 0 && range.allSatisfy { Secrets.isHexadecimal(text[$0]) }
        let part = EncodedText(
            code: isHexadecimal ? .hexadecimal : .base64, range: range.lowerBound..<(isHexadecimal ? range.upperBound : end))
        let length = min(part.range.count, isHexadecimal ? probe * 2 : probe / 3 * 4)
        let beginning = EncodedText(code: part.code, range: part.range.lowerBound..<part.range.lowerBound + length)
        return isText(beginning.decoded(in: text)) ? part : nil
    }

    /// Has no control characters but white space, and mostly ASCII.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        var beyond = 0
        for byte in bytes {
            if byte < 0x20, byte != 0x09, byte != 0x0A, byte != 0x0D { return false }
            if byte >= 0x7F { beyond += 1 }
        }
        return beyond * 4 <= bytes.count
    }
}
