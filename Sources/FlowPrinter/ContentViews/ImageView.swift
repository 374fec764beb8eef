// Images by their facts.

import HTTPSemantics
import NIOCore

/// Format, dimensions and size of a PNG, GIF or JPEG image, recognised by its first bytes.
struct ImageView: ContentView {
    static let name = "image"
    static let help = "PNG, GIF, JPEG: format, dimensions and size"

    private let facts: String
    private let size: Int

    static func fit(_ content: ViewedContent) -> ContentFit? { .looks }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard let facts = Self.imageFacts(content.bytes) else { throw ContentMismatch("it begins like no image that is known") }
        self.facts = facts
        size = content.bytes.readableBytes
    }

    func write(into lines: inout CountedLines) { lines.line(0) { $0.writeString("\(facts), \(readableSize(UInt64(size)))") } }

    /// Format and dimensions of PNG, GIF and JPEG.
    private static func imageFacts(_ bytes: ByteBuffer) -> String? {
        func big(_ offset: Int) -> Int { bytes.getInteger(at: bytes.readerIndex + offset, as: UInt16.self).map(Int.init) ?? 0 }
        func little(_ offset: Int) -> Int {
            bytes.getInteger(at: bytes.readerIndex + offset, endianness: .little, as: UInt16.self).map(Int.init) ?? 0
        }
        let magic: UInt64 = bytes.getInteger(at: bytes.readerIndex) ?? 0
        if magic == 0x8950_4E47_0D0A_1A0A { return "PNG image, \(big(16) << 16 | big(18)) × \(big(20) << 16 | big(22))" }
        if magic >> 32 == 0x4749_4638 { return "GIF image, \(little(6)) × \(little(8))" }
        guard magic >> 48 == 0xFFD8 else { return nil }
        var offset = 2
        while offset + 9 < bytes.readableBytes, big(offset) >> 8 == 0xFF {
            let marker = big(offset) & 0xFF
            // Start of frame; C4, C8 and CC are something else (ITU T.81, table B.1).
            if marker >= 0xC0, marker <= 0xCF, marker != 0xC4, marker != 0xC8, marker != 0xCC {
                return "JPEG image, \(big(offset + 7)) × \(big(offset + 5))"
            }
            offset += 2 + max(2, big(offset + 2))
        }
        return "JPEG image"
    }
}
