// What a decoder of either side makes of a delivery, in words that tests compare.

import HTTP1Codec
import HTTPSemantics
import NIOCore

/// The side whose messages a test decodes.
enum Role: Sendable { case requests, responses }

/// A decoder of either side, with its events in words.
struct EventReader {
    private enum Decoder {
        case requests(HTTP1RequestDecoder)
        case responses(HTTP1ResponseDecoder)
    }
    private let decoder: Decoder
    private(set) var words: [String] = []
    private(set) var wire = ""
    /// Content is joined so that the delivery does not show.
    private var content = ""

    init(
        _ role: Role, answering: [HTTP1ResponseDecoder.RequestKind], validation: HTTP1Validation = .strict,
        limits: HTTP1Limits = HTTP1Limits()
    ) {
        switch role {
        case .requests:
            decoder = .requests(HTTP1RequestDecoder(limits: limits, validation: validation))
        case .responses:
            let responses = HTTP1ResponseDecoder(limits: limits, validation: validation)
            answering.forEach { responses.expectResponse(to: $0) }
            decoder = .responses(responses)
        }
    }

    var shared: HTTP1Decoder {
        switch decoder {
        case .requests(let decoder): decoder
        case .responses(let decoder): decoder
        }
    }

    /// - Returns: false when there is no event.
    mutating func next() throws(HTTP1Error) -> Bool {
        switch decoder {
        case .requests(let decoder):
            guard let event = try decoder.next() else { return false }
            render(event)
        case .responses(let decoder):
            guard let event = try decoder.next() else { return false }
            render(event)
        }
        return true
    }

    private mutating func render(_ event: RequestEvent) {
        switch event {
        case .head(let head, let framing, let isLast):
            words.append("\(String(buffer: head.method)) \(String(buffer: head.target)) \(head.version) \(framing)")
            wire += String(buffer: head.wire)
            if isLast { words.append("end") }
        case .content(let piece, let bytes, let isLast): add(piece, bytes, isLast)
        case .end(let trailers, let bytes): end(trailers, bytes)
        }
    }

    private mutating func render(_ event: ResponseEvent) {
        switch event {
        case .interim(let head):
            words.append("interim \(head.status)")
            wire += String(buffer: head.wire)
        case .head(let head, let framing, let isLast):
            words.append("\(head.version) \(head.status) \(String(buffer: head.reason)) \(framing)")
            wire += String(buffer: head.wire)
            if isLast { words.append("end") }
        case .content(let piece, let bytes, let isLast): add(piece, bytes, isLast)
        case .end(let trailers, let bytes): end(trailers, bytes)
        }
    }

    private mutating func add(_ piece: ByteBuffer, _ bytes: ByteBuffer, _ isLast: Bool) {
        content += String(buffer: piece)
        wire += String(buffer: bytes)
        if isLast { end(nil, ByteBuffer()) }
    }

    private mutating func end(_ trailers: FieldSection?, _ bytes: ByteBuffer) {
        flush()
        words.append(trailers.map { "end \($0.pairs.map { "\($0.name)=\($0.value)" }.joined(separator: ","))" } ?? "end")
        wire += String(buffer: bytes)
    }

    mutating func flush(_ word: String? = nil) {
        if !content.isEmpty { words.append("<\(content)>") }
        content = ""
        if let word { words.append(word) }
    }
}

/// Decodes a delivery and renders what comes out, one word for each event.
func decode(
    _ role: Role, _ parts: [ByteBuffer], answering: [HTTP1ResponseDecoder.RequestKind] = [.other, .other, .other],
    ends: Bool = false,
    validation: HTTP1Validation = .strict, limits: HTTP1Limits = HTTP1Limits()
) -> (events: String, wire: String) {
    var reader = EventReader(role, answering: answering, validation: validation, limits: limits)
    func pull() -> Bool {
        do throws(HTTP1Error) {
            while try reader.next() {}
            return true
        } catch {
            reader.flush("! \(error.kind)")
            return false
        }
    }
    for part in parts {
        reader.shared.receive(part)
        guard pull() else { return (reader.words.joined(separator: " | "), reader.wire) }
    }
    if ends {
        reader.shared.receivedEnd()
        _ = pull()
    }
    reader.flush()
    if reader.shared.bufferedBytes > 0, reader.words.last?.hasPrefix("!") != true {
        reader.flush("rest \(reader.shared.bufferedBytes)")
    }
    return (reader.words.joined(separator: " | "), reader.wire)
}
