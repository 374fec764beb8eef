// Undoes content codings (RFC 9110 §8.4.1): gzip, deflate, br, zstd, several in a row. Output is bounded by the caller. Content of a message
// is decoded here for every user of it: the result is decoded content, or the bytes as they were sent with the reason, never something
// in between.

import HTTPSemantics
import NIOCore

/// The result of decoding.
package struct DecodedContent: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case complete
        /// The content ends before the coding does; what comes before is decoded.
        case truncated
        /// There is more than was asked for.
        case limited
        /// The content does not fit its coding, in words. The bytes are as they were sent.
        case failed(String)
        /// A coding that is not supported here. The bytes are as they were sent, even when a coding applied after it could be undone.
        case unknownCoding(String)
    }

    package var content: ByteBuffer
    package var outcome: Outcome

    package init(content: ByteBuffer, outcome: Outcome) {
        self.content = content
        self.outcome = outcome
    }

    /// ``content`` is decoded; otherwise it is the bytes as they were sent, and ``outcome`` says why.
    package var isDecoded: Bool {
        switch outcome {
        case .complete, .truncated, .limited: true
        case .failed, .unknownCoding: false
        }
    }
}

extension FieldSection {
    /// The elements of Content-Encoding, in the order in which the codings were applied.
    package var contentCodings: [ByteBuffer] { all("content-encoding").flatMap { $0.listElements() } }
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
///   - maximum: bytes that are given at the most, and by each step.
/// - Returns: decoded content, or the bytes as they were sent with the reason.
package func decodeContent(_ wire: ByteBuffer, codings: [ByteBuffer], maximum: Int) -> DecodedContent {
    var decoded = DecodedContent(content: wire, outcome: .complete)
    if wire.readableBytes > 0 {
        for name in codings.reversed().map({ String(buffer: $0) }) {
            guard let coding = ContentCoding(name) else {
                decoded = DecodedContent(content: wire, outcome: .unknownCoding(name))
                break
            }
            guard coding != .identity else { continue }
            let step = undo(coding, decoded.content, maximum: maximum)
            guard step.isDecoded else {
                decoded = DecodedContent(content: wire, outcome: step.outcome)
                break
            }
            if step.content.readableBytes == 0, step.outcome == .truncated {
                decoded = DecodedContent(content: wire, outcome: .failed("it ends before anything can be decoded"))
                break
            }
            // What was cut at one step is cut for good; later steps decode what there is.
            decoded = DecodedContent(content: step.content, outcome: decoded.outcome == .complete ? step.outcome : decoded.outcome)
        }
    }
    if decoded.content.readableBytes > maximum {
        decoded.content = decoded.content.getSlice(at: decoded.content.readerIndex, length: maximum)!
        if decoded.outcome == .complete { decoded.outcome = .limited }
    }
    return decoded
}

private func undo(_ coding: ContentCoding, _ content: ByteBuffer, maximum: Int) -> DecodedContent {
    switch coding {
    case .identity: DecodedContent(content: content, outcome: .complete)
    case .gzip: inflateContent(content, wrapping: .gzip, maximum: maximum)
    case .deflate: inflateDeflate(content, maximum: maximum)
    case .brotli: decodeBrotli(content, maximum: maximum)
    case .zstd: decodeZstd(content, maximum: maximum)
    }
}
