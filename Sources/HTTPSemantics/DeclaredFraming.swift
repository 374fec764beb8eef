// What the fields of a message of HTTP/1 say of where its content ends, over all their lines, and the one way to say it that nobody can
// read differently (RFC 9112 §6, RFC 9110 §8.6). For messages that were recorded or imported and are written again.

import NIOCore

/// One way to say where content ends.
package enum ContentFraming: Sendable, Equatable {
    /// No field: a request has no content, a response ends with its connection.
    case unstated
    case length(UInt64)
    /// Transfer-Encoding with these codings, in lower case.
    case codings([String])

    package static let chunked = ContentFraming.codings(["chunked"])

    package var isChunked: Bool { if case .codings(let codings) = self { codings.last == "chunked" } else { false } }

    /// The field that says it; nil for none.
    package var field: (name: String, value: String)? {
        switch self {
        case .unstated: nil
        case .length(let length): ("Content-Length", "\(length)")
        case .codings(let codings): ("Transfer-Encoding", codings.joined(separator: ", "))
        }
    }
}

/// What Content-Length and Transfer-Encoding say.
package struct DeclaredFraming: Sendable, Equatable {
    private static let registered: Set<String> = ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress"]

    /// The values as they are written, one for each line.
    private let lengths: [String]
    private let transferLines: Int
    /// All transfer codings, in order and in lower case.
    package let codings: [String]
    /// The length that all lines agree on; nil when there is none, or no number, or several.
    package let length: UInt64?

    package init(_ fields: FieldSection) {
        lengths = fields.all("content-length").map { String(buffer: $0) }
        let transfer = fields.all("transfer-encoding")
        transferLines = transfer.count
        codings = transfer.flatMap { $0.listElements() }.map { String(buffer: $0).lowercased() }
        let members = lengths.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map(Self.number)
        length = members.allSatisfy { $0 == members.first } ? members.first ?? nil : nil
    }

    /// Neither field is there.
    package var isAbsent: Bool { lengths.isEmpty && transferLines == 0 }
    package var hasLength: Bool { !lengths.isEmpty }

    /// Codings that mean something: `identity`, which RFC 2616 had, is none (RFC 9112 §7).
    package var effectiveCodings: [String] { codings.filter { $0 != "identity" } }

    /// Each coding is registered, chunked comes last and once (RFC 9112 §6.1).
    package var endsInOneChunked: Bool {
        codings.last == "chunked" && codings.count { $0 == "chunked" } == 1 && codings.allSatisfy(Self.registered.contains)
    }

    /// The fields say this, in one line, and nothing else.
    package func says(_ framing: ContentFraming) -> Bool {
        switch framing {
        case .unstated: isAbsent
        case .length(let length): transferLines == 0 && lengths == ["\(length)"]
        case .codings(let codings): lengths.isEmpty && transferLines == 1 && self.codings == codings
        }
    }

    private static func number(_ text: Substring) -> UInt64? {
        let digits = text.drop { $0 == " " || $0 == "\t" }
        guard let end = digits.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return nil }
        let trimmed = digits[...end]
        return trimmed.utf8.allSatisfy { $0 &- 0x30 < 10 } ? UInt64(trimmed) : nil
    }
}

extension DeclaredFraming {
    /// How a request whose content is known is framed, whatever its fields say: by what they say where it is right, otherwise by length, or in
    /// chunks where it was said to be chunked.
    package func framing(ofRequest size: UInt64, hasTrailers: Bool, _ version: HTTPVersion) -> ContentFraming {
        let mayBeChunked = version.major == 1 && version.minor > 0
        if mayBeChunked, endsInOneChunked { return .codings(codings) }
        if mayBeChunked, codings.contains("chunked") || hasTrailers { return .chunked }
        return size == 0 && isAbsent ? .unstated : .length(size)
    }

    /// How a response is framed, whatever its fields say.
    /// - Parameters:
    ///   - size: of the content, as far as it is known; nil when the fields describe content that does not follow, as those of HEAD and 304 do.
    ///   - isWhole: the content did not break off. One that did keeps a length that it has not reached, which shows that it is cut.
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
