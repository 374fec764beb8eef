// Reads requests: the request-line, the rules for Host (RFC 9112 §3.2), and where the content ends (RFC 9112 §6.3).

import HTTPSemantics
import NIOCore

/// A decoder for the bytes of a client.
package final class HTTP1RequestDecoder: HTTP1Decoder {
    package init(limits: HTTP1Limits = HTTP1Limits(), validation: HTTP1Validation = .strict) {
        super.init(readsRequests: true, limits: limits, validation: validation)
    }

    /// The next event.
    /// - Returns: nil if more bytes are needed.
    /// - Throws: the error; later calls throw the same one.
    package func next() throws(HTTP1Error) -> RequestEvent? {
        do throws(HTTP1Error) {
            if case .head = state {
                skipEmptyLines()
                guard let wire = try takeHead() else { return nil }
                do throws(HTTP1Error) { return try request(wire) } catch { throw refuse(wire, error) }
            }
            switch try nextPart() {
            case .content(let content, let wire, let isLast)?: return .content(content, wire: wire, isLast: isLast)
            case .end(let trailers, let wire)?: return .end(trailers: trailers, wire: wire)
            case nil: return nil
            }
        } catch {
            throw failed(error)
        }
    }

    /// RFC 9112 §2.2: a server ignores at least one empty line before a request-line.
    private func skipEmptyLines() {
        guard scanned == 0 else { return }
        while let first = buffer.readableBytesView.first {
            if first == 0x0A {
                buffer.moveReaderIndex(forwardBy: 1)
            } else if first == 0x0D, buffer.readableBytes > 1, buffer.getInteger(at: buffer.readerIndex + 1) == UInt8(0x0A) {
                buffer.moveReaderIndex(forwardBy: 2)
            } else {
                return
            }
        }
    }

    private func request(_ wire: ByteBuffer) throws(HTTP1Error) -> RequestEvent {
        let facts = parsed.facts
        if facts.isStartLineOdd { throw HTTP1Error(.startLine, "the start-line holds a control character") }
        let line = try RequestLine(wire, parsed.line)
        if facts.isHostInvalid || facts.invalidLength != nil, let fault = facts.hostFault ?? facts.lengthFault { throw fault }
        if validation == .strict {
            if facts.hosts > 1 { throw HTTP1Error(.host, "there is more than one Host field", isRelaxable: true) }
            if facts.hosts == 0, line.version.minor > 0 {
                throw HTTP1Error(.host, "the request has no Host field", isRelaxable: true)
            }
        }
        let fields = takeFields(of: wire)
        try judgeOddities(fields)
        let upgrade = facts.hasUpgrade ? UpgradeProtocol(wire, line.method, line.version, fields) : nil
        let head = RequestHead(
            wire: wire, version: line.version, method: line.method, target: line.target, fields: fields, upgrade: upgrade)
        let framing = try requestFraming(facts, line.version)
        begin(framing)
        return .head(head, framing, isLast: framing == .none)
    }

    private func requestFraming(_ facts: FieldFacts, _ version: HTTPVersion) throws(HTTP1Error) -> BodyFraming {
        let codings = facts.codings
        if codings.isPresent {
            if validation == .strict { try checkCodings(facts, version) }
            noteFraming(facts, version)
            if codings.endsInChunked { return .chunked }
            if !codings.hasUnknown, !codings.isMalformed, codings.chunked == 0 {
                throw HTTP1Error(.framing, "chunked is not the last transfer coding of the request, so its end cannot be found")
            }
        }
        guard let length = facts.contentLength, length > 0 else { return .none }
        return .length(length)
    }

    private func checkCodings(_ facts: FieldFacts, _ version: HTTPVersion) throws(HTTP1Error) {
        let codings = facts.codings
        if facts.contentLength != nil {
            throw HTTP1Error(
                .framing, "Content-Length and Transfer-Encoding are both given, so the end of the message is ambiguous",
                isRelaxable: true)
        }
        if version.minor == 0 {
            throw HTTP1Error(
                .framing, "HTTP/1.0 has no Transfer-Encoding, so the end of the message is ambiguous", isRelaxable: true)
        }
        guard codings.endsInChunked else {
            let isRelaxable = codings.hasUnknown || codings.isMalformed || codings.chunked > 0
            throw HTTP1Error(
                .framing, "chunked is not the last transfer coding of the request, so its end cannot be found",
                isRelaxable: isRelaxable)
        }
        guard codings.chunked == 1, !codings.isMalformed else {
            throw HTTP1Error(.framing, "Transfer-Encoding names chunked twice, or nothing between commas", isRelaxable: true)
        }
        // RFC 9112 §6.1: an unknown coding is answered with 501, where the end of the message is certain.
        if codings.hasUnknown { throw HTTP1Error(.unknownCoding, "the transfer codings are not known", isRelaxable: true) }
    }
}
