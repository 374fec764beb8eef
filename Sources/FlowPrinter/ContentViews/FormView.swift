// Forms as pairs.

import ContentFormats
import NIOCore

/// `application/x-www-form-urlencoded`: a line for each pair.
struct FormView: ContentView {
    static let name = "form"
    static let help = "application/x-www-form-urlencoded: a line for each pair, decoded"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        content.media == "application/x-www-form-urlencoded" ? .type : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        let palette = lines.palette
        for pair in FormPairs(content) {
            if lines.isFull { return }
            lines.line(0) { out in
                palette.write(.name, into: &out) { $0.writeVisible(pair.name) }
                out.writeStaticString(": ")
                out.writeVisible(pair.value)
            }
        }
    }
}
