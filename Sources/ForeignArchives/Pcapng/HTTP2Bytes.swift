// The frames of a stream of HTTP/2 (RFC 9113). They are made: the recording has heads, content and ends. Fields are literals without
// indexing (RFC 7541 section 6.2.2), which change no table, so a stream can be left out without effect on the others.

import FlowModel
import HTTPSemantics
import NIOCore

/// Writes the events of one stream.
struct HTTP2Bytes: Sendable {
    /// SETTINGS_MAX_FRAME_SIZE of a peer that has sent none.
    private static let maximumFrame = 16_384

    private enum FrameType {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let continuation: UInt8 = 9
    }

    private enum Flag {
        static let endStream: UInt8 = 1
        static let acknowledgement: UInt8 = 1
        static let endHeaders: UInt8 = 4
    }

    private let flow: FlowReference
    private let stream: UInt32
    /// Sides whose END_STREAM, or whose RST_STREAM, was written.
    private var ended: Set<Side> = []
    private var written = OfSides(client: 0 as UInt64, server: 0)
    private var trailers = OfSides<FieldSection?>(client: nil, server: nil)

    init(_ flow: FlowReference, stream: UInt32) {
        self.flow = flow
        self.stream = stream
    }

    /// Appends the frames of an event.
    /// - Returns: the side that sent them; nil if the event has no frames.
    mutating func write(_ event: FlowEvent.What, into out: inout ByteBuffer) -> Side? {
        switch event {
        case .request(let head):
            headers(Self.fields(head, flow.value), from: .client, endsStream: isEmpty(.client), into: &out)
            return .client
        case .interim(let head):
            headers(Self.fields(head, flow.value), from: .server, endsStream: false, into: &out)
            return .server
        case .response(let head):
            headers(Self.fields(head, flow.value), from: .server, endsStream: isEmpty(.server), into: &out)
            return .server
        case .piece(let piece):
            data(piece, into: &out)
            return piece.from
        case .trailers(let side, let fields):
            trailers[side] = fields
            return nil
        case .finished(let side):
            guard !ended.contains(side) else { return nil }
            if let fields = trailers[side] {
                headers(Self.fields(fields), from: side, endsStream: true, into: &out)
            } else {
                Self.frame(FrameType.data, Flag.endStream, stream, ByteBuffer(), into: &out)
            }
            ended.insert(side)
            return side
        case .ended(let ending):
            return end(ending, into: &out)
        default:
            return nil
        }
    }

    /// Appends an answer of the recorder.
    mutating func write(_ reply: LocalReply, into out: inout ByteBuffer) {
        let isEmpty = reply.content.readableBytes == 0
        headers(Self.fields(reply.head, flow.value), from: .server, endsStream: isEmpty, into: &out)
        if !isEmpty { data(reply.content, from: .server, endsStream: true, into: &out) }
        ended.insert(.server)
    }

    /// The bytes with which one side begins a connection: the preface of a client, and SETTINGS. Those of the recorder are not recorded and
    /// have the defaults.
    static func writePreface(from side: Side, _ settings: [PeerSetting], into out: inout ByteBuffer) {
        if side == .client { out.writeStaticString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") }
        var payload = ByteBuffer()
        for setting in settings { payload.writeMultipleIntegers(setting.id, setting.value) }
        frame(FrameType.settings, 0, 0, payload, into: &out)
    }

    static func writeSettingsAcknowledgement(into out: inout ByteBuffer) {
        frame(FrameType.settings, Flag.acknowledgement, 0, ByteBuffer(), into: &out)
    }

    // MARK: Frames

    /// The message of a side ends with its head.
    private mutating func isEmpty(_ side: Side) -> Bool {
        guard isWhole(side, at: 0) else { return false }
        ended.insert(side)
        return true
    }

    /// The message of a side ends with this size of content.
    private func isWhole(_ side: Side, at size: UInt64) -> Bool {
        guard !flow.value.isSwitched else { return false }
        return side == .client ? flow.value.request?.ends(at: size) ?? false : flow.value.response?.ends(at: size) ?? false
    }

    private mutating func data(_ piece: FlowPiece, into out: inout ByteBuffer) {
        var content = piece.content
        if piece.kind != .data {
            content = ByteBuffer()
            content.writeFrame(piece)
        }
        guard content.readableBytes > 0, !ended.contains(piece.from) else { return }
        let size = written[piece.from] + UInt64(content.readableBytes)
        written[piece.from] = size
        let isLast = piece.kind == .data && isWhole(piece.from, at: size)
        data(content, from: piece.from, endsStream: isLast, into: &out)
        if isLast { ended.insert(piece.from) }
    }

    private func data(_ content: ByteBuffer, from side: Side, endsStream: Bool, into out: inout ByteBuffer) {
        var rest = content
        out.reserveCapacity(minimumWritableBytes: content.readableBytes + content.readableBytes / Self.maximumFrame * 9 + 9)
        while rest.readableBytes > 0, let part = rest.readSlice(length: min(rest.readableBytes, Self.maximumFrame)) {
            let isLast = endsStream && rest.readableBytes == 0
            Self.frame(FrameType.data, isLast ? Flag.endStream : 0, stream, part, into: &out)
        }
    }

    private func headers(_ block: ByteBuffer, from side: Side, endsStream: Bool, into out: inout ByteBuffer) {
        var rest = block
        var type = FrameType.headers
        repeat {
            let part = rest.readSlice(length: min(rest.readableBytes, Self.maximumFrame)) ?? ByteBuffer()
            var flags: UInt8 = rest.readableBytes == 0 ? Flag.endHeaders : 0
            if type == FrameType.headers, endsStream { flags |= Flag.endStream }
            Self.frame(type, flags, stream, part, into: &out)
            type = FrameType.continuation
        } while rest.readableBytes > 0
    }

    /// RST_STREAM where the flow ended before both sides were done.
    private mutating func end(_ ending: FlowEnding, into out: inout ByteBuffer) -> Side? {
        guard ending.isReset || ending.error != nil || ending.state != .complete else { return nil }
        guard ended.count < 2 || ending.isReset else { return nil }
        let side = ending.closedBy ?? ending.error?.side ?? .server
        var payload = ByteBuffer()
        payload.writeInteger(HTTP2ErrorName.code(in: ending.error?.message) ?? (side == .client ? 8 : 2))
        Self.frame(FrameType.reset, 0, stream, payload, into: &out)
        ended = [.client, .server]
        return side
    }

    private static func frame(
        _ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: ByteBuffer, into out: inout ByteBuffer
    ) {
        out.writeInteger(UInt32(payload.readableBytes) << 8 | UInt32(type))
        out.writeMultipleIntegers(flags, stream & 0x7FFF_FFFF)
        out.writeImmutableBuffer(payload)
    }

    // MARK: Fields

    private static func fields(_ head: RequestHead, _ flow: Flow) -> ByteBuffer {
        if head.version.major >= 2 { return fields(FieldSection(parsing: head.wire), keepsAll: true) }
        // As a server of HTTP/2 has received it (RFC 9113 section 8.3.1).
        var out = ByteBuffer()
        let target = RequestTarget(head)
        let opensWebSocket = head.upgrade == .webSocket
        out.writeLiteral(":method", opensWebSocket ? ByteBuffer(string: "CONNECT") : head.method)
        if opensWebSocket { out.writeLiteral(":protocol", ByteBuffer(string: "websocket")) }
        if !head.isMethod("CONNECT") {
            out.writeLiteral(":scheme", ByteBuffer(string: flow.target.scheme))
            out.writeLiteral(":path", target.path)
        }
        let host = head.fields.first("host") ?? ByteBuffer()
        out.writeLiteral(":authority", target.authority.readableBytes > 0 ? target.authority : host)
        out.writeImmutableBuffer(fields(head.fields))
        return out
    }

    private static func fields(_ head: ResponseHead, _ flow: Flow) -> ByteBuffer {
        if head.version.major >= 2 { return fields(FieldSection(parsing: head.wire), keepsAll: true) }
        var out = ByteBuffer()
        // RFC 8441 section 5: 200 takes the place of 101.
        let status = head.status == 101 ? 200 : head.status
        out.writeLiteral(":status", ByteBuffer(string: "\(status)"))
        out.writeImmutableBuffer(fields(head.fields))
        return out
    }

    /// The lines of a section as literals.
    /// - Parameter keepsAll: also fields that HTTP/2 does not have, because they came by it.
    private static func fields(_ section: FieldSection, keepsAll: Bool = false) -> ByteBuffer {
        var out = ByteBuffer()
        for (index, line) in section.lines.enumerated() {
            // Messages of WebSocket are written without their extensions.
            if section.wire.equalsIgnoringCase(line.name, "sec-websocket-extensions") { continue }
            if !keepsAll, section.isConnectionSpecific(line) || section.wire.equalsIgnoringCase(line.name, "host") { continue }
            let isNeverIndexed = section.neverIndexed.contains(index)
            out.writeLiteral(section.slice(line.name), section.slice(line.value).unfolded(), isNeverIndexed: isNeverIndexed)
        }
        return out
    }
}

extension Message {
    /// Its content has this size, and nothing follows it.
    fileprivate func ends(at size: UInt64) -> Bool { ended != nil && storedSize == size && trailers == nil }
}

/// The names of error codes (RFC 9113 section 7), as the recorder writes them in the errors of flows.
private enum HTTP2ErrorName {
    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    /// The code that a sentence names; nil if it names none.
    static func code(in sentence: String?) -> UInt32? {
        guard let sentence else { return nil }
        for word in sentence.split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }) {
            if let code = names.firstIndex(of: String(word)) { return UInt32(code) }
            if word.hasPrefix("0x"), let code = UInt32(word.dropFirst(2), radix: 16) { return code }
        }
        return nil
    }
}

extension ByteBuffer {
    fileprivate mutating func writeLiteral(_ name: StaticString, _ value: ByteBuffer) {
        writeLiteral(ByteBuffer(staticString: name), value, isNeverIndexed: false)
    }

    /// A literal field without indexing, or one that is never indexed, with a literal name (RFC 7541 sections 6.2.2 and 6.2.3). Names are in
    /// lower case (RFC 9113 section 8.2.1).
    fileprivate mutating func writeLiteral(_ name: ByteBuffer, _ value: ByteBuffer, isNeverIndexed: Bool) {
        writeInteger(isNeverIndexed ? 0x10 : 0 as UInt8)
        writeLength(name.readableBytes)
        for byte in name.readableBytesView { writeInteger(byte.lowercased) }
        writeLength(value.readableBytes)
        writeImmutableBuffer(value)
    }

    /// The length of a string without Huffman coding: an integer with a prefix of 7 bits (RFC 7541 section 5.1).
    private mutating func writeLength(_ length: Int) {
        guard length >= 127 else { return writeLengthByte(UInt8(length)) }
        writeLengthByte(127)
        var rest = length - 127
        while rest >= 128 {
            writeLengthByte(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        writeLengthByte(UInt8(rest))
    }

    private mutating func writeLengthByte(_ byte: UInt8) { writeInteger(byte) }
}
