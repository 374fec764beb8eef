// Bodies: decoded, read as JSON, a form or multipart content, and searched as text. What cannot be read is not stored: a rule would miss what
// it is meant for.

import ContentCoding
import ContentFormats
import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// What is stored of a body.
enum BodyOutcome {
    /// As it was sent.
    case unchanged
    /// Without its content codings.
    case changed(ByteBuffer)
    /// Nothing; the rule removes it or could not be applied.
    case omitted(rule: Int, FlowRedaction.Omission.Reason)
}

extension Redactor {
    /// Whether a rule can change a body, by its first bytes. Rules for bodies as a whole are not considered.
    /// - Parameters:
    ///   - start: the beginning of the body, without content codings; nil if nothing is known of it.
    ///   - isWhole: it is all of the body.
    /// - Returns: nil if more of it is needed.
    func mayChange(_ type: BodyType, start: ByteBuffer?, isWhole: Bool) -> Bool? {
        if rules.searchesText { return true }
        guard rules.readsJSON || rules.readsForms else { return false }
        if type.isMultipart || rules.readsJSON && type.isJSON || rules.readsForms && type.isForm { return true }
        guard let start else { return nil }
        let json = rules.readsJSON ? start.beginsLikeJSON : false
        let form = rules.readsForms && type.mayBeForm ? start.beginsLikeForm : false
        if json == true || form == true { return true }
        return json == false && form == false || isWhole ? false : nil
    }

    /// Hides values in a body that is complete.
    /// - Parameters:
    ///   - sent: the content.
    ///   - codings: the content codings that it has.
    ///   - tally: counts the changes, unless the body is omitted.
    func redact(body sent: ByteBuffer, _ type: BodyType, codings: [ByteBuffer], _ tally: inout Tally) -> BodyOutcome {
        guard sent.readableBytes > 0 else { return .unchanged }
        let decoded = decodeContent(sent, codings: codings, maximum: rules.limit + 1)
        if !decoded.isDecoded || decoded.outcome == .truncated { return unreadable(.undecodable) }
        let content = decoded.content
        if content.readableBytes > rules.limit { return unreadable(.tooLarge) }
        if mayChange(type, start: content, isWhole: true) == false { return .unchanged }
        if rules.searchesText, type.isWideText || content.beginsLikeWideText { return unreadable(.unparsed) }
        var counts = Tally()
        var changed = content
        switch structureEdits(content, type, &counts) {
        case .edits(let edits): changed = edits.applied(to: content)
        case .notReadable where rules.keepsUnparsed: counts = Tally()
        case .notReadable: return .omitted(rule: structureRule, .unparsed)
        case .removed(let rule):
            tally.add(rule)
            return .omitted(rule: rule, .rule)
        }
        if let text = redact(text: changed, &counts) { changed = text }
        guard !counts.isEmpty else { return .unchanged }
        tally.add(counts)
        return .changed(changed)
    }

    private func unreadable(_ reason: FlowRedaction.Omission.Reason) -> BodyOutcome {
        rules.keepsUnparsed ? .unchanged : .omitted(rule: structureRule, reason)
    }

    /// The rule that is reported for a body that cannot be read.
    var structureRule: Int {
        rules.paths.first?.rule ?? rules.patterns.first?.rule ?? rules.secrets?.rule ?? rules.userinfo ?? rules.bodies.first?.rule
            ?? 0
    }

    // MARK: Structures

    private enum Structure {
        case edits(Edits)
        case notReadable
        /// A rule removes all of it.
        case removed(Int)
    }

    private func structureEdits(_ content: ByteBuffer, _ type: BodyType, _ tally: inout Tally) -> Structure {
        if type.isMultipart, rules.readsJSON || rules.readsForms { return multipartEdits(content, type, &tally) }
        if rules.readsJSON, type.isJSON || content.beginsLikeJSON == true {
            let start = type.isJSON ? content.jsonStart : 0
            let text = content.slice(ByteRange(start, content.readableBytes))
            var counts = Tally()
            if let found = jsonEdits(text, &counts) {
                tally.add(counts)
                guard start > 0 else { return .edits(found) }
                var edits = Edits()
                edits.offset = start
                edits.add(found)
                return .edits(edits)
            }
            if !type.isOther, !(type.mayBeForm && content.beginsLikeForm == true) { return .notReadable }
        }
        if rules.readsForms, type.isForm || type.mayBeForm && content.beginsLikeForm == true {
            return .edits(formEdits(content, &tally))
        }
        return .edits(Edits())
    }

    /// Hides the content of parts by their names (RFC 7578), and values in parts that are JSON or forms.
    private func multipartEdits(_ content: ByteBuffer, _ type: BodyType, _ tally: inout Tally) -> Structure {
        guard let boundary = type.boundary, boundary.readableBytes > 0 else { return .notReadable }
        var reader = MultipartReader(content, boundary: boundary)
        var edits = Edits()
        var items = Removals(areMade: rules.drops)
        var lastRule = 0
        while let part = reader.next() {
            guard !part.isHeadUnended, !part.isUnended else { return .notReadable }
            let fields = FieldSection(parsing: part.head)
            items.add(reader.partRange)
            let range = reader.partRange.upperBound - part.content.readableBytes..<reader.partRange.upperBound
            let name = fields.first("content-disposition").flatMap { FieldParameters($0)["name"] }
            if let name, let rule = rules.form.rule(ofParameter: name.readableBytesUInt8Span) {
                lastRule = rule
                if method(of: rule) == .drop {
                    items.drop()
                } else if let hidden = hidden(part.content, rule) {
                    edits.replace(range, with: hidden)
                } else {
                    continue
                }
                tally.add(rule)
                continue
            }
            let type = BodyType(fields)
            guard !type.isMultipart, case .edits(let found) = structureEdits(part.content, type, &tally) else {
                return .notReadable
            }
            edits.offset = range.lowerBound
            edits.add(found)
            edits.offset = 0
        }
        guard reader.epilogue != nil else { return .notReadable }
        if items.isEverything { return .removed(lastRule) }
        for range in items.ranges { edits.remove(range) }
        edits.normalize()
        return .edits(edits)
    }
}
