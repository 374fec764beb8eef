// ZIP archives as a list of their files, and compressed content in content. Nothing is unpacked but the list.

import ContentCoding
import HTTPSemantics
import NIOCore

/// A ZIP archive by its first bytes or its media type: the central directory (APPNOTE.TXT section 4.3.12).
struct ZIPView: ContentView {
    static let name = "zip"
    static let help = "ZIP archives, also .jar and .docx: a line for each file"

    private let archive: ZIPDirectory

    static func fit(_ content: ViewedContent) -> ContentFit? { content.bytes.has("PK\u{3}\u{4}", at: 0) ? .looks : nil }

    init(_ content: ViewedContent) throws(ContentMismatch) { archive = try ZIPDirectory(content.bytes) }

    var title: String? {
        let count = archive.count
        return "ZIP archive, \(count == 1 ? "1 file" : "\(count) files")"
    }

    func write(into lines: inout CountedLines) {
        var directory = archive
        while let entry = directory.next() {
            lines.line(0) { out in
                out.writeString("\(entry.size) B, \(entry.method), \(entry.time)  ")
                out.writeVisible(entry.name)
            }
        }
        if directory.isDamaged { lines.remark("the list of files is damaged from here on") }
    }
}

/// The list of files at the end of an archive.
struct ZIPDirectory {
    struct Entry {
        let name: ByteBuffer
        let size: UInt64
        let method: String
        let time: String
    }

    private let content: ByteBuffer
    /// As the end record tells.
    let count: UInt64
    private var offset: Int
    private var left: UInt64
    private(set) var isDamaged = false

    init(_ content: ByteBuffer) throws(ContentMismatch) {
        self.content = content
        // The end record is 22 bytes and a comment of up to 64 KiB.
        let size = content.readableBytes
        var place = size - 22
        while place >= max(0, size - 22 - 65535), !content.has("PK\u{5}\u{6}", at: place) { place -= 1 }
        guard place >= 0, content.has("PK\u{5}\u{6}", at: place), let entries = content.little(place + 10, as: UInt16.self),
            let directory = content.little(place + 16, as: UInt32.self)
        else { throw ContentMismatch("the archive has no end record") }
        var (count, start) = (UInt64(entries), UInt64(directory))
        // The record of ZIP64, which a locator before the end record points to.
        if entries == .max || directory == .max, content.has("PK\u{6}\u{7}", at: place - 20),
            let at = content.little(place - 12, as: UInt64.self),
            at < UInt64(size), content.has("PK\u{6}\u{6}", at: Int(at)), let all = content.little(Int(at) + 32, as: UInt64.self),
            let first = content.little(Int(at) + 48, as: UInt64.self)
        {
            (count, start) = (all, first)
        }
        guard start <= UInt64(size) else { throw ContentMismatch("the list of files is beyond the end of the content") }
        (self.count, left, offset) = (count, count, Int(start))
    }

    /// - Returns: nil after the last file, and where the list is damaged.
    mutating func next() -> Entry? {
        guard left > 0 else { return nil }
        guard content.has("PK\u{1}\u{2}", at: offset), let method = content.little(offset + 10, as: UInt16.self),
            let time = content.little(offset + 12, as: UInt16.self), let date = content.little(offset + 14, as: UInt16.self),
            let size = content.little(offset + 24, as: UInt32.self), let nameLength = content.little(offset + 28, as: UInt16.self),
            let extraLength = content.little(offset + 30, as: UInt16.self),
            let commentLength = content.little(offset + 32, as: UInt16.self),
            let name = content.getSlice(at: content.readerIndex + offset + 46, length: Int(nameLength))
        else {
            isDamaged = true
            left = 0
            return nil
        }
        let extra = offset + 46 + Int(nameLength)
        let entry = Entry(
            name: name, size: size == .max ? largeSize(extra, Int(extraLength)) ?? UInt64(size) : UInt64(size),
            method: Self.methods[method] ?? "method \(method)", time: Self.text(date, time))
        offset = extra + Int(extraLength) + Int(commentLength)
        left -= 1
        return entry
    }

    /// The size in the extra field of ZIP64 (section 4.5.3).
    private func largeSize(_ start: Int, _ length: Int) -> UInt64? {
        var i = start
        while i + 4 <= start + length, let id = content.little(i, as: UInt16.self),
            let size = content.little(i + 2, as: UInt16.self)
        {
            if id == 1 { return size >= 8 ? content.little(i + 4, as: UInt64.self) : nil }
            i += 4 + Int(size)
        }
        return nil
    }

    private static let methods: [UInt16: String] = [
        0: "stored", 8: "deflate", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES",
    ]

    /// A time of MS-DOS, in the local time of the archive's maker.
    private static func text(_ date: UInt16, _ time: UInt16) -> String {
        func digits(_ value: UInt16) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return
            "\(1980 + (date >> 9))-\(digits(date >> 5 & 15))-\(digits(date & 31)) \(digits(time >> 11)):\(digits(time >> 5 & 63))"
    }
}

/// A gzip file that is content itself, not a content coding.
struct GzipView: ContentView {
    static let name = "gzip"
    static let help = "gzip files: what is in them, by its own view"

    private static let maximum = 64 * 1024 * 1024

    private let inner: ViewedContent
    private let remark: String?

    static func fit(_ content: ViewedContent) -> ContentFit? {
        content.bytes.readableBytesView.starts(with: [0x1F, 0x8B, 0x08]) ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        let decoded = decodeContent(content.bytes, codings: [ByteBuffer(string: "gzip")], maximum: Self.maximum)
        guard decoded.isDecoded else { throw ContentMismatch(decoded.outcome.remark ?? "it is not gzip") }
        inner = content.inner(decoded.content)
        remark = decoded.outcome.remark
    }

    var title: String? { "gzip, \(readableSize(UInt64(inner.bytes.readableBytes))) when unpacked" }

    func write(into lines: inout CountedLines) {
        inner.write(into: &lines)
        if let remark { lines.remark(remark) }
    }
}

extension ByteBuffer {
    fileprivate func little<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T? {
        offset < 0 ? nil : getInteger(at: readerIndex + offset, endianness: .little, as: type)
    }
}
