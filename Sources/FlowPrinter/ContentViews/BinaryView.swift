// Bytes that are not text.

import NIOCore

/// A hexadecimal dump.
struct BinaryView: ContentView {
    private let content: ByteBuffer

    init?(_ content: ViewedContent) {
        guard !content.isText else { return nil }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) { lines.dump(content, depth: 0) }
}
