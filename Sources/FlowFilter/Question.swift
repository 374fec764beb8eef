// What the operators ask of a flow, and how it is answered.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Something that is asked of a flow.
enum Question: Equatable {
    case all
    /// Nothing that a recording holds.
    case none
    case asset
    case content(Side?)
    case status
    case comment
    case host
    case destination
    case source
    case error
    case fields(Side?)
    case kind(FlowKind)
    case method
    case marked
    case hasResponse
    case hasNoResponse
    case contentType(Side?)
    case url
    case webSocket
    case errorMessage
    case id
    case incomplete
    case messages
    case duration
    case localReply
    case note

    /// Decoded content beyond this is not searched.
    static let maximumContent = 64 * 1024 * 1024

    /// Answers without an argument.
    func answer(_ flow: some FlowQuestions) -> Bool {
        switch self {
        case .all: true
        case .none: false
        case .asset: Self.isAsset(flow.responseFields?.first("content-type"))
        case .error: flow.errorMessage != nil
        case .kind(let kind): flow.kind == kind
        case .marked: flow.isTagged
        case .hasResponse: flow.status > 0 && !flow.hasLocalReply
        case .hasNoResponse: flow.kind == .http && (flow.status == 0 || flow.hasLocalReply)
        case .localReply: flow.hasLocalReply
        case .webSocket: flow.isWebSocket
        case .incomplete: flow.state == .incomplete
        case .errorMessage, .id, .messages, .duration, .content, .status, .comment, .host, .destination, .source, .fields, .method,
            .contentType, .url, .note:
            false
        }
    }

    /// Answers whether a pattern matches.
    func answer(_ flow: some FlowQuestions, _ pattern: Pattern) throws -> Bool {
        func matches(_ bytes: ByteBuffer?) throws -> Bool { try bytes.map { try pattern.matches($0) } ?? false }
        switch self {
        case .comment: return try matches(flow.commentText)
        case .errorMessage: return try matches(flow.errorMessage)
        case .note: return try flow.noteTexts.contains { try pattern.matches($0) }
        case .id: return try matches(ByteBuffer(string: flow.id.description))
        case .host:
            guard flow.kind == .http else { return false }
            return try matches(flow.targetHost) || matches(flow.displayHost)
        case .destination: return try matches(flow.serverAddress)
        case .source: return try matches(flow.clientAddress)
        case .method: return try matches(flow.method)
        case .url: return try matches(flow.displayURL)
        case .fields(let side):
            if side != .server, try matches(flow.requestFields?.wire) { return true }
            return side != .client ? try matches(flow.responseFields?.wire) : false
        case .contentType(let side):
            if side != .server {
                for value in flow.requestFields?.all("content-type") ?? [] where try matches(value) { return true }
            }
            if side != .client {
                for value in flow.responseFields?.all("content-type") ?? [] where try matches(value) { return true }
            }
            return false
        case .content(let side): return try Self.content(of: flow, side, pattern)
        default: return answer(flow)
        }
    }

    /// Answers whether a quantity is in a range.
    func answer(_ flow: some FlowQuestions, _ range: QuantityRange) throws -> Bool {
        switch self {
        case .duration: return flow.ended.map { range.contains($0 - flow.started) } ?? false
        case .messages:
            guard flow.isWebSocket || flow.kind == .tcp else { return false }
            var count: Int64 = 0
            try flow.pieces.forEach { _, piece in
                if piece.kind == .text || piece.kind == .binary || flow.kind == .tcp { count += 1 }
                return count <= range.highest
            }
            return range.contains(count)
        default: return answer(flow)
        }
    }

    /// A message body is searched whole and decoded, or as it was sent where it cannot be decoded; WebSocket messages and pieces of a TCP stream one by one.
    private static func content(of flow: some FlowQuestions, _ side: Side?, _ pattern: Pattern) throws -> Bool {
        var isFound = false
        var bodies: [Side: ByteBuffer] = [:]
        let isStream = flow.kind == .tcp || flow.status == 101
        try flow.pieces.forEach { _, piece in
            guard side == nil || piece.from == side else { return true }
            if piece.kind == .data, !isStream {
                let known = bodies[piece.from]?.readableBytes ?? 0
                if known == 0 {
                    bodies[piece.from] = piece.content
                } else if known < maximumContent {
                    bodies[piece.from]?.writeImmutableBuffer(piece.content)
                }
            } else if piece.kind != .ping, piece.kind != .pong, piece.kind != .close {
                isFound = try pattern.matches(piece.content)
            }
            return !isFound
        }
        for (side, wire) in bodies where !isFound {
            let fields = side == .client ? flow.requestFields : flow.responseFields
            let decoded = decodeContent(wire, codings: fields?.contentCodings ?? [], maximum: maximumContent)
            isFound = try pattern.matches(decoded.content)
        }
        return isFound
    }

    /// text/javascript, application/javascript and x-javascript, text/css, image/*, font/*, application/font*.
    private static func isAsset(_ type: ByteBuffer?) -> Bool {
        guard let type else { return false }
        let prefixes = [
            "text/javascript", "application/x-javascript", "application/javascript", "text/css", "image/", "font/",
            "application/font",
        ]
        return prefixes.contains { String(buffer: type).hasPrefix($0) }
    }
}
