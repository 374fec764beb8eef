// The first lines: request-line (RFC 9112 §3), status-line (§4), the first line of a chunk (§7.1).

import HTTPSemantics
import NIOCore

/// RFC 9112 §2.3: `HTTP/`, a digit, a dot, a digit.
private func readVersion(in bytes: Span<UInt8>, _ range: ByteRange) -> HTTPVersion? {
    guard range.count == 8 else { return nil }
    let start = Int(range.start)
    guard bytes[start] == 0x48, bytes[start + 1] == 0x54, bytes[start + 2] == 0x54, bytes[start + 3] == 0x50,
        bytes[start + 4] == 0x2F, bytes[start + 5] &- 0x30 < 10, bytes[start + 6] == 0x2E, bytes[start + 7] &- 0x30 < 10
    else { return nil }
    return HTTPVersion(major: bytes[start + 5] &- 0x30, minor: bytes[start + 7] &- 0x30)
}

struct RequestLine {
    var method: ByteRange
    var target: ByteRange
    var version: HTTPVersion

    /// method SP request-target SP HTTP-version, with one space each: more spaces are ambiguous.
    init(_ wire: ByteBuffer, _ line: ByteRange) throws(HTTP1Error) {
        let bytes = wire.readableBytesUInt8Span
        var first = 0
        while first < line.count, bytes[first] != 0x20 { first += 1 }
        var last = line.count - 1
        while last > first, bytes[last] != 0x20 { last -= 1 }
        guard first > 0, last > first + 1 else {
            throw HTTP1Error(.startLine, "the request-line is not 'method target version'")
        }
        method = ByteRange(0, first)
        target = ByteRange(first + 1, last)
        for i in 0..<first where !bytes[i].isTokenCharacter {
            throw HTTP1Error(.startLine, "the method is not a token")
        }
        for i in (first + 1)..<last where bytes[i] <= 0x20 || bytes[i] == 0x7F {
            throw HTTP1Error(.target, "the request-target holds white space")
        }
        guard let version = readVersion(in: bytes, ByteRange(last + 1, line.count)) else {
            throw HTTP1Error(.startLine, "the request-line does not end in a version of HTTP")
        }
        guard version.major == 1 else {
            throw HTTP1Error(.version, "HTTP/\(version.major).\(version.minor) is not supported")
        }
        self.version = version.minor == 0 ? .http1_0 : .http1_1
        try Self.checkForm(wire, method, target)
    }

    /// RFC 9112 §3.2: the form of the target depends on the method.
    private static func checkForm(_ wire: ByteBuffer, _ method: ByteRange, _ target: ByteRange) throws(HTTP1Error) {
        let bytes = wire.readableBytesUInt8Span
        let start = Int(target.start)
        if wire.equals(method, "CONNECT") {
            let text = wire.slice(target)
            guard let colon = text.readableBytesView.lastIndex(of: 0x3A), colon + 1 < text.readableBytesView.endIndex,
                colon > text.readableBytesView.startIndex,
                text.readableBytesView[(colon + 1)...].allSatisfy({ $0 &- 0x30 < 10 }), !text.readableBytesView.contains(0x2F),
                !text.readableBytesView.contains(0x40)
            else { throw HTTP1Error(.target, "the target of CONNECT is not host:port") }
            return
        }
        if bytes[start] == 0x2F { return }
        if bytes[start] == 0x2A {
            guard target.count == 1, wire.equals(method, "OPTIONS") else {
                throw HTTP1Error(.target, "the target * goes with OPTIONS alone")
            }
            return
        }
        var i = start
        while i < Int(target.end), bytes[i].isSchemeCharacter { i += 1 }
        guard i > start, i + 3 < Int(target.end), bytes[i] == 0x3A, bytes[i + 1] == 0x2F, bytes[i + 2] == 0x2F else {
            throw HTTP1Error(.target, "the request-target is neither a path nor a URI")
        }
    }
}

struct StatusLine {
    var version: HTTPVersion
    var status: Int
    var reason: ByteRange

    /// HTTP-version SP status-code [SP [reason]]: a missing reason is common, with and without its space.
    init(_ wire: ByteBuffer, _ line: ByteRange) throws(HTTP1Error) {
        let bytes = wire.readableBytesUInt8Span
        guard line.count >= 12, let version = readVersion(in: bytes, ByteRange(0, 8)), version.major == 1, bytes[8] == 0x20
        else { throw HTTP1Error(.startLine, "the server does not answer in HTTP/1") }
        var status = 0
        for i in 9..<12 {
            guard bytes[i] &- 0x30 < 10 else { throw HTTP1Error(.startLine, "the status code is not three digits") }
            status = status * 10 + Int(bytes[i] &- 0x30)
        }
        guard status >= 100, line.count == 12 || bytes[12] == 0x20 else {
            throw HTTP1Error(.startLine, "the status code is not three digits from 100")
        }
        self.version = version.minor == 0 ? .http1_0 : .http1_1
        self.status = status
        self.reason = line.count > 13 ? ByteRange(13, line.count) : .empty
    }
}

struct ChunkLine {
    var size: UInt64
    /// Bytes of the line, CRLF included.
    var length: Int
    /// The extensions are not those of RFC 9112 §7.1.1.
    var hasOddExtension = false

    /// Reads `size [;extensions] CRLF`; nil if the line is not complete.
    /// - Parameters:
    ///   - isLenient: white space after the size is accepted, as old servers pad it.
    ///   - refusesOddExtensions: extensions that are not those of RFC 9112 §7.1.1 are an error.
    init?(_ buffer: ByteBuffer, _ limits: HTTP1Limits, isLenient: Bool, refusesOddExtensions: Bool) throws(HTTP1Error) {
        let bytes = buffer.readableBytesUInt8Span
        var size: UInt64 = 0
        var i = 0
        while i < bytes.count, let digit = bytes[i].hexadecimalDigit {
            guard i < 16, size >> 60 == 0 else { throw HTTP1Error(.chunk, "a chunk's size is too large") }
            size = size << 4 | UInt64(digit)
            i += 1
        }
        let digits = i
        guard i < bytes.count else {
            if digits > 16 { throw HTTP1Error(.chunk, "a chunk's size is too large") }
            return nil
        }
        guard digits > 0 else { throw HTTP1Error(.chunk, "a chunk does not begin with its size") }
        while i < bytes.count, bytes[i] == 0x20 || bytes[i] == 0x09 { i += 1 }
        guard i < bytes.count else {
            try Self.checkLength(i, limits)
            return nil
        }
        guard bytes[i] == 0x3B || (bytes[i] == 0x0D && (i == digits || isLenient)) else {
            throw HTTP1Error(.chunk, "a chunk's size is followed by something else than an extension or CRLF")
        }
        while i < bytes.count, bytes[i] != 0x0D {
            guard bytes[i] != 0x0A, bytes[i] != 0x00 else {
                throw HTTP1Error(.chunk, "a chunk's extension holds a bare LF or NUL")
            }
            i += 1
        }
        guard i + 1 < bytes.count else {
            try Self.checkLength(i, limits)
            return nil
        }
        guard bytes[i + 1] == 0x0A else { throw HTTP1Error(.chunk, "a chunk's first line holds a bare CR") }
        try Self.checkLength(i, limits)
        self.size = size
        self.length = i + 2
        guard i > digits else { return }
        hasOddExtension = !Self.areExtensions(bytes.extracting(digits..<i))
        if hasOddExtension, refusesOddExtensions {
            throw HTTP1Error(.chunk, "a chunk's extension is not 'name' or 'name=value'", isRelaxable: true)
        }
    }

    /// RFC 9112 §7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`. White space at the end is padding.
    private static func areExtensions(_ bytes: Span<UInt8>) -> Bool {
        var i = 0
        func skipBlanks() { while i < bytes.count, bytes[i] == 0x20 || bytes[i] == 0x09 { i += 1 } }
        func skipToken() -> Bool {
            let start = i
            while i < bytes.count, bytes[i].isTokenCharacter { i += 1 }
            return i > start
        }
        func skipQuoted() -> Bool {
            i += 1
            while i < bytes.count {
                switch bytes[i] {
                case 0x22:
                    i += 1
                    return true
                case 0x5C where i + 1 < bytes.count && bytes[i + 1].isText: i += 2
                case 0x5C: return false
                case let byte where byte.isText: i += 1
                default: return false
                }
            }
            return false
        }
        skipBlanks()
        while i < bytes.count {
            guard bytes[i] == 0x3B else { return false }
            i += 1
            skipBlanks()
            guard skipToken() else { return false }
            skipBlanks()
            guard i < bytes.count, bytes[i] == 0x3D else { continue }
            i += 1
            skipBlanks()
            guard i < bytes.count, bytes[i] == 0x22 ? skipQuoted() : skipToken() else { return false }
            skipBlanks()
        }
        return true
    }

    private static func checkLength(_ seen: Int, _ limits: HTTP1Limits) throws(HTTP1Error) {
        guard seen > limits.maximumChunkLine else { return }
        throw HTTP1Error(.chunk, "a chunk's first line is longer than \(limits.maximumChunkLine) bytes")
    }
}

extension UInt8 {
    /// The characters that a quoted-string may contain (RFC 9110 §5.6.4), and those that may be escaped there.
    fileprivate var isText: Bool { self == 0x09 || self >= 0x20 && self != 0x7F }

    /// RFC 3986 §3.1.
    fileprivate var isSchemeCharacter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E: true
        default: false
        }
    }

    fileprivate var hexadecimalDigit: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }
}
