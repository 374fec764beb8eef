// Caps the stored content of flows, before they are recorded (`--body-limit`, `--only-metadata`): bodies, the messages of a WebSocket, the
// data of a stream. What is beyond the limit is not stored; its size, its times and the SHA-256 of the whole content are.

import Digests
import FlowModel
import HTTPSemantics
import NIOCore

/// How much content is stored.
package struct ContentLimit: Sendable, Equatable {
    /// Bytes that are stored of each body, of each message of a WebSocket, and of what each side of a stream sends.
    package var maximum: UInt64

    package init(maximum: UInt64) { self.maximum = maximum }

    /// Stores no content.
    package static let onlyMetadata = ContentLimit(maximum: 0)

    /// A stage for one flow.
    package func stage() -> any FlowEventStage { LimitingStage(maximum) }
}

/// Cuts the content of one flow.
private final class LimitingStage: FlowEventStage {
    private let maximum: UInt64
    private var client: LimitedContent
    private var server: LimitedContent

    init(_ maximum: UInt64) {
        self.maximum = maximum
        client = LimitedContent(maximum)
        server = LimitedContent(maximum)
    }

    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        switch what {
        case .piece(let piece) where piece.kind == .data:
            next(.piece(piece.from == .client ? client.cut(piece) : server.cut(piece)), at)
        case .piece(let piece):
            next(.piece(cut(piece)), at)
        case .cut(let side, _):
            // It was cut before, in a recording that is copied: the size and the digest are those of the content that was received.
            if side == .client { client.isCutBefore = true } else { server.isCutBefore = true }
            next(what, at)
        case .malformed(let side, let bytes) where UInt64(bytes.readableBytes) > maximum:
            let stored = bytes.slice(ByteRange(0, Int(maximum)))
            next(.malformed(from: side, stored), at)
            let size = bytes.readableBytes - stored.readableBytes
            next(.note(FlowNote(side: side, "\(size) bytes that could not be parsed were not stored")), at)
        case .ended:
            // Not with the end of a message: after a change of protocol the stream follows.
            if let cut = client.end() { next(.cut(from: .client, cut), at) }
            if let cut = server.end() { next(.cut(from: .server, cut), at) }
            next(what, at)
        default:
            next(what, at)
        }
    }

    /// Cuts a message of a WebSocket. A close frame keeps its code.
    private func cut(_ message: FlowPiece) -> FlowPiece {
        let maximum = message.kind == .close ? max(maximum, 2) : maximum
        guard UInt64(message.content.readableBytes) > maximum else { return message }
        var message = message
        message.cut =
            message.cut ?? Shared(ContentCut(size: UInt64(message.content.readableBytes), sha256: digest(message.content)))
        message.content = message.content.slice(ByteRange(0, Int(maximum)))
        return message
    }

    private func digest(_ bytes: ByteBuffer) -> ByteBuffer { ByteBuffer(bytes: Digest.of(bytes, by: .sha256)) }
}

/// The content of one side: that of its message, or its part of a stream.
private struct LimitedContent {
    private let maximum: UInt64
    /// Bytes of it so far.
    private var size: UInt64 = 0
    /// Of all bytes so far, without those of `first`.
    private var digest: Digest?
    /// A copy of the first piece, when it is short and the only one: most content is one short piece within the limit, which needs no digest.
    private var first: ByteBuffer?
    var isCutBefore = false

    /// The longest piece that is copied.
    private static let maximumFirst = 4 * 1024

    init(_ maximum: UInt64) { self.maximum = maximum }

    /// - Returns: the piece with the part of its content that is stored.
    mutating func cut(_ piece: FlowPiece) -> FlowPiece {
        let bytes = piece.content
        guard bytes.readableBytes > 0 else { return piece }
        let room = maximum - min(size, maximum)
        if size == 0, UInt64(bytes.readableBytes) <= room, bytes.readableBytes <= Self.maximumFirst {
            // A slice would keep the buffer in which it was received.
            first = ByteBuffer(buffer: bytes)
        } else {
            add(bytes)
        }
        size += UInt64(bytes.readableBytes)
        guard UInt64(bytes.readableBytes) > room else { return piece }
        var piece = piece
        piece.content = room == 0 ? ByteBuffer() : bytes.slice(ByteRange(0, Int(room)))
        return piece
    }

    private mutating func add(_ bytes: ByteBuffer) {
        let digest = digest ?? Digest(.sha256)
        self.digest = digest
        if let first { digest.update(first) }
        first = nil
        digest.update(bytes)
    }

    /// The flow ends.
    /// - Returns: nil when all of the content is stored.
    func end() -> ContentCut? {
        guard size > maximum, !isCutBefore, let digest else { return nil }
        return ContentCut(size: size, sha256: ByteBuffer(bytes: digest.finish()))
    }
}
