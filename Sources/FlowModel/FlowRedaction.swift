// What redaction changed in a flow before it was stored: which rules changed how many values, and which content was not stored.

import HTTPSemantics

/// The changes of redaction in one flow. It has no secret: a rule is named by its text, a value only by its count.
package struct FlowRedaction: Sendable, Equatable {
    /// A part of a flow.
    package enum Place: UInt8, Sendable, CaseIterable, Comparable, CustomStringConvertible {
        /// The target, addresses and facts of the connections, notes, the error.
        case connection = 0
        /// The head and the trailers of the request.
        case request = 1
        case requestBody = 2
        /// The head and the trailers of the response, interim responses, a response of the recorder.
        case response = 3
        case responseBody = 4
        /// Messages of a WebSocket, data of a TCP stream.
        case messages = 5

        /// As JSON has it.
        package var description: String {
            switch self {
            case .connection: "connection"
            case .request: "request"
            case .requestBody: "request.body"
            case .response: "response"
            case .responseBody: "response.body"
            case .messages: "messages"
            }
        }

        package static func < (a: Place, b: Place) -> Bool { a.rawValue < b.rawValue }

        /// The body that a side sends.
        package static func body(of side: Side) -> Place { side == .client ? .requestBody : .responseBody }
    }

    /// Values that a rule changed in one place.
    package struct Change: Sendable, Equatable {
        /// The canonical text of the rule, for example `header:authorization`.
        package var rule: String
        package var place: Place
        package var count: UInt64

        package init(rule: String, place: Place, count: UInt64 = 1) {
            (self.rule, self.place, self.count) = (rule, place, count)
        }
    }

    /// Content that was not stored: a body, or messages.
    package struct Omission: Sendable, Equatable {
        package enum Reason: UInt8, Sendable, CaseIterable, CustomStringConvertible {
            /// A rule removes such content.
            case rule = 0
            /// A rule applies to it, and its content coding cannot be removed.
            case undecodable = 1
            /// A rule applies to it, and it cannot be parsed.
            case unparsed = 2
            /// A rule applies to it, and it is larger than the limit of redaction.
            case tooLarge = 3

            /// As JSON has it.
            package var description: String {
                switch self {
                case .rule: "rule"
                case .undecodable: "undecodable"
                case .unparsed: "unparsed"
                case .tooLarge: "too-large"
                }
            }

            /// Why the content is not stored, as the end of a sentence.
            package var explanation: String {
                switch self {
                case .rule: "that a rule leaves out"
                case .undecodable: "that could not be decoded"
                case .unparsed: "that could not be parsed"
                case .tooLarge: "above the limit of redaction"
                }
            }
        }

        /// The rule that removes the content, or that could not be applied to it.
        package var rule: String
        package var place: Place
        package var reason: Reason
        package var count: UInt64

        package init(rule: String, place: Place, reason: Reason, count: UInt64 = 1) {
            (self.rule, self.place, self.reason, self.count) = (rule, place, reason, count)
        }
    }

    /// At most one for each rule and place.
    package private(set) var changes: [Change] = []
    /// At most one for each rule, place and reason.
    package private(set) var omissions: [Omission] = []
    /// The body is stored without content codings, whatever its head declares.
    package var isRequestDecoded = false
    package var isResponseDecoded = false

    /// Changes, and omissions, that are kept: a recording may be made to do harm.
    private static let maximumEntries = 1024

    /// The tag of a flow that redaction changed.
    package static let tag = "redacted"

    package init() {}

    package init(changes: [Change] = [], omissions: [Omission] = [], decoded: [Side] = []) {
        for change in changes { add(change) }
        for omission in omissions { add(omission) }
        (isRequestDecoded, isResponseDecoded) = (decoded.contains(.client), decoded.contains(.server))
    }

    /// Nothing was changed.
    package var isEmpty: Bool { changes.isEmpty && omissions.isEmpty && !isRequestDecoded && !isResponseDecoded }

    /// Whether the body of a side is stored without content codings.
    package func isDecoded(_ side: Side) -> Bool { side == .client ? isRequestDecoded : isResponseDecoded }

    /// Why the body of a side is not stored; nil when redaction left nothing of it out.
    package func omission(of side: Side) -> Omission? { omissions.first { $0.place == .body(of: side) } }

    /// The texts of the rules, each once.
    package var rules: [String] {
        var seen: Set<String> = []
        return (changes.map(\.rule) + omissions.map(\.rule)).filter { seen.insert($0).inserted }
    }

    package mutating func add(_ change: Change) {
        if let index = changes.firstIndex(where: { $0.rule == change.rule && $0.place == change.place }) {
            changes[index].count &+= change.count
        } else if changes.count < Self.maximumEntries {
            // Growing from nothing would copy them twice.
            if changes.isEmpty { changes.reserveCapacity(4) }
            changes.append(change)
        }
    }

    package mutating func add(_ omission: Omission) {
        let same = { (other: Omission) in
            other.rule == omission.rule && other.place == omission.place && other.reason == omission.reason
        }
        if let index = omissions.firstIndex(where: same) {
            omissions[index].count &+= omission.count
        } else if omissions.count < Self.maximumEntries {
            omissions.append(omission)
        }
    }

    /// Adds what another one has.
    package mutating func merge(_ other: FlowRedaction) {
        for change in other.changes { add(change) }
        for omission in other.omissions { add(omission) }
        isRequestDecoded = isRequestDecoded || other.isRequestDecoded
        isResponseDecoded = isResponseDecoded || other.isResponseDecoded
    }
}
