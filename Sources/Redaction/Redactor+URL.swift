// URLs: values of query parameters, of parameters in paths and fragments, names and passwords before the host. A URL can be the value of a
// parameter of another one. In a field or a text a URL is recognized by its `?`, `#` or `://`.

import HTTPSemantics
import NIOCore

extension Redactor {
    /// URLs in the values of parameters.
    private static let maximumDepth = 4

    /// A text with hidden values in its URLs.
    func redact(urlsIn text: ByteBuffer, _ tally: inout Tally) -> ByteBuffer {
        var edits = Edits()
        edit(urlsIn: text, isURL: false, &edits, &tally)
        edits.normalize()
        return edits.applied(to: text)
    }

    /// Hides values in a URL, or in a text with URLs.
    /// - Parameters:
    ///   - isURL: the text is one URL, so that all of it is read as such.
    ///   - edits: of a text that has this one at the offset of the edits.
    ///   - tally: counts the changes.
    func edit(urlsIn text: ByteBuffer, isURL: Bool, depth: Int = 0, _ edits: inout Edits, _ tally: inout Tally) {
        let span = text.readableBytesUInt8Span
        /// Parameters of a path are known as such in a URL only.
        var isPath = isURL
        var index = 0
        while index < span.count {
            switch span[index] {
            case 0x3F, 0x23:
                let end = Self.end(of: span, from: index + 1, isURL: isURL)
                parameters(text, index + 1..<end, separator: 0x26, depth: depth, &edits, &tally)
                index = end
                isPath = false
            case 0x3B where isPath && !query.isEmpty:
                var end = index + 1
                while end < span.count, !span[end].endsURLPart { end += 1 }
                parameters(text, index + 1..<end, separator: 0x3B, depth: depth, &edits, &tally)
                index = end
            case 0x3A where index + 2 < span.count && span[index + 1] == 0x2F && span[index + 2] == 0x2F:
                index = userinfo(text, from: index + 3, &edits, &tally)
                isPath = true
            case 0...0x20, 0x22, 0x3C, 0x3E:
                isPath = isURL
                index += 1
            default: index += 1
            }
        }
    }

    private var query: RuleNames { rules.query }

    /// The end of a query or fragment.
    private static func end(of span: Span<UInt8>, from start: Int, isURL: Bool) -> Int {
        var end = start
        while end < span.count, span[end] != 0x23 {
            if !isURL, span[end] <= 0x20 || span[end] == 0x22 || span[end] == 0x3C || span[end] == 0x3E { break }
            end += 1
        }
        return end
    }

    /// Hides what is before the `@` of an authority.
    /// - Returns: the offset after the authority.
    private func userinfo(_ text: ByteBuffer, from start: Int, _ edits: inout Edits, _ tally: inout Tally) -> Int {
        let span = text.readableBytesUInt8Span
        var end = start
        var at: Int?
        while end < span.count, !span[end].endsURLPart {
            if span[end] == 0x40 { at = end }
            end += 1
        }
        if let at, let edit = userinfo(text.slice(ByteRange(start, at)), &tally) { edits.replace(start..<at, with: edit) }
        return end
    }

    /// The text for a name and a password, without the `@` after them; nil if they are not hidden.
    func userinfo(_ text: ByteBuffer, _ tally: inout Tally) -> ByteBuffer? {
        guard let rule = rules.userinfo, text.readableBytes > 0 else { return nil }
        guard let hidden = hidden(DecodedText.percent(text, isForm: false)?.text ?? text, rule) else { return nil }
        tally.add(rule)
        return hidden.percentEncoded
    }

    /// Hides values of a query, a fragment, or the parameters of a path segment.
    private func parameters(
        _ text: ByteBuffer, _ range: Range<Int>, separator: UInt8, depth: Int, _ edits: inout Edits, _ tally: inout Tally
    ) {
        let pairs = ParameterPairs(text, range, separator: separator)
        var items = Removals(areMade: rules.drops)
        pairs.forEach { pair in
            items.add(pair.whole)
            guard let value = pair.value else { return }
            let encoded = text.slice(ByteRange(value.lowerBound, value.upperBound))
            guard let rule = pair.rule(in: text, query) else {
                // `?a=1;token=2`, as HTML 4 recommended it.
                if separator == 0x26, let semicolon = encoded.readableBytesView.firstIndex(of: 0x3B) {
                    let start = value.lowerBound + semicolon - encoded.readableBytesView.startIndex + 1
                    parameters(text, start..<value.upperBound, separator: 0x3B, depth: depth, &edits, &tally)
                }
                nestedURL(encoded, at: value.lowerBound, depth: depth, &edits, &tally)
                return
            }
            hide(encoded, at: value, rule, &items, &edits, &tally)
        }
        for removal in items.ranges { edits.remove(removal) }
    }

    /// Hides the value of a parameter, or removes the parameter.
    private func hide(
        _ encoded: ByteBuffer, at range: Range<Int>, _ rule: Int, _ items: inout Removals, _ edits: inout Edits,
        _ tally: inout Tally
    ) {
        if method(of: rule) == .drop {
            items.drop()
        } else if let hidden = hidden(DecodedText.percent(encoded, isForm: true)?.text ?? encoded, rule) {
            edits.replace(range, with: hidden.percentEncoded)
        } else {
            return
        }
        tally.add(rule)
    }

    /// Hides values in a URL that is the value of a parameter.
    private func nestedURL(_ encoded: ByteBuffer, at offset: Int, depth: Int, _ edits: inout Edits, _ tally: inout Tally) {
        guard depth < Self.maximumDepth else { return }
        let decoded = DecodedText.percent(encoded, isForm: true)
        let inner = decoded?.text ?? encoded
        guard inner.readableBytesView.contains(where: { $0 == 0x3F || $0 == 0x23 || $0 == 0x40 }) else { return }
        var found = Edits()
        edit(urlsIn: inner, isURL: false, depth: depth + 1, &found, &tally)
        for edit in found.edits {
            let range = decoded?.encoded(edit.range) ?? edit.range
            let new = decoded == nil ? edit.new : edit.new.percentEncoded
            edits.replace(range.lowerBound + offset..<range.upperBound + offset, with: new)
        }
    }

    // MARK: Forms

    /// Hides values of a form (`application/x-www-form-urlencoded`).
    func formEdits(_ form: ByteBuffer, _ tally: inout Tally) -> Edits {
        var edits = Edits()
        var items = Removals(areMade: rules.drops)
        ParameterPairs(form, 0..<form.readableBytes, separator: 0x26).forEach { pair in
            items.add(pair.whole)
            guard let value = pair.value, let rule = pair.rule(in: form, rules.form) else { return }
            let encoded = form.slice(ByteRange(value.lowerBound, value.upperBound))
            hide(encoded, at: value, rule, &items, &edits, &tally)
        }
        for removal in items.ranges { edits.remove(removal) }
        edits.normalize()
        return edits
    }
}

extension UInt8 {
    /// Ends an authority or a segment of a path, or the URL.
    fileprivate var endsURLPart: Bool {
        switch self {
        case 0...0x20, 0x2F, 0x3F, 0x23, 0x22, 0x3C, 0x3E: true
        default: false
        }
    }
}

/// The parameters in a range of a text, `name=value`, between separators.
private struct ParameterPairs {
    struct Pair {
        var whole: Range<Int>
        var name: Range<Int>
        /// nil without `=`.
        var value: Range<Int>?

        /// The rule for the name; nil without one.
        func rule(in text: ByteBuffer, _ names: RuleNames) -> Int? {
            let written = text.slice(ByteRange(name.lowerBound, name.upperBound))
            if let decoded = DecodedText.percent(written, isForm: true) {
                return names.rule(ofParameter: decoded.text.readableBytesUInt8Span)
            }
            return names.rule(ofParameter: written.readableBytesUInt8Span)
        }
    }

    private let text: ByteBuffer
    private let range: Range<Int>
    private let separator: UInt8

    init(_ text: ByteBuffer, _ range: Range<Int>, separator: UInt8) {
        (self.text, self.range, self.separator) = (text, range, separator)
    }

    func forEach(_ visit: (Pair) -> Void) {
        let span = text.readableBytesUInt8Span
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            var equals: Int?
            while end < range.upperBound, span[end] != separator {
                if span[end] == 0x3D, equals == nil { equals = end }
                end += 1
            }
            if end > start {
                visit(Pair(whole: start..<end, name: start..<(equals ?? end), value: equals.map { $0 + 1..<end }))
            }
            start = end + 1
        }
    }
}

/// Items of a list of which some are removed, each with one separator.
struct Removals {
    private var items: [(range: Range<Int>, isDropped: Bool)] = []
    private let areMade: Bool

    /// - Parameter areMade: an item may be removed; they are not noted otherwise.
    init(areMade: Bool) { self.areMade = areMade }

    mutating func add(_ item: Range<Int>) { if areMade { items.append((item, false)) } }

    /// The last item is removed.
    mutating func drop() { items[items.count - 1].isDropped = true }

    /// All items are removed, and there are some.
    var isEverything: Bool { !items.isEmpty && items.allSatisfy(\.isDropped) }

    var ranges: [Range<Int>] {
        guard items.contains(where: \.isDropped) else { return [] }
        var removed: [Range<Int>] = []
        var lastKept: Int?
        for index in items.indices {
            guard items[index].isDropped else {
                lastKept = index
                continue
            }
            if index + 1 < items.count {
                removed.append(items[index].range.lowerBound..<items[index + 1].range.lowerBound)
            } else {
                removed.append(
                    (lastKept.map { items[$0].range.upperBound } ?? items[index].range.lowerBound)..<items[index].range.upperBound)
            }
        }
        return removed
    }
}
