// The JSON of a flow: bodies and WebSocket messages that are JSON, and the values of a path in them.

import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// The values that a path selects in the JSON of a flow. May be used by several threads.
///
/// A body is decoded as for `~b`. It is JSON if its text is, whatever its Content-Type, except that images, audio, video and fonts are not
/// tried. JSON texts one after another, each in lines of its own (NDJSON), are all searched. A WebSocket message, and the data of an event of
/// an event stream (text/event-stream), is searched like a body. What is not JSON has no values.
package struct FlowJSON: Sendable {
    package let path: JSONPath
    /// The sender; nil for both.
    package let side: Side?

    package init(_ path: JSONPath, from side: Side? = nil) {
        self.path = path
        self.side = side
    }

    /// Whether a value passes a test.
    /// - Throws: what fetching content throws; a match that takes too many steps.
    func contains(_ flow: some FlowAttributes, _ test: JSONValueTest) throws -> Bool {
        var isFound = false
        try forEachText(of: flow) { text in
            isFound = try path.contains(in: text, test)
            return !isFound
        }
        return isFound
    }

    /// Visits the values of a flow, those of a body or message in the order of RFC 9535. ``JSONTree/plainText`` is a value as text: a string
    /// without quotation marks, a number as it is written, `true`, `false`, `null`, or compact JSON of an object or array.
    /// - Parameter visit: returns false to stop.
    /// - Throws: what fetching content throws.
    package func forEachValue(of flow: some FlowAttributes, _ visit: (JSONTree) -> Bool) throws {
        var continues = true
        try forEachText(of: flow) { text in
            path.forEachValue(in: text) { value in
                continues = visit(value)
                return continues
            }
            return continues
        }
    }

    private func forEachText(of flow: some FlowAttributes, _ visit: (ByteBuffer) throws -> Bool) throws {
        guard flow.kind == .http else { return }
        // No content is fetched if the types exclude JSON.
        let requestFields = side == .server ? nil : flow.requestFields
        let responseFields = side == .client ? nil : flow.responseFields
        let isRequest = side != .server && (flow.isWebSocket || requestFields?.isMedia == false)
        let isResponse = side != .client && (flow.isWebSocket || responseFields?.isMedia == false)
        guard isRequest || isResponse else { return }
        try FlowContent.forEach(
            of: flow, from: isRequest && isResponse ? nil : isRequest ? .client : .server, requestFields: requestFields,
            responseFields: responseFields
        ) { content in
            guard content.mayBeJSON else { return true }
            guard content.fields?.isEventStream == true else { return try visit(content.decoded()) }
            var continues = true
            try content.decoded().forEachEventData { data in
                continues = try visit(data)
                return continues
            }
            return continues
        }
    }
}

extension FlowContent {
    /// Checks the first bytes of content that would have to be decoded.
    fileprivate var mayBeJSON: Bool {
        guard let fields, !codings.isEmpty, !fields.isEventStream, fields.first("content-type")?.containsJSON != true else {
            return true
        }
        return decoded(maximum: 64).mayBeginJSON
    }
}

extension FieldSection {
    /// The type is one of images, audio, video or fonts (RFC 6838 section 4.2).
    fileprivate var isMedia: Bool {
        guard let type = first("content-type") else { return false }
        return ["image/", "audio/", "video/", "font/"].contains { prefix in
            type.equalsIgnoringCase(ByteRange(0, min(prefix.utf8CodeUnitCount, type.readableBytes)), prefix)
        }
    }
}

extension ByteBuffer {
    fileprivate var containsJSON: Bool { String(buffer: self).lowercased().contains("json") }
}

extension JSONValueTest {
    /// A VALUE for JSON: ``ValueTest/within(_:)`` compares numbers alone, not strings, and a number equals one of the same value.
    init(_ test: ValueTest) {
        switch test {
        case .exists: self = .exists
        case .matches(let pattern): self = .text { try pattern.matches($0) }
        case .equals(let text, _): self = .equals(JSONString(bytes: text), JSONNumber(String(buffer: text)))
        case .within(let range): self = .number(range.comparison, range.bound)
        }
    }
}

extension NumberRange {
    /// A VALUE has one bound.
    fileprivate var comparison: JSONPathComparison {
        lowest > -.infinity ? (includesLowest ? .greaterOrEqual : .greater) : (includesHighest ? .lessOrEqual : .less)
    }

    /// Exactly as it is written, if it is a number of JSON.
    fileprivate var bound: JSONNumber {
        JSONNumber(String(text.drop { "<>=".contains($0) })) ?? .real(lowest > -.infinity ? lowest : highest)
    }
}
