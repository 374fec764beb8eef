// Writes WARC 1.1 (ISO 28500:2017): a response record and a request record for each exchange, after one record about the file. The
// block of a record is the message as HTTP/1.1 sends it: a head as it was received, and content in chunks if the head announces chunks,
// so that both agree. WARC-Protocol and WARC-Cipher-Suite are extensions that crawlers of HTTP/2 agreed on (warc-specifications#42, #86).

import ContentCoding
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// Choices for a WARC file.
package struct WARCOptions: Sendable, Equatable {
    /// The messages of a WebSocket are written as a metadata record of JSON Lines.
    package var withWebSocket = false
    /// The filter that chose the flows, for the record about the file.
    package var filter: String?

    package init() {}
}

/// Writes flows as records.
package struct WARCWriter: Sendable {
    /// Larger bodies are left out: a record is built in memory.
    private static let maximumBody: UInt64 = 512 << 20

    private let version: String
    private let options: WARCOptions
    private let isCompressed: Bool
    package private(set) var report = ConversionReport(format: "warc")
    /// What the current flow lost to the limits of the format, and to damage.
    private var found: [LossClass: Int] = [:]
    /// The identifier of the record about the file; nil before it is written.
    private var file: FlowID?

    /// - Parameters:
    ///   - version: of the program that writes.
    ///   - isCompressed: each record is a member of a gzip file (WARC 1.1 annex D).
    package init(version: String, _ options: WARCOptions = WARCOptions(), isCompressed: Bool = false) {
        (self.version, self.options, self.isCompressed) = (version, options, isCompressed)
    }

    package mutating func write(_ flow: Flow, into out: inout ByteBuffer) throws -> Bool {
        guard flow.isHTTPWithRequest, let request = flow.request else {
            report.leaveOut(flow, flow.kindLeftOut)
            return false
        }
        guard !request.head.isMethod("CONNECT"), let url = flow.exportedURL else {
            report.leaveOut(flow, request.head.isMethod("CONNECT") ? .connect : .noURL)
            return false
        }
        // Trailers of HTTP/1 follow the chunks.
        found = [.trailers: 0, .contentLength: flow.openEnds]
        if HARLocation(url)?.target == flow.target { found[.target] = 0 }
        if flow.hasKnownTLS { found[.tlsVersion] = 0 }
        let (start, known) = (out.writerIndex, file)
        do {
            try writeRecords(of: flow, request, url, into: &out)
            try report.write(flow, found: found, by: Self.fate)
        } catch {
            (file, _) = (known, out.moveWriterIndex(to: start))
            throw error
        }
        return true
    }

    private mutating func writeRecords(
        of flow: Flow, _ request: Message<RequestHead>, _ url: ByteBuffer, into out: inout ByteBuffer
    ) throws {
        let date = Self.date(flow.started)
        if file == nil { aboutFile(flow, date, &out) }
        // The first record of a flow has its identifier.
        let requestID =
            flow.response == nil ? flow.id : FlowID(high: flow.id.high, low: flow.id.low ^ Self.requestMark)
        if let response = flow.response {
            var record = WARCRecord(type: "response", id: flow.id, date: date, url: url)
            describe(&record, flow)
            try write(ExportedMessage(response, to: request.head, isStream: flow.switchesProtocols), of: flow, &record)
            finish(&record, type: "application/http;msgtype=response", into: &out)
        }
        var record = WARCRecord(type: "request", id: requestID, date: date, url: url)
        describe(&record, flow)
        if flow.response != nil { record.add("WARC-Concurrent-To", WARCRecord.urn(flow.id)) }
        try write(ExportedMessage(request, isStream: flow.switchesProtocols), of: flow, &record)
        finish(&record, type: "application/http;msgtype=request", into: &out)
        if options.withWebSocket, flow.isWebSocket { try conversation(flow, date, url, &out) }
    }

    package mutating func finish(into out: inout ByteBuffer) {
        guard file == nil else { return }
        let empty = Flow(
            id: FlowID(high: 0x7000, low: 1 << 63),
            opening: FlowOpening(
                kind: .http, client: Shared(.unknown), target: FlowTarget(scheme: "", host: "", port: 0), stream: StreamID(1)),
            started: Timestamp(nanoseconds: 0))
        aboutFile(empty, Self.date(empty.started), &out)
    }

    // MARK: Records

    /// Makes the identifiers of a flow's other records; the variant of a UUID stays.
    private static let requestMark: UInt64 = 0x0000_7265_7175_6573
    private static let fileMark: UInt64 = 0x0000_7761_7263_696E
    private static let messagesMark: UInt64 = 0x0000_7765_6273_6F63

    /// The file begins with a record about itself, of the time of its first flow.
    private mutating func aboutFile(_ first: Flow, _ date: String, _ out: inout ByteBuffer) {
        let id = FlowID(high: first.id.high, low: first.id.low ^ Self.fileMark)
        file = id
        var record = WARCRecord(type: "warcinfo", id: id, date: date, url: nil)
        record.block.writeString("software: mitm \(version)\r\nformat: WARC File Format 1.1\r\n")
        if let filter = options.filter {
            record.block.writeString("filter: \(filter.split(whereSeparator: \.isNewline).joined(separator: " "))\r\n")
        }
        finish(&record, type: "application/warc-fields", into: &out)
    }

    /// Adds what is known of the connection.
    private func describe(_ record: inout WARCRecord, _ flow: Flow) {
        if let peer = flow.server?.value.peer { record.add("WARC-IP-Address", peer.host) }
        let version = flow.response?.head.version ?? flow.request?.head.version ?? .http1_1
        record.add("WARC-Protocol", version.major == 2 ? "h2" : version.major > 2 ? "h\(version.major)" : "http/1.\(version.minor)")
        if let tls = flow.server?.value.tls {
            if let version = tls.version, version.hasPrefix("TLSv1") {
                record.add("WARC-Protocol", version == "TLSv1" ? "tls/1.0" : "tls/1\(version.dropFirst(5))")
            }
            if let cipher = tls.cipher { record.add("WARC-Cipher-Suite", cipher) }
        }
        if let file { record.add("WARC-Warcinfo-ID", WARCRecord.urn(file)) }
    }

    private func finish(_ record: inout WARCRecord, type: StaticString, into out: inout ByteBuffer) {
        guard isCompressed else { return record.write(contentType: type, into: &out) }
        var plain = ByteBuffer()
        record.write(contentType: type, into: &plain)
        out.writeImmutableBuffer(gzipMember(plain))
    }

    // MARK: Messages

    private mutating func write(_ message: ExportedMessage, of flow: Flow, _ record: inout WARCRecord) throws {
        record.block = message.head
        record.payloadStart = message.head.readableBytes
        if message.isRefitted { found[.contentLength, default: 0] += 1 }
        if message.trailers?.isEmpty == false, !message.isChunked { found[.trailers, default: 0] += 1 }
        var reason = message.isWhole ? nil : message.isCut ? "length" : "disconnect"
        defer { if let reason { record.add("WARC-Truncated", reason) } }
        guard message.hasContent else { return }
        guard message.size <= Self.maximumBody else {
            found[.largeContent, default: 0] += 1
            reason = "length"
            return
        }
        record.hasTransferCoding = message.isChunked
        record.block.reserveCapacity(message.head.readableBytes + Int(message.size) + 64)
        let isReadable = try message.forEachSlice(of: flow) { record.block.writeImmutableBuffer($0) }
        if !isReadable {
            found[.damagedContent, default: 0] += 1
            reason = "unspecified"
        }
    }

    /// The messages of a WebSocket, one JSON object each (warc-specifications#115).
    private mutating func conversation(_ flow: Flow, _ date: String, _ url: ByteBuffer, _ out: inout ByteBuffer) throws {
        let id = FlowID(high: flow.id.high, low: flow.id.low ^ Self.messagesMark)
        var record = WARCRecord(type: "metadata", id: id, date: date, url: url)
        record.add("WARC-Concurrent-To", WARCRecord.urn(flow.id))
        try flow.pieces.forEach { at, piece in
            guard piece.kind != .data else { return true }
            var json = JSONWriter()
            json.beginObject()
            json.key("at")
            json.time(at)
            json.key("from")
            json.string("\(piece.from)")
            json.key("opcode")
            json.string("\(piece.kind)")
            let isText = piece.kind == .text && piece.content.isUTF8
            json.key(isText ? "text" : "base64")
            if isText { json.string(piece.content) } else { json.base64(piece.content) }
            json.endObject()
            json.write(into: &record.block)
            record.block.writeStaticString("\n")
            return true
        } damaged: { _ in
            found[.damagedContent, default: 0] += 1
            return true
        }
        found.merge([.webSocket: 0, .pingPong: 0, .closeFrames: 0]) { $1 }
        finish(&record, type: "application/jsonl", into: &out)
    }
}

extension Flow {
    /// What is known of TLS versions and cipher suites is that of the server, and records have it.
    fileprivate var hasKnownTLS: Bool {
        let (client, server) = (client?.value.tls, server?.value.tls)
        return client?.version == nil && client?.cipher == nil && server?.version?.hasPrefix("TLSv1") != false
    }
}
