// Undoes content codings (RFC 9110 §8.4.1): gzip, deflate, br, zstd, several in a row. Output is bounded by the caller, and what could be
// decoded of damaged or truncated content is given with the reason why it stops there.

import NIOCore

/// What came of decoding.
package struct DecodedContent: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case complete
        /// The content ends before the coding does.
        case truncated
        /// There is more than was asked for.
        case limited
        /// The content is not what its coding says; in words.
        case failed(String)
        /// A coding that nobody here knows; the content is as it was before it.
        case unknownCoding(String)
    }

    package var content: ByteBuffer
    package var outcome: Outcome

    package init(content: ByteBuffer, outcome: Outcome) {
        self.content = content
        self.outcome = outcome
    }
}

/// A content coding that can be undone.
package enum ContentCoding: Sendable, Equatable {
    case identity
    case gzip
    case deflate
    case brotli
    case zstd

    /// - Parameter name: a coding's name as in Content-Encoding, in any case; nil when it is not known.
    package init?(_ name: String) {
        switch name.lowercased() {
        case "identity", "none", "": self = .identity
        case "gzip", "x-gzip": self = .gzip
        case "deflate": self = .deflate
        case "br": self = .brotli
        case "zstd": self = .zstd
        default: return nil
        }
    }
}

/// Undoes content codings.
/// - Parameters:
///   - wire: content as it was sent.
///   - codings: the elements of Content-Encoding, in their order: the last one is undone first.
///   - maximum: bytes that each step gives at the most.
package func decodeContent(_ wire: ByteBuffer, codings: [ByteBuffer], maximum: Int) -> DecodedContent {
    var decoded = DecodedContent(content: wire, outcome: .complete)
    for name in codings.reversed().map({ String(buffer: $0) }) {
        guard let coding = ContentCoding(name) else {
            decoded.outcome = .unknownCoding(name)
            return decoded
        }
        let step: DecodedContent
        switch coding {
        case .identity: continue
        case .gzip: step = inflateContent(decoded.content, wrapping: .gzip, maximum: maximum)
        case .deflate: step = inflateDeflate(decoded.content, maximum: maximum)
        case .brotli: step = decodeBrotli(decoded.content, maximum: maximum)
        case .zstd: step = decodeZstd(decoded.content, maximum: maximum)
        }
        // What was cut at one step is cut for good; later steps only make of it what they can.
        decoded = DecodedContent(content: step.content, outcome: decoded.outcome == .complete ? step.outcome : decoded.outcome)
    }
    if decoded.content.readableBytes > maximum {
        decoded.content = decoded.content.getSlice(at: decoded.content.readerIndex, length: maximum)!
        if decoded.outcome == .complete { decoded.outcome = .limited }
    }
    return decoded
}
