// The SETTINGS of an HTTP/2 peer (RFC 9113 §6.5).

/// One setting as received. The identifier may be unknown.
package struct PeerSetting: Sendable, Hashable, CustomStringConvertible {
    /// The most settings that are kept of one connection: a peer may change them without end.
    package static let maximumKept = 64

    package var id: UInt16
    package var value: UInt32

    package init(id: UInt16, value: UInt32) {
        self.id = id
        self.value = value
    }

    /// Its name in the IANA registry, without `SETTINGS_`.
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
