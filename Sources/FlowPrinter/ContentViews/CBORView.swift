// CBOR (RFC 8949), and sequences of it (RFC 8742).

import HTTPSemantics
import NIOCore

/// The values of CBOR in the notation of JSON.
struct CBORView: ContentView {
    static let name = "cbor"
    static let help = "application/cbor, +cbor, and maps that look like it: values as JSON, with $bin and $tag"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        let media = content.media
        if media == "application/cbor" || media == "application/cbor-seq" || media.hasSuffix("+cbor")
            || media.hasSuffix("+cbor-seq")
        {
            return .type
        }
        guard !content.isText, let first = content.bytes.readableBytesView.first else { return nil }
        // A map with a key, or without a count; the tag of self-described CBOR.
        return (0xA1...0xBB).contains(first) || first == 0xBF || content.bytes.starts(with: [0xD9, 0xD9, 0xF7]) ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content.bytes
        var content = content
        // The tag is a mark of the format: no other begins so.
        if content.bytes.starts(with: [0xD9, 0xD9, 0xF7]) { content.isExpected = true }
        try ItemSummary(CBORReader(content.bytes)).check(content)
    }

    var title: String? { "CBOR" }

    func write(into lines: inout CountedLines) { ItemLayout.write(CBORReader(content), into: &lines) }
}

/// Reads CBOR.
struct CBORReader: ItemReader {
    /// Bytes of a bignum (RFC 8949 section 3.4.3) that is shown in decimal digits.
    static let maximumBignum = 256

    private var bytes: ByteReader

    init(_ content: ByteBuffer) { bytes = ByteReader(content) }

    var offset: Int { bytes.offset }
    var rest: ByteBuffer { bytes.rest }

    mutating func next() throws(ItemError) -> Item? {
        guard !bytes.isAtEnd else { return nil }
        let start = bytes.offset
        let first = UInt8(truncatingIfNeeded: try bytes.integer(1))
        if first >> 5 == 7 { return try simple(first & 31, from: start) }
        let argument = try argument(first & 31, from: start)
        switch first >> 5 {
        case 0: return .unsigned(try known(argument, start))
        case 1:
            let value = try known(argument, start)
            return value <= UInt64(Int64.max) ? .integer(-1 - Int64(value)) : .number("-" + Self.decimal([0, value].addingOne))
        case 2: return .bytes(try string(argument, major: 2, from: start))
        case 3: return .text(try string(argument, major: 3, from: start))
        case 4: return .array(count: argument)
        case 5: return .map(count: argument)
        default: return try tag(try known(argument, start))
        }
    }

    /// RFC 8949 section 3: the argument of an item.
    /// - Returns: nil for an indefinite length.
    private mutating func argument(_ information: UInt8, from start: Int) throws(ItemError) -> UInt64? {
        switch information {
        case 0...23: return UInt64(information)
        case 24...27: return try bytes.integer(1 << (information - 24), from: start)
        case 31: return nil
        default: throw ItemError(offset: start, reason: "a byte that CBOR does not have")
        }
    }

    private func known(_ argument: UInt64?, _ start: Int) throws(ItemError) -> UInt64 {
        guard let argument else { throw ItemError(offset: start, reason: "a number or tag without an argument") }
        return argument
    }

    /// A string, in one or in chunks (RFC 8949 section 3.2.3).
    private mutating func string(_ size: UInt64?, major: UInt8, from start: Int) throws(ItemError) -> ByteBuffer {
        if let size { return try bytes.take(size, from: start) }
        var joined = ByteBuffer()
        while true {
            let chunk = UInt8(truncatingIfNeeded: try bytes.integer(1, from: start))
            if chunk == 0xFF { return joined }
            guard chunk >> 5 == major, let size = try argument(chunk & 31, from: start) else {
                throw ItemError(offset: start, reason: "a chunk that is not of the string's type")
            }
            joined.writeImmutableBuffer(try bytes.take(size, from: start))
        }
    }

    private mutating func simple(_ information: UInt8, from start: Int) throws(ItemError) -> Item {
        switch information {
        case 20, 21: return .bool(information == 21)
        case 22: return .null
        case 23: return .undefined
        case 24:
            let number = UInt8(truncatingIfNeeded: try bytes.integer(1, from: start))
            // RFC 8949 section 3.3: two bytes for these are not well-formed.
            guard number >= 32 else { throw ItemError(offset: start, reason: "a simple value in two bytes that has one") }
            return .simple(number)
        case 25: return .float(Self.half(UInt16(truncatingIfNeeded: try bytes.integer(2, from: start))))
        case 26: return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: try bytes.integer(4, from: start)))))
        case 27: return .float(Double(bitPattern: try bytes.integer(8, from: start)))
        case 31: return .end
        case 0..<20: return .simple(information)
        default: throw ItemError(offset: start, reason: "a byte that CBOR does not have")
        }
    }

    /// RFC 8949 appendix D.
    private static func half(_ bits: UInt16) -> Double {
        let exponent = Int(bits >> 10 & 31)
        let mantissa = Double(bits & 1023)
        let value: Double =
            switch exponent {
            case 0: mantissa * 0x1p-24
            case 31: mantissa == 0 ? .infinity : .nan
            default: Double(sign: .plus, exponent: exponent - 25, significand: mantissa + 1024)
            }
        return bits >> 15 == 1 ? -value : value
    }

    // MARK: Bignums

    /// A tag; with what it tags if that is a bignum.
    private mutating func tag(_ number: UInt64) throws(ItemError) -> Item {
        guard number == 2 || number == 3 else { return .tag(number) }
        // What does not follow as it should is left to the next step.
        var ahead = self
        guard case .bytes(let magnitude)? = try? ahead.next(), magnitude.readableBytes <= Self.maximumBignum else {
            return .tag(number)
        }
        self = ahead
        var words = Self.words(magnitude)
        if number == 3 { words = words.addingOne }
        let digits = Self.decimal(words)
        return .number(number == 3 ? "-" + digits : digits)
    }

    /// The words of a big-endian number, the highest first.
    private static func words(_ magnitude: ByteBuffer) -> [UInt64] {
        var words: [UInt64] = []
        var word: UInt64 = 0
        var left = magnitude.readableBytes
        for byte in magnitude.readableBytesView {
            word = word << 8 | UInt64(byte)
            left -= 1
            if left % 8 == 0 {
                words.append(word)
                word = 0
            }
        }
        return words
    }

    private static func decimal(_ words: [UInt64]) -> String {
        var words = words
        var groups: [UInt64] = []
        let billion: UInt64 = 1_000_000_000_000_000_000
        while words.contains(where: { $0 != 0 }) {
            var remainder: UInt64 = 0
            for i in words.indices { (words[i], remainder) = billion.dividingFullWidth((remainder, words[i])) }
            groups.append(remainder)
        }
        let text = groups.reversed().map { group in
            let digits = "\(group)"
            return String(repeating: "0", count: 18 - digits.utf8.count) + digits
        }.joined()
        let digits = text.drop { $0 == "0" }
        return digits.isEmpty ? "0" : String(digits)
    }
}

extension [UInt64] {
    /// The number plus one; a word more if there is a carry.
    fileprivate var addingOne: [UInt64] {
        var words = self
        for i in words.indices.reversed() {
            let (sum, isCarried) = words[i].addingReportingOverflow(1)
            words[i] = sum
            if !isCarried { return words }
        }
        return [1] + words
    }
}

extension ByteBuffer {
    fileprivate func starts(with prefix: [UInt8]) -> Bool { readableBytesView.starts(with: prefix) }
}
