// JSON text: values that a path selects and members by their names. A value becomes a string; the rest of the text keeps its bytes.

import HTTPSemantics
import JSONQuery
import NIOCore

extension Redactor {
    /// Hides values of JSON text.
    /// - Returns: edits in order; nil if the text is not JSON to its end.
    func jsonEdits(_ text: ByteBuffer, _ tally: inout Tally) -> Edits? {
        var found: [(range: Range<Int>, rule: Int)] = []
        if !rules.members.isEmpty {
            guard let places = JSONMembers.places(in: text, choose: { rules.members.rule($0) }) else { return nil }
            for place in places { found.append((place.value, place.choice)) }
        }
        for (path, rule) in rules.paths {
            guard let places = path.places(in: text) else { return nil }
            for place in places { found.append((place, rule)) }
        }
        var edits = Edits()
        guard !found.isEmpty else { return edits }
        var dropped: [Range<Int>] = []
        for (range, rule) in Self.outermost(found) {
            if method(of: rule) == .drop {
                dropped.append(range)
            } else if let new = hidden(json: text.slice(ByteRange(range.lowerBound, range.upperBound)), rule) {
                edits.replace(range, with: new)
            } else {
                continue
            }
            tally.add(rule)
        }
        for range in text.removals(of: dropped) { edits.remove(range) }
        edits.normalize()
        return edits
    }

    /// In the order of the text. Of values that contain one another the outer one counts, of rules for one value the last.
    private static func outermost(_ found: [(range: Range<Int>, rule: Int)]) -> [(range: Range<Int>, rule: Int)] {
        guard found.count > 1 else { return found }
        var kept: [(range: Range<Int>, rule: Int)] = []
        let sorted = found.sorted {
            ($0.range.lowerBound, $1.range.upperBound, $1.rule) < ($1.range.lowerBound, $0.range.upperBound, $0.rule)
        }
        for next in sorted where kept.last.map({ next.range.lowerBound >= $0.range.upperBound }) ?? true { kept.append(next) }
        return kept
    }

    /// The characters of a string; other values as they are written.
    private func meaning(ofJSON value: ByteBuffer) -> ByteBuffer {
        guard value.byte(at: 0) == 0x22 else { return value }
        if value.contains(0x5C) { return JSONTree(parsing: value)?.string?.bytes ?? value }
        return value.slice(ByteRange(1, value.readableBytes - 1))
    }

    /// The string that stands for a value; nil if it was hidden before.
    private func hidden(json value: ByteBuffer, _ rule: Int) -> ByteBuffer? {
        guard let hidden = hidden(meaning(ofJSON: value), rule) else { return nil }
        var string = ByteBuffer()
        string.reserveCapacity(hidden.readableBytes + 2)
        string.writeInteger(UInt8(ascii: "\""))
        string.writeImmutableBuffer(hidden)
        string.writeInteger(UInt8(ascii: "\""))
        return string
    }
}

extension ByteBuffer {
    /// The ranges to remove from valid JSON text so that it has no longer some values, and is valid: with the names of members, and commas.
    /// - Parameter values: in order, without overlaps.
    fileprivate func removals(of values: [Range<Int>]) -> [Range<Int>] {
        let span = readableBytesUInt8Span
        var removed: [Range<Int>] = []
        for value in values {
            var start = span.itemStart(ofValue: value.lowerBound)
            var end = span.skippingSpace(from: value.upperBound)
            let hasNext = end < span.count && span[end] == 0x2C
            end = hasNext ? span.skippingSpace(from: end + 1) : value.upperBound
            // The item before it was removed up to here.
            if let last = removed.last, last.upperBound == start {
                start = last.lowerBound
                removed.removeLast()
            }
            if !hasNext {
                let before = span.skippingSpace(before: start)
                if before > 0, span[before - 1] == 0x2C { start = before - 1 }
            }
            removed.append(start..<end)
        }
        return removed
    }
}

extension Span<UInt8> {
    fileprivate func skippingSpace(from start: Int) -> Int {
        var index = start
        while index < count, self[index].isWhitespaceOrLineEnd { index += 1 }
        return index
    }

    fileprivate func skippingSpace(before end: Int) -> Int {
        var index = end
        while index > 0, self[index - 1].isWhitespaceOrLineEnd { index -= 1 }
        return index
    }

    /// Where the member or the element of a value begins.
    fileprivate func itemStart(ofValue start: Int) -> Int {
        let colon = skippingSpace(before: start)
        guard colon > 0, self[colon - 1] == 0x3A else { return start }
        let nameEnd = skippingSpace(before: colon - 1)
        guard nameEnd > 1, self[nameEnd - 1] == 0x22 else { return start }
        var quote = nameEnd - 2
        while quote > 0 {
            if self[quote] == 0x22 {
                var slashes = 0
                while slashes < quote, self[quote - 1 - slashes] == 0x5C { slashes += 1 }
                if slashes.isMultiple(of: 2) { return quote }
            }
            quote -= 1
        }
        return quote
    }
}
