// JSON with a line for each element.

import HTTPSemantics
import NIOCore

/// JSON by its media type or by its first byte. JSON that is not valid is shown as it is.
struct JSONView: ContentView {
    private let content: ByteBuffer
    private let palette: Palette

    init?(_ content: ViewedContent) {
        guard content.media.hasSuffix("json") || Self.beginsLikeJSON(content.bytes) else { return nil }
        self.content = content.bytes
        palette = content.palette
    }

    func write(into lines: inout CountedLines) {
        if let laidOut = JSONLayout(palette).layOut(content) { lines.writePrintable(laidOut) } else { lines.write(content) }
    }

    private static func beginsLikeJSON(_ bytes: ByteBuffer) -> Bool {
        let first = bytes.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        return first == 0x7B || first == 0x5B
    }
}
