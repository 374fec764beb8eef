// What a flow carries after its heads.

internal import FlowModel
internal import HTTPSemantics
internal import NIOCore

/// Content of an HTTP message, a WebSocket message, or bytes of a TCP stream.
public struct FlowData: Sendable, Equatable {
    /// What the bytes are.
    public enum Kind: Sendable, Hashable {
        /// Content of an HTTP message (transfer codings removed), or bytes of a TCP stream, as they were received.
        case bytes
        /// WebSocket messages (RFC 6455 section 5.6).
        case text
        case binary
        /// WebSocket control frames (RFC 6455 section 5.5).
        case ping
        case pong
        case close
    }

    let piece: FlowPiece
    /// When its last byte was received.
    public let time: Timestamp

    init(_ piece: FlowPiece, at time: FlowModel.Timestamp) {
        self.piece = piece
        self.time = Timestamp(time)
    }

    /// Data for a flow that a program makes.
    public init(_ kind: Kind = .bytes, from side: Side, _ bytes: [UInt8], at time: Timestamp) {
        piece = FlowPiece(kind: kind.model, from: side.model, content: ByteBuffer(bytes: bytes))
        self.time = time
    }

    /// What the bytes are.
    public var kind: Kind { Kind(piece.kind) }
    /// The side that sent it.
    public var side: Side { Side(piece.from) }
    /// The number of bytes that are in the recording.
    public var count: Int { piece.content.readableBytes }
    /// A copy of the bytes that are in the recording. A WebSocket message is inflated, and whole unless it has a ``truncation``.
    public var bytes: [UInt8] { Array(piece.content.readableBytesView) }
    /// WebSocket: payload bytes that were sent, before permessage-deflate was undone. Otherwise the bytes that were sent: more than
    /// ``count`` if the recorder was asked to store less.
    public var wireSize: UInt64 { piece.wireSize }
    /// A WebSocket message that is not all stored. Of other content ``Flow/truncation(of:)`` tells.
    public var truncation: Truncation? { piece.cut.map { Truncation($0.value) } }

    /// Gives access to the bytes without a copy.
    /// - Parameter body: must not keep the span.
    public func withBytes<Result, Failure: Error>(_ body: (Span<UInt8>) throws(Failure) -> Result) throws(Failure) -> Result {
        try body(piece.content.readableBytesUInt8Span)
    }
}

extension FlowData.Kind {
    init(_ kind: FlowPiece.Kind) {
        switch kind {
        case .data: self = .bytes
        case .text: self = .text
        case .binary: self = .binary
        case .ping: self = .ping
        case .pong: self = .pong
        case .close: self = .close
        }
    }

    var model: FlowPiece.Kind {
        switch self {
        case .bytes: .data
        case .text: .text
        case .binary: .binary
        case .ping: .ping
        case .pong: .pong
        case .close: .close
        }
    }
}

/// Content that a recorder was asked not to store to its end.
public struct Truncation: Sendable, Equatable {
    /// Bytes of the whole content.
    public let size: UInt64
    /// SHA-256 of the whole content, 32 bytes; nil if it is not known.
    public let sha256: [UInt8]?

    init(_ cut: ContentCut) {
        size = cut.size
        sha256 = cut.sha256.readableBytes == 0 ? nil : Array(cut.sha256.readableBytesView)
    }
}

/// Reads the data of one flow, in order. Only the element that was read last is in memory:
/// `var data = flow.data; while let element = try data.next() { … }`.
public struct FlowDataReader: Sendable {
    private var cursor: any FlowPieceCursor

    init(_ cursor: any FlowPieceCursor) { self.cursor = cursor }

    /// - Returns: nil after the last element.
    /// - Throws: `.damagedContent` for an element that is damaged in the file; the next call returns the element after it. `.system` if
    ///   reading fails.
    public mutating func next() throws(FlowFileError) -> FlowData? {
        do {
            return try cursor.next().map { FlowData($0.piece, at: $0.at) }
        } catch { throw FlowFileError(error) }
    }
}
