// Text as it is.

import HTTPSemantics
import NIOCore

/// Content that no other view accepts.
struct TextView: ContentView {
    static let name = "text"
    static let help = "the text as it is; control characters are shown as escapes"

    private let text: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? { .looks }

    init(_ content: ViewedContent) { text = content.isLatin1 ? Self.fromLatin1(content.bytes) : content.bytes }

    func write(into lines: inout CountedLines) { lines.write(text) }

    private static func fromLatin1(_ bytes: ByteBuffer) -> ByteBuffer {
        ByteBuffer(string: String(String.UnicodeScalarView(bytes.readableBytesView.map { UnicodeScalar($0) })))
    }
}
