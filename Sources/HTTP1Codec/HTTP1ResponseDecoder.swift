// Reads responses: the status-line, interim responses (RFC 9110 §15.2), and where the content ends, which depends on the request (RFC 9112 §6.3).

import HTTPSemantics
import NIOCore

/// A decoder for the bytes of a server.
package final class HTTP1ResponseDecoder: HTTP1Decoder {
    /// The request that a response answers decides whether there is content (RFC 9112 §6.3).
    package enum RequestKind: Sendable {
        case head
        case connect
        case other
    }

    private var expected: [RequestKind] = []

    package init(limits: HTTP1Limits = HTTP1Limits(), validation: HTTP1Validation = .strict) {
        super.init(readsRequests: false, limits: limits, validation: validation)
    }

    /// Declares the request that the next response answers, after those already declared.
    package func expectResponse(to request: RequestKind) { expected.append(request) }

    /// The next event.
    /// - Returns: nil if more bytes are needed.
    /// - Throws: the error; later calls throw the same one.
    package func next() throws(HTTP1Error) -> ResponseEvent? {
        do throws(HTTP1Error) {
            if case .head = state {
                guard let wire = try takeHead() else { return nil }
                do throws(HTTP1Error) { return try response(wire) } catch { throw refuse(wire, error) }
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

    private func response(_ wire: ByteBuffer) throws(HTTP1Error) -> ResponseEvent {
        guard let kind = expected.first else {
            throw HTTP1Error(.unexpectedResponse, "the server sent a response that was not asked for")
        }
        let facts = parsed.facts
        let line = try StatusLine(wire, parsed.line)
        let fields = takeFields(of: wire)
        if facts.isStartLineOdd { note("the reason phrase holds a control character") }
        try judgeOddities(fields)
        let head = ResponseHead(wire: wire, version: line.version, status: line.status, reason: line.reason, fields: fields)
        if head.isInterim { return .interim(head) }
        expected.removeFirst()
        let framing = try responseFraming(facts, head, kind)
        begin(framing)
        return .head(head, framing, isLast: framing == .none)
    }

    private func responseFraming(_ facts: FieldFacts, _ head: ResponseHead, _ kind: RequestKind) throws(HTTP1Error) -> BodyFraming {
        let codings = facts.codings
        // RFC 9112 §6.3, rule 3: Transfer-Encoding overrides Content-Length. A server that sends identity and a length keeps the connection open,
        // and browsers use the length.
        let hasOnlyLength = codings.isIdentity && facts.invalidLength == nil && facts.contentLength != nil
        let isCoded = codings.isPresent && !hasOnlyLength
        if let fault = facts.lengthFault, !isCoded { throw fault }
        if head.status == 101 { return .tunnel }
        if kind == .connect, head.status / 100 == 2 { return .tunnel }
        if codings.isPresent { noteFraming(facts, head.version) }
        if kind == .head || head.status == 204 || head.status == 304 { return .none }
        if isCoded { return codings.endsInChunked ? .chunked : .untilClose }
        guard let length = facts.contentLength else { return .untilClose }
        return length > 0 ? .length(length) : .none
    }
}
