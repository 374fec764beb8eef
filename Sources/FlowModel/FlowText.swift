// Texts of a flow that are lent where they are stored: a table with many columns copies each once, into its own storage.

import HTTPSemantics
import NIOCore

/// A text that a table shows of a flow.
package enum FlowText: Sendable {
    /// ``FlowAttributes/targetScheme``.
    case scheme
    /// ``FlowAttributes/displayHost``.
    case host
    case method
    /// ``FlowAttributes/requestTarget``.
    case target
    /// ``FlowAttributes/errorMessage``.
    case error
    /// The value of the first Content-Type field of a side's head.
    case contentType(Side)
    case connection(ConnectionText, Side)
}

extension FlowAttributes {
    /// A text; nil when the flow has none.
    package func buffer(of text: FlowText) -> ByteBuffer? {
        switch text {
        case .scheme: targetScheme
        case .host: displayHost
        case .method: method
        case .target: requestTarget
        case .error: errorMessage
        case .contentType(let side): (side == .client ? requestFields : responseFields)?.first("content-type")
        case .connection(let text, let side): connectionText(text, of: side)
        }
    }

    package func withText(_ text: FlowText, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let found = buffer(of: text) else { return }
        unsafe found.withUnsafeReadableBytes { unsafe body($0) }
    }

    /// Appends ``displayURL`` of a request whose target is in origin form, or is `*`.
    func appendOriginURL(to out: ByteWriter) {
        let port = targetPort
        var isDefault = port == 80
        unsafe withText(.scheme) { scheme in
            if unsafe scheme.equalsIgnoringCase("https") { isDefault = port == 443 }
            unsafe out.append(scheme)
        }
        out.append("://")
        unsafe withText(.host) { host in
            guard unsafe host.contains(0x3A) else { return unsafe out.append(host) }
            out.append("[")
            unsafe out.append(host)
            out.append("]")
        }
        if !isDefault, port != 0 {
            out.append(":")
            out.append(decimal: UInt64(port))
        }
        unsafe withText(.target) { unsafe out.append($0) }
    }

    /// Appends ``displayURL``.
    /// - Returns: false when the flow has none.
    package func appendDisplayURL(to out: ByteWriter) -> Bool {
        var isOrigin = false
        unsafe withText(.target) { isOrigin = unsafe $0.first == 0x2F || $0.first == 0x2A }
        unsafe withText(.method) { if $0.count == 7, unsafe $0.elementsEqual("CONNECT".utf8) { isOrigin = false } }
        guard !isOrigin else {
            appendOriginURL(to: out)
            return true
        }
        guard let url = displayURL else { return false }
        out.append(url)
        return true
    }
}

extension UnsafeRawBufferPointer {
    /// An IP address rather than a name: it contains a colon, or only digits and dots.
    package var isAddress: Bool {
        var hasName = false
        for index in 0..<count {
            let byte = unsafe self[index]
            if byte == 0x3A { return true }
            if byte != 0x2E && byte &- 0x30 > 9 { hasName = true }
        }
        return !hasName
    }

    /// Where the host of `host[:port]` is, an IPv6 address without its brackets.
    package var hostWithoutPort: Range<Int> {
        if count > 0, unsafe self[0] == 0x5B {
            for index in 1..<count where unsafe self[index] == 0x5D { return 1..<index }
            return 0..<count
        }
        for index in 0..<count where unsafe self[index] == 0x3A { return 0..<index }
        return 0..<count
    }
}
