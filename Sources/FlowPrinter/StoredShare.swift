// How much of a content is stored, for readers: a recorder may store less than was received (--body-limit, --only-metadata, redaction).

import FlowModel
import HTTPSemantics
import NIOCore

/// The stored share of content that is not all stored.
struct StoredShare {
    let size: UInt64
    let stored: UInt64
    let cut: ContentCut?

    /// - Returns: nil if all content that was received is stored, or what was stored instead of it.
    init?(_ message: Message<some Any>?, _ cut: ContentCut?) {
        guard let message, !message.hasAllContent else { return nil }
        (size, stored, self.cut) = (cut?.size ?? message.size, message.storedSize, cut)
    }

    /// - Returns: nil for a message, or data of a stream, that is all stored.
    init?(_ piece: FlowPiece) {
        let stored = UInt64(piece.content.readableBytes)
        guard piece.cut != nil || stored < piece.size else { return nil }
        (size, self.stored, cut) = (piece.size, stored, piece.cut?.value)
    }

    /// After a size: `not stored`, `1.0 KiB stored`.
    var short: String { stored == 0 ? "not stored" : "\(readableSize(stored)) stored" }

    /// `only the first 1.0 KiB of 2.9 MiB is stored, SHA-256 of the whole: …`
    var sentence: String {
        let share =
            stored == 0
            ? "\(readableSize(size)), not stored" : "only the first \(readableSize(stored)) of \(readableSize(size)) is stored"
        guard let digest = cut?.hexadecimalSHA256 else { return share }
        return "\(share), SHA-256\(stored == 0 ? "" : " of the whole"): \(digest)"
    }
}

extension ContentCut {
    /// nil when the digest is not known.
    package var hexadecimalSHA256: String? {
        guard sha256.readableBytes > 0 else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: sha256.readableBytesView.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension Flow {
    /// nil if all of a side's content is stored.
    func storedShare(of side: Side) -> StoredShare? {
        side == .client ? StoredShare(request, cut(of: side)) : StoredShare(response, cut(of: side))
    }
}
