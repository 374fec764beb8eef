// Errors of a WebSocket conversation, and the close codes by which the peers report them (RFC 6455 §7.4).

/// Bytes that are not WebSocket frames, frames that are not messages, or a handshake that opens no conversation.
package struct WebSocketError: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// Fields of the opening handshake (RFC 6455 §4).
        case handshake
        /// An extension's parameters (RFC 7692 §7.1).
        case extensionParameters
        case reservedBits
        case opcode
        case masking
        /// A length that is not written in the fewest bytes, or has its top bit set (RFC 6455 §5.2).
        case length
        /// A control frame that is fragmented or longer than 125 bytes (RFC 6455 §5.5).
        case controlFrame
        /// A continuation frame without a message, or a message inside a message (RFC 6455 §5.4).
        case continuation
        /// The payload of a close frame (RFC 6455 §5.5.1, §7.4).
        case closePayload
        case notUTF8
        case compressedData
        case tooBig
        /// The compressor or decompressor could not be made.
        case resources
    }

    package var kind: Kind
    /// The code of the close frame that answers this; see ``CloseCode``.
    package var closeCode: UInt16
    /// One sentence for the user.
    package var message: String

    package init(_ kind: Kind, closeCode: UInt16 = CloseCode.protocolError, _ message: String) {
        self.kind = kind
        self.closeCode = closeCode
        self.message = message
    }
}

/// Close codes (RFC 6455 §7.4.1, the IANA registry of WebSocket close codes).
package enum CloseCode {
    package static let normal: UInt16 = 1000
    package static let goingAway: UInt16 = 1001
    package static let protocolError: UInt16 = 1002
    package static let unsupportedData: UInt16 = 1003
    /// Never on the wire: a close frame without a code.
    package static let noStatus: UInt16 = 1005
    /// Never on the wire: the connection was lost without a close frame.
    package static let abnormal: UInt16 = 1006
    package static let invalidPayload: UInt16 = 1007
    package static let policyViolation: UInt16 = 1008
    package static let tooBig: UInt16 = 1009
    package static let mandatoryExtension: UInt16 = 1010
    package static let internalError: UInt16 = 1011
    /// Never on the wire: TLS failed.
    package static let tlsFailure: UInt16 = 1015

    /// Whether a close frame may carry this code: the registered codes that are not reserved for use without a frame (1004, 1005, 1006,
    /// 1015), those of libraries (3000 to 3999) and of applications (4000 to 4999) (RFC 6455 §7.4.2).
    package static func isAllowedOnWire(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
