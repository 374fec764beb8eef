// Lines of markup: an element that has elements begins a line and ends on one, with its content indented between; an element that has only a
// short text is one line; text and the elements within it stay together.

import HTTPSemantics
import NIOCore

struct MarkupLayout {
    /// A longer element is spread over lines.
    private static let maximumElement = 120
    private static let maximumIndentation = 60

    private let tree: MarkupTree
    private var depth = 0
    /// Elements whose content is being written: indexes of their opening tags.
    private var open: [Int] = []
    /// Text and inline tags that are not written yet: indexes of tokens.
    private var run = 0..<0
    /// Tokens before this index are part of a run: content of XML that mixes text with elements.
    private var mixedEnd = 0

    private var content: ByteBuffer { tree.content }
    private var indentation: Int { min(depth, Self.maximumIndentation) }

    init(_ tree: MarkupTree) { self.tree = tree }

    mutating func write(into lines: inout CountedLines) {
        var index = 0
        while index < tree.tokens.count {
            endElements(at: index, &lines)
            index = write(index, &lines)
        }
        endElements(at: index, &lines)
        flush(&lines)
    }

    /// Ends elements without a closing tag.
    private mutating func endElements(at index: Int, _ lines: inout CountedLines) {
        while let last = open.last, tree.tokens[last].partner <= index, !tree.tokens[last].hasCloseTag {
            flush(&lines)
            endElement()
        }
    }

    private mutating func endElement() {
        open.removeLast()
        depth -= 1
    }

    /// Writes a token, or the element that it begins.
    /// - Returns: the index of the next token.
    private mutating func write(_ index: Int, _ lines: inout CountedLines) -> Int {
        let token = tree.tokens[index]
        let isInRun = index < mixedEnd || token.isInline
        switch token.kind {
        case .text: add(index)
        case .open where isInRun, .empty where isInRun, .close where isInRun: add(index)
        case .comment where isInRun || !isRunBlank: add(index)
        case .verbatim where isInRun || !isRunBlank && !isMarkup(index): add(index)
        case .open: return element(index, &lines)
        case .close:
            flush(&lines)
            if token.partner >= 0, open.last == Int(token.partner) { endElement() }
            tag(index, &lines)
        case .empty, .declaration:
            flush(&lines)
            tag(index, &lines)
        case .comment, .verbatim:
            flush(&lines)
            verbatim(Int(token.start)..<Int(token.end), token.kind == .comment ? .muted : nil, &lines)
        }
        return index + 1
    }

    /// Verbatim text that is the content of an element such as script.
    private func isMarkup(_ index: Int) -> Bool { index > 0 && tree.tokens[index - 1].kind == .open && tree.isHTML }

    // MARK: Elements

    private mutating func element(_ index: Int, _ lines: inout CountedLines) -> Int {
        let token = tree.tokens[index]
        flush(&lines)
        let end = Int(token.partner)
        let tokens = index..<(token.hasCloseTag ? end + 1 : end)
        if !token.hasBlocks || !tree.isHTML && token.hasText, let range = shortLine(tokens) {
            var first = tokens.lowerBound
            line(range, tokens, &first, &lines)
            return tokens.upperBound
        }
        tag(index, &lines)
        depth += 1
        open.append(index)
        let name = tree.name(token)
        if tree.isHTML, HTMLNames.preformatted.contains(name), token.hasCloseTag {
            verbatim(Int(token.end)..<Int(tree.tokens[end].start), nil, &lines, isPreformatted: true)
            return end
        }
        if tree.isHTML, index + 1 < end, tree.tokens[index + 1].kind == .verbatim, name == "script" || name == "style" {
            code(index + 1, isStyle: name == "style", &lines)
            return index + 2
        }
        if !tree.isHTML, token.hasText { mixedEnd = max(mixedEnd, end) }
        return index + 1
    }

    /// The bytes of an element that fits on a line; nil for a longer one, or one that has a line end.
    private func shortLine(_ tokens: Range<Int>) -> Range<Int>? {
        var range = bytes(of: tokens)
        let span = content.readableBytesUInt8Span
        while !range.isEmpty, span[range.upperBound - 1].isWhitespaceOrLineEnd { range = range.lowerBound..<range.upperBound - 1 }
        guard range.count <= Self.maximumElement else { return nil }
        for i in range where span[i] == 0x0A { return nil }
        return range
    }

    private func code(_ index: Int, isStyle: Bool, _ lines: inout CountedLines) {
        let token = tree.tokens[index]
        let code = content.slice(ByteRange(Int(token.start), Int(token.end)))
        let (opening, depth) = (tree.tokens[index - 1], indentation)
        let tag = content.slice(ByteRange(Int(opening.start), Int(opening.end)))
        // JSON and templates are scripts of another type.
        let isCode = isStyle || ScriptTag.isJavaScript(tag)
        lines.indented(by: depth) { lines in
            if isCode, isStyle ? StyleLayout.write(code, into: &lines) : ScriptLayout.write(code, into: &lines) { return }
            lines.writeWithoutBlankEnds(code)
        }
    }

    // MARK: Lines

    /// A tag on a line of its own. Attributes on further lines are indented more.
    private func tag(_ index: Int, _ lines: inout CountedLines) {
        let token = tree.tokens[index]
        let palette = lines.palette
        for (number, part) in content.slice(ByteRange(Int(token.start), Int(token.end))).lines.enumerated() {
            let text = number == 0 ? part : part.trimmed()
            guard text.readableBytes > 0 else { continue }
            lines.line(indentation + (number == 0 ? 0 : 2)) { out in
                palette.write(token.kind == .declaration ? .muted : .name, into: &out) { $0.writeVisible(text, keepsLines: true) }
            }
        }
    }

    /// Text whose lines stay as they are, with the first one indented.
    private func verbatim(
        _ range: Range<Int>, _ role: Palette.Role?, _ lines: inout CountedLines, isPreformatted: Bool = false
    ) {
        let palette = lines.palette
        for (number, part) in content.slice(ByteRange(range.lowerBound, range.upperBound)).lines.enumerated() {
            lines.line(number == 0 && !isPreformatted ? indentation : 0) { out in
                if let role {
                    palette.write(role, into: &out) { $0.writeVisible(part, keepsLines: true) }
                } else {
                    out.writeVisible(part, keepsLines: true)
                }
            }
        }
    }

    // MARK: Text

    private var isRunBlank: Bool {
        let range = bytes(of: run)
        let span = content.readableBytesUInt8Span
        for i in range where !span[i].isWhitespaceOrLineEnd { return false }
        return true
    }

    private func bytes(of tokens: Range<Int>) -> Range<Int> {
        guard !tokens.isEmpty else { return 0..<0 }
        return Int(tree.tokens[tokens.lowerBound].start)..<Int(tree.tokens[tokens.upperBound - 1].end)
    }

    private mutating func add(_ index: Int) {
        run = run.isEmpty ? index..<index + 1 : run.lowerBound..<index + 1
    }

    /// Writes the run, a line for each of its own, without the white space around them.
    private mutating func flush(_ lines: inout CountedLines) {
        let tokens = run
        run = 0..<0
        let range = bytes(of: tokens)
        let span = content.readableBytesUInt8Span
        var start = range.lowerBound
        var first = tokens.lowerBound
        while start < range.upperBound {
            var end = min(content.index(of: 0x0A, from: start), range.upperBound)
            let next = end + 1
            while start < end, span[start].isWhitespaceOrLineEnd { start += 1 }
            while end > start, span[end - 1].isWhitespaceOrLineEnd { end -= 1 }
            if end > start { line(start..<end, tokens, &first, &lines) }
            start = next
        }
    }

    /// A line with text and tags.
    /// - Parameter first: no token before this one is part of the line; afterwards of the next one.
    private func line(_ range: Range<Int>, _ tokens: Range<Int>, _ first: inout Int, _ lines: inout CountedLines) {
        while first < tokens.upperBound, Int(tree.tokens[first].end) <= range.lowerBound { first += 1 }
        let (palette, begin) = (lines.palette, first)
        lines.line(indentation) { out in
            guard palette.isColoured else {
                return out.writeVisible(content.slice(ByteRange(range.lowerBound, range.upperBound)), keepsLines: true)
            }
            for token in tree.tokens[begin..<tokens.upperBound] {
                guard Int(token.start) < range.upperBound else { break }
                let part = content.slice(
                    ByteRange(max(Int(token.start), range.lowerBound), min(Int(token.end), range.upperBound)))
                switch token.kind {
                case .text, .verbatim: out.writeVisible(part, keepsLines: true)
                case .comment: palette.write(.muted, into: &out) { $0.writeVisible(part, keepsLines: true) }
                default: palette.write(.name, into: &out) { $0.writeVisible(part, keepsLines: true) }
                }
            }
        }
    }
}

/// The opening tag of a script.
private enum ScriptTag {
    /// Without a type, and with a type of JavaScript (HTML section 4.12.1).
    static func isJavaScript(_ tag: ByteBuffer) -> Bool {
        let text = String(buffer: tag).lowercased()
        return !text.contains("type") || text.contains("javascript") || text.contains("module") || text.contains("ecmascript")
    }
}

extension CountedLines {
    /// Appends lines, without blank ones at both ends.
    fileprivate mutating func writeWithoutBlankEnds(_ text: ByteBuffer) {
        var hasBegun = false
        var blanks = 0
        for part in text.lines {
            guard part.trimmed().readableBytes > 0 else {
                blanks += hasBegun ? 1 : 0
                continue
            }
            for _ in 0..<blanks { line(0) { _ in } }
            (hasBegun, blanks) = (true, 0)
            line(0) { $0.writeVisible(part, keepsLines: true) }
        }
    }
}
