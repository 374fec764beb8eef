// The content of one side of a flow, fetched and decoded for printing.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Content ready to be shown.
struct FlowBody {
    /// Bodies beyond this are shown up to here: a printer holds one body in memory.
    static let maximum = 64 * 1024 * 1024

    /// With content codings removed, or as it was sent where they cannot be removed.
    var decoded: DecodedContent
    /// As it was sent.
    var wire: ByteBuffer
    var isCut: Bool
    /// Content of it is damaged in the recording; nothing of it is shown.
    var isDamaged: Bool
    /// nil if all of it is stored.
    var storedShare: StoredShare?

    /// - Throws: errors of fetching content, unless it is damaged.
    init(_ flow: Flow, _ side: Side, size: UInt64) throws {
        let content = try flow.pieces.contentUnlessDamaged(from: side, maximum: Self.maximum)
        isDamaged = content == nil
        wire = content ?? ByteBuffer()
        isCut = size > UInt64(Self.maximum)
        storedShare = flow.storedShare(of: side)
        decoded = decodeContent(wire, codings: flow.storedCodings(from: side), maximum: Self.maximum)
    }

    /// Why the decoded content is not all of it; nil if it is.
    var remark: String? {
        // What is not stored explains why it cannot be decoded to its end.
        storedShare?.sentence ?? decoded.outcome.remark ?? (isCut ? DecodedContent.Outcome.limited.remark : nil)
    }
}

extension DecodedContent.Outcome {
    /// Why the decoded content is not all of it; nil if it is.
    var remark: String? {
        switch self {
        case .complete: nil
        case .truncated: DecodedContent.truncated
        case .limited: "only the first \(readableSize(UInt64(FlowBody.maximum))) are shown"
        case .failed(let reason): "it cannot be decoded and is shown as it was sent: \(reason)"
        case .unknownCoding(let name): "its content coding \(name) is not known; it is shown as it was sent"
        }
    }
}
