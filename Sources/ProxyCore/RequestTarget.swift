// The request-target in absolute form and in authority form (RFC 9112 §3.2.2, §3.2.3): where a proxy's client wants to go.

import FlowModel
import HTTPSemantics
import NIOCore

/// An absolute-form target taken apart.
struct AbsoluteTarget {
    var isTLS: Bool
    var endpoint: Endpoint
    /// `host[:port]` as written, without userinfo: what Host must say (RFC 9112 §3.2.2).
    var authority: ByteBuffer
    /// The target in origin form: path and query, `/` when the path is empty.
    var origin: ByteBuffer

    /// nil when the target is not `http://…` or `https://…` with a host.
    init?(_ target: ByteBuffer) {
        let bytes = target.readableBytesUInt8Span
        let schemeLength: Int
        if target.slice(ByteRange(0, min(7, bytes.count))).equalsIgnoringCase("http://") {
            schemeLength = 7
        } else if target.slice(ByteRange(0, min(8, bytes.count))).equalsIgnoringCase("https://") {
            schemeLength = 8
        } else {
            return nil
        }
        isTLS = schemeLength == 8
        var start = schemeLength
        var end = schemeLength
        while end < bytes.count, bytes[end] != 0x2F, bytes[end] != 0x3F, bytes[end] != 0x23 {
            if bytes[end] == 0x40 { start = end + 1 }
            end += 1
        }
        authority = target.slice(ByteRange(start, end))
        guard let endpoint = Endpoint(parsing: String(buffer: authority)[...], defaultPort: isTLS ? 443 : 80) else { return nil }
        self.endpoint = endpoint
        origin = target.slice(ByteRange(end, bytes.count))
        if origin.readableBytesView.first != 0x2F {
            var path = ByteBuffer(string: "/")
            path.writeImmutableBuffer(origin)
            origin = path
        }
    }
}
