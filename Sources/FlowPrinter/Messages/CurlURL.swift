// The URL that curl is given. curl changes or refuses many targets (spaces, bytes above 127, fragments), so only a plain one becomes part of
// the URL; any other is the value of --request-target, which curl sends as it is.

import FlowModel
import HTTPSemantics
import NIOCore

struct CurlURL {
    /// What curl is given.
    private(set) var text: ByteBuffer
    /// The value of --request-target; nil if curl derives the target from the URL.
    private(set) var requestTarget: ByteBuffer?
    /// `host[:port]`, as curl writes it to Host.
    let authority: ByteBuffer
    let isSecure: Bool
    /// The target is in absolute form: the client used a proxy.
    let isAbsolute: Bool

    /// - Throws: ``LeftOut`` when there is no URL of HTTP.
    init(_ flow: Flow, _ head: RequestHead) throws {
        let scheme = flow.target.scheme.lowercased()
        guard scheme == "http" || scheme == "https" else { throw LeftOut(.noURL) }
        isSecure = scheme == "https"
        // The name in Host says more than the address of the server, but a client may send anything there.
        guard let host = [flow.displayHost, flow.targetHost].first(where: { $0.isPlainHost }), head.target.readableBytes > 0,
            !head.target.readableBytesView.contains(0)
        else { throw LeftOut(.noURL) }
        var authority = host.bracketed
        let port = flow.target.port
        if port != 0, port != (isSecure ? 443 : 80) { authority.writeString(":\(port)") }
        self.authority = authority
        var base = ByteBuffer(string: scheme + "://")
        base.writeImmutableBuffer(authority)
        var absolute = base
        absolute.writeStaticString("/")
        let first = head.target.readableBytesView.first
        isAbsolute = first != UInt8(ascii: "/") && first != UInt8(ascii: "*")
        if isAbsolute {
            // A proxy is given the URL itself.
            let isSame = head.target.readableBytesView.starts(with: absolute.readableBytesView)
            let path = head.target.slice(ByteRange(min(base.readableBytes, head.target.readableBytes), head.target.readableBytes))
            text = isSame && path.isPlainTarget ? head.target : absolute
            requestTarget = isSame && path.isPlainTarget ? nil : head.target
        } else if head.target.isPlainTarget {
            text = base
            text.writeImmutableBuffer(head.target)
        } else {
            text = absolute
            requestTarget = head.target
        }
    }
}

extension ByteBuffer {
    /// A path and a query that every version of curl sends unchanged (RFC 3986 sections 3.3 and 3.4, and brackets).
    fileprivate var isPlainTarget: Bool {
        guard readableBytesView.first == UInt8(ascii: "/") else { return false }
        // Some versions drop the mark of an empty query.
        return readableBytesView.last != UInt8(ascii: "?")
            && readableBytesView.allSatisfy { $0.isUnreserved || Self.marks.contains($0) }
    }

    private static let marks = Set("/?:@!$&'()*+,;=%[]".utf8)

    /// A host that has one meaning in a URL.
    fileprivate var isPlainHost: Bool {
        readableBytes > 0
            && (readableBytesView.allSatisfy { $0.isUnreserved }
                || readableBytesView.allSatisfy { $0 == 0x3A || $0 == 0x2E || Unicode.Scalar($0).properties.isASCIIHexDigit })
    }
}

extension UInt8 {
    /// RFC 3986 section 2.3.
    fileprivate var isUnreserved: Bool {
        self &- 0x30 < 10 || lowercased &- 0x61 < 26 || self == UInt8(ascii: "-") || self == UInt8(ascii: ".")
            || self == UInt8(ascii: "_")
            || self == UInt8(ascii: "~")
    }
}
