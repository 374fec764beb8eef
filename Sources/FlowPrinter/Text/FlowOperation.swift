// The operation of a GraphQL request, for the line of its flow. Every request of an API may have the same URL, so the operation is what tells
// them apart.

import ContentCoding
import ContentFormats
import FlowModel
import HTTPSemantics
import NIOCore

extension Flow {
    /// Bytes of a name that a line shows.
    private static var maximumName: Int { 60 }
    /// Operations of a batch that a line shows.
    private static var maximumOperations: Int { 3 }

    /// `mutation AddUser`; nil if the request is not GraphQL. Only requests whose target or media type is GraphQL's by its name are read: a
    /// line must not cost the content of every flow.
    var graphQLOperation: String? {
        guard kind == .http, let head = request?.head, head.mayBeGraphQL else { return nil }
        let content = (try? pieces.contentUnlessDamaged(from: .client, maximum: GraphQLRequest.maximumSize + 1)) ?? ByteBuffer()
        let decoded = decodeContent(content, codings: storedCodings(from: .client), maximum: GraphQLRequest.maximumSize)
        guard decoded.outcome == .complete else { return nil }
        let requests = GraphQLRequest.requests(
            method: head.method, target: head.target, type: head.fields.first("content-type"), content: decoded.content)
        guard !requests.isEmpty else { return nil }
        let labels = requests.prefix(Self.maximumOperations).map { request in
            let label = String(buffer: request.label)
            return label.count > Self.maximumName ? label.prefix(Self.maximumName - 1) + "…" : label
        }
        let rest = requests.count - labels.count
        return labels.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}

extension RequestHead {
    /// The target has `graphql` or `gql` in it, or the media type is GraphQL's.
    fileprivate var mayBeGraphQL: Bool { target.namesGraphQL || fields.first("content-type")?.namesGraphQL == true }
}

extension ByteBuffer {
    /// `graphql` or `gql` is among the bytes. Every line of a list asks, and a `q` is rare.
    fileprivate var namesGraphQL: Bool {
        let span = readableBytesUInt8Span
        var q = 1
        while q + 1 < span.count {
            if span[q].lowercased == UInt8(ascii: "q"), span[q + 1].lowercased == UInt8(ascii: "l") {
                if span[q - 1].lowercased == UInt8(ascii: "g") { return true }
                if q >= 5, slice(ByteRange(q - 5, q)).equalsIgnoringCase("graph") { return true }
            }
            q += 1
        }
        return false
    }
}
