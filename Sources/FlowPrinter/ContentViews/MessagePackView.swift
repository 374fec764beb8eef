// MessagePack (github.com/msgpack/msgpack, spec.md).

import HTTPSemantics
import NIOCore

/// The values of MessagePack in the notation of JSON.
struct MessagePackView: ContentView {
    static let name = "messagepack"
    static let help = "application/msgpack, and maps that look like it: values as JSON, with $bin and $ext"

    private static let media: Set<String> = [
        "application/msgpack", "application/x-msgpack", "application/vnd.msgpack", "application/messagepack",
        "application/x-messagepack",
    ]

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if media.contains(content.media) || content.media.hasSuffix("+msgpack") { return .type }
        guard !content.isText, let first = content.bytes.readableBytesView.first else { return nil }
        // A map with a key: fixmap, map 16, map 32.
        return (0x81...0x8F).contains(first) || first == 0xDE || first == 0xDF ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content.bytes
        try ItemSummary(MessagePackReader(content.bytes)).check(content)
    }

    var title: String? { "MessagePack" }

    func write(into lines: inout CountedLines) { ItemLayout.write(MessagePackReader(content), into: &lines) }
}

extension ItemSummary {
    /// - Throws: if the content is not in the format at all, or was chosen by looks and is not one map of texts.
    func check(_ content: ViewedContent) throws(ContentMismatch) {
        if content.isExpected {
            // Any byte begins some value, so text with a wrong media type, such as the error page of a proxy, is found by its end.
            if content.isText, values > 1 || error != nil { throw ContentMismatch("the content is text") }
            if let error, error.offset == 0 { throw ContentMismatch(error.text) }
        } else if let error {
            throw ContentMismatch(error.text)
        } else if values != 1 || !isTextMap {
            throw ContentMismatch("it is not one map of texts")
        }
    }
}

/// Reads MessagePack.
struct MessagePackReader: ItemReader {
    private var bytes: ByteReader

    init(_ content: ByteBuffer) { bytes = ByteReader(content) }

    var offset: Int { bytes.offset }
    var rest: ByteBuffer { bytes.rest }

    mutating func next() throws(ItemError) -> Item? {
        guard !bytes.isAtEnd else { return nil }
        let start = bytes.offset
        let first = UInt8(truncatingIfNeeded: try bytes.integer(1))
        switch first {
        case 0x00...0x7F: return .integer(Int64(first))
        case 0x80...0x8F: return .map(count: UInt64(first & 0x0F))
        case 0x90...0x9F: return .array(count: UInt64(first & 0x0F))
        case 0xA0...0xBF: return .text(try bytes.take(UInt64(first & 0x1F), from: start))
        case 0xC0: return .null
        case 0xC2, 0xC3: return .bool(first == 0xC3)
        case 0xC4...0xC6: return .bytes(try bytes.take(try bytes.integer(1 << (first - 0xC4), from: start), from: start))
        case 0xC7...0xC9:
            let size = try bytes.integer(1 << (first - 0xC7), from: start)
            return try extended(size, from: start)
        case 0xCA: return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: try bytes.integer(4, from: start)))))
        case 0xCB: return .float(Double(bitPattern: try bytes.integer(8, from: start)))
        case 0xCC...0xCF: return .unsigned(try bytes.integer(1 << (first - 0xCC), from: start))
        case 0xD0...0xD3:
            let size = 1 << Int(first - 0xD0)
            let value = try bytes.integer(size, from: start)
            return .integer(Int64(bitPattern: value << UInt64(64 - 8 * size)) >> Int64(64 - 8 * size))
        case 0xD4...0xD8: return try extended(1 << UInt64(first - 0xD4), from: start)
        case 0xD9...0xDB: return .text(try bytes.take(try bytes.integer(1 << (first - 0xD9), from: start), from: start))
        case 0xDC, 0xDD: return .array(count: try bytes.integer(first == 0xDC ? 2 : 4, from: start))
        case 0xDE, 0xDF: return .map(count: try bytes.integer(first == 0xDE ? 2 : 4, from: start))
        case 0xE0...0xFF: return .integer(Int64(Int8(bitPattern: first)))
        // 0xC1 is never used.
        default: throw ItemError(offset: start, reason: "a byte that MessagePack does not have")
        }
    }

    private mutating func extended(_ size: UInt64, from start: Int) throws(ItemError) -> Item {
        let type = Int8(truncatingIfNeeded: try bytes.integer(1, from: start))
        return .extended(type, try bytes.take(size, from: start))
    }
}

/// Reads integers and bytes, with bounds checked.
struct ByteReader {
    private let content: ByteBuffer
    private(set) var offset = 0

    init(_ content: ByteBuffer) { self.content = content }

    var isAtEnd: Bool { offset == content.readableBytes }
    var rest: ByteBuffer { content.slice(ByteRange(offset, content.readableBytes)) }

    /// A big-endian integer.
    /// - Parameters:
    ///   - size: in bytes, at most 8.
    ///   - start: where the item begins, for errors; nil if it begins here.
    mutating func integer(_ size: some BinaryInteger, from start: Int? = nil) throws(ItemError) -> UInt64 {
        let content = content
        let span = content.readableBytesUInt8Span
        let size = Int(size)
        guard span.count - offset >= size else { throw truncated(start) }
        var value: UInt64 = 0
        for i in 0..<size { value = value << 8 | UInt64(span[offset + i]) }
        offset += size
        return value
    }

    mutating func take(_ size: UInt64, from start: Int) throws(ItemError) -> ByteBuffer {
        guard size <= UInt64(content.readableBytes - offset) else { throw truncated(start) }
        let taken = content.slice(ByteRange(offset, offset + Int(size)))
        offset += Int(size)
        return taken
    }

    private func truncated(_ start: Int?) -> ItemError { ItemError(offset: start ?? offset, reason: ItemLayout.isTruncated) }
}
