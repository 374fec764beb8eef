// Builds heads from their parts, because other programs keep only the parts: the start-line and `name: value` lines of HTTP/1, the
// pseudo-fields and fields of HTTP/2 and later.

import HTTPSemantics
import NIOCore

/// The parts of a head.
struct HeadBytes {
    /// Names and values in their order.
    var fields: [(name: ByteBuffer, value: ByteBuffer)] = []

    /// - Parameters:
    ///   - authority: empty for a target in origin form; the target itself for CONNECT.
    func request(
        version: HTTPVersion, method: ByteBuffer, scheme: ByteBuffer, authority: ByteBuffer, path: ByteBuffer
    ) -> RequestHead {
        var wire = ByteBuffer()
        let isConnect = method.equals(ByteRange(0, method.readableBytes), "CONNECT")
        if version.major >= 2 {
            wire.writeField(":method", method)
            if !isConnect { wire.writeField(":scheme", scheme) }
            if !isConnect { wire.writeField(":path", path) }
            if authority.readableBytes > 0 { wire.writeField(":authority", authority) }
        } else {
            wire.writeLine(method)
            wire.writeStaticString(" ")
            if isConnect {
                wire.writeLine(authority)
            } else {
                if authority.readableBytes > 0 {
                    wire.writeLine(scheme)
                    wire.writeStaticString("://")
                    wire.writeLine(authority)
                }
                wire.writeLine(path)
            }
            wire.writeString(" \(version)\r\n")
        }
        write(into: &wire)
        wire.writeStaticString("\r\n")
        return RequestHead(parsing: wire, version: version)
    }

    func response(version: HTTPVersion, status: Int, reason: ByteBuffer) -> ResponseHead {
        var wire = ByteBuffer()
        if version.major >= 2 {
            wire.writeField(":status", ByteBuffer(string: "\(status)"))
        } else {
            wire.writeString("\(version) \(status) ")
            wire.writeLine(reason)
            wire.writeStaticString("\r\n")
        }
        write(into: &wire)
        wire.writeStaticString("\r\n")
        return ResponseHead(parsing: wire, version: version)
    }

    var section: FieldSection {
        var wire = ByteBuffer()
        write(into: &wire)
        return FieldSection(parsing: wire)
    }

    private func write(into wire: inout ByteBuffer) {
        for field in fields { wire.writeField(field.name, field.value) }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeField(_ name: StaticString, _ value: ByteBuffer) {
        writeStaticString(name)
        writeStaticString(": ")
        writeLine(value, isFolded: true)
        writeStaticString("\r\n")
    }

    fileprivate mutating func writeField(_ name: ByteBuffer, _ value: ByteBuffer) {
        // RFC 9112 section 5.1: white space before the colon is not part of a name.
        let blank = name.readableBytesView.reversed().prefix { $0 == 0x20 || $0 == 0x09 }.count
        writeLine(name.slice(ByteRange(0, name.readableBytes - blank)))
        writeStaticString(": ")
        writeLine(value, isFolded: true)
        writeStaticString("\r\n")
    }

    /// Writes bytes that must stay on one line: line ends become spaces (RFC 9110 section 5.5), except those that fold a value.
    private mutating func writeLine(_ text: ByteBuffer, isFolded: Bool) {
        let bytes = text.readableBytesUInt8Span
        var isPlain = true
        for i in 0..<bytes.count where bytes[i] == 0x0D || bytes[i] == 0x0A { isPlain = false }
        guard !isPlain else {
            writeImmutableBuffer(text)
            return
        }
        for i in 0..<bytes.count {
            func folds(_ next: Int) -> Bool { isFolded && next < bytes.count && (bytes[next] == 0x20 || bytes[next] == 0x09) }
            switch bytes[i] {
            case 0x0A: writeInteger(folds(i + 1) ? 0x0A : 0x20 as UInt8)
            case 0x0D: writeInteger(i + 1 < bytes.count && bytes[i + 1] == 0x0A && folds(i + 2) ? 0x0D : 0x20 as UInt8)
            case let byte: writeInteger(byte)
            }
        }
    }

    fileprivate mutating func writeLine(_ text: ByteBuffer) { writeLine(text, isFolded: false) }
}

extension HTTPVersion {
    /// The forms of other programs: `HTTP/1.1`, `HTTP/2.0`, `HTTP/2`, `http/2.0`, `h2`, `h3`, `http/2+quic/46`; nil for anything
    /// else.
    init?(foreign text: String) {
        let name = text.lowercased()
        if name == "h2" || name == "h2c" || name.hasPrefix("http/2") && !name.contains("quic") {
            self = .http2
        } else if name == "h3" || name.hasPrefix("http/3") || name.hasPrefix("h3-") || name.contains("quic") {
            self.init(major: 3, minor: 0)
        } else if let version = HTTPVersion(parsing: ByteBuffer(string: name)) {
            self = version
        } else {
            return nil
        }
    }
}
