// HTTP/2 frames for tests (RFC 9113 §4 and §6): what is allowed, and whatever is not. Nothing is checked when a frame is made: any
// length, flag, reserved bit and stream can be written.

/// The error codes of RFC 9113 §7, and any other.
struct HTTP2Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    var rawValue: UInt32

    static let noError = HTTP2Code(rawValue: 0)
    static let protocolError = HTTP2Code(rawValue: 1)
    static let internalError = HTTP2Code(rawValue: 2)
    static let flowControlError = HTTP2Code(rawValue: 3)
    static let streamClosed = HTTP2Code(rawValue: 5)
    static let frameSizeError = HTTP2Code(rawValue: 6)
    static let refusedStream = HTTP2Code(rawValue: 7)
    static let cancel = HTTP2Code(rawValue: 8)
    static let compressionError = HTTP2Code(rawValue: 9)
    static let enhanceYourCalm = HTTP2Code(rawValue: 11)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ]
    var description: String { rawValue < Self.names.count ? Self.names[Int(rawValue)] : "\(rawValue)" }
}

/// The settings of RFC 9113 §6.5.2, RFC 8441 and RFC 9218.
enum HTTP2Setting {
    static let headerTableSize: UInt16 = 1
    static let enablePush: UInt16 = 2
    static let maximumConcurrentStreams: UInt16 = 3
    static let initialWindowSize: UInt16 = 4
    static let maximumFrameSize: UInt16 = 5
    static let maximumHeaderListSize: UInt16 = 6
    static let enableConnectProtocol: UInt16 = 8
}

struct HTTP2Frame: Equatable, Sendable {
    enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let pushPromise: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
        static let priorityUpdate: UInt8 = 0x10
    }
    enum Flag {
        /// The same bit means END_STREAM on DATA and HEADERS and ACK on SETTINGS and PING.
        static let endStream: UInt8 = 0x01
        static let acknowledgement: UInt8 = 0x01
        static let endHeaders: UInt8 = 0x04
        static let padded: UInt8 = 0x08
        static let priority: UInt8 = 0x20
    }

    static let headerSize = 9
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var reserved = false
    var payload: [UInt8] = []
    /// What the length field says, when that is not the payload's length.
    var declaredLength: Int?

    var bytes: [UInt8] {
        let length = UInt32(declaredLength ?? payload.count)
        return Array(bigEndian: length).dropFirst() + [type, flags] + Array(bigEndian: stream | (reserved ? 1 << 31 : 0)) + payload
    }

    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

// MARK: - Every type

extension HTTP2Frame {
    /// - Parameter padding: octets of padding; the length octet comes before the content. nil: not padded.
    static func data(_ stream: UInt32, _ content: [UInt8] = [], end: Bool = false, padding: Int? = nil) -> HTTP2Frame {
        let padded = padding.map { [UInt8($0)] + content + [UInt8](repeating: 0, count: $0) } ?? content
        return HTTP2Frame(
            type: Kind.data, flags: (end ? Flag.endStream : 0) | (padding == nil ? 0 : Flag.padded), stream: stream, payload: padded
        )
    }

    static func data(_ stream: UInt32, _ content: String, end: Bool = false) -> HTTP2Frame {
        data(stream, Array(content.utf8), end: end)
    }

    static func headers(
        _ stream: UInt32, block: [UInt8], end: Bool = true, endHeaders: Bool = true, padding: Int? = nil,
        dependency: UInt32? = nil, weight: UInt8 = 15
    ) -> HTTP2Frame {
        var payload = padding.map { [UInt8($0)] } ?? []
        if let dependency { payload += Array(bigEndian: dependency) + [weight] }
        payload += block + [UInt8](repeating: 0, count: padding ?? 0)
        var flags = (end ? Flag.endStream : 0) | (endHeaders ? Flag.endHeaders : 0)
        if padding != nil { flags |= Flag.padded }
        if dependency != nil { flags |= Flag.priority }
        return HTTP2Frame(type: Kind.headers, flags: flags, stream: stream, payload: payload)
    }

    /// A section of fields, each a literal that leaves the dynamic table alone.
    static func headers(_ stream: UInt32, _ fields: KeyValuePairs<String, String>, end: Bool = true) -> HTTP2Frame {
        headers(stream, block: HPACK.block(fields), end: end)
    }

    static func continuation(_ stream: UInt32, block: [UInt8], endHeaders: Bool = true) -> HTTP2Frame {
        HTTP2Frame(type: Kind.continuation, flags: endHeaders ? Flag.endHeaders : 0, stream: stream, payload: block)
    }

    static func priority(_ stream: UInt32, dependency: UInt32 = 0, weight: UInt8 = 15) -> HTTP2Frame {
        HTTP2Frame(type: Kind.priority, stream: stream, payload: Array(bigEndian: dependency) + [weight])
    }

    static func priorityUpdate(_ stream: UInt32, _ value: String) -> HTTP2Frame {
        HTTP2Frame(type: Kind.priorityUpdate, payload: Array(bigEndian: stream) + Array(value.utf8))
    }

    static func reset(_ stream: UInt32, _ code: HTTP2Code = .cancel) -> HTTP2Frame {
        HTTP2Frame(type: Kind.reset, stream: stream, payload: Array(bigEndian: code.rawValue))
    }

    static func settings(_ values: KeyValuePairs<UInt16, UInt32> = [:]) -> HTTP2Frame {
        HTTP2Frame(
            type: Kind.settings,
            payload: values.flatMap { [UInt8($0.key >> 8), UInt8($0.key & 0xFF)] + Array(bigEndian: $0.value) })
    }

    static let settingsAcknowledgement = HTTP2Frame(type: Kind.settings, flags: Flag.acknowledgement)

    static func pushPromise(_ stream: UInt32, promised: UInt32, _ fields: KeyValuePairs<String, String>) -> HTTP2Frame {
        HTTP2Frame(
            type: Kind.pushPromise, flags: Flag.endHeaders, stream: stream,
            payload: Array(bigEndian: promised) + HPACK.block(fields))
    }

    static func ping(_ payload: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8], acknowledges: Bool = false) -> HTTP2Frame {
        HTTP2Frame(type: Kind.ping, flags: acknowledges ? Flag.acknowledgement : 0, payload: payload)
    }

    static func goAway(last: UInt32, _ code: HTTP2Code = .noError, debug: String = "") -> HTTP2Frame {
        HTTP2Frame(
            type: Kind.goAway, payload: Array(bigEndian: last) + Array(bigEndian: code.rawValue) + Array(debug.utf8))
    }

    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> HTTP2Frame {
        HTTP2Frame(type: Kind.windowUpdate, stream: stream, payload: Array(bigEndian: increment))
    }
}

// MARK: - Changed

extension HTTP2Frame {
    /// The same with the reserved bit of the stream identifier set.
    var withReservedBit: HTTP2Frame { with { $0.reserved = true } }

    func with(flags: UInt8) -> HTTP2Frame { with { $0.flags = flags } }
    func with(stream: UInt32) -> HTTP2Frame { with { $0.stream = stream } }
    func with(payload: [UInt8]) -> HTTP2Frame { with { $0.payload = payload } }
    func with(declaredLength: Int) -> HTTP2Frame { with { $0.declaredLength = declaredLength } }

    private func with(_ change: (inout HTTP2Frame) -> Void) -> HTTP2Frame {
        var copy = self
        change(&copy)
        return copy
    }
}

// MARK: - Read

extension HTTP2Frame {
    /// Takes the first frame off received bytes; nil when more are needed.
    init?(takingFrom bytes: inout ArraySlice<UInt8>) {
        guard bytes.count >= Self.headerSize else { return nil }
        let start = bytes.startIndex
        let length = Int(UInt32(bigEndian: bytes[start..<start + 3]))
        guard bytes.count >= Self.headerSize + length else { return nil }
        let identifier = UInt32(bigEndian: bytes[start + 5..<start + 9])
        self.init(
            type: bytes[start + 3], flags: bytes[start + 4], stream: identifier & 0x7FFF_FFFF, reserved: identifier >> 31 == 1,
            payload: Array(bytes[start + Self.headerSize..<start + Self.headerSize + length]))
        bytes = bytes.dropFirst(Self.headerSize + length)
    }

    /// What a DATA or HEADERS frame carries without padding and priority; nil when the padding is longer than the frame.
    var content: [UInt8]? {
        var rest = payload[...]
        if has(Flag.padded) {
            guard let padding = rest.popFirst(), Int(padding) <= rest.count else { return nil }
            rest = rest.dropLast(Int(padding))
        }
        if type == Kind.headers, has(Flag.priority) {
            guard rest.count >= 5 else { return nil }
            rest = rest.dropFirst(5)
        }
        return Array(rest)
    }

    /// The values of a SETTINGS frame.
    var settingsValues: [UInt16: UInt32] {
        var values: [UInt16: UInt32] = [:]
        for start in stride(from: 0, to: payload.count - payload.count % 6, by: 6) {
            values[UInt16(UInt32(bigEndian: payload[start..<start + 2]))] = UInt32(bigEndian: payload[start + 2..<start + 6])
        }
        return values
    }
}

extension UInt32 {
    init(bigEndian bytes: ArraySlice<UInt8>) { self = bytes.reduce(0) { $0 << 8 | UInt32($1) } }
}

extension Array<UInt8> {
    init(bigEndian value: UInt32) { self = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
}
