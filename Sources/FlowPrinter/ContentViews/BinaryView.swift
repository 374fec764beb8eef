// Bytes that are not text.

import NIOCore

/// A hexadecimal dump.
struct BinaryView: ContentView {
    static let name = "hex"
    static let help = "bytes in rows of sixteen: offset, hexadecimal, characters"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? { content.isText ? nil : .looks }

    init(_ content: ViewedContent) { self.content = content.original }

    func write(into lines: inout CountedLines) { lines.dump(content, depth: 0) }
}
