// Text as it is.

import HTTPSemantics
import NIOCore

/// Content that no other view accepts.
struct TextView: ContentView {
    private let text: ByteBuffer

    init?(_ content: ViewedContent) { text = content.isLatin1 ? Self.fromLatin1(content.bytes) : content.bytes }

    func write(into lines: inout CountedLines) { lines.write(text) }

    private static func fromLatin1(_ bytes: ByteBuffer) -> ByteBuffer {
        ByteBuffer(string: String(String.UnicodeScalarView(bytes.readableBytesView.map { UnicodeScalar($0) })))
    }
}
