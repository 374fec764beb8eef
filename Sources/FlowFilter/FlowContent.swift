// The contents of a flow that operators search: message bodies, WebSocket messages, the data of TCP streams.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// A content of a flow, as it was sent.
struct FlowContent {
    /// Decoded content beyond this is not searched.
    private static let maximum = 64 * 1024 * 1024

    let from: Side
    let bytes: ByteBuffer
    /// The fields of the message whose body it is; nil for WebSocket messages and the data of streams.
    let fields: FieldSection?

    /// Visits the contents of a flow: WebSocket messages and the data of TCP streams one by one, then the message bodies whole.
    /// - Parameters:
    ///   - side: the sender; nil for both.
    ///   - visit: returns false to stop.
    /// - Throws: what fetching content throws, and what the visit throws.
    static func forEach(of flow: some FlowAttributes, from side: Side?, _ visit: (FlowContent) throws -> Bool) throws {
        var continues = true
        var bodies: [Side: ByteBuffer] = [:]
        let isStream = flow.isStream
        try flow.pieces.forEach { _, piece in
            guard side == nil || piece.from == side else { return true }
            if piece.kind == .data, !isStream {
                let known = bodies[piece.from]?.readableBytes ?? 0
                if known == 0 {
                    bodies[piece.from] = piece.content
                } else if known < maximum {
                    bodies[piece.from]?.writeImmutableBuffer(piece.content)
                }
            } else if piece.kind.isMessage {
                continues = try visit(FlowContent(from: piece.from, bytes: piece.content, fields: nil))
            }
            return continues
        }
        for (side, bytes) in bodies where continues {
            let fields = side == .client ? flow.requestFields : flow.responseFields
            continues = try visit(FlowContent(from: side, bytes: bytes, fields: fields))
        }
    }

    /// Without content codings; as it was sent when it cannot be decoded.
    func decoded(maximum: Int = Self.maximum) -> ByteBuffer { decodeContent(bytes, of: fields, maximum: maximum).content }
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
