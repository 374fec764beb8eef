// Text as it is.

import HTTPSemantics
import NIOCore

/// Content that no other view accepts.
struct TextView: ContentView {
    static let name = "text"
    static let help = "the text as it is; control characters are shown as escapes"

    private let text: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? { .looks }

    init(_ content: ViewedContent) { text = content.bytes }

    func write(into lines: inout CountedLines) { lines.write(text) }
}
