// The parts of a recorded request that count when requests are matched, for people and programs that want to see them: recordings with
// equal parts answer the same request.

import FlowModel
import HTTPSemantics
import NIOCore

/// What a request must have to be answered by a recording. Parts that are ignored are nil or left out.
package struct MatchedParts: Sendable, Equatable {
    /// nil for a request that switches to another protocol.
    package var method: ByteBuffer?
    /// In lower case.
    package var host: ByteBuffer?
    package var path: ByteBuffer
    /// Parameters as they are written, sorted.
    package var query: [String]
    /// Fields that must be equal, and their values; nil: the field must be absent.
    package var fields: [(name: String, value: ByteBuffer?)]
    /// A digest of the content in comparable form; nil if it is empty or ignored.
    package var content: UInt64?

    package static func == (a: MatchedParts, b: MatchedParts) -> Bool {
        (a.method, a.host, a.path, a.query, a.content) == (b.method, b.host, b.path, b.query, b.content)
            && a.fields.elementsEqual(b.fields) { $0 == $1 }
    }
}

extension Flow {
    /// - Returns: nil if the flow has no request.
    /// - Throws: if the content of the request cannot be read.
    package func matchedParts(_ rules: MatchRules) throws -> MatchedParts? {
        guard let head = request?.head else { return nil }
        let (path, query) = head.target.pathAndQuery
        var content: UInt64 = 0
        if !hasSwitched, let cut = cut(of: .client), !rules.ignore.body, rules.body != .none {
            content = RequestContent.digest(cut)
        } else if !hasSwitched {
            content = RequestContent.digest(try pieces.content(from: .client), head.fields, rules)
        }
        return MatchedParts(
            method: hasSwitched ? nil : head.method,
            host: rules.ignore.host ? nil : ByteBuffer(string: String(buffer: displayHost).lowercased()), path: path,
            query: rules.parameters(of: query).values.flatMap { $0 }.sorted(),
            fields: rules.headers.map { ($0, head.fields.joined($0)) }, content: content == 0 ? nil : content)
    }
}

extension MatchRules {
    /// The parameters of a query that count, as they are written, by their decoded names.
    func parameters(of query: ByteBuffer) -> [String: [String]] {
        guard !ignore.query else { return [:] }
        var pairs: [String: [String]] = [:]
        query.forEachParameter { name, whole in
            let text = String(buffer: name.formDecoded)
            if !ignore.queryNames.contains(text), !volatile.contains(text) {
                pairs[text, default: []].append(String(buffer: whole))
            }
        }
        return pairs.mapValues { $0.sorted() }
    }
}
