// Numbers of a flow's record and of its items. docs/flow-file-format.md is the specification, this file is its mirror. Everything is
// little-endian.

import HTTPSemantics
import NIOCore

/// What a record may hold. A writer cuts what is beyond.
package enum RecordLimits {
    /// The largest head or trailer section.
    package static let maximumHead = 8 * 1024 * 1024
    /// The longest error, comment or tag, and the most tags of a flow.
    package static let maximumText = 32 * 1024
    package static let maximumTags = 256
    /// A piece is divided where it is larger than this, so that a block stays within its limits.
    package static let maximumPiece = 8 * 1024 * 1024
    /// Bytes of one flow after which a record is finished and another one begins.
    package static let maximumPending = 64 * 1024
}

/// Codes of the methods that a record and a block header's set distinguish; all others are 0.
package enum MethodCode {
    private static let names: [StaticString] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    /// The method of each code; that of 0 is empty.
    package static let methods: [ByteBuffer] = [ByteBuffer()] + names.map { ByteBuffer(staticString: $0) }

    /// - Parameter range: where in the bytes the method stands.
    package static func code(_ bytes: ByteBuffer, _ range: ByteRange) -> UInt8 {
        for index in names.indices where bytes.equals(range, names[index]) { return UInt8(index + 1) }
        return 0
    }
}

/// The type byte of a record.
package enum RecordType {
    package static let client: UInt8 = 1
    package static let server: UInt8 = 2
    package static let certificate: UInt8 = 3
    package static let flow: UInt8 = 4
    package static let tombstone: UInt8 = 5
    /// Bytes of a record's length and type, and three that are 0. A flow's record has other fields after the type.
    package static let prefix = 8
}

/// Offsets in the prefix of a flow's record, from the record's first byte.
package enum FlowPrefix {
    package static let length = 0  // u32: bytes of the record
    package static let type = 4  // u8
    package static let flags = 5  // u8
    package static let kind = 6  // u8
    package static let state = 7  // u8
    package static let idHigh = 8  // u64
    package static let idLow = 16  // u64
    package static let started = 24  // i64: time of the part's first event
    package static let ended = 32  // i64: time of its last event
    package static let status = 40  // u16
    package static let method = 42  // u8: MethodCode
    package static let version = 43  // u8: of the request, major version × 16 + minor
    package static let port = 44  // u16: of the target
    package static let textAt = 46  // u16: where the text begins; a later version may put more before it
    package static let part = 48  // u32: parts of the flow before this one
    package static let client = 52  // u32: offset of the client's record in the records, plus one; 0 for no record
    package static let server = 56  // u32
    package static let stream = 60  // u32
    package static let detailsAt = 64  // u32: where the part's items are in the details, and how many bytes they have
    package static let detailsLength = 68  // u32
    package static let contentAt = 72  // u32: where the part's content is in the block's content, and how many bytes it has
    package static let contentLength = 76  // u32
    package static let requestSize = 80  // u64: bytes of the part's data pieces from the client
    package static let responseSize = 88  // u64
    package static let pieces = 96  // u32
    package static let messages = 100  // u32: those of the pieces that are not data
    package static let textLengths = 104  // 7 × u32: scheme, host, method, authority, target, error, comment
    package static let requestFieldsAt = 132  // u32: where the field lines are in the part's items
    package static let requestFieldsLength = 136  // u32
    package static let responseFieldsAt = 140  // u32
    package static let responseFieldsLength = 144  // u32
    package static let reserved = 148  // u32: 0
    package static let size = 152

    package static let isFirst: UInt8 = 1
    package static let isLast: UInt8 = 2
    package static let isWebSocket: UInt8 = 4
    package static let hasError: UInt8 = 8
    package static let hasComment: UInt8 = 16
    package static let hasRequest: UInt8 = 32
    package static let isTagged: UInt8 = 64
    package static let hasLocalReply: UInt8 = 128

    /// Which of the texts.
    package enum Text: Int {
        case scheme = 0
        case host, method, authority, target, error, comment
    }
}

/// Tags of the items in the details. An item is tag, zigzag nanoseconds since the item before it, length, content.
package enum ItemTag {
    package static let request: UInt8 = 1
    package static let interim: UInt8 = 2
    package static let response: UInt8 = 3
    package static let piece: UInt8 = 4
    package static let trailers: UInt8 = 5
    package static let finished: UInt8 = 6
    package static let ended: UInt8 = 7
    package static let note: UInt8 = 8
    package static let malformed: UInt8 = 9
    package static let localReply: UInt8 = 10
}

/// Bits of an ``ItemTag/ended`` item.
package enum EndedFlag {
    package static let isReset: UInt8 = 1
    package static let hasCloser: UInt8 = 2
    package static let closedByServer: UInt8 = 4
    package static let isPassthrough: UInt8 = 8
    package static let hasBlame: UInt8 = 16
    package static let blamesServer: UInt8 = 32
}
