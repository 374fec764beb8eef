// Values in JSON bodies as columns: `~json[$.user.name]`.

import ContentCoding
import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// The first value at a path in a body.
package struct JSONKey: Sendable, Hashable {
    /// Decoded bytes of a body beyond this are not read.
    private static let maximumBody = 64 * 1024 * 1024

    /// As it was written: `~jsons[$.items[0].id]`.
    package let name: String
    private let path: JSONPath
    /// nil is the response's body, or the request's when the response's has no such value.
    private let side: Side?

    private static let operators: [(name: String, side: Side?)] = [("~json", nil), ("~jsonq", .client), ("~jsons", .server)]

    /// - Throws: a sentence about what is wrong.
    init(_ text: String) throws(TableError) {
        guard let (start, side) = Self.operators.first(where: { text.hasPrefix($0.name + "[") }), text.last == "]" else {
            throw TableError("'\(text)' needs a path in brackets, for example ~json[$.user.name]")
        }
        name = text
        self.side = side
        do {
            path = try JSONPath(String(text.dropFirst(start.count + 1).dropLast()))
        } catch {
            throw TableError("'\(text)' has no valid path: \(error)")
        }
    }

    package static func == (a: JSONKey, b: JSONKey) -> Bool { a.name == b.name }
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// Strings without quotation marks, other values as JSON.
    /// - Throws: what fetching content throws.
    func value(of flow: some FlowAttributes) throws -> FlowValue {
        guard flow.kind == .http, flow.status != 101 else { return .none }
        for side in side.map({ [$0] }) ?? [.server, .client] {
            let fields = side == .client ? flow.requestFields : flow.responseFields
            guard let fields, try flow.contentSize(from: side) ?? 0 > 0 else { continue }
            let wire = try flow.pieces.content(from: side, maximum: Self.maximumBody)
            let body = decodeContent(
                wire, codings: flow.storedCodings(from: side, declaredBy: fields), maximum: Self.maximumBody
            ).content
            var found: ByteBuffer?
            path.forEachValue(in: body) { value in
                found = Self.text(of: value)
                return false
            }
            if let found { return .text(found) }
            try flow.noteSearched(wire, from: side, maximum: Self.maximumBody)
        }
        return .none
    }

    private static func text(of value: JSONTree) -> ByteBuffer {
        if let string = value.string { return string.bytes }
        var text = ByteBuffer()
        value.write(into: &text)
        return text
    }
}
