// The first message of a TLS client, read before anything is answered: the server name, the client's capabilities, its fingerprint. This
// is our own parser, because OpenSSL would consume the bytes. RFC 8446 §4.1.2 defines the message, §5.1 the records around it. The bytes
// are not trusted: every length is checked, and the memory for the result is bounded by the size of the message.

import NIOCore

/// The ClientHello of a TLS client.
package struct ClientHello: Sendable, Equatable {
    /// `legacy_version`: 0x0303 for TLS 1.2 and later.
    package var legacyVersion: UInt16
    package var cipherSuites: [UInt16] = []
    /// The types of the extensions, in their order.
    package var extensions: [UInt16] = []
    /// The host name of the server name extension (RFC 6066 §3); nil if it is missing or not text.
    package var serverName: String?
    /// The protocols that ALPN offers (RFC 7301 §3.1), in their order.
    package var alpn: [String] = []
    /// Empty if the extension is missing, which means `legacyVersion` and below.
    package var supportedVersions: [UInt16] = []
    package var supportedGroups: [UInt16] = []
    package var ecPointFormats: [UInt8] = []
    package var signatureAlgorithms: [UInt16] = []
    /// The bytes of the first ALPN protocol, which need not be text.
    var firstALPN: [UInt8] = []

    /// The client accepts certificates with RSA keys and none with a key on P-256: it is older than those, or configured so.
    package var needsRSA: Bool {
        let speaksTLS13 = supportedVersions.contains(TLSVersion.tls13.rawValue)
        // RFC 8446 §4.2.3: in TLS 1.3 the curve is named; RFC 5246 §7.4.1.4.1: before, the second byte is the kind of key.
        let signsByECDSA =
            signatureAlgorithms.isEmpty || signatureAlgorithms.contains(0x0403)
            || (!speaksTLS13 && signatureAlgorithms.contains { $0 & 0xFF == 3 && $0 >> 8 <= 6 })
        // Before TLS 1.3 the cipher suite names the kind of key too, and the curves are those of certificates as well (RFC 8422 §5.1).
        let hasSuite = speaksTLS13 || cipherSuites.contains { Self.ecdsaSuites.contains($0) }
        let hasCurve = speaksTLS13 || supportedGroups.isEmpty || supportedGroups.contains(23)
        let signsByRSA = signatureAlgorithms.isEmpty || signatureAlgorithms.contains { Self.isRSA($0) }
        return !(signsByECDSA && hasSuite && hasCurve) && signsByRSA
    }

    /// `rsa_pkcs1_*`, and `rsa_pss_rsae_*`, which go with the keys that certificates usually have.
    private static func isRSA(_ algorithm: UInt16) -> Bool {
        (algorithm & 0xFF == 1 && algorithm >> 8 <= 6) || (0x0804...0x0806).contains(algorithm)
    }

    /// TLS_ECDHE_ECDSA_* (IANA's registry of cipher suites).
    private static let ecdsaSuites: Set<UInt16> = [
        0xC006, 0xC007, 0xC008, 0xC009, 0xC00A, 0xC023, 0xC024, 0xC02B, 0xC02C, 0xC048, 0xC049, 0xC05C, 0xC05D, 0xC072, 0xC073,
        0xC086,
        0xC087, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xCCA9,
    ]

    // Real ones have 200 to 2,000 bytes; with every post-quantum key share and padding, still below 16 KiB.
    static let maximumSize = 65_536
    // Some clients split it into a few records on purpose. The limit allows those and bounds the work.
    static let maximumRecords = 256

    /// Reads a ClientHello from the first bytes of a connection. It may be spread over several records; the bytes after it are not read.
    /// - Returns: nil if more bytes are needed; call again with all of them.
    /// - Throws: `notTLS` at the first byte that cannot belong to a TLS record; `protocolError` if the bytes are TLS but not a ClientHello,
    ///   or a malformed or too large one.
    package static func parse(_ bytes: ByteBuffer) throws(TLSError) -> ClientHello? {
        guard let message = try message(in: bytes) else { return nil }
        guard let hello = ClientHello(message: message) else {
            throw TLSError(.protocolError, "the client sent a malformed ClientHello")
        }
        return hello
    }

    /// The body of the first handshake message, put together from its records; nil if it is not complete.
    private static func message(in bytes: ByteBuffer) throws(TLSError) -> ByteBuffer? {
        var rest = bytes
        var message = ByteBuffer()
        for _ in 0..<maximumRecords {
            guard try checkRecordStart(rest) else { return nil }
            guard let length = rest.getInteger(at: rest.readerIndex + 3, as: UInt16.self) else { return nil }
            // RFC 8446 §5.1: at most 2^14, and handshake records are never empty.
            guard (1...16_384).contains(length) else {
                throw TLSError(.protocolError, "the client sent a TLS record of \(length) bytes")
            }
            rest.moveReaderIndex(forwardBy: 5)
            let available = min(Int(length), rest.readableBytes)
            let fragment = rest.readSlice(length: available) ?? ByteBuffer()
            if message.readableBytes == 0 { message = fragment } else { message.writeImmutableBuffer(fragment) }
            if let body = try completeBody(message) { return body }
            guard available == Int(length) else { return nil }
        }
        throw TLSError(.protocolError, "the client's ClientHello is spread over more than \(maximumRecords) records")
    }

    /// Whether the next record's type and version have been received; throws if they cannot be those of a handshake record.
    private static func checkRecordStart(_ bytes: ByteBuffer) throws(TLSError) -> Bool {
        guard let type = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return false }
        guard (20...24).contains(type) else { throw TLSError(.notTLS, "the client does not speak TLS") }
        guard let major = bytes.getInteger(at: bytes.readerIndex + 1, as: UInt8.self) else { return false }
        guard major == 3 else { throw TLSError(.notTLS, "the client does not speak TLS") }
        guard type == 22 else { throw TLSError(.protocolError, "the client's first TLS record is not a handshake record") }
        return true
    }

    /// The body of the handshake message at the beginning of the bytes, if it is complete.
    private static func completeBody(_ bytes: ByteBuffer) throws(TLSError) -> ByteBuffer? {
        guard let type = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return nil }
        guard type == 1 else { throw TLSError(.protocolError, "the client's first TLS message is not a ClientHello") }
        guard let high = bytes.getInteger(at: bytes.readerIndex + 1, as: UInt8.self),
            let low = bytes.getInteger(at: bytes.readerIndex + 2, as: UInt16.self)
        else { return nil }
        let length = Int(high) << 16 | Int(low)
        guard length <= maximumSize else { throw TLSError(.protocolError, "the client's ClientHello has \(length) bytes") }
        return bytes.getSlice(at: bytes.readerIndex + 4, length: length)
    }

    /// Reads the message's body; nil if a length in it is wrong.
    private init?(message: ByteBuffer) {
        var rest = message
        guard let version = rest.readInteger(as: UInt16.self),
            rest.readSlice(length: 32) != nil,  // random
            rest.readLengthPrefixed(UInt8.self) != nil,  // legacy_session_id
            let suites = rest.readLengthPrefixed(UInt16.self)?.allIntegers(UInt16.self),
            rest.readLengthPrefixed(UInt8.self) != nil  // legacy_compression_methods
        else { return nil }
        legacyVersion = version
        cipherSuites = suites
        // Before TLS 1.2 there may be none at all.
        guard rest.readableBytes > 0 else { return }
        guard var list = rest.readLengthPrefixed(UInt16.self) else { return nil }
        while list.readableBytes > 0 {
            guard let type = list.readInteger(as: UInt16.self), let body = list.readLengthPrefixed(UInt16.self) else { return nil }
            extensions.append(type)
            guard read(type, body) else { return nil }
        }
    }

    /// Reads one extension; false if it is malformed.
    private mutating func read(_ type: UInt16, _ body: ByteBuffer) -> Bool {
        var body = body
        switch type {
        case 0: return readServerName(body)
        case 10: return keep(body.readLengthPrefixed(UInt16.self)?.allIntegers(), in: \.supportedGroups)
        case 11: return keep(body.readLengthPrefixed(UInt8.self)?.allIntegers(), in: \.ecPointFormats)
        case 13: return keep(body.readLengthPrefixed(UInt16.self)?.allIntegers(), in: \.signatureAlgorithms)
        case 16: return readALPN(body)
        case 43: return keep(body.readLengthPrefixed(UInt8.self)?.allIntegers(), in: \.supportedVersions)
        default: return true
        }
    }

    private mutating func keep<T>(_ value: T?, in field: WritableKeyPath<ClientHello, T>) -> Bool {
        guard let value else { return false }
        self[keyPath: field] = value
        return true
    }

    private mutating func readServerName(_ body: ByteBuffer) -> Bool {
        var body = body
        guard var list = body.readLengthPrefixed(UInt16.self) else { return false }
        while list.readableBytes > 0 {
            guard let type = list.readInteger(as: UInt8.self), let name = list.readLengthPrefixed(UInt16.self) else { return false }
            if type == 0, serverName == nil { serverName = ClientHello.text(name) }
        }
        return true
    }

    private mutating func readALPN(_ body: ByteBuffer) -> Bool {
        var body = body
        guard var list = body.readLengthPrefixed(UInt16.self) else { return false }
        while list.readableBytes > 0 {
            guard let name = list.readLengthPrefixed(UInt8.self) else { return false }
            if alpn.isEmpty { firstALPN = Array(name.readableBytesView) }
            alpn.append(String(buffer: name))
        }
        return true
    }

    /// A name as text, if it is printable, valid UTF-8 and not empty.
    private static func text(_ name: ByteBuffer) -> String? {
        guard name.readableBytes > 0, name.readableBytesView.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: name.readableBytesView, as: UTF8.self)
    }
}

extension ByteBuffer {
    /// Reads a length and that number of bytes; nil, without reading anything, if there are fewer.
    fileprivate mutating func readLengthPrefixed<Length: FixedWidthInteger>(_: Length.Type) -> ByteBuffer? {
        guard let length = getInteger(at: readerIndex, as: Length.self),
            let slice = getSlice(at: readerIndex + MemoryLayout<Length>.size, length: Int(length))
        else { return nil }
        moveReaderIndex(forwardBy: MemoryLayout<Length>.size + Int(length))
        return slice
    }

    /// All bytes as integers; nil if their number is not a multiple of the integer's size.
    fileprivate func allIntegers<Element: FixedWidthInteger>(_: Element.Type = Element.self) -> [Element]? {
        guard readableBytes.isMultiple(of: MemoryLayout<Element>.size) else { return nil }
        var rest = self
        var found: [Element] = []
        found.reserveCapacity(readableBytes / MemoryLayout<Element>.size)
        while let element = rest.readInteger(as: Element.self) { found.append(element) }
        return found
    }
}
