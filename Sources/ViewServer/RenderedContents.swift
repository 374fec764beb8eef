// Content as views of it show it, kept for the next part that a page asks for.

import NIOCore
import Synchronization

/// Lines of a content view.
struct RenderedContent: Sendable {
    let text: ByteBuffer
    /// Where each line begins, and the end of the text.
    let starts: [UInt32]

    /// - Parameter text: lines that are indented by four spaces.
    init(_ text: ByteBuffer) {
        self.text = text
        var starts: [UInt32] = [0]
        let bytes = text.readableBytesUInt8Span
        for index in 0..<bytes.count where bytes[index] == 0x0A { starts.append(UInt32(index + 1)) }
        if starts.last.map({ Int($0) < bytes.count }) ?? false { starts.append(UInt32(bytes.count)) }
        self.starts = starts
    }

    var count: Int { starts.count - 1 }

    /// A line without its indentation and end.
    func line(_ number: Int) -> ByteBuffer {
        var line = text.getSlice(at: text.readerIndex + Int(starts[number]), length: Int(starts[number + 1] - starts[number]))!
        var spaces = 0
        while spaces < 4, line.readableBytesView.first == 0x20 {
            line.moveReaderIndex(forwardBy: 1)
            spaces += 1
        }
        if line.readableBytesView.last == 0x0A { line.moveWriterIndex(to: line.writerIndex - 1) }
        return line
    }

    var size: Int { text.readableBytes + 4 * starts.count }
}

/// The contents that were shown last. Shared by threads.
final class RenderedContents: Sendable {
    /// What was shown: a flow, which of its contents, the name of the view, and the size of the flow's content at that time.
    struct Key: Hashable, Sendable {
        var ordinal: Int
        var part: String
        var view: String
        var size: UInt64
    }

    /// Bytes of all that is kept.
    private static let maximum = 48 * 1024 * 1024

    private let kept = Mutex<[(key: Key, content: RenderedContent)]>([])

    func content(_ key: Key, make: () throws -> RenderedContent) rethrows -> RenderedContent {
        if let known = kept.withLock({ kept in kept.first { $0.key == key }?.content }) { return known }
        let made = try make()
        kept.withLock { kept in
            kept.append((key, made))
            while kept.count > 1, kept.reduce(0, { $0 + $1.content.size }) > Self.maximum { kept.removeFirst() }
        }
        return made
    }
}
