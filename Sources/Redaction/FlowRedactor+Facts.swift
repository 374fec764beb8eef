// What a flow has beside heads and bodies: its target and connections, messages, bytes that could not be parsed, sentences, the end.

import FlowModel
import HTTPSemantics
import NIOCore

extension FlowRedactor {
    func redact(_ opening: FlowOpening) -> FlowOpening {
        var opening = opening
        opening.client = connections.client(opening.client, redactor, &facts)
        guard rules.searchesText else { return opening }
        var tally = Tally()
        opening.target.host = redactor.redact(text: opening.target.host, &tally)
        report(tally, .connection)
        return opening
    }

    func sentence(_ text: String) -> String {
        var tally = Tally()
        let redacted = redactor.redact(sentence: text, &tally)
        report(tally, .connection)
        return redacted
    }

    /// Bytes that are no message: no rule for names can be applied to them, so they are hidden.
    func malformed(_ bytes: ByteBuffer, _ side: Side) -> ByteBuffer {
        let place: FlowRedaction.Place = side == .client ? .request : .response
        if !rules.keepsUnparsed,
            rules.readsFields || rules.changesURLs || rules.readsJSON || rules.readsForms || !rules.bodies.isEmpty
        {
            guard !RedactionMarker.isMarker(bytes), bytes.readableBytes > 0 else { return bytes }
            omit(redactor.structureRule, place, .unparsed)
            return RedactionMarker.mask
        }
        var tally = Tally()
        let redacted = redactor.redact(text: bytes, &tally)
        report(tally, place)
        return redacted ?? bytes
    }

    func localReply(_ reply: LocalReply) -> LocalReply {
        var tally = Tally()
        let head = redactor.redact(reply.head, &tally)
        var content = reply.content
        if rules.changesURLs, content.mayContainURL {
            content = redactor.redact(urlsIn: content, &tally)
        }
        content = redactor.redact(text: content, &tally) ?? content
        report(tally, .response)
        return LocalReply(head: head, content: content)
    }

    /// The flow's end: what is held then was cut.
    func end(_ ending: FlowEnding, _ at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        isStream = true
        settleRequest(into: next)
        if let request { conclude(request, isCut: true, into: next) }
        if let response { conclude(response, isCut: true, into: next) }
        (request, response) = (nil, nil)
        var ending = ending
        if let error = ending.error {
            ending.error = FlowError(side: error.side, message: sentence(error.message), at: error.at)
        }
        if rules.searchesText {
            var tally = Tally()
            ending.comment = ending.comment.map { redactor.redact(text: $0, &tally) }
            ending.tags = ending.tags.map { redactor.redact(text: $0, &tally) }
            report(tally, .connection)
        }
        if !facts.isEmpty { next(.redacted(facts), at) }
        next(.ended(ending), at)
    }

    // MARK: Messages

    /// A WebSocket message, a control frame, or data of a stream. What spans several of them is not found.
    func message(_ piece: FlowPiece) -> FlowPiece {
        if case .rule(let rule) = verdict { return message(piece, rule) }
        guard rules.readsBodies, piece.content.readableBytes > 0 else { return piece }
        let isJSON = rules.readsJSON && (piece.kind == .text || piece.kind == .binary) && piece.content.beginsLikeJSON == true
        guard isJSON || rules.searchesText else { return piece }
        var tally = Tally()
        var changed = piece
        if piece.content.readableBytes > rules.limit {
            return rules.keepsUnparsed ? piece : without(piece, redactor.structureRule, .tooLarge)
        }
        // A part of a message can end within a value.
        if piece.cut != nil { return rules.keepsUnparsed ? piece : without(piece, redactor.structureRule, .unparsed) }
        if isJSON {
            if let edits = redactor.jsonEdits(piece.content, &tally) {
                changed.content = edits.applied(to: piece.content)
            } else if !rules.keepsUnparsed {
                return without(piece, redactor.structureRule, .unparsed)
            }
        }
        changed.content = redactor.redact(text: changed.content, &tally) ?? changed.content
        report(tally, .messages)
        return changed
    }

    private func message(_ piece: FlowPiece, _ rule: Int) -> FlowPiece {
        guard piece.content.readableBytes > 0 else { return piece }
        if redactor.method(of: rule) == .drop { return without(piece, rule, .rule) }
        guard let marker = redactor.hidden(piece.content, rule) else { return piece }
        facts.add(FlowRedaction.Change(rule: rules.rules[rule].text, place: .messages))
        return replaced(piece, by: marker)
    }

    private func without(_ piece: FlowPiece, _ rule: Int, _ reason: FlowRedaction.Omission.Reason) -> FlowPiece {
        omit(rule, .messages, reason)
        return replaced(piece, by: ByteBuffer())
    }

    private func replaced(_ piece: FlowPiece, by content: ByteBuffer) -> FlowPiece {
        var changed = piece
        changed.content = content
        // Of content that was cut before; its digest would tell of what is hidden.
        changed.cut = piece.cut.map { Shared(ContentCut(size: $0.value.size, sha256: ByteBuffer())) }
        return changed
    }
}
