// The target of a request in a HAR file. The URL there may be as the user typed it (RFC 3987); a request has its host in ASCII and
// its path in percent-encoded UTF-8 (RFC 3987 section 3.1, RFC 5891).

import FlowModel
import Foundation
import HTTPSemantics
import NIOCore

/// The parts of a URL that a request needs.
struct HARLocation {
    var target: FlowTarget
    /// Host and port, as in a request.
    var authority: ByteBuffer
    var path: ByteBuffer
    /// Host and port as in the file, if they are not in ASCII there.
    var foreignAuthority: ByteBuffer?
    /// The URL was changed.
    var isNormalised = false

    /// - Returns: nil if the URL is not one of HTTP or WebSocket. If its host is not valid, the host of the target is empty.
    init?(_ url: ByteBuffer) {
        let bytes = Array(url.readableBytesView)
        guard let colon = bytes.firstIndex(of: 0x3A), bytes[colon...].starts(with: "://".utf8) else { return nil }
        let schemes = ["http": "http", "https": "https", "ws": "http", "wss": "https"]
        guard let scheme = schemes[String(decoding: bytes[..<colon], as: UTF8.self).lowercased()] else { return nil }
        let rest = bytes[(colon + 3)...].prefix { $0 != 0x23 }
        var named = rest.prefix { $0 != 0x2F && $0 != 0x3F }
        let written = rest[named.endIndex...]
        let path = Self.encoded(written)
        if let at = named.lastIndex(of: 0x40) { named = named[(at + 1)...] }
        var (host, port): (ArraySlice<UInt8>, UInt16?) = (named, nil)
        if let colon = named.lastIndex(of: 0x3A), !named[colon...].contains(0x5D) {
            let digits = named[(colon + 1)...]
            (host, port) = (named[..<colon], UInt16(String(decoding: digits, as: UTF8.self)))
            // RFC 3986 section 3.2.3: a port may be empty. Any other text is not valid.
            if port == nil, !digits.isEmpty { host = host.prefix(0) }
        }
        let ascii = Self.asciiHost(String(decoding: host, as: UTF8.self))
        authority = ByteBuffer(string: ascii)
        authority.writeBytes(named[host.endIndex...])
        if ascii.utf8.count != host.count || !ascii.utf8.elementsEqual(host) { foreignAuthority = ByteBuffer(bytes: named) }
        self.path = ByteBuffer(bytes: path.first == 0x2F ? path : [0x2F] + path)
        isNormalised = foreignAuthority != nil || !path.elementsEqual(written)
        let bare = ascii.hasPrefix("[") && ascii.hasSuffix("]") ? String(ascii.dropFirst().dropLast()) : ascii
        target = FlowTarget(scheme: scheme, host: bare, port: port ?? (scheme == "https" ? 443 : 80))
    }

    /// Percent-encodes bytes that a request-target cannot contain: bytes above ASCII, controls, spaces.
    private static func encoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(bytes.count)
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in bytes {
            if byte > 0x20, byte < 0x7F {
                encoded.append(byte)
            } else {
                encoded += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return encoded
    }

    /// A name with each label in ASCII, as UTS 46 maps it. A name without such a form, and one in ASCII, is unchanged.
    static func asciiHost(_ host: String) -> String {
        guard !host.utf8.allSatisfy({ $0 < 0x80 }) else { return host }
        var components = URLComponents()
        components.scheme = "http"
        components.host = host
        guard let encoded = components.encodedHost, !encoded.contains("%") else { return host }
        return encoded
    }
}

extension Flow {
    /// The URL of the request in ASCII; nil if readers of archives would reject it.
    var exportedURL: ByteBuffer? {
        guard let head = request?.head else { return nil }
        var url = displayURL ?? ByteBuffer()
        if head.isMethod("CONNECT") {
            url = ByteBuffer(string: "https://")
            url.writeImmutableBuffer(RequestTarget(head).authority)
        } else if head.target.readableBytesView.first == 0x2A {
            // The asterisk is not part of a URL (RFC 9112 section 3.2.4).
            url = url.slice(ByteRange(0, url.readableBytes - head.target.readableBytes))
        }
        guard let location = HARLocation(url), !location.target.host.isEmpty else { return nil }
        var ascii = ByteBuffer(string: location.target.scheme)
        ascii.writeStaticString("://")
        ascii.writeImmutableBuffer(location.authority)
        if !head.isMethod("CONNECT") { ascii.writeImmutableBuffer(location.path) }
        return ascii
    }
}
