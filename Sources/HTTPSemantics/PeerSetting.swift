// What a peer of HTTP/2 says of itself in SETTINGS (RFC 9113 §6.5).

/// One setting as it was said. The identifier may be one that nobody knows.
package struct PeerSetting: Sendable, Hashable, CustomStringConvertible {
    /// Of one connection no more are kept; a peer may change its settings without end.
    package static let maximumKept = 64

    package var id: UInt16
    package var value: UInt32

    package init(id: UInt16, value: UInt32) {
        self.id = id
        self.value = value
    }

    /// The name that the registry of IANA has for it, without `SETTINGS_`.
    package var name: String? {
        switch id {
        case 1: "HEADER_TABLE_SIZE"
        case 2: "ENABLE_PUSH"
        case 3: "MAX_CONCURRENT_STREAMS"
        case 4: "INITIAL_WINDOW_SIZE"
        case 5: "MAX_FRAME_SIZE"
        case 6: "MAX_HEADER_LIST_SIZE"
        case 8: "ENABLE_CONNECT_PROTOCOL"
        case 9: "NO_RFC7540_PRIORITIES"
        default: nil
        }
    }

    package var description: String { "\(name ?? "0x" + String(id, radix: 16))=\(value)" }
}
