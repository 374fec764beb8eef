// Writes the file format of GoReplay: a request record and a response record for each exchange, with heads as they were received and
// content in chunks where the head announces chunks. A flow whose bytes contain the separating line is left out, because GoReplay would
// split it.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Writes flows as records.
package struct GorWriter: Sendable {
    /// Bytes that are written, or compressed, at a time.
    private static let piece = 1 << 20

    private let isCompressed: Bool
    package private(set) var report = ConversionReport(format: "gor")

    /// - Parameter isCompressed: the output is a gzip file, of several members.
    package init(isCompressed: Bool = false) { self.isCompressed = isCompressed }

    package mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: (inout ByteBuffer) throws -> Void) throws -> Bool {
        guard flow.isHTTPWithRequest, let request = flow.request else {
            report.leaveOut(flow, flow.kindLeftOut)
            return false
        }
        guard !request.head.isMethod("CONNECT") else {
            report.leaveOut(flow, .connect)
            return false
        }
        let messages = Self.messages(flow, request)
        var found: [LossClass: Int] = [
            .contentLength: messages.count(where: \.message.isRefitted),
            // The end of a message of which content was not stored is that of the record.
            .messageTimes: [request.hasAllContent, flow.response?.hasAllContent].contains(false) ? 1 : 0,
            .target: GorFlows.location(request.head).target == flow.target ? 0 : 1,
        ]
        for (_, message) in messages {
            var search = SeparatorSearch()
            search.take(message.head)
            if try !message.forEachSlice(of: flow, { search.take($0) }) { found[.damagedContent, default: 0] += 1 }
            search.take(ByteBuffer(bytes: [0x0A]))
            guard !search.isFound else {
                report.leaveOut(flow, .separator)
                return false
            }
        }
        try report.write(flow, found: found, by: Self.fate)
        var plain = ByteBuffer()
        func append(_ bytes: ByteBuffer) throws {
            plain.writeImmutableBuffer(bytes)
            guard plain.readableBytes >= Self.piece else { return }
            finish(&plain, into: &out)
            try drain(&out)
        }
        for (line, message) in messages {
            try append(line)
            try append(message.head)
            _ = try message.forEachSlice(of: flow, append)
            try append(ByteBuffer(bytes: GorRecord.separator))
        }
        finish(&plain, into: &out)
        return true
    }

    private func finish(_ plain: inout ByteBuffer, into out: inout ByteBuffer) {
        out.writeImmutableBuffer(isCompressed ? gzipMember(plain) : plain)
        plain = ByteBuffer()
    }

    /// The messages of a flow with their lines of facts.
    private static func messages(_ flow: Flow, _ request: Message<RequestHead>) -> [(line: ByteBuffer, message: ExportedMessage)] {
        let isStream = flow.switchesProtocols
        var messages = [(line(.request, flow, request.started, request.ended), ExportedMessage(request, isStream: isStream))]
        if let response = flow.response {
            let message = ExportedMessage(response, to: request.head, isStream: isStream)
            messages.append((line(.response, flow, response.started, response.ended), message))
        }
        for index in messages.indices { messages[index].1.showEnd() }
        return messages
    }

    /// GoReplay's identifiers have 24 hexadecimal digits; these are the last ones of the flow's.
    private static func line(_ kind: GorRecord.Kind, _ flow: Flow, _ started: Timestamp, _ ended: Timestamp?) -> ByteBuffer {
        var line = ByteBuffer(bytes: [kind.rawValue, 0x20])
        line.writeString(String(flow.id.description.filter { $0 != "-" }.suffix(24)))
        line.writeString(" \(started.nanoseconds)")
        if let ended { line.writeString(" \(max(0, ended.nanoseconds - started.nanoseconds))") }
        line.writeStaticString("\n")
        return line
    }
}

/// Searches the bytes of a record for the separating line. They begin after a line end.
private struct SeparatorSearch {
    private(set) var isFound = false
    /// Bytes of the separator that precede the next byte.
    private var matched = 1

    mutating func take(_ bytes: ByteBuffer) {
        let (span, pattern) = (bytes.readableBytesUInt8Span, GorRecord.separator)
        var i = 0
        while i < span.count {
            if matched == 0 {
                guard let next = bytes.firstIndex(of: 0x0A, from: i, to: span.count) else { return }
                i = next
            }
            let byte = span[i]
            i += 1
            // The line end is the only byte that can begin the separator again.
            matched = byte == pattern[matched] ? matched + 1 : byte == 0x0A ? 1 : 0
            if matched == pattern.count { (isFound, matched) = (true, 1) }
        }
    }
}

extension GorWriter {
    /// What the format does with a class.
    package static func fate(of loss: LossClass) -> LossFate {
        switch loss {
        case .tcp, .tls, .noRequest, .connect, .separator: .leftOut
        case .interim, .damagedContent, .upgradeData, .malformed, .localReply, .error, .comment, .tags, .notes, .webSocket,
            .pingPong, .closeFrames:
            .lost
        case .chunkTimes, .frames, .streamID, .settings, .clientAddress, .serverAddress, .mode, .tlsVersion, .tlsNames,
            .certificates,
            .fingerprints, .verification, .errorSide, .closing, .passthrough, .redaction:
            .lost
        case .http2AsHTTP1, .http3, .contentLength, .missingContent, .connectionID, .flowID, .target,
            .messageTimes:
            .changed
        case .noURL, .headContent, .argumentLength, .noMessage, .headBytes, .fields, .contentCoding, .largeContent, .fileContent,
            .incomplete, .trailers:
            .kept
        }
    }
}
