// Scans frames before nghttp2 receives them, by their headers alone. nghttp2 ends a connection for some errors that RFC 9113 defines as errors
// of one stream. Here such a stream is reset first: for nghttp2 the frame then is a late one on a reset stream, for which it only keeps field
// compression and the connection's window up to date.

import CNghttp2
import HTTPSemantics
import NIOCore

/// RFC 9113 §4.1.
struct FrameHeader {
    static let size = 9

    let length: Int
    let type: UInt32
    let flags: UInt8
    let stream: Int32
    /// The four bytes of the payload of WINDOW_UPDATE.
    let increment: UInt32
    /// DATA whose padding reaches beyond the frame (RFC 9113 §6.1).
    let isOverpadded: Bool

    /// - Parameter bytes: of a frame, from its first; nil if there are not enough of them.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        func number(_ at: Int) -> UInt32 { unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
        length = Int(number(0) >> 8)
        type = unsafe UInt32(bytes[3])
        flags = unsafe bytes[4]
        stream = Int32(bitPattern: number(5) & 0x7FFF_FFFF)
        switch type {
        case NGHTTP2_WINDOW_UPDATE.rawValue where length == 4:
            guard bytes.count >= Self.size + 4 else { return nil }
            increment = number(Self.size) & 0x7FFF_FFFF
            isOverpadded = false
        case NGHTTP2_DATA.rawValue where UInt32(flags) & NGHTTP2_FLAG_PADDED.rawValue != 0:
            guard length == 0 || bytes.count > Self.size else { return nil }
            increment = 0
            isOverpadded = unsafe length == 0 || Int(bytes[Self.size]) >= length
        default:
            increment = 0
            isOverpadded = false
        }
    }

    func has(_ flag: nghttp2_flag) -> Bool { UInt32(flags) & flag.rawValue != 0 }
}

/// The state of the scan between two reads.
struct HTTP2FrameScanner {
    /// Bytes that belong to the frame, or the preface, that has begun.
    var left: Int
    /// The beginning of a frame that is too short to scan.
    var beginning = ByteBuffer()
    /// The frame that has begun.
    var frame: FrameHeader?
    /// It is not passed to nghttp2.
    var isWithheld = false
    /// Only CONTINUATION may follow (RFC 9113 §4.3).
    var isInSection = false
    /// The SETTINGS frame that is arriving, its header included: nghttp2 does not report unknown settings.
    private var settings = ByteBuffer()

    init(_ role: HTTP2Connection.Role) { left = role == .server ? Int(NGHTTP2_CLIENT_MAGIC_LEN) : 0 }

    /// Keeps the content of a SETTINGS frame.
    mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        let room = FrameHeader.size + 6 * PeerSetting.maximumKept - settings.readableBytes
        unsafe settings.writeBytes(UnsafeRawBufferPointer(rebasing: bytes.prefix(room)))
    }

    mutating func takeSettings() -> [PeerSetting] {
        var payload = settings
        settings = ByteBuffer()
        payload.moveReaderIndex(forwardBy: min(FrameHeader.size, payload.readableBytes))
        var said: [PeerSetting] = []
        while let (id, value) = payload.readMultipleIntegers(as: (UInt16, UInt32).self) {
            said.append(PeerSetting(id: id, value: value))
        }
        return said
    }
}

extension HTTP2Connection {
    /// Receives bytes as they came, frame by frame.
    func receiveFrames(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes
        if scanner.left == 0, scanner.beginning.readableBytes > 0 { unsafe completeBeginning(&rest) }
        while rest.count > 0, !isTerminated {
            if scanner.left == 0 {
                guard let frame = unsafe FrameHeader(rest) else {
                    unsafe scanner.beginning.writeBytes(rest)
                    return
                }
                begin(frame)
                guard !isTerminated else { return }
            }
            let count = min(scanner.left, rest.count)
            unsafe passOn(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Takes the remaining bytes of a frame that began at the end of the last read.
    private func completeBeginning(_ rest: inout UnsafeRawBufferPointer) {
        while rest.count > 0 {
            unsafe scanner.beginning.writeInteger(rest[0])
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[1...])
            guard let frame = unsafe scanner.beginning.withUnsafeReadableBytes({ unsafe FrameHeader($0) }) else { continue }
            let beginning = scanner.beginning
            scanner.beginning = ByteBuffer()
            begin(frame)
            guard !isTerminated else { return }
            return unsafe beginning.withUnsafeReadableBytes { unsafe passOn($0) }
        }
    }

    private func passOn(_ bytes: UnsafeRawBufferPointer) {
        if scanner.frame?.type == NGHTTP2_SETTINGS.rawValue { unsafe scanner.keep(bytes) }
        if !scanner.isWithheld { unsafe feed(bytes) }
        scanner.left -= bytes.count
        guard scanner.left == 0, let frame = scanner.frame else { return }
        scanner.isWithheld = false
        switch frame.type {
        case NGHTTP2_SETTINGS.rawValue: _ = scanner.takeSettings()
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_CONTINUATION.rawValue: scanner.isInSection = !frame.has(NGHTTP2_FLAG_END_HEADERS)
        case NGHTTP2_DATA.rawValue: break
        default: return
        }
        if frame.type != NGHTTP2_CONTINUATION.rawValue, frame.has(NGHTTP2_FLAG_END_STREAM) {
            streams[frame.stream]?.hasPeerEnded = true
        }
    }

    private func begin(_ frame: FrameHeader) {
        scanner.frame = frame
        scanner.left = FrameHeader.size + frame.length
        count(frame)
        guard !isTerminated, !scanner.isInSection, frame.stream != 0, frame.length <= Self.maximumFrameSize else { return }
        let stream = streams[frame.stream]
        if frame.isOverpadded, stream?.hasPeerEnded ?? true {
            // nghttp2 checks the padding only of content that it accepts.
            return terminate(.protocolError, "content on stream \(frame.stream) with more padding than its frame has room for")
        }
        guard let stream else {
            if frame.type == NGHTTP2_DATA.rawValue { return dataOnClosedStream(frame.stream) }
            guard frame.type == NGHTTP2_HEADERS.rawValue, let code = misuse(of: frame.stream) else { return }
            return terminate(code, "a field section on stream \(frame.stream), which is closed")
        }
        guard let fault = fault(of: frame, on: stream), unsafe nghttp2_session_find_stream(session, stream.id) != nil else {
            return
        }
        // PRIORITY is allowed on any stream, so nghttp2 would process it.
        scanner.isWithheld = frame.type == NGHTTP2_PRIORITY.rawValue
        if stream.isSilent { reset(stream.id.unsigned, fault.code) } else { fail(stream, fault.message, code: fault.code) }
        closeReset(stream.id)
    }

    /// Counts frames that carry nothing (RFC 9113 §10.5).
    private func count(_ frame: FrameHeader) {
        switch frame.type {
        case NGHTTP2_CONTINUATION.rawValue where frame.length > Self.maximumFrameSize:
            // nghttp2 checks the size of the first frame only.
            return terminate(.frameSizeError, "a CONTINUATION frame of \(frame.length) bytes")
        case NGHTTP2_HEADERS.rawValue where role == .server || streams[frame.stream] != nil, NGHTTP2_CONTINUATION.rawValue:
            // Counted when the section is complete.
            return
        case NGHTTP2_DATA.rawValue where frame.length > 0 || frame.has(NGHTTP2_FLAG_END_STREAM):
            idleFrames = 0
            return
        default: idleFrames += 1
        }
        if idleFrames > limits.maximumIdleFrames {
            terminate(.enhanceYourCalm, "the peer sent \(idleFrames) frames that carry nothing")
        }
    }

    /// The error of a frame on a stream, where nghttp2 would end the connection for it.
    private func fault(of frame: FrameHeader, on stream: HTTP2Stream) -> (code: HTTP2ErrorCode, message: String)? {
        switch frame.type {
        case NGHTTP2_DATA.rawValue where stream.hasPeerEnded:
            // RFC 9113 §5.1, half-closed (remote).
            (.streamClosed, "content after the end of the message")
        case NGHTTP2_HEADERS.rawValue where stream.hasPeerEnded:
            (.streamClosed, "a field section after the end of the message")
        case NGHTTP2_DATA.rawValue where role == .client && !stream.hasHead && !stream.isSilent:
            // RFC 9113 §8.1: malformed.
            (.protocolError, "content came before the head of the message")
        case NGHTTP2_PRIORITY.rawValue where frame.length != 5:
            // RFC 9113 §6.3.
            (.frameSizeError, "a PRIORITY frame of \(frame.length) bytes")
        case NGHTTP2_WINDOW_UPDATE.rawValue where frame.length == 4 && frame.increment == 0:
            // RFC 9113 §6.9.
            (.protocolError, "a WINDOW_UPDATE frame of nothing")
        default:
            nil
        }
    }
}
