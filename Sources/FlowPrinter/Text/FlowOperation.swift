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
        let decoded = decodeContent(content, of: head.fields, maximum: GraphQLRequest.maximumSize)
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
    /// The path has `graphql` or `gql` in it, or the media type is GraphQL's.
    fileprivate var mayBeGraphQL: Bool {
        if target.containsIgnoringCase("graphql") || target.containsIgnoringCase("gql") { return true }
        return fields.first("content-type").map { $0.containsIgnoringCase("graphql") } ?? false
    }
}

extension ByteBuffer {
    /// - Parameter word: in lower case.
    fileprivate func containsIgnoringCase(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard readableBytes >= count else { return false }
        return unsafe withUnsafeReadableBytes { bytes in
            let first = unsafe word.utf8Start[0]
            for start in 0...(bytes.count - count) where unsafe bytes[start].lowercased == first {
                var i = 1
                while i < count, unsafe bytes[start + i].lowercased == word.utf8Start[i] { i += 1 }
                if i == count { return true }
            }
            return false
        }
    }
}
