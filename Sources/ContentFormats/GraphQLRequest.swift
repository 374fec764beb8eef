// Requests of GraphQL in the forms in which they are sent: JSON with a document (GraphQL over HTTP, section 6), batches of them, GET with the
// same members in the query, persisted queries by their hash, `application/graphql`, the multipart request specification, and the messages
// of graphql-ws. One reading for all that ask for an operation: the filter, the list and the content view.

import HTTPSemantics
import JSONQuery
import NIOCore

/// One request of GraphQL.
package struct GraphQLRequest: Sendable {
    /// Content beyond this is not read. Real requests stay below 1 MiB; queries of code generators with all fragments are the largest.
    package static let maximumSize = 8 * 1024 * 1024
    /// Requests of one batch.
    package static let maximumBatch = 1000

    /// The source of the document; nil if only its hash was sent.
    package let source: ByteBuffer?
    /// What the document defines; nil without a document.
    package let document: GraphQLDocument?
    /// The member `operationName`; nil if it is absent, null or empty.
    package let operationName: ByteBuffer?
    /// A hash or an identifier that stands for the document; nil without it.
    package let documentID: ByteBuffer?
    /// The texts of the other members, as JSON: `variables`, `extensions` and those that are not known.
    package let members: [JSONTokens.Member]

    /// The operation that is asked for: the one that `operationName` selects, or the only one; nil without a document, and if it cannot be
    /// known.
    package var operation: GraphQLOperation? {
        guard let operations = document?.operations else { return nil }
        guard let operationName else { return operations.count == 1 ? operations[0] : nil }
        return operations.first { $0.name == operationName }
    }

    /// The name of the operation; nil if it has none.
    package var name: ByteBuffer? { operationName ?? operation?.name }

    /// `mutation AddUser`, `query`, or the hash of a persisted query without a name.
    package var label: ByteBuffer {
        var label = ByteBuffer()
        if let operation { label.writeString(operation.kind.rawValue) }
        if let name = name ?? (operation == nil ? documentID : nil) {
            if label.readableBytes > 0 { label.writeStaticString(" ") }
            label.writeImmutableBuffer(name)
        }
        if label.readableBytes == 0 { label.writeString(document?.operations.isEmpty == true ? "document" : "query") }
        return label
    }

    // MARK: Reading

    /// The requests in the content or the target of an HTTP request, in their order; empty if it is not GraphQL.
    /// - Parameters:
    ///   - target: the request-target.
    ///   - type: the value of Content-Type.
    ///   - content: decoded.
    package static func requests(
        method: ByteBuffer, target: ByteBuffer, type: ByteBuffer?, content: ByteBuffer
    ) -> [GraphQLRequest] {
        if content.readableBytes == 0 {
            let isGet = method.readableBytesView.elementsEqual("GET".utf8)
            return isGet ? GraphQLRequest(queryOf: target).map { [$0] } ?? [] : []
        }
        return requests(in: content, type: type)
    }

    /// The requests in content, in their order; empty if it is not GraphQL.
    package static func requests(in content: ByteBuffer, type: ByteBuffer?) -> [GraphQLRequest] {
        guard content.readableBytes <= maximumSize else { return [] }
        let media = type.map { FieldParameters($0) }
        switch media?.value {
        case "application/graphql":
            return GraphQLRequest(document: content).map { [$0] } ?? []
        case "multipart/form-data":
            guard let boundary = media?["boundary"], let operations = operations(in: content, boundary) else { return [] }
            return requests(inJSON: operations)
        case let name where name == nil || name == "" || name == "text/plain" || name!.hasSuffix("json"):
            return requests(inJSON: content)
        default:
            return []
        }
    }

    /// The part `operations` (GraphQL multipart request specification); it is the first one.
    private static func operations(in content: ByteBuffer, _ boundary: ByteBuffer) -> ByteBuffer? {
        var reader = MultipartReader(content, boundary: boundary)
        guard let part = reader.next(), let field = FieldSection(parsing: part.head).first("content-disposition"),
            FieldParameters(field)["name"] == ByteBuffer(string: "operations")
        else { return nil }
        return part.content
    }

    /// A request, or a batch of them; empty if one of them is not GraphQL.
    package static func requests(inJSON text: ByteBuffer) -> [GraphQLRequest] {
        guard text.readableBytes <= maximumSize, mayBeRequest(text) else { return [] }
        if let members = JSONTokens.members(of: text) { return GraphQLRequest(members: members).map { [$0] } ?? [] }
        guard let elements = JSONTokens.elements(of: text, maximum: maximumBatch) else { return [] }
        var requests: [GraphQLRequest] = []
        for element in elements {
            guard let members = JSONTokens.members(of: element), let request = GraphQLRequest(members: members) else { return [] }
            requests.append(request)
        }
        return requests
    }

    /// A cheap check: an object or array with the name of a member that a request has.
    private static func mayBeRequest(_ text: ByteBuffer) -> Bool {
        let first = text.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        guard first == 0x7B || first == 0x5B else { return false }
        return text.contains("\"query\"") || text.contains("\"persistedQuery\"") || text.contains("\"documentId\"")
    }

    /// - Returns: nil if the members are not those of a request: a document, or what stands for one.
    package init?(members: [JSONTokens.Member]) {
        func string(_ name: JSONString) -> ByteBuffer? {
            members.first { $0.name == name }.flatMap { JSONTokens.string($0.value) }?.bytes
        }
        let extensions = members.first { $0.name == "extensions" }?.value
        self.init(
            source: string("query"), name: string("operationName"),
            documentID: extensions.flatMap { Self.hash(in: $0) } ?? string("documentId"),
            members: members.filter { $0.name != "query" && $0.name != "operationName" })
    }

    /// A request in the query of a target.
    /// - Returns: nil when the query holds no request.
    package init?(queryOf target: ByteBuffer) {
        guard target.readableBytes <= Self.maximumSize else { return nil }
        var values: [String: ByteBuffer] = [:]
        for pair in FormPairs(queryOf: target) {
            guard
                let name = ["query", "operationName", "variables", "extensions", "documentId"].first(where: {
                    pair.name.readableBytesView.elementsEqual($0.utf8)
                })
            else { continue }
            values[name] = values[name] ?? pair.value
        }
        let members = ["variables", "extensions"].compactMap { name in
            values[name].map { JSONTokens.Member(name: JSONString(name), value: $0) }
        }
        self.init(
            source: values["query"], name: values["operationName"],
            documentID: values["extensions"].flatMap { Self.hash(in: $0) } ?? values["documentId"], members: members)
    }

    /// - Returns: nil if the text is not a document.
    package init?(document: ByteBuffer) { self.init(source: document, name: nil, documentID: nil, members: []) }

    private init?(source: ByteBuffer?, name: ByteBuffer?, documentID: ByteBuffer?, members: [JSONTokens.Member]) {
        if let source {
            guard let document = try? GraphQLDocument(source) else { return nil }
            self.document = document
        } else {
            guard documentID != nil else { return nil }
            document = nil
        }
        self.source = source
        operationName = name.flatMap { $0.readableBytes > 0 ? $0 : nil }
        self.documentID = documentID
        self.members = members
    }

    /// The hash of a persisted query (Apollo's automatic persisted queries).
    private static func hash(in extensions: ByteBuffer) -> ByteBuffer? {
        guard let persisted = JSONTokens.members(of: extensions)?.first(where: { $0.name == "persistedQuery" }),
            let hash = JSONTokens.members(of: persisted.value)?.first(where: { $0.name == "sha256Hash" })
        else { return nil }
        return JSONTokens.string(hash.value)?.bytes
    }
}

/// A message of graphql-ws: the protocol of that name, also called `graphql-transport-ws`, and the older one of subscriptions-transport-ws.
package struct GraphQLMessage: Sendable {
    /// `subscribe`, or `start` of the older protocol.
    package let type: ByteBuffer
    package let id: ByteBuffer?
    package let request: GraphQLRequest

    /// - Returns: nil if the message asks for no operation, or has members that the protocol does not have.
    package init?(_ message: ByteBuffer) {
        guard message.readableBytes <= GraphQLRequest.maximumSize, message.contains("\"payload\""),
            let members = JSONTokens.members(of: message),
            members.allSatisfy({ $0.name == "id" || $0.name == "type" || $0.name == "payload" })
        else { return nil }
        func value(_ name: JSONString) -> ByteBuffer? { members.first { $0.name == name }?.value }
        guard let type = value("type").flatMap({ JSONTokens.string($0) })?.bytes,
            ["subscribe", "start"].contains(where: { type.readableBytesView.elementsEqual($0.utf8) }),
            let payload = value("payload").flatMap({ JSONTokens.members(of: $0) }), let request = GraphQLRequest(members: payload)
        else { return nil }
        self.type = type
        id = value("id").map { JSONTokens.string($0)?.bytes ?? $0 }
        self.request = request
    }
}

extension ByteBuffer {
    /// Whether an ASCII word is among the bytes.
    fileprivate func contains(_ word: StaticString) -> Bool {
        let span = readableBytesUInt8Span
        let count = word.utf8CodeUnitCount
        guard count > 0, span.count >= count else { return false }
        let first = unsafe word.utf8Start[0]
        for start in 0...(span.count - count) where span[start] == first {
            var i = 1
            while i < count, unsafe span[start + i] == word.utf8Start[i] { i += 1 }
            if i == count { return true }
        }
        return false
    }
}
