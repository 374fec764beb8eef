// The operators with a regular expression: which text of a flow is matched.

import FlowModel
import HTTPSemantics
import NIOCore

/// A text of a flow. A side limits it to the client's or the server's message; nil is both.
enum FlowText: Equatable {
    /// Nothing that a recording holds.
    case notRecorded
    case id
    case host
    case method
    /// A text of the connection to a side; nil is either.
    case connection(ConnectionText, Side?)
    /// The names in the certificate of the server.
    case certificate
    case fields(Side?)
    case contentType(Side?)
    case content(Side?)
    /// Trailer fields of both sides.
    case trailers
    /// The names of the operations of GraphQL that the client asked for.
    case graphQLOperation
    /// WebSocket messages, and the data of a stream, of a side.
    case messages(Side)
    case error
    case note
    case comment

    static let clientAddress = FlowText.connection(.address, .client)
    static let serverAddress = FlowText.connection(.address, .server)

    /// - Throws: what fetching content throws; a match that takes too many steps.
    func matches(_ flow: some FlowAttributes, _ pattern: Pattern) throws -> Bool {
        switch self {
        case .notRecorded: return false
        case .id: return try pattern.matches(ByteBuffer(string: flow.id.description))
        case .host:
            guard flow.kind == .http else { return false }
            return try pattern.matches(flow.targetHost) || pattern.matches(flow.displayHost)
        case .method: return try pattern.matches(flow.method)
        case .connection(let text, let side):
            if side != .server, try pattern.matches(flow.connectionText(text, of: .client)) { return true }
            return side != .client ? try pattern.matches(flow.connectionText(text, of: .server)) : false
        case .certificate: return try pattern.matches(flow.serverCertificateNames)
        case .fields(let side):
            if side != .server, try pattern.matches(flow.requestFields?.wire) { return true }
            return side != .client ? try pattern.matches(flow.responseFields?.wire) : false
        case .contentType(let side):
            if side != .server, try pattern.matches(anyOf: flow.requestFields?.all("content-type")) { return true }
            return side != .client ? try pattern.matches(anyOf: flow.responseFields?.all("content-type")) : false
        case .content(let side): return try Self.content(of: flow, side, pattern)
        case .trailers:
            return try pattern.matches(flow.trailers(from: .client)?.wire) || pattern.matches(flow.trailers(from: .server)?.wire)
        case .graphQLOperation: return try flow.asksGraphQL(pattern)
        case .messages(let side): return try Self.messages(of: flow, side, pattern)
        case .error: return try pattern.matches(flow.errorMessage)
        case .note: return try pattern.matches(anyOf: flow.noteTexts)
        case .comment: return try pattern.matches(flow.commentText)
        }
    }

    /// False only when no flow of the block has a text that the pattern matches.
    func mayMatch(_ block: some BlockSummary, _ pattern: Pattern) -> Bool {
        switch self {
        case .notRecorded: false
        case .host: block.mayContain(.http) && pattern.mayMatch(anyOf: block.hosts)
        case .method: block.mayContain(.http) && pattern.mayMatch(anyOf: block.methodNames)
        case .fields, .contentType, .trailers, .graphQLOperation: block.mayContain(.http)
        case .messages: block.mayContain(.http) || block.mayContain(.tcp)
        case .id, .connection, .certificate, .content, .error, .note, .comment: true
        }
    }

    /// Searches a message body whole and decoded, or as it was sent when it cannot be decoded; WebSocket messages and the data of a TCP
    /// stream one by one.
    private static func content(of flow: some FlowAttributes, _ side: Side?, _ pattern: Pattern) throws -> Bool {
        var isFound = false
        try FlowContent.forEach(of: flow, from: side) { content in
            isFound = try pattern.matches(content.decoded())
            return !isFound
        }
        return isFound
    }

    /// Searches the messages of one side one by one.
    private static func messages(of flow: some FlowAttributes, _ side: Side, _ pattern: Pattern) throws -> Bool {
        guard flow.isStream || flow.isWebSocket else { return false }
        var isFound = false
        try flow.pieces.forEach { _, piece in
            guard piece.from == side, piece.kind.isMessage, piece.kind != .data || flow.isStream else { return true }
            isFound = try pattern.matches(piece.content)
            if !isFound, piece.lacksContent { UnsearchedContent.add() }
            return !isFound
        }
        return isFound
    }
}

extension Pattern {
    /// Whether there is a text and the pattern matches it.
    func matches(_ text: ByteBuffer?) throws -> Bool { try text.map { try matches($0) } ?? false }

    func matches(anyOf texts: [ByteBuffer]?) throws -> Bool { try (texts ?? []).contains { try matches($0) } }

    /// False only when the texts are known and the pattern matches none of them. A match that takes too many steps counts as one: the
    /// flows report it.
    func mayMatch(anyOf texts: [ByteBuffer]?) -> Bool {
        guard let texts else { return true }
        return texts.contains { (try? matches($0)) ?? true }
    }
}
