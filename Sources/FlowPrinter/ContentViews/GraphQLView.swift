// Requests of GraphQL, in the forms that ContentFormats reads.

import ContentFormats
import HTTPSemantics
import JSONQuery
import NIOCore

/// Requests of GraphQL: the operation, the document laid out, and the other members as JSON.
struct GraphQLView: ContentView {
    static let name = "graphql"
    static let help = "requests of GraphQL, batches, graphql-ws: operation, query laid out, variables as JSON"

    private let content: ViewedContent
    private let requests: [GraphQLRequest]
    private let message: GraphQLMessage?

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if content.media == "application/graphql" { return .type }
        guard content.origin?.side != .server || content.origin?.subprotocol != nil else { return nil }
        let first = content.bytes.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        guard first == 0x7B || first == 0x5B else { return nil }
        return content.media.isEmpty || content.media.hasSuffix("json") || content.media == "text/plain" ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        guard content.bytes.readableBytes <= GraphQLRequest.maximumSize else {
            throw ContentMismatch("it is larger than \(readableSize(UInt64(GraphQLRequest.maximumSize)))")
        }
        self.content = content
        message = GraphQLMessage(content.bytes)
        if let message {
            requests = [message.request]
        } else {
            let found = GraphQLRequest.requests(inJSON: content.bytes)
            // Tokens of JSON are tokens of a document too.
            let isDocument =
                found.isEmpty && content.isExpected && (try? JSONTokens.check(content.bytes, isStrict: true)) == nil
            requests = isDocument ? GraphQLRequest(document: content.bytes).map { [$0] } ?? [] : found
        }
        guard requests.isEmpty else { return }
        if content.media == "application/graphql" {
            do throws(GraphQLSyntaxError) {
                _ = try GraphQLDocument(content.bytes)
            } catch {
                throw ContentMismatch(error.reason)
            }
        }
        throw ContentMismatch("it is not a request of GraphQL")
    }

    /// A request whose members are in the query of a target.
    init?(queryOf target: ByteBuffer) {
        guard let request = GraphQLRequest(queryOf: target) else { return nil }
        content = ViewedContent(target)
        requests = [request]
        message = nil
    }

    var title: String? {
        guard requests.count == 1 else { return "GraphQL, \(requests.count) requests" }
        let label = "GraphQL \(String(buffer: requests[0].label))"
        guard let message else { return label }
        return "\(label), \(String(buffer: message.type))" + (message.id.map { ", id \(String(buffer: $0))" } ?? "")
    }

    func write(into lines: inout CountedLines) {
        guard requests.count > 1 else { return write(requests[0], &lines) }
        for (index, request) in requests.enumerated() {
            lines.line(0) { out in
                out.writeString("request \(index + 1), ")
                out.writeVisible(request.label)
            }
            lines.indented { write(request, &$0) }
        }
    }

    private func write(_ request: GraphQLRequest, _ lines: inout CountedLines) {
        let palette = lines.palette
        if let source = request.source { GraphQLLayout.write(source, into: &lines) }
        // The title has the name of an operation that the document defines.
        if let name = request.operationName, request.operation == nil {
            lines.line(0) { out in
                palette.write(.name, into: &out) { $0.writeStaticString("operationName") }
                out.writeStaticString(": ")
                out.writeVisible(name)
            }
        }
        for member in request.members {
            lines.line(0) { out in
                palette.write(.name, into: &out) { $0.writeVisible(member.name.bytes) }
                out.writeStaticString(":")
            }
            lines.indented { content.inner(member.value, type: ByteBuffer(staticString: "application/json")).write(into: &$0) }
        }
    }
}
