// What can be wrong with HTTP/1 bytes, and the limits beyond which they are refused.

import NIOCore

/// Bytes that are not a message, or one that two recipients could read differently.
package struct HTTP1Error: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case startLine
        case target
        case version
        case field
        /// The message's length cannot be known for certain (RFC 9112 §6.3).
        case framing
        case unknownCoding
        case host
        case chunk
        case startLineTooLong
        case fieldsTooLarge
        /// The peer closed in the middle of a message.
        case truncated
        /// A response that was not asked for.
        case unexpectedResponse

        package var isTruncation: Bool { self == .truncated }
    }

    package var kind: Kind
    /// One sentence for people.
    package var message: String
    /// The head that was refused, as far as it came; empty when the head was good and the content is not.
    package var head: ByteBuffer
    /// It passes with lenient validation.
    package var isRelaxable: Bool

    package init(_ kind: Kind, _ message: String, head: ByteBuffer = ByteBuffer(), isRelaxable: Bool = false) {
        self.kind = kind
        self.message = message
        self.head = head
        self.isRelaxable = isRelaxable
    }

    /// What a client is answered with (RFC 9110 §15.5, RFC 6585 §5).
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
    /// Bytes of a chunk's size and extensions. Nobody uses more than a few dozen.
    package var maximumChunkLine = 16 * 1024

    package init() {}
}

/// How strict requests are judged. Responses are read as RFC 9112 §6.3 says in either case: a client sees what a server said.
package enum HTTP1Validation: Sendable, Equatable {
    case strict
    /// Requests that are open to request smuggling pass: Transfer-Encoding wins over Content-Length, codings that are not known, Host
    /// fields that are not right, odd names, values and chunk extensions are let through. What is sent on has one framing all the same.
    case lenient
}
