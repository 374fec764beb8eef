// The errors of HTTP/1 bytes, and the limits beyond which they are refused.

import NIOCore

/// Bytes that are not a message, or that are an ambiguous one.
package struct HTTP1Error: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case startLine
        case target
        case version
        case field
        /// The message's length is not certain (RFC 9112 §6.3).
        case framing
        case unknownCoding
        case host
        case chunk
        case startLineTooLong
        case fieldsTooLarge
        /// The peer closed in the middle of a message.
        case truncated
        /// A response without a request.
        case unexpectedResponse

        package var isTruncation: Bool { self == .truncated }
    }

    package var kind: Kind
    /// One sentence for users.
    package var message: String
    /// The head that was refused, as far as received; empty if the head was valid and the content is not.
    package var head: ByteBuffer
    /// The message passes with lenient validation.
    package var isRelaxable: Bool

    package init(_ kind: Kind, _ message: String, head: ByteBuffer = ByteBuffer(), isRelaxable: Bool = false) {
        self.kind = kind
        self.message = message
        self.head = head
        self.isRelaxable = isRelaxable
    }

    /// The status of the answer to a client (RFC 9110 §15.5, RFC 6585 §5).
    package var status: Int {
        switch kind {
        case .startLineTooLong: 414
        case .fieldsTooLarge: 431
        case .version: 505
        case .unknownCoding: 501
        default: 400
        }
    }
}

/// Sizes beyond which a message is refused.
package struct HTTP1Limits: Sendable, Equatable {
    /// Bytes of a start-line. Browsers stop at 2 MiB, servers at 8 KiB; a recorder is in between.
    package var maximumStartLine = 64 * 1024
    /// Bytes of a header or trailer section with its start-line. Tomcat allows 8 KiB, nginx 32 KiB, IIS 16 KiB; a recorder is more lenient.
    package var maximumFieldSectionSize = 256 * 1024
    package var maximumFieldCount = 1000
    /// Bytes of a chunk's size and extensions. A few dozen are usual.
    package var maximumChunkLine = 16 * 1024

    package init() {}
}

/// How strictly requests are validated. Responses are read as RFC 9112 §6.3 defines in either case: a client sees what the server sent.
package enum HTTP1Validation: Sendable, Equatable {
    case strict
    /// Requests that allow request smuggling pass: Transfer-Encoding overrides Content-Length; unknown codings, wrong Host fields, invalid
    /// names, values and chunk extensions are accepted. A forwarded message still has one framing.
    case lenient
}
