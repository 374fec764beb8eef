// Heads: the request-target, the authority, the fields; and what patterns and the search for secrets find in them. A head is built again only
// if something in it is hidden.

import HTTPSemantics
import NIOCore

extension Redactor {
    /// Hides values in the head of a request.
    func redact(_ head: RequestHead, _ tally: inout Tally) -> RequestHead {
        var head = head
        var edits = Edits()
        if rules.changesURLs {
            let target = head.target
            // A request-target is a URL, whatever it begins with.
            if target.mayContainURL || target.contains(0x3B) {
                edits.offset = Int(head.targetRange.start)
                edit(urlsIn: target, isURL: true, &edits, &tally)
            }
            if !head.authorityRange.isEmpty {
                edits.offset = Int(head.authorityRange.start)
                edit(authority: head.authority, &edits, &tally)
            }
        }
        edits.offset = head.wire.offset(of: head.fields.wire)
        edit(head.fields, &edits, &tally)
        if !edits.isEmpty {
            edits.normalize()
            head = RequestHead(parsing: edits.applied(to: head.wire), version: head.version)
        }
        guard rules.searchesText else { return head }
        var places = [head.targetRange, head.authorityRange]
        let offset = head.wire.offset(of: head.fields.wire)
        places += head.fields.lines.map { ByteRange(Int($0.value.start) + offset, Int($0.value.end) + offset) }
        let found = searchEdits(head.wire, within: places, isURL: [0, 1], &tally)
        return found.isEmpty ? head : RequestHead(parsing: found.applied(to: head.wire), version: head.version)
    }

    /// Hides values in the head of a response.
    func redact(_ head: ResponseHead, _ tally: inout Tally) -> ResponseHead {
        var head = head
        var edits = Edits()
        edits.offset = head.wire.offset(of: head.fields.wire)
        edit(head.fields, &edits, &tally)
        if !edits.isEmpty {
            edits.normalize()
            head = ResponseHead(parsing: edits.applied(to: head.wire), version: head.version)
        }
        guard rules.searchesText else { return head }
        let offset = head.wire.offset(of: head.fields.wire)
        let places =
            [head.reasonRange] + head.fields.lines.map { ByteRange(Int($0.value.start) + offset, Int($0.value.end) + offset) }
        let found = searchEdits(head.wire, within: places, isURL: [], &tally)
        return found.isEmpty ? head : ResponseHead(parsing: found.applied(to: head.wire), version: head.version)
    }

    /// Hides values in trailer fields.
    func redact(_ fields: FieldSection, _ tally: inout Tally) -> FieldSection {
        var fields = fields
        var edits = Edits()
        edit(fields, &edits, &tally)
        if !edits.isEmpty {
            edits.normalize()
            fields = FieldSection(parsing: edits.applied(to: fields.wire))
        }
        guard rules.searchesText else { return fields }
        let found = searchEdits(fields.wire, within: fields.lines.map(\.value), isURL: [], &tally)
        return found.isEmpty ? fields : FieldSection(parsing: found.applied(to: fields.wire))
    }

    // MARK: Text

    /// Hides what patterns and the search for secrets find in a head, in the values only, so that it stays a head.
    /// - Parameters:
    ///   - places: the values.
    ///   - isURL: the indexes of places that are percent-encoded.
    private func searchEdits(_ wire: ByteBuffer, within places: [ByteRange], isURL: [Int], _ tally: inout Tally) -> Edits {
        var edits = Edits()
        for hit in search(wire) {
            var isHit = false
            for (index, place) in places.enumerated() {
                let start = max(hit.range.lowerBound, Int(place.start))
                let end = min(hit.range.upperBound, Int(place.end))
                guard start < end, let hidden = hidden(wire.slice(ByteRange(start, end)), hit.rule) else { continue }
                let marker = method(of: hit.rule) == .drop ? ByteBuffer() : isURL.contains(index) ? hidden.percentEncoded : hidden
                edits.replace(start..<end, with: marker)
                isHit = true
            }
            if isHit { tally.add(hit.rule) }
        }
        basicEdits(wire, within: places, &edits, &tally)
        edits.normalize()
        return edits
    }

    /// Hides what is found in the name and password of Basic (RFC 7617).
    private func basicEdits(_ wire: ByteBuffer, within places: [ByteRange], _ edits: inout Edits, _ tally: inout Tally) {
        for place in places where place.count > 6 {
            let value = wire.slice(place)
            guard value.slice(ByteRange(0, 6)).equalsIgnoringCase("basic "),
                let decoded = Base64.decode(value.slice(ByteRange(6, value.readableBytes)), .any),
                let changed = redact(text: decoded, &tally)
            else { continue }
            edits.replace(Int(place.start) + 6..<Int(place.end), with: ByteBuffer(string: Base64.encode(changed)))
        }
    }
}

extension ByteBuffer {
    /// The offset of the field lines of a head: only the empty line that ends it follows them.
    fileprivate func offset(of fields: ByteBuffer) -> Int {
        let span = readableBytesUInt8Span
        let count = span.count
        var tail = 0
        if count >= 2, span[count - 1] == 0x0A {
            if span[count - 2] == 0x0A { tail = 1 }
            if span[count - 2] == 0x0D, count < 3 || span[count - 3] == 0x0A { tail = 2 }
        }
        return max(0, count - tail - fields.readableBytes)
    }
}
