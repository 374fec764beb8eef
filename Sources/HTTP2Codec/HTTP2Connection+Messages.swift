// Incoming messages: field sections become heads and trailers, DATA becomes content, checked by RFC 9113 §8.1. A malformed request is a
// stream error. A response passes if browsers tolerate it and it is not ambiguous: names with capitals, connection-specific fields, unknown
// pseudo-fields, white space around a value, a wrong Content-Length.

import CNghttp2
import HTTPSemantics
import NIOCore

extension HTTP2Connection {
    func beganSection(_ frame: nghttp2_frame) {
        let id = unsafe frame.hd.stream_id
        if streams[id] == nil {
            guard role == .server else { return }
            let stream = HTTP2Stream(id: id)
            stream.window = limits.initialWindow
            stream.isTooMany = streams.count >= Int(limits.maximumConcurrentStreams)
            streams[id] = stream
            peerBegan(id)
        }
        arriving = (id, IncomingSection())
    }

    /// - Returns: a code for nghttp2: 0, or that the connection cannot continue.
    func receivedField(
        _ id: Int32, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isNeverIndexed: Bool
    ) -> Int32 {
        guard arriving?.stream == id else { return 0 }
        unsafe arriving!.section.append(name, value, isNeverIndexed: isNeverIndexed, limits: limits)
        // An endless section costs work although nothing of it is kept.
        if arriving!.section.size > 4 * limits.maximumFieldSectionSize {
            terminate(.enhanceYourCalm, "a field section of more than \(4 * limits.maximumFieldSectionSize) bytes")
        }
        return 0
    }

    func sectionIsComplete(_ id: Int32, endsStream: Bool) {
        guard arriving?.stream == id, var section = arriving.take()?.section else { return }
        guard let stream = streams[id], !stream.isSilent else { return }
        if stream.isTooMany {
            // RFC 9113 §5.1.2: with this code the client may retry.
            _ = section.finish()
            return fail(stream, "the client has more streams open than it may", code: .refusedStream, head: section.wire)
        }
        if section.isTooLarge {
            stream.isInputEnded = stream.isInputEnded || endsStream
            stream.isTunnel = true
            _ = section.finish()
            return emit(.fieldsTooLarge(id.unsigned, head: section.wire))
        }
        if stream.hasHead {
            trailers(&section, stream, endsStream: endsStream)
        } else if role == .server {
            request(&section, stream, endsStream: endsStream)
        } else {
            response(&section, stream, endsStream: endsStream)
        }
    }

    // MARK: Heads

    private func request(_ section: inout IncomingSection, _ stream: HTTP2Stream, endsStream: Bool) {
        section.check(pseudo: [":method", ":scheme", ":path", ":authority", ":protocol"])
        let method = section.pseudo(":method") ?? .empty
        let isConnect = section.wire.equals(method, "CONNECT")
        let protocolRange = section.pseudo(":protocol")
        let hasProtocol = protocolRange != nil
        checkTarget(&section, method, isPlainConnect: isConnect && !hasProtocol)
        if hasProtocol, !isConnect { section.fail("the pseudo-field :protocol stands in a request other than CONNECT") }
        let target = section.pseudo(":path") ?? .empty
        let scheme = section.pseudo(":scheme") ?? .empty
        let authority = section.pseudo(":authority") ?? .empty
        let fields = section.finish()
        checkConnectionFields(fields, &section)
        checkHost(fields, authority, &section)
        stream.announced = announcedLength(fields, &section)
        guard isAcceptable(section, section.wire, stream) else { return }
        stream.hasHead = true
        stream.isTunnel = isConnect
        let upgrade = isConnect ? protocolRange.map { UpgradeProtocol(section.wire, protocolValue: $0) } : nil
        let head = RequestHead(
            wire: section.wire, version: .http2, method: method, target: target, scheme: scheme, authority: authority,
            fields: fields, upgrade: upgrade)
        idleFrames = 0
        // A note or an error follows its head, and precedes the end of the message.
        let isLast = endsStream && section.fault == nil && hasPromisedLength(stream)
        stream.isInputEnded = isLast
        emit(.request(stream.id.unsigned, .head(head, endsStream ? .none : .stream, isLast: isLast)))
        note(section, stream)
        if endsStream, !isLast { inputEnded(stream, trailers: nil) }
    }

    /// RFC 9113 §8.3.1, §8.5.
    private func checkTarget(_ section: inout IncomingSection, _ method: ByteRange, isPlainConnect: Bool) {
        if method.isEmpty { section.fail("the request has no :method", isDangerous: true) }
        let path = section.pseudo(":path")
        let scheme = section.pseudo(":scheme")
        if isPlainConnect {
            if path != nil || scheme != nil { section.fail("CONNECT has no :path and no :scheme", isDangerous: true) }
            if section.pseudo(":authority") == nil { section.fail("CONNECT has no :authority", isDangerous: true) }
        } else {
            if scheme == nil || scheme?.isEmpty == true { section.fail("the request has no :scheme", isDangerous: true) }
            guard let path, !path.isEmpty else { return section.fail("the request has no :path", isDangerous: true) }
            let bytes = section.wire.slice(path).readableBytesView
            let isAsterisk = bytes.elementsEqual([0x2A])
            let isHTTP = scheme.map { section.wire.equals($0, "http") || section.wire.equals($0, "https") } ?? false
            if isHTTP, bytes.first != 0x2F, !(isAsterisk && section.wire.equals(method, "OPTIONS")) {
                section.fail("the :path does not begin with a slash")
            }
            if !section.wire.isClear(path, of: { $0.below(0x21) | $0.equal(to: 0x7F) }) {
                section.fail("the :path holds white space", isDangerous: true)
            }
        }
        let isToken = section.wire.isClear(method) {
            $0.below(0x21) | $0.equal(to: 0x7F) | $0.beyondASCII | $0.equal(to: 0x2F) | $0.equal(to: 0x3A)
        }
        if !isToken { section.fail("the :method holds a character it may not hold", isDangerous: true) }
        if let authority = section.pseudo(":authority") {
            let isAuthority = section.wire.isClear(authority) {
                $0.below(0x21) | $0.equal(to: 0x7F) | $0.equal(to: 0x2F) | $0.equal(to: 0x40)
            }
            if !isAuthority { section.fail("the :authority is not valid", isDangerous: true) }
        }
    }

    /// RFC 9113 §8.3.1: Host, if present, equals :authority.
    private func checkHost(_ fields: FieldSection, _ authority: ByteRange, _ section: inout IncomingSection) {
        let hosts = fields.all("host")
        if hosts.count > 1 { section.fail("there is more than one Host field", isDangerous: true) }
        guard let host = hosts.first, !authority.isEmpty else { return }
        let named = section.wire.slice(authority)
        let isSame =
            host.readableBytes == named.readableBytes
            && zip(host.readableBytesView, named.readableBytesView).allSatisfy { $0 | 0x20 == $1 | 0x20 }
        if !isSame { section.fail("Host and :authority name different servers", isDangerous: true) }
    }

    private func response(_ section: inout IncomingSection, _ stream: HTTP2Stream, endsStream: Bool) {
        // A recipient might read a status whose name has capitals.
        section.check(pseudo: [":status"], foreign: [":status", ":method", ":scheme", ":authority", ":path", ":protocol"])
        let status = section.pseudo(":status").flatMap { ResponseHead.status(of: section.wire.slice($0)) } ?? 0
        if status < 100 { section.fail("the response has no :status of three digits", isDangerous: true) }
        // RFC 9113 §8.6: 101 is not allowed, and an interim response does not end the stream.
        if status == 101 { section.fail("HTTP/2 has no status 101", isDangerous: true) }
        if status / 100 == 1, endsStream { section.fail("an interim response ends the stream", isDangerous: true) }
        let fields = section.finish()
        let announced = announcedLength(fields, &section)
        guard isAcceptable(section, section.wire, stream) else { return }
        let head = ResponseHead(wire: section.wire, version: .http2, status: status, reason: .empty, fields: fields)
        note(section, stream)
        if head.isInterim { return interim(head, section.size, stream) }
        stream.hasHead = true
        stream.announced = announced
        if stream.isTunnel, status / 100 != 2 { stream.isTunnel = false }
        stream.isInputEnded = endsStream
        emit(.response(stream.id.unsigned, .head(head, endsStream ? .none : .stream, isLast: endsStream)))
    }

    /// No window limits interim responses, so a server could make us keep them without end for a client that does not read.
    private func interim(_ head: ResponseHead, _ size: Int, _ stream: HTTP2Stream) {
        stream.interimSize += size
        guard stream.interimSize <= 4 * limits.maximumFieldSectionSize else {
            return fail(
                stream, "interim responses of more than \(4 * limits.maximumFieldSectionSize) bytes", code: .enhanceYourCalm,
                head: head.wire)
        }
        emit(.response(stream.id.unsigned, .interim(head)))
    }

    private func trailers(_ section: inout IncomingSection, _ stream: HTTP2Stream, endsStream: Bool) {
        if section.pseudoCount > 0 { section.fail("a pseudo-field stands in a trailer section", isDangerous: true) }
        if !endsStream { section.fail("a field section in the middle of a message", isDangerous: true) }
        let fields = section.finish()
        checkConnectionFields(fields, &section)
        guard isAcceptable(section, section.wire, stream) else { return }
        note(section, stream)
        inputEnded(stream, trailers: fields)
    }

    /// RFC 9113 §8.2.2: connection-specific fields are not allowed in a message.
    private func checkConnectionFields(_ fields: FieldSection, _ section: inout IncomingSection) {
        let names: [StaticString] = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]
        for name in names where fields.contains(name) { section.fail("the field \(name) belongs to one connection") }
        if fields.all("te").contains(where: { !$0.equalsIgnoringCase("trailers") }) {
            section.fail("the field TE holds more than trailers")
        }
    }

    private func announcedLength(_ fields: FieldSection, _ section: inout IncomingSection) -> UInt64? {
        var announced: UInt64?
        for value in fields.all("content-length") {
            guard let number = value.decimal else {
                section.fail("the Content-Length is not a number", isDangerous: true)
                continue
            }
            if let announced, announced != number { section.fail("there are two lengths", isDangerous: true) }
            announced = number
        }
        return announced
    }

    /// Whether a section passes; otherwise its stream is reset and the error is reported.
    private func isAcceptable(_ section: IncomingSection, _ wire: ByteBuffer, _ stream: HTTP2Stream) -> Bool {
        guard let fault = section.fault else { return true }
        if !section.isDangerous, role == .client || validation == .lenient { return true }
        fail(
            stream, "the message is malformed: \(fault)", head: wire,
            isRelaxable: !section.isDangerous && validation == .strict)
        return false
    }

    /// Emits a note for a fault that passes.
    private func note(_ section: IncomingSection, _ stream: HTTP2Stream) {
        if let fault = section.fault { emit(.note(stream.id.unsigned, fault)) }
    }

    func fail(
        _ stream: HTTP2Stream, _ message: String, code: HTTP2ErrorCode = .protocolError, head: ByteBuffer = ByteBuffer(),
        isRelaxable: Bool = false
    ) {
        reset(stream.id.unsigned, code)
        emit(.failed(stream.id.unsigned, code, message: message, head: head, isRelaxable: isRelaxable))
    }

    // MARK: Content

    func receivedData(_ id: Int32, _ data: UnsafeRawBufferPointer) {
        unsafe nghttp2_session_consume_connection(session, data.count)
        guard let stream = streams[id], !stream.isSilent, data.count > 0 else { return }
        guard stream.hasHead else {
            return fail(stream, "content came before the head of the message")
        }
        stream.received += UInt64(data.count)
        if let announced = stream.announced, stream.received > announced, isStrictAboutLength(stream) {
            return fail(stream, "the content is longer than its Content-Length")
        }
        guard let base = unsafe inputBase, let start = data.baseAddress else { return }
        let offset = unsafe base.distance(to: start)
        let content = input.getSlice(at: input.readerIndex + offset, length: data.count) ?? ByteBuffer()
        emit(
            role == .server
                ? .request(id.unsigned, .content(content, wire: content, isLast: false))
                : .response(id.unsigned, .content(content, wire: content, isLast: false)))
    }

    /// A request with a wrong length would be ambiguous for an HTTP/1 server; a response would not.
    private func isStrictAboutLength(_ stream: HTTP2Stream) -> Bool {
        role == .server && validation == .strict && !stream.isTunnel
    }

    func inputEnded(_ stream: HTTP2Stream, trailers: FieldSection?) {
        if stream.isSilent { stream.isInputEnded = true }
        guard !stream.isInputEnded else { return }
        guard stream.hasHead else { return fail(stream, "the stream ended before the head of the message") }
        guard hasPromisedLength(stream) else { return fail(stream, "the content is not as long as its Content-Length") }
        stream.isInputEnded = true
        if trailers == nil, endsWithLastEvent(stream.id.unsigned) { return }
        emit(
            role == .server
                ? .request(stream.id.unsigned, .end(trailers: trailers, wire: ByteBuffer()))
                : .response(stream.id.unsigned, .end(trailers: trailers, wire: ByteBuffer())))
    }

    /// The content has the length that Content-Length announced, or the length does not matter.
    private func hasPromisedLength(_ stream: HTTP2Stream) -> Bool {
        guard let announced = stream.announced, stream.received != announced else { return true }
        return !isStrictAboutLength(stream)
    }

    /// DATA of one of our messages was added to the output.
    func sentContent(_ stream: HTTP2Stream, _ bytes: Int) {
        sentBytes.append((stream.id.unsigned, bytes))
    }
}

extension ByteBuffer {
    /// Whether a test of eight bytes returns zero for all bytes of a range.
    @inline(__always) fileprivate func isClear(_ range: ByteRange, of test: (EightBytes) -> UInt64) -> Bool {
        unsafe withUnsafeReadableBytes { unsafe $0.isClear(Int(range.start), Int(range.end), of: test) }
    }

    /// The number in the readable bytes; nil if they are not digits, or too many.
    fileprivate var decimal: UInt64? {
        guard readableBytes > 0 else { return nil }
        var number: UInt64 = 0
        for byte in readableBytesView {
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isBeyond) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            guard byte &- 0x30 < 10, !isTooLarge, !isBeyond else { return nil }
            number = sum
        }
        return number
    }
}
