// The request-target in absolute form and in authority form (RFC 9112 §3.2.2, §3.2.3): the destination of a proxy's client.

import FlowModel
import HTTPSemantics
import NIOCore

/// A parsed absolute-form target.
struct AbsoluteTarget {
    var isTLS: Bool
    var endpoint: Endpoint
    /// `host[:port]` as written, without userinfo: the required value of Host (RFC 9112 §3.2.2).
    var authority: ByteBuffer
    /// The target in origin form: path and query, `/` when the path is empty.
    var origin: ByteBuffer

    /// The schemes that a proxy accepts; those of WebSocket are opened by HTTP.
    private static let schemes: [(prefix: StaticString, isTLS: Bool)] = [
        ("http://", false), ("https://", true), ("ws://", false), ("wss://", true),
    ]

    /// Whether the target of another method than CONNECT is in absolute form, usable or not.
    static func isMeant(by head: RequestHead) -> Bool {
        let first = head.wire.byte(at: Int(head.targetRange.start))
        return first != 0x2F && first != 0x2A
    }

    /// nil when the target is not a URI of HTTP with a valid host.
    init?(_ target: ByteBuffer) {
        let bytes = target.readableBytesUInt8Span
        let scheme = Self.schemes.first {
            target.slice(ByteRange(0, min($0.prefix.utf8CodeUnitCount, bytes.count))).equalsIgnoringCase($0.prefix)
        }
        guard let scheme else { return nil }
        let schemeLength = scheme.prefix.utf8CodeUnitCount
        isTLS = scheme.isTLS
        var start = schemeLength
        var end = schemeLength
        while end < bytes.count, bytes[end] != 0x2F, bytes[end] != 0x3F, bytes[end] != 0x23 {
            if bytes[end] == 0x40 { start = end + 1 }
            end += 1
        }
        authority = target.slice(ByteRange(start, end))
        guard Self.isUserInformation(target.slice(ByteRange(schemeLength, start)).readableBytesView),
            Self.isAuthority(authority.readableBytesView),
            let endpoint = Endpoint(parsing: String(buffer: authority)[...], defaultPort: isTLS ? 443 : 80)
        else { return nil }
        self.endpoint = endpoint
        origin = target.slice(ByteRange(end, bytes.count))
        if origin.readableBytesView.first != 0x2F {
            var path = ByteBuffer(string: "/")
            path.writeImmutableBuffer(origin)
            origin = path
        }
    }

    /// RFC 3986 §3.2.1: nothing, or user information of these characters and one `@`. Browsers end the authority at a backslash, so what
    /// follows it could be read as the host or as the path.
    private static func isUserInformation(_ bytes: ByteBufferView) -> Bool {
        bytes.dropLast().allSatisfy { byte in
            switch byte {
            case 0x30...0x3A, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E, 0x25: true
            case 0x21, 0x24, 0x26...0x2C, 0x3B, 0x3D: true
            default: false
            }
        }
    }

    /// RFC 3986 §3.2.2: a name of these characters, or an IPv6 address in brackets; then perhaps a port. A comma could be read as a second host.
    private static func isAuthority(_ bytes: ByteBufferView) -> Bool {
        let isLiteral = bytes.first == 0x5B
        let host = isLiteral ? bytes.dropFirst().prefix { $0 != 0x5D } : bytes.prefix { $0 != 0x3A }
        return !host.isEmpty
            && host.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66, 0x2E: true
                case 0x3A: isLiteral
                // Zones (RFC 6874) hold what names do.
                case 0x47...0x5A, 0x67...0x7A, 0x2D, 0x5F, 0x7E, 0x25: !isLiteral || host.contains(0x25)
                case 0x21, 0x24, 0x26...0x2B, 0x3B, 0x3D: !isLiteral
                default: false
                }
            }
    }
}
