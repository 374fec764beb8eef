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
        var (requestFields, responseFields): (FieldSection?, FieldSection?)
        if flow.kind == .http {
            if let target = flow.requestTarget, try !visit(target, .target) { return }
            (requestFields, responseFields) = (flow.requestFields, flow.responseFields)
            func visitFields(_ fields: FieldSection?, _ place: (FieldSection) -> Place) throws -> Bool {
                guard let fields, !fields.isEmpty else { return true }
                return try visit(fields.wire, place(fields))
            }
            guard try visitFields(requestFields, { .headers(.client, $0) }),
                try visitFields(responseFields, { .headers(.server, $0) }),
                try visitFields(flow.trailers(from: .client), { .trailers(.client, $0) }),
                try visitFields(flow.trailers(from: .server), { .trailers(.server, $0) })
            else { return }
        }
        let stream: StaticString = flow.isWebSocket ? "websocket" : flow.kind == .tcp ? "tcp" : "stream"
        try FlowContent.forEach(of: flow, from: nil, requestFields: requestFields, responseFields: responseFields) { content in
            try visit(content.decoded(), content.message.map { .message(stream, $0) } ?? .body(content.side))
        }
    }

    /// Which text of a flow.
    private enum Place {
        case target
        case headers(Side, FieldSection)
        case trailers(Side, FieldSection)
        case body(Side)
        case message(StaticString, Int)

        private var name: String {
            switch self {
            case .target: "request.target"
            case .headers(let side, _): side == .client ? "request.headers" : "response.headers"
            case .trailers(let side, _): side == .client ? "request.trailers" : "response.trailers"
            case .body(let side): side == .client ? "request.body" : "response.body"
            case .message(let stream, let number): "\(stream).messages[\(number)]"
            }
        }

        func secret(_ finding: SecretFinding) -> FlowSecret {
            let range = finding.range
            let whole = FlowSecret(place: name, range: range, finding: finding)
            let fields: FieldSection
            switch self {
            case .headers(_, let section), .trailers(_, let section): fields = section
            case .target, .body, .message: return whole
            }
            guard let line = fields.lines.last(where: { $0.value.start <= range.lowerBound && range.upperBound <= $0.value.end })
            else { return whole }
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
