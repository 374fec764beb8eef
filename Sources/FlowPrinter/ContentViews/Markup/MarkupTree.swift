// Which closing tag belongs to which opening tag, and which elements stand within a line of text.

import HTTPSemantics
import NIOCore

struct MarkupTree {
    let content: ByteBuffer
    let isHTML: Bool
    private(set) var tokens: [MarkupToken]
    /// Indexes of the opening tags of open elements.
    private var open: [Int] = []

    init(_ content: ByteBuffer, isHTML: Bool) {
        self.content = content
        self.isHTML = isHTML
        tokens = MarkupTokens.read(content, isHTML: isHTML)
        for index in tokens.indices { take(index) }
        end(open.count, at: tokens.count)
    }

    /// The name of a tag: of HTML in lower case.
    func name(_ token: MarkupToken) -> String {
        let start = Int(token.start) + (token.kind == .close ? 2 : 1)
        let end = start + Int(token.nameLength)
        return isHTML ? content.lowercasedName(start, end) : String(buffer: content.slice(ByteRange(start, end)))
    }

    private func isSame(_ opening: MarkupToken, _ closing: MarkupToken) -> Bool {
        guard opening.nameLength == closing.nameLength, opening.nameHash == closing.nameHash else { return false }
        let (start, length) = (Int(opening.start) + 1, Int(opening.nameLength))
        let a = content.slice(ByteRange(start, start + length))
        let b = content.slice(ByteRange(Int(closing.start) + 2, Int(closing.start) + 2 + length))
        return isHTML ? a.equalsIgnoringCase(b) : a == b
    }

    private mutating func take(_ index: Int) {
        let token = tokens[index]
        switch token.kind {
        case .text:
            if let parent = open.last, !isBlank(token) { tokens[parent].hasText = true }
        case .open:
            let name = name(token)
            if isHTML { endImplied(by: name, at: index) }
            open.append(index)
        case .empty:
            let name = name(token)
            if isHTML { endImplied(by: name, at: index) }
            tokens[index].isInline = isHTML && HTMLNames.inline.contains(name)
            if !tokens[index].isInline { markBlock() }
        case .close:
            close(index)
        case .verbatim, .comment, .declaration:
            break
        }
    }

    private func isBlank(_ token: MarkupToken) -> Bool {
        let span = content.readableBytesUInt8Span
        for i in Int(token.start)..<Int(token.end) where !span[i].isWhitespaceOrLineEnd { return false }
        return true
    }

    private mutating func markBlock() {
        if let parent = open.last { tokens[parent].hasBlocks = true }
    }

    /// Ends open elements that an opening tag ends. Only the innermost ones are, so that a table in a list item is left alone.
    private mutating func endImplied(by name: String, at index: Int) {
        let ended = HTMLNames.ends[name] ?? []
        let endsParagraph = HTMLNames.endParagraph.contains(name)
        guard endsParagraph || !ended.isEmpty else { return }
        while let last = open.last {
            let innermost = self.name(tokens[last])
            let isEnded = ended.contains(innermost) || endsParagraph && innermost == "p"
            // Text after a paragraph in a list item.
            let isParagraphInEnded =
                innermost == "p" && open.count > 1 && ended.contains(self.name(tokens[open[open.count - 2]]))
            guard isEnded || isParagraphInEnded else { return }
            end(1, at: index)
        }
    }

    private mutating func close(_ index: Int) {
        // A closing tag far from its opening tag is a mistake; searching all of the stack for each would take long.
        let near = open.suffix(64)
        guard let place = near.lastIndex(where: { isSame(tokens[$0], tokens[index]) }) else { return }
        end(open.count - place - 1, at: index)
        let opening = open.removeLast()
        tokens[opening].partner = Int32(index)
        tokens[opening].hasCloseTag = true
        tokens[index].partner = Int32(opening)
        finish(opening)
        tokens[index].isInline = tokens[opening].isInline
    }

    /// Ends the innermost elements, which have no closing tag.
    private mutating func end(_ count: Int, at index: Int) {
        for _ in 0..<count {
            let opening = open.removeLast()
            tokens[opening].partner = Int32(index)
            finish(opening)
        }
    }

    private mutating func finish(_ opening: Int) {
        let token = tokens[opening]
        tokens[opening].isInline =
            isHTML && !token.hasBlocks && token.hasCloseTag && HTMLNames.inline.contains(name(token))
        if !tokens[opening].isInline { markBlock() }
    }
}
