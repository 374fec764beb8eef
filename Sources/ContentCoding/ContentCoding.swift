// Decodes content codings (RFC 9110 section 8.4.1): gzip, deflate, br, zstd, and several in a row. The caller limits the output.
// Every module that needs the content of a message decodes it here: the result is the decoded content, or the bytes as they were
// sent and the reason, never a mixture.

import HTTPSemantics
import NIOCore

/// The result of decoding.
package struct DecodedContent: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case complete
        /// The content ends before the coding does; what comes before is decoded.
        case truncated
        /// There is more content than the limit allows.
        case limited
        /// The content is not valid in its coding, for this reason. The bytes are as they were sent.
        case failed(String)
        /// The coding is not supported. The bytes are as they were sent, even if a coding that was applied later can be decoded.
        case unknownCoding(String)
    }

    package var content: ByteBuffer
    package var outcome: Outcome

    package init(content: ByteBuffer, outcome: Outcome) {
        self.content = content
        self.outcome = outcome
    }

    /// ``content`` is decoded; otherwise it is the bytes as they were sent, and ``outcome`` is the reason.
    package var isDecoded: Bool {
        switch outcome {
        case .complete, .truncated, .limited: true
        case .failed, .unknownCoding: false
        }
    }

    /// What keeps the content from being decoded, or from being the whole of it; nil if it is complete or was limited by the
    /// caller.
    package var problem: String? {
        switch outcome {
        case .complete, .limited: nil
        case .truncated: Self.truncated
        case .failed(let reason): "cannot be decoded: \(reason)"
        case .unknownCoding(let name): "the content coding \(name) is not known"
        }
    }

    /// The sentence for content that ends before its coding does.
    package static let truncated = "the encoded content is truncated"
}

/// A content coding that can be decoded.
package enum ContentCoding: Sendable, Equatable {
    case identity
    case gzip
    case deflate
    case brotli
    case zstd

    /// - Parameter name: the name of the coding as in Content-Encoding, in any case.
    /// - Returns: nil if it is not known.
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

/// Decodes content.
/// - Parameters:
///   - wire: the content as it was sent.
///   - codings: the elements of Content-Encoding, in their order: the last one is decoded first.
///   - maximum: the most bytes to return, and to produce in each step.
/// - Returns: the decoded content, or the bytes as they were sent and the reason.
package func decodeContent(_ wire: ByteBuffer, codings: [ByteBuffer], maximum: Int) -> DecodedContent {
    var decoded = DecodedContent(content: wire, outcome: .complete)
    if wire.readableBytes > 0 {
        for name in codings.reversed().map({ String(buffer: $0) }) {
            guard let coding = ContentCoding(name) else {
                decoded = DecodedContent(content: wire, outcome: .unknownCoding(name))
                break
            }
            guard coding != .identity else { continue }
            let step = decode(coding, decoded.content, maximum: maximum)
            guard step.isDecoded else {
                decoded = DecodedContent(content: wire, outcome: step.outcome)
                break
            }
            if step.content.readableBytes == 0, step.outcome == .truncated {
                decoded = DecodedContent(content: wire, outcome: .failed("it ends before anything can be decoded"))
                break
            }
            // Content that one step cut stays cut; later steps decode the rest.
            decoded = DecodedContent(content: step.content, outcome: decoded.outcome == .complete ? step.outcome : decoded.outcome)
        }
    }
    if decoded.content.readableBytes > maximum {
        decoded.content = decoded.content.getSlice(at: decoded.content.readerIndex, length: maximum)!
        if decoded.outcome == .complete { decoded.outcome = .limited }
    }
    return decoded
}

private func decode(_ coding: ContentCoding, _ content: ByteBuffer, maximum: Int) -> DecodedContent {
    switch coding {
    case .identity: DecodedContent(content: content, outcome: .complete)
    case .gzip: inflateContent(content, wrapping: .gzip, maximum: maximum)
    case .deflate: inflateDeflate(content, maximum: maximum)
    case .brotli: decodeBrotli(content, maximum: maximum)
    case .zstd: decodeZstd(content, maximum: maximum)
    }
}
