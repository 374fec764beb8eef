// What a flow contains, by class. Heads and facts are in memory; pieces are visited of conversations only.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

extension Flow {
    var isHTTPWithRequest: Bool { kind == .http && request != nil }

    /// Why a format of HTTP exchanges leaves the flow out.
    var kindLeftOut: LossClass {
        switch kind {
        case .tcp: .tcp
        case .tls: .tls
        case .http: .noRequest
        }
    }

    /// How often each class occurs in the flow. Classes that only a writer can find (limits of its format) are not among them.
    /// - Throws: errors of fetching a piece, except for damaged ones.
    func lossClasses() throws -> [LossClass: Int] {
        var met: [LossClass: Int] = [.flowID: 1, .messageTimes: 1]
        func count(_ loss: LossClass, _ number: Int) {
            if number > 0 { met[loss, default: 0] += number }
        }
        count(.tcp, kind == .tcp ? 1 : 0)
        count(.tls, kind == .tls ? 1 : 0)
        count(.noRequest, kind == .http && request == nil ? 1 : 0)
        count(.connect, request?.head.isMethod("CONNECT") == true ? 1 : 0)
        count(.target, kind == .http && request?.head.isMethod("CONNECT") != true ? 1 : 0)
        messages(count)
        facts(count)
        connections(count)
        // What was sent after a switch of protocols is not the content of two messages.
        let isTunnel = request?.head.isMethod("CONNECT") == true && pieces.count > 0
        if isConversation || isTunnel { try conversation(count) } else { content(count) }
        return met
    }

    private func messages(_ count: (LossClass, Int) -> Void) {
        let versions = [request?.head.version, response?.head.version].compactMap { $0 }
        count(.http2AsHTTP1, versions.contains { $0.major >= 2 } ? 1 : 0)
        count(.http3, versions.contains { $0.major > 2 } ? 1 : 0)
        count(.headBytes, request?.head.isRewritable == false ? 1 : 0)
        count(.headBytes, response?.head.isRewritable == false ? 1 : 0)
        count(.interim, interims.count)
        count(.trailers, [request?.trailers, response?.trailers].count { $0?.isEmpty == false })
    }

    private func content(_ count: (LossClass, Int) -> Void) {
        count(.incomplete, (request?.ended == nil && request != nil ? 1 : 0) + (response?.ended == nil && response != nil ? 1 : 0))
        count(.missingContent, [request?.hasAllContent, response?.hasAllContent].count { $0 == false })
        let lines = [request.map { $0.head === $0.asStored.head }, response.map { $0.head === $0.asStored.head }]
        count(.contentLength, lines.count { $0 == false })
        count(.contentCoding, response.map { $0.storedSize > 0 && !$0.storedCodings.isEmpty } == true ? 1 : 0)
        let whole = [request?.storedSize, response?.storedSize].count { $0 ?? 0 > 0 }
        count(.chunkTimes, kind == .http && pieces.count > whole ? 1 : 0)
    }

    /// Messages that ended early, which their heads do not show. A format that marks them has them with another framing when it is
    /// read, because a client must see that they are cut.
    var openEnds: Int {
        guard kind == .http, !isConversation else { return 0 }
        return (request.map { $0.isOpen($0.head.fields, $0.head.version) } == true ? 1 : 0)
            + (response.map { $0.isOpen($0.head.fields, $0.head.version) } == true ? 1 : 0)
    }

    private func conversation(_ count: (LossClass, Int) -> Void) throws {
        guard isWebSocket else {
            if kind == .http { count(.upgradeData, pieces.count > 0 ? 1 : 0) }
            count(.missingContent, isTruncated ? 1 : 0)
            return
        }
        try pieces.forEach { _, piece in
            switch piece.kind {
            case .text, .binary: count(.webSocket, 1)
            case .ping, .pong: count(.pingPong, 1)
            case .close: count(.closeFrames, 1)
            case .data: break
            }
            if piece.kind != .data, piece.frames != 1 || piece.wireSize != piece.size { count(.frames, 1) }
            if piece.cut != nil { count(.missingContent, 1) }
            return true
        } damaged: { _ in
            true
        }
    }

    private func facts(_ count: (LossClass, Int) -> Void) {
        count(.malformed, malformed.count)
        count(.localReply, localReply == nil ? 0 : 1)
        count(.error, error == nil ? 0 : 1)
        count(.errorSide, error?.side == nil ? 0 : 1)
        count(.comment, comment == nil ? 0 : 1)
        count(.tags, tags.count)
        count(.notes, notes.count)
        count(.closing, closedBy != nil || isReset ? 1 : 0)
        count(.passthrough, passthrough == nil ? 0 : 1)
        count(.redaction, redaction == nil ? 0 : 1)
        count(.streamID, kind == .http && stream.value > 1 ? 1 : 0)
    }

    private func connections(_ count: (LossClass, Int) -> Void) {
        let (client, server) = (client?.value, server?.value)
        count(.connectionID, client.map { $0.id != ClientConnection.unknown.id } == true ? 1 : 0)
        count(.clientAddress, client?.peer.host.isEmpty == false ? 1 : 0)
        count(.serverAddress, server?.peer == nil ? 0 : 1)
        count(.mode, client?.mode.isEmpty == false ? 1 : 0)
        count(.settings, client?.settings == nil && server?.settings == nil ? 0 : 1)
        let tls = [client?.tls, server?.tls].compactMap { $0 }
        count(.tlsVersion, tls.contains { $0.version != nil || $0.cipher != nil } ? 1 : 0)
        count(.tlsNames, tls.contains { $0.serverName != nil || $0.alpn != nil || !$0.alpnOffers.isEmpty } ? 1 : 0)
        count(.certificates, tls.contains { !$0.certificates.isEmpty } ? 1 : 0)
        count(.fingerprints, tls.contains { $0.ja3 != nil || $0.ja4 != nil } ? 1 : 0)
        count(.verification, tls.contains { $0.isVerified != nil || $0.verificationError != nil } ? 1 : 0)
    }
}

extension Message {
    fileprivate func isOpen(_ fields: FieldSection, _ version: HTTPVersion) -> Bool {
        guard ended == nil, hasAllContent, version.major < 2, !fields.list("transfer-encoding", contains: "chunked") else {
            return false
        }
        let length = fields.first("content-length").flatMap { UInt64(String(buffer: $0)) }
        return length.map { $0 <= storedSize } ?? true
    }
}

extension RequestHead {
    /// Its parts, written again, give the same bytes.
    fileprivate var isRewritable: Bool {
        guard version.major < 2 else { return true }
        var line = method
        line.writeStaticString(" ")
        line.writeImmutableBuffer(target)
        line.writeStaticString(" ")
        line.write(version)
        line.writeStaticString("\r\n")
        return wire.consists(of: line, fields)
    }
}

extension ResponseHead {
    fileprivate var isRewritable: Bool {
        guard version.major < 2 else { return true }
        var line = ByteBuffer()
        line.write(version)
        line.writeString(" \(status) ")
        line.writeImmutableBuffer(wire.slice(reasonRange))
        line.writeStaticString("\r\n")
        return wire.consists(of: line, fields)
    }
}

extension FieldSection {
    /// Each line is a name, a colon, a space, a value and CRLF.
    fileprivate var isRewritable: Bool {
        let wire = wire
        let bytes = wire.readableBytesUInt8Span
        var at = 0
        for line in lines {
            let colon = Int(line.name.end)
            let end = line.value.isEmpty ? colon + 2 : Int(line.value.end)
            guard Int(line.name.start) == at, line.value.isEmpty || Int(line.value.start) == colon + 2, end + 2 <= bytes.count,
                bytes[colon] == 0x3A, bytes[colon + 1] == 0x20, bytes[end] == 0x0D, bytes[end + 1] == 0x0A
            else { return false }
            at = end + 2
        }
        return at == bytes.count
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ version: HTTPVersion) {
        if version == .http1_1 { writeStaticString("HTTP/1.1") } else { writeString("\(version)") }
    }

    /// A start-line, fields as they are usually written, and an empty line.
    fileprivate func consists(of line: ByteBuffer, _ fields: FieldSection) -> Bool {
        guard readableBytes == line.readableBytes + fields.wire.readableBytes + 2, fields.isRewritable else { return false }
        return equals(ByteRange(0, line.readableBytes), line)
            && slice(ByteRange(readableBytes - 2, readableBytes)).readableBytesView.elementsEqual([0x0D, 0x0A])
    }
}
