// Content that a recorder did not store, or not all of it, because its user wanted so: `--body-limit` and `--only-metadata`. What was left out
// stays known: its size and its SHA-256.

import HTTPSemantics
import NIOCore

/// Content of which only the beginning is stored, or nothing.
package struct ContentCut: Sendable, Equatable {
    /// Bytes of the whole content, as it would have been stored.
    package var size: UInt64
    /// SHA-256 of the whole content, 32 bytes; empty when it is not known.
    package var sha256: ByteBuffer

    package init(size: UInt64, sha256: ByteBuffer) {
        self.size = size
        self.sha256 = sha256
    }
}

/// The cuts of a flow's content: those of its bodies, or of its stream.
package struct ContentCuts: Sendable, Equatable {
    private var client: ContentCut?
    private var server: ContentCut?

    package init() {}

    package subscript(side: Side) -> ContentCut? {
        get { side == .client ? client : server }
        set { if side == .client { client = newValue } else { server = newValue } }
    }
}

extension FlowPiece {
    /// Fewer bytes are stored than were received. Of a body that is stored without its content codings this does not tell.
    package var lacksContent: Bool { cut != nil || (kind == .data && UInt64(content.readableBytes) < wireSize) }

    /// Bytes of its whole content: those that are stored, and those that were cut.
    package var size: UInt64 {
        if let cut { return cut.value.size }
        // The wire size of data is that of its content, whatever was stored of it. That of a message may be compressed.
        return kind == .data ? wireSize : UInt64(content.readableBytes)
    }
}
