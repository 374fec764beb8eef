// The colours that all tools share. Only the sixteen colours of every terminal are used, so that a theme of the user's applies.

import NIOCore

/// Text in the colours of a terminal, or plain.
package struct Palette: Sendable {
    /// What a text is.
    package enum Role: Sendable {
        case method
        /// Times, and other things that step back.
        case muted
        case good, redirect, clientError, failure
        case warning
        /// The name of a header field, the key of a JSON member.
        case name
        /// Values of JSON.
        case string, literal
        /// Differences: the recorded value, and the new one.
        case removed, added

        /// The parameter of Select Graphic Rendition (ECMA-48 section 8.3.117).
        fileprivate var parameter: StaticString {
            switch self {
            case .method: "1"
            case .muted: "2"
            case .good, .string, .added: "32"
            case .redirect, .name: "36"
            case .clientError, .warning: "33"
            case .failure, .removed: "31"
            case .literal: "35"
            }
        }
    }

    package let isColoured: Bool

    package init(isColoured: Bool) { self.isColoured = isColoured }

    /// The colour of a response's status, by its class.
    package static func role(ofStatus status: Int) -> Role {
        switch status {
        case 500...: .failure
        case 400..<500: .clientError
        case 300..<400: .redirect
        default: .good
        }
    }

    package func text(_ text: String, _ role: Role) -> String {
        isColoured ? "\u{1b}[\(role.parameter)m\(text)\u{1b}[0m" : text
    }

    /// Appends what `body` appends, in a colour.
    func write(_ role: Role, into out: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void) {
        guard isColoured else { return body(&out) }
        out.writeStaticString("\u{1b}[")
        out.writeStaticString(role.parameter)
        out.writeStaticString("m")
        body(&out)
        out.writeStaticString("\u{1b}[0m")
    }
}
