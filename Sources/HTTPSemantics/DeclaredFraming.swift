// Content-Length and Transfer-Encoding over all their lines, read as the HTTP/1 decoders read them, and the one framing that every
// recipient reads in the same way (RFC 9112 §6, RFC 9110 §8.6).

import NIOCore

/// One way to declare where content ends.
package enum ContentFraming: Sendable, Equatable {
    /// No field: a request has no content, a response ends with its connection.
    case unstated
    case length(UInt64)
    /// Transfer-Encoding with these codings, in lower case.
    case codings([String])

    package static let chunked = ContentFraming.codings(["chunked"])

    package var isChunked: Bool { if case .codings(let codings) = self { codings.last == "chunked" } else { false } }

    /// The field that declares it; nil without one.
    package var field: (name: String, value: String)? {
        switch self {
        case .unstated: nil
        case .length(let length): ("Content-Length", "\(length)")
        case .codings(let codings): ("Transfer-Encoding", codings.joined(separator: ", "))
        }
    }
}

/// The values of Content-Length and Transfer-Encoding in a message that was recorded or imported and is written again.
package struct DeclaredFraming: Sendable, Equatable {
    private static let registered: Set<String> = ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress"]

    /// The values as they are written, one for each line.
    private let lengths: [ByteBuffer]
    private let transferLines: Int
    /// All transfer codings, in order and in lower case.
    package let codings: [String]
    /// The length that all lines agree on; nil without one, or if it is not one number.
    package let length: UInt64?

    package init(_ fields: FieldSection) {
        lengths = fields.all("content-length")
        length = fields.contentLength
        transferLines = fields.all("transfer-encoding").count
        codings = fields.transferCodings.map { String(buffer: $0).lowercased() }
    }

    /// Neither field is present.
    package var isAbsent: Bool { lengths.isEmpty && transferLines == 0 }
    package var hasLength: Bool { !lengths.isEmpty }

    /// Codings other than `identity`, which RFC 2616 had and which means no coding (RFC 9112 §7).
    package var effectiveCodings: [String] { codings.filter { $0 != "identity" } }

    /// Each coding is registered, chunked comes last and once (RFC 9112 §6.1).
    package var endsInOneChunked: Bool {
        codings.last == "chunked" && codings.count { $0 == "chunked" } == 1 && codings.allSatisfy(Self.registered.contains)
    }

    /// The fields declare this, in one line, and nothing else.
    package func declares(_ framing: ContentFraming) -> Bool {
        switch framing {
        case .unstated: isAbsent
        case .length(let length): transferLines == 0 && lengths == [ByteBuffer(string: "\(length)")]
        case .codings(let codings): lengths.isEmpty && transferLines == 1 && self.codings == codings
        }
    }
}

extension DeclaredFraming {
    /// The framing of a request whose content is known: as its fields declare where that is right, otherwise by length, or in chunks where it was
    /// declared as chunked.
    package func framing(ofRequest size: UInt64, hasTrailers: Bool, _ version: HTTPVersion) -> ContentFraming {
        let mayBeChunked = version.major == 1 && version.minor > 0
        if mayBeChunked, endsInOneChunked { return .codings(codings) }
        if mayBeChunked, codings.contains("chunked") || hasTrailers { return .chunked }
        return size == 0 && isAbsent ? .unstated : .length(size)
    }

    /// The framing of a response, whatever its fields declare.
    /// - Parameters:
    ///   - size: of the known content; nil when the fields describe content that does not follow, as in responses to HEAD and in a 304.
    ///   - isWhole: the content is complete. Content that is not keeps a length that it does not reach, which shows that it is cut.
    package func framing(ofResponse size: UInt64?, isWhole: Bool, _ version: HTTPVersion) -> ContentFraming {
        let codings = effectiveCodings
        if !codings.isEmpty, version.major == 1, version.minor > 0 {
            let others = codings.filter { $0 != "chunked" }
            // RFC 9112 §6.1: chunked once, and last; a response without it ends with its connection.
            return .codings(others.count == codings.count ? others : others + ["chunked"])
        }
        guard let size else { return length.map { .length($0) } ?? .unstated }
        if isWhole { return hasLength ? .length(size) : .unstated }
        return length.flatMap { $0 < size ? nil : .length($0) } ?? .unstated
    }
}

extension FieldSection {
    /// The number in Content-Length, on which all its lines and list elements agree.
    /// - Returns: nil if there is no such field, or if it is not one number.
    package var contentLength: UInt64? {
        var agreed: UInt64?
        var next = line("content-length")
        while let index = next {
            for element in wire.betweenCommas(lines[index].value) {
                guard let number = wire.decimal(element), agreed == nil || agreed == number else { return nil }
                agreed = number
            }
            next = line("content-length", after: index)
        }
        return agreed
    }

    /// The elements of Transfer-Encoding, over all its lines, without empty ones.
    package var transferCodings: [ByteBuffer] {
        var codings: [ByteBuffer] = []
        var next = line("transfer-encoding")
        while let index = next {
            codings += wire.betweenCommas(lines[index].value).filter { !$0.isEmpty }.map { wire.slice($0) }
            next = line("transfer-encoding", after: index)
        }
        return codings
    }
}

extension ByteBuffer {
    /// The elements between the commas of a range, trimmed, for fields without quoted strings.
    package func betweenCommas(_ range: ByteRange) -> [ByteRange] {
        let bytes = readableBytesUInt8Span
        var elements: [ByteRange] = []
        var start = Int(range.start)
        for index in start..<Int(range.end) where bytes[index] == 0x2C {
            elements.append(trimmedRange(start, index))
            start = index + 1
        }
        elements.append(trimmedRange(start, Int(range.end)))
        return elements
    }

    fileprivate func decimal(_ range: ByteRange) -> UInt64? {
        let digits = slice(range).readableBytesView
        return !digits.isEmpty && digits.allSatisfy { $0 &- 0x30 < 10 } ? UInt64(String(decoding: digits, as: UTF8.self)) : nil
    }
}
