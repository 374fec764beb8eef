// Numbers of a flow's record and of its items. docs/flow-file-format.md is the specification, this file is its mirror. Everything is
// little-endian. The numbers are computed properties that can be inlined: another module reads a `static let` by a call.

import HTTPSemantics
import NIOCore

/// What a record may hold. A writer cuts what is beyond.
package enum RecordLimits {
    /// The largest head or trailer section.
    package static let maximumHead = 8 * 1024 * 1024
    /// The longest error, comment or tag, and the most tags of a flow.
    package static let maximumText = 32 * 1024
    package static let maximumTags = 256
    /// The longest rule of redaction that a flow names, and the most entries of its facts.
    package static let maximumRule = 1024
    package static let maximumRedactions = 1024
    /// A piece is divided where it is larger than this, so that a block stays within its limits.
    package static let maximumPiece = 8 * 1024 * 1024
    /// Bytes of one flow after which a record is finished and another one begins.
    package static let maximumPending = 64 * 1024
}

/// Codes of the methods that a record and a block header's set distinguish; all others are 0.
@usableFromInline package enum MethodCode {
    private static let names: [StaticString] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    /// The method of each code; that of 0 is empty.
    package static let methods: [ByteBuffer] = [ByteBuffer()] + names.map { ByteBuffer(staticString: $0) }

    /// Whether a code stands for a method, or is 0.
    @inlinable package static func isValid(_ code: UInt8) -> Bool { code <= 9 }

    /// - Parameter range: where in the bytes the method stands.
    package static func code(_ bytes: ByteBuffer, _ range: ByteRange) -> UInt8 {
        for index in names.indices where bytes.equals(range, names[index]) { return UInt8(index + 1) }
        return 0
    }
}

/// The type byte of a record.
@usableFromInline package enum RecordType {
    @inlinable package static var client: UInt8 { 1 }
    @inlinable package static var server: UInt8 { 2 }
    @inlinable package static var certificate: UInt8 { 3 }
    @inlinable package static var flow: UInt8 { 4 }
    @inlinable package static var tombstone: UInt8 { 5 }
    @inlinable package static var redactionRules: UInt8 { 6 }
    @inlinable package static var continuation: UInt8 { 7 }
    /// Bytes of a record's length and type, and three that are 0. A flow's record has other fields after the type.
    @inlinable package static var prefix: Int { 8 }
}

/// Offsets in the prefix of a flow's record, from the record's first byte.
@usableFromInline package enum FlowPrefix {
    @inlinable package static var length: Int { 0 }  // u32: bytes of the record
    @inlinable package static var type: Int { 4 }  // u8
    @inlinable package static var flags: Int { 5 }  // u8
    @inlinable package static var kind: Int { 6 }  // u8
    @inlinable package static var state: Int { 7 }  // u8
    @inlinable package static var idHigh: Int { 8 }  // u64
    @inlinable package static var idLow: Int { 16 }  // u64
    @inlinable package static var started: Int { 24 }  // i64: time of the part's first event
    @inlinable package static var ended: Int { 32 }  // i64: time of its last event
    @inlinable package static var status: Int { 40 }  // u16
    @inlinable package static var method: Int { 42 }  // u8: MethodCode
    @inlinable package static var version: Int { 43 }  // u8: of the request, major version × 16 + minor
    @inlinable package static var port: Int { 44 }  // u16: of the target
    @inlinable package static var textAt: Int { 46 }  // u16: where the text begins; a later version may put more before it
    @inlinable package static var part: Int { 48 }  // u32: parts of the flow before this one
    @inlinable package static var client: Int { 52 }  // u32: offset of its record, plus one; 0 without
    @inlinable package static var server: Int { 56 }  // u32
    @inlinable package static var stream: Int { 60 }  // u32
    @inlinable package static var detailsAt: Int { 64 }  // u32: where the part's items are, and their bytes
    @inlinable package static var detailsLength: Int { 68 }  // u32
    @inlinable package static var contentAt: Int { 72 }  // u32: where in the block's content, and its bytes
    @inlinable package static var contentLength: Int { 76 }  // u32
    @inlinable package static var requestSize: Int { 80 }  // u64: bytes of the part's data pieces from the client
    @inlinable package static var responseSize: Int { 88 }  // u64
    @inlinable package static var pieces: Int { 96 }  // u32
    @inlinable package static var messages: Int { 100 }  // u32: those of the pieces that are not data
    @inlinable package static var textLengths: Int { 104 }  // 7 × u32: scheme, host, method, authority, target, error, comment
    @inlinable package static var requestFieldsAt: Int { 132 }  // u32: where the field lines are in the part's items
    @inlinable package static var requestFieldsLength: Int { 136 }  // u32
    @inlinable package static var responseFieldsAt: Int { 140 }  // u32
    @inlinable package static var responseFieldsLength: Int { 144 }  // u32
    @inlinable package static var timeToFirstByte: Int { 148 }  // u32: TimeToFirstByte
    @inlinable package static var size: Int { 152 }

    @inlinable package static var isFirst: UInt8 { 1 }
    @inlinable package static var isLast: UInt8 { 2 }
    @inlinable package static var isWebSocket: UInt8 { 4 }
    @inlinable package static var hasError: UInt8 { 8 }
    @inlinable package static var hasComment: UInt8 { 16 }
    @inlinable package static var hasRequest: UInt8 { 32 }
    @inlinable package static var isTagged: UInt8 { 64 }
    @inlinable package static var hasLocalReply: UInt8 { 128 }

    /// Which of the texts.
    package enum Text: Int {
        case scheme = 0
        case host, method, authority, target, error, comment
    }
}

/// The time from the end of a flow's request, or from its beginning when it has no end, to the head of the response, as a record has it.
@usableFromInline package enum TimeToFirstByte {
    /// Microseconds plus one. 0 when the record does not have both, or was written by a first writer; the largest number for a longer time.
    package static func code(nanoseconds: Int64) -> UInt32 {
        nanoseconds < 0 ? 0 : UInt32(clamping: nanoseconds / 1000 + 1)
    }

    /// nil when only the items tell.
    @inlinable package static func microseconds(_ code: UInt32) -> Int64? { code == 0 || code == .max ? nil : Int64(code) - 1 }
}

/// Tags of the items in the details. An item is tag, zigzag nanoseconds since the item before it, length, content.
@usableFromInline package enum ItemTag {
    @inlinable package static var request: UInt8 { 1 }
    @inlinable package static var interim: UInt8 { 2 }
    @inlinable package static var response: UInt8 { 3 }
    @inlinable package static var piece: UInt8 { 4 }
    @inlinable package static var trailers: UInt8 { 5 }
    @inlinable package static var finished: UInt8 { 6 }
    @inlinable package static var ended: UInt8 { 7 }
    @inlinable package static var note: UInt8 { 8 }
    @inlinable package static var malformed: UInt8 { 9 }
    @inlinable package static var localReply: UInt8 { 10 }
    @inlinable package static var redacted: UInt8 { 11 }
    @inlinable package static var cut: UInt8 { 12 }
    @inlinable package static var continued: UInt8 { 13 }
}

/// Bits of the first byte of an ``ItemTag/piece`` item. The kind is above them.
@usableFromInline package enum PieceFlag {
    @inlinable package static var fromServer: UInt8 { 1 }
    @inlinable package static var hasWireSize: UInt8 { 2 }
    @inlinable package static var continues: UInt8 { 4 }
    @inlinable package static var isCut: UInt8 { 8 }
}

/// Bits of an ``ItemTag/ended`` item.
@usableFromInline package enum EndedFlag {
    @inlinable package static var isReset: UInt8 { 1 }
    @inlinable package static var hasCloser: UInt8 { 2 }
    @inlinable package static var closedByServer: UInt8 { 4 }
    @inlinable package static var isPassthrough: UInt8 { 8 }
    @inlinable package static var hasBlame: UInt8 { 16 }
    @inlinable package static var blamesServer: UInt8 { 32 }
}
