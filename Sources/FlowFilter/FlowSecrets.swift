// The secrets of a flow: which of its texts are searched, and where in the flow one is.

import FlowModel
import HTTPSemantics
import NIOCore
import Secrets

/// A secret in a flow.
package struct FlowSecret: Sendable, Equatable {
    /// The text that has it, by its place in JSON Lines: `request.target`, `request.headers`, `response.body`, `websocket.messages[3]`.
    package var place: String
    /// The name of the header or trailer field, as it was sent.
    package var field: String?
    /// Where it is: in the value of the field, in the decoded body, or in the text.
    package var range: Range<Int>
    package var finding: SecretFinding
}

/// Searches flows for secrets: request-target, header and trailer fields, decoded bodies, WebSocket messages, the data of TCP streams. May be
/// used by several threads.
///
/// Each message and each piece of a stream is searched by itself, so a secret that two of them share is not found.
package struct FlowSecrets: Sendable {
    private let scanner: SecretScanner

    package init(_ scanner: SecretScanner) { self.scanner = scanner }

    /// Whether a flow has a secret.
    /// - Throws: what fetching content throws; an expression that takes too many steps.
    package func isFound(in flow: some FlowAttributes) throws -> Bool {
        var isFound = false
        try forEachText(of: flow) { text, _ in
            isFound = try scanner.finds(in: text)
            return !isFound
        }
        return isFound
    }

    /// Visits the secrets of a flow: those of its heads, of its trailers, of its messages, of its bodies.
    /// - Throws: what fetching content throws; an expression that takes too many steps; what the visit throws.
    package func forEach(of flow: some FlowAttributes, _ visit: (FlowSecret) throws -> Void) throws {
        try forEachText(of: flow) { text, place in
            for finding in try scanner.scan(text) { try visit(place.secret(finding)) }
            return true
        }
    }

    private func forEachText(of flow: some FlowAttributes, _ visit: (ByteBuffer, Place) throws -> Bool) throws {
        if let target = flow.requestTarget, try !visit(target, Place("request.target")) { return }
        let (requestFields, responseFields) = (flow.requestFields, flow.responseFields)
        for (fields, place) in [
            (requestFields, "request.headers"), (responseFields, "response.headers"),
            (flow.trailers(from: .client), "request.trailers"), (flow.trailers(from: .server), "response.trailers"),
        ] {
            if let fields, try !visit(fields.wire, Place(place, fields)) { return }
        }
        let stream = flow.isWebSocket ? "websocket" : flow.kind == .tcp ? "tcp" : "stream"
        try FlowContent.forEach(of: flow, from: nil, requestFields: requestFields, responseFields: responseFields) { content in
            let place =
                content.message.map { "\(stream).messages[\($0)]" } ?? (content.side == .client ? "request.body" : "response.body")
            return try visit(content.decoded(), Place(place))
        }
    }

    private struct Place {
        private let name: String
        private let fields: FieldSection?

        init(_ name: String, _ fields: FieldSection? = nil) { (self.name, self.fields) = (name, fields) }

        func secret(_ finding: SecretFinding) -> FlowSecret {
            let range = finding.range
            guard let fields,
                let line = fields.lines.last(where: {
                    Int($0.value.start) <= range.lowerBound && range.upperBound <= Int($0.value.end)
                })
            else { return FlowSecret(place: name, range: range, finding: finding) }
            let start = Int(line.value.start)
            return FlowSecret(
                place: name, field: String(buffer: fields.slice(line.name)),
                range: range.lowerBound - start..<range.upperBound - start,
                finding: finding)
        }
    }
}

/// `~secret [RULE]`.
struct SecretTest: Sendable {
    /// nil is every rule.
    let rule: String?
    private let secrets: FlowSecrets

    /// - Returns: nil if no rule has the name.
    init?(rule: String?, in rules: SecretRules?, acceptsAny: Bool) {
        self.rule = rule
        if let rule {
            guard let named = (rules ?? .builtIn).named(rule) ?? (acceptsAny ? SecretRules.none : nil) else { return nil }
            secrets = FlowSecrets(SecretScanner(named))
        } else {
            secrets = FlowSecrets(rules.map { SecretScanner($0) } ?? .builtIn)
        }
    }

    /// - Throws: what fetching content throws; an expression that takes too many steps.
    func matches(_ flow: some FlowAttributes) throws -> Bool { try secrets.isFound(in: flow) }
}
