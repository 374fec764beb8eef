// The contents of a flow that operators search: message bodies, WebSocket messages, the data of TCP streams.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// A content of a flow, as it was sent.
struct FlowContent {
    /// Decoded content beyond this is not searched.
    fileprivate static let maximum = 64 * 1024 * 1024

    let bytes: ByteBuffer
    /// The fields of the message whose body it is; nil for WebSocket messages and the data of streams.
    let fields: FieldSection?
    /// Its content codings.
    let codings: [ByteBuffer]
    /// Who sent it.
    let side: Side
    /// The number of the message or piece of a stream among those of both sides; nil for a body.
    let message: Int?

    private init(
        _ bytes: ByteBuffer, from side: Side, message: Int? = nil, of fields: FieldSection? = nil, codings: [ByteBuffer] = []
    ) {
        self.bytes = bytes
        self.side = side
        self.message = message
        self.fields = fields
        self.codings = codings
    }

    /// Visits the contents of a flow: WebSocket messages and the data of TCP streams one by one, then the message bodies whole.
    /// - Parameters:
    ///   - side: the sender; nil for both.
    ///   - requestFields: as those of the flow, which are read from it if they are missing here.
    ///   - responseFields: the same.
    ///   - visit: returns false to stop.
    /// - Throws: what fetching content throws, and what the visit throws.
    static func forEach(
        of flow: some FlowAttributes, from side: Side?, requestFields: FieldSection? = nil, responseFields: FieldSection? = nil,
        _ visit: (FlowContent) throws -> Bool
    ) throws {
        var continues = true
        var request: ByteBuffer?
        var response: ByteBuffer?
        let isStream = flow.isStream
        // Control frames count, as in JSON Lines.
        var messages = 0
        try flow.pieces.forEach { _, piece in
            defer { if piece.kind != .data || isStream && !flow.isWebSocket { messages += 1 } }
            guard side == nil || piece.from == side else { return true }
            if piece.kind == .data, !isStream {
                if piece.from == .client { request.append(piece.content) } else { response.append(piece.content) }
            } else if piece.kind.isMessage {
                continues = try visit(FlowContent(piece.content, from: piece.from, message: messages))
                if continues, piece.lacksContent { UnsearchedContent.add() }
            }
            return continues
        }
        func visitBody(_ bytes: ByteBuffer, _ side: Side, _ fields: FieldSection?) throws -> Bool {
            let content = FlowContent(bytes, from: side, of: fields, codings: flow.storedCodings(from: side, declaredBy: fields))
            guard try visit(content) else { return false }
            try flow.noteSearched(bytes, from: side, maximum: Self.maximum)
            return true
        }
        if continues, let request { continues = try visitBody(request, .client, requestFields ?? flow.requestFields) }
        if continues, let response { _ = try visitBody(response, .server, responseFields ?? flow.responseFields) }
    }

    /// Without content codings; as it was sent when it cannot be decoded.
    func decoded(maximum: Int = Self.maximum) -> ByteBuffer {
        let decoded = decodeContent(bytes, codings: codings, maximum: maximum)
        if !decoded.isDecoded { FilterCounts.undecodedBodies?.add() }
        return decoded.content
    }
}

extension ByteBuffer? {
    /// Joins the pieces of a body, up to the limit.
    fileprivate mutating func append(_ piece: ByteBuffer) {
        let known = self?.readableBytes ?? 0
        if known == 0 {
            self = piece
        } else if known < FlowContent.maximum {
            self?.writeImmutableBuffer(piece)
        }
    }
}

extension FlowAttributes {
    /// Its data is what two programs sent each other, not the content of a request and a response.
    var isStream: Bool { kind == .tcp || status == 101 }
}

extension FlowPiece.Kind {
    /// Not a control frame of a WebSocket (RFC 6455 §5.5).
    var isMessage: Bool {
        switch self {
        case .data, .text, .binary: true
        case .ping, .pong, .close: false
        }
    }
}
