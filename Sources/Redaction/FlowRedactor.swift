// Redaction as a stage between the events of a flow and its recording. Heads pass at once; a body that a rule may touch is held until it ends.
// What is held when the flow is cut is not stored. Bytes on the wire do not pass here.

import ContentCoding
import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore

/// The state of one flow.
package final class FlowRedactor: FlowEventStage {
    let redactor: Redactor
    var rules: RedactionRules { redactor.rules }
    let connections: RedactedConnections
    var facts = FlowRedaction()
    var request: BodyStage?
    var response: BodyStage?
    /// Data is that of a TCP stream, or of a protocol after 101.
    var isStream = false
    /// What an earlier redaction reports.
    private var earlier = FlowRedaction()
    /// The flow as it was received, for rules with an expression; nil without such rules.
    private var received: FlowAssembler?
    private var progress = FlowProgress()

    /// - Parameter connections: shared by the flows of a recording, so that the facts of a connection are redacted once.
    package init(_ redactor: Redactor, connections: RedactedConnections) {
        (self.redactor, self.connections) = (redactor, connections)
    }

    package func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        if rules.filtersBodies { note(what, at) }
        var tally = Tally()
        switch what {
        case .opened(let opening):
            isStream = opening.kind != .http
            next(.opened(redact(opening)), at)
        case .server(let server): next(.server(connections.server(server, redactor, &facts)), at)
        case .client(let client): next(.client(connections.client(client, redactor, &facts)), at)
        case .request(let head):
            let redacted = redactor.redact(head, &tally)
            report(tally, .request)
            next(.request(redacted), at)
            request = body(.client, head.fields)
        case .interim(let head):
            let redacted = redactor.redact(head, &tally)
            report(tally, .response)
            next(.interim(redacted), at)
        case .response(let head):
            let redacted = redactor.redact(head, &tally)
            report(tally, .response)
            next(.response(redacted), at)
            isStream = isStream || head.status == 101
            response = body(.server, head.fields)
            settleRequest(into: next)
        case .piece(let piece): receive(piece, at, into: next)
        case .trailers(let side, let fields):
            let redacted = redactor.redact(fields, &tally)
            report(tally, side == .client ? .request : .response)
            end(side, .trailers(from: side, redacted), at, into: next)
        case .finished(let side): end(side, what, at, into: next)
        case .note(let note): next(.note(FlowNote(side: note.side, sentence(note.message))), at)
        case .malformed(let side, let bytes): next(.malformed(from: side, malformed(bytes, side)), at)
        case .localReply(let reply): next(.localReply(localReply(reply)), at)
        case .redacted(let redaction):
            earlier.merge(redaction)
            next(what, at)
        case .cut(let side, let cut): next(.cut(from: side, self.cut(cut, side)), at)
        case .ended(let ending): end(ending, at, into: next)
        }
    }

    /// A recording that is copied does not have all of a side's content. What was held of it cannot be read, and a digest of the whole content
    /// would tell of what is hidden.
    private func cut(_ cut: ContentCut, _ side: Side) -> ContentCut {
        guard let stage = side == .client ? request : response else { return cut }
        if case .pass = stage.plan { return cut }
        stage.isCut = true
        return ContentCut(size: cut.size, sha256: ByteBuffer())
    }

    func report(_ tally: Tally, _ place: FlowRedaction.Place) {
        if !tally.isEmpty { tally.report(place, of: rules, to: &facts) }
    }

    func omit(_ rule: Int, _ place: FlowRedaction.Place, _ reason: FlowRedaction.Omission.Reason) {
        facts.add(FlowRedaction.Omission(rule: rules.rules[rule].text, place: place, reason: reason))
    }

    // MARK: Rules for whole bodies

    private func note(_ what: FlowEvent.What, _ at: Timestamp) {
        if case .opened(let opening) = what {
            received = FlowAssembler(id: FlowID(high: 0, low: 0), at: at, opening: opening, keepsPieces: false)
        } else if case .piece = what {
            return
        } else {
            received?.receive(what, at: at)
        }
        progress.receive(what)
    }

    enum Verdict {
        case none
        case undecided
        case rule(Int)
    }

    /// The last rule for whole bodies that applies to the flow.
    var verdict: Verdict {
        for body in rules.bodies.reversed() {
            guard let filter = body.filter else { return .rule(body.rule) }
            guard let flow = received?.flow else { continue }
            do {
                guard let matches = try isStream ? filter.matches(flow) : filter.decide(flow, known: progress) else {
                    return .undecided
                }
                if matches { return .rule(body.rule) }
            } catch {
                // An expression that cannot be evaluated is taken to match.
                return .rule(body.rule)
            }
        }
        return .none
    }

    /// What happens with the body after a head.
    private func body(_ side: Side, _ fields: FieldSection) -> BodyStage? {
        guard !rules.bodies.isEmpty || rules.readsBodies || rules.share != nil else { return nil }
        let isDecoded = earlier.isDecoded(side)
        func stage(_ plan: BodyStage.Plan) -> BodyStage { BodyStage(side, fields, isDecoded: isDecoded, plan: plan) }
        switch verdict {
        case .rule(let rule): return stage(plan(rule))
        case .undecided: return stage(.hold(BodyStage.Held(isUndecided: true)))
        case .none: return stage(planWithoutVerdict(fields))
        }
    }

    private func plan(_ rule: Int) -> BodyStage.Plan {
        switch redactor.method(of: rule) {
        case .mask: .mask(rule: rule, BodyStage.Sent())
        case .drop: .omit(rule: rule, .rule, BodyStage.Sent())
        case .hash: .hold(BodyStage.Held(hashes: rule))
        }
    }

    private func planWithoutVerdict(_ fields: FieldSection) -> BodyStage.Plan {
        if let share = rules.share, let type = fields.first("content-type"), RedactionSets.isScriptOrImage(type) {
            return .omit(rule: share, .rule, BodyStage.Sent())
        }
        return rules.readsBodies ? .hold(BodyStage.Held()) : .pass
    }

    /// Decides about the request's body when the response's head is known.
    func settleRequest(into next: (FlowEvent.What, Timestamp) -> Void) {
        guard rules.filtersBodies, let stage = request, case .hold(let held) = stage.plan, held.isUndecided else { return }
        let plan: BodyStage.Plan
        switch verdict {
        case .rule(let rule): plan = self.plan(rule)
        case .none, .undecided:
            let fields = received?.flow.request?.head.fields ?? FieldSection()
            plan = planWithoutVerdict(fields)
        }
        stage.plan = plan
        held.forEachPiece(from: .client) { piece, at in stage.receive(piece, at: at, redactor, into: next) }
        let ends = stage.ends
        stage.ends = []
        for (what, at) in ends { end(.client, what, at, into: next) }
    }

    // MARK: Content

    private func receive(_ piece: FlowPiece, _ at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        guard piece.kind == .data, !isStream else { return next(.piece(message(piece)), at) }
        guard let stage = piece.from == .client ? request : response else { return next(.piece(piece), at) }
        stage.receive(piece, at: at, redactor, into: next)
    }

    /// The end of a message, or its trailers: what was held passes before it.
    private func end(_ side: Side, _ what: FlowEvent.What, _ at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        guard let stage = side == .client ? request : response else { return next(what, at) }
        if stage.isUndecided {
            stage.ends.append((what, at))
        } else {
            conclude(stage, isCut: false, into: next)
            stage.plan = .pass
            next(what, at)
        }
    }

    /// Passes on what is stored of a body.
    /// - Parameter isCut: its end was not received.
    func conclude(_ stage: BodyStage, isCut: Bool, into next: (FlowEvent.What, Timestamp) -> Void) {
        let place = FlowRedaction.Place.body(of: stage.side)
        switch stage.plan {
        case .pass: return
        case .mask(let rule, let sent):
            guard let first = sent.first else { return }
            facts.add(FlowRedaction.Change(rule: rules.rules[rule].text, place: place))
            store(RedactionMarker.mask, sent.size, stage.side, first, into: next)
        case .omit(let rule, let reason, let sent): omit(sent, rule, reason, stage.side, into: next)
        case .hold(let held):
            guard let first = held.sent.first else { return }
            let isCut = isCut || stage.isCut
            if let rule = held.hashes {
                if isCut { return omit(held.sent, rule, .unparsed, stage.side, into: next) }
                let content = held.content
                let decoded = decodeContent(content, codings: stage.codings, maximum: rules.limit)
                guard let marker = redactor.hidden(decoded.content, rule) else { return stage.release(held, into: next) }
                facts.add(FlowRedaction.Change(rule: rules.rules[rule].text, place: place))
                return store(marker, held.sent.size, stage.side, first, into: next)
            }
            if isCut { return omit(held.sent, redactor.structureRule, .unparsed, stage.side, into: next) }
            var tally = Tally()
            switch redactor.redact(body: held.content, stage.type, codings: stage.codings, &tally) {
            case .unchanged: stage.release(held, into: next)
            case .changed(let content):
                report(tally, place)
                store(content, held.sent.size, stage.side, first, into: next)
            case .omitted(let rule, let reason): omit(held.sent, rule, reason, stage.side, into: next)
            }
        }
    }

    private func store(
        _ content: ByteBuffer, _ size: UInt64, _ side: Side, _ at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void
    ) {
        var redaction = FlowRedaction()
        if side == .client { redaction.isRequestDecoded = true } else { redaction.isResponseDecoded = true }
        next(.redacted(redaction), at)
        next(.piece(FlowPiece(from: side, content: content, wireSize: size)), at)
    }

    private func omit(
        _ sent: BodyStage.Sent, _ rule: Int, _ reason: FlowRedaction.Omission.Reason, _ side: Side,
        into next: (FlowEvent.What, Timestamp) -> Void
    ) {
        guard let first = sent.first else { return }
        omit(rule, .body(of: side), reason)
        next(.piece(FlowPiece(from: side, content: ByteBuffer(), wireSize: sent.size)), first)
    }
}
