// The names of the operations of GraphQL that a client asked for: in the content or the query of a request, and in messages of graphql-ws.

import ContentCoding
import ContentFormats
import FlowModel
import HTTPSemantics
import NIOCore

extension FlowAttributes {
    /// Whether the pattern matches the name of one of the operations. An operation without a name does not match.
    /// - Throws: what fetching content throws; a match that takes too many steps.
    func asksGraphQL(_ pattern: Pattern) throws -> Bool {
        guard kind == .http, let method, let requestTarget else { return false }
        if isWebSocket { return try subscribes(pattern) }
        // One byte more than is read, so that a larger content is not taken for a whole one.
        let maximum = GraphQLRequest.maximumSize + 1
        let wire = try pieces.content(from: .client, maximum: maximum)
        let content = decodeContent(wire, codings: storedCodings(from: .client), maximum: maximum).content
        let requests = GraphQLRequest.requests(
            method: method, target: requestTarget, type: requestFields?.first("content-type"), content: content)
        if try requests.contains(where: { try pattern.matches($0.name) }) { return true }
        try noteSearched(wire, from: .client, maximum: maximum)
        return false
    }

    private func subscribes(_ pattern: Pattern) throws -> Bool {
        var isFound = false
        try pieces.forEach { _, piece in
            guard piece.kind == .text, piece.from == .client else { return true }
            guard let message = GraphQLMessage(piece.content) else {
                if piece.lacksContent { UnsearchedContent.add() }
                return true
            }
            isFound = try pattern.matches(message.request.name)
            return !isFound
        }
        return isFound
    }
}
