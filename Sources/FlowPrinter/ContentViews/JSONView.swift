// JSON with a line for each element. Numbers and the order of keys stay as they are; escapes in strings become the characters that they
// stand for, if a terminal shows those safely.

import ContentFormats
import HTTPSemantics
import NIOCore

/// JSON by its media type or by its first byte.
struct JSONView: ContentView {
    static let name = "json"
    static let help = "application/json, +json, and what looks like it: a line for each element"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if content.media.hasSuffix("json") { return .type }
        let first = content.bytes.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        return first == 0x7B || first == 0x5B ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
        try Self.check(content.bytes, isStrict: !content.isExpected)
    }

    /// - Parameter isStrict: also that words are JSON's, and that all of the text is in brackets.
    static func check(_ text: ByteBuffer, isStrict: Bool) throws(ContentMismatch) {
        do throws(JSONTextError) {
            try JSONTokens.check(text, isStrict: isStrict)
        } catch {
            throw ContentMismatch(error.reason)
        }
    }

    func write(into lines: inout CountedLines) {
        var tokens = JSONTokens(content)
        var layout = ValueLayout()
        // Checked before: the text has no errors.
        while !lines.isFull, let token = try? tokens.next() {
            switch token {
            case .open(let bracket): layout.open(bracket, into: &lines)
            case .close(let bracket): layout.close(bracket, into: &lines)
            case .comma: layout.comma(into: &lines)
            case .colon: layout.colon(into: &lines)
            case .string(let text):
                layout.word(tokens.isBeforeColon ? .name : .string, into: &lines) { $0.writeJSONString(text) }
            case .literal(let text): layout.word(.literal, into: &lines) { $0.writeVisible(text) }
            }
        }
        layout.finish(&lines)
    }
}
