// The facts of redaction as text.

import FlowModel
import HTTPSemantics
import NIOCore

extension FlowRedaction {
    /// `header:authorization in the request, json:$..password in the request's body (2)`.
    var sentence: String {
        let parts = changes.map { "\($0.rule) in \($0.place.noun)\($0.count > 1 ? " (\($0.count))" : "")" }
        let missing = omissions.map { "\($0.place.noun) not stored (\($0.sentence))" }
        return (parts + missing).joined(separator: ", ")
    }
}

extension FlowRedaction.Omission {
    /// Why it is not stored.
    var sentence: String {
        switch reason {
        case .rule: "\(rule) leaves it out"
        case .undecodable: "\(rule) applies, and its content coding cannot be removed"
        case .unparsed: "\(rule) applies, and it cannot be parsed"
        case .tooLarge: "\(rule) applies, and it is larger than the limit of redaction"
        }
    }
}

extension FlowRedaction.Place {
    fileprivate var noun: String {
        switch self {
        case .connection: "the facts of the connection"
        case .request: "the request"
        case .requestBody: "the request's body"
        case .response: "the response"
        case .responseBody: "the response's body"
        case .messages: "messages"
        }
    }
}
