// Content for people: JSON laid out, forms as pairs, text as it is, images by their facts, protobuf and gRPC by their fields, everything else
// as a hexadecimal dump.

import HTTPSemantics
import NIOCore

/// A way to show content, chosen by its media type and its first bytes.
struct ContentView {
    private enum Kind {
        case json
        case form
        case text
        case image(String)
        case protobuf
        case grpc(ProtobufMedia, coding: ByteBuffer?)
        case binary
    }

    private let content: ByteBuffer
    private let kind: Kind
    private let isLatin1: Bool

    /// - Parameters:
    ///   - type: the value of Content-Type.
    ///   - messageCoding: the value of grpc-encoding.
    init(_ content: ByteBuffer, type: ByteBuffer?, messageCoding: ByteBuffer? = nil) {
        self.content = content
        let parts = (type.map { String(buffer: $0) } ?? "").lowercased().split(separator: ";").map { $0.trimmingSpaces }
        let media = parts.first ?? ""
        isLatin1 = parts.dropFirst().contains { $0.hasPrefix("charset=") && ($0.contains("8859-1") || $0.contains("1252")) }
        if let protobuf = type.flatMap({ ProtobufMedia(contentType: $0, of: content) }) {
            kind = protobuf == .message ? .protobuf : .grpc(protobuf, coding: messageCoding)
        } else if let image = Self.imageFacts(content) {
            kind = .image(image)
        } else if !isLatin1, !Self.isText(content) {
            kind = .binary
        } else if media.hasSuffix("json") || Self.beginsLikeJSON(content) {
            kind = .json
        } else if media == "application/x-www-form-urlencoded" {
            kind = .form
        } else {
            kind = .text
        }
    }

    /// Appends the view, each line indented by four spaces.
    /// - Parameter maximumLines: what comes behind so many lines is left out, and told.
    func write(into out: inout ByteBuffer, maximumLines: Int) {
        switch kind {
        case .image(let facts): out.writeString("    \(facts), \(readableSize(UInt64(content.readableBytes)))\n")
        case .protobuf: protobuf(into: &out, maximumLines) { $0.write(message: content) }
        case .grpc(let media, let coding):
            protobuf(into: &out, maximumLines) {
                $0.write(messagesOf: GRPCMessageReader(content, media: media, coding: coding), media: media)
            }
        case .binary: dump(into: &out, maximumLines)
        case .json: lines(jsonLaidOut(content) ?? content, into: &out, maximumLines)
        case .form: form(into: &out, maximumLines)
        case .text: lines(isLatin1 ? Self.fromLatin1(content) : content, into: &out, maximumLines)
        }
    }

    private func lines(_ text: ByteBuffer, into out: inout ByteBuffer, _ maximum: Int) {
        let lines = text.lines
        for line in lines.prefix(maximum) {
            out.writeString("    ")
            out.writeVisible(line, keepsLines: true)
            out.writeString("\n")
        }
        tellCut(lines.count, maximum, into: &out)
    }

    private func form(into out: inout ByteBuffer, _ maximum: Int) {
        let pairs = String(buffer: content).split(separator: "&")
        for pair in pairs.prefix(maximum) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            out.writeString("    ")
            out.writeVisible(Self.unescape(parts[0]))
            out.writeString(": ")
            out.writeVisible(parts.count > 1 ? Self.unescape(parts[1]) : ByteBuffer())
            out.writeString("\n")
        }
        tellCut(pairs.count, maximum, into: &out)
    }

    private func dump(into out: inout ByteBuffer, _ maximum: Int) {
        let dump = HexDump(content)
        for row in 0..<min(dump.rowCount, maximum) { out.writeString("    \(dump.row(row))\n") }
        tellCut(dump.rowCount, maximum, into: &out)
    }

    private func protobuf(into out: inout ByteBuffer, _ maximum: Int, _ write: (inout ProtobufText) -> Void) {
        var text = ProtobufText(CountedLines(out, maximum: maximum))
        // One owner at a time, so that nothing is copied.
        out = ByteBuffer()
        write(&text)
        let count = text.lines.count
        out = text.lines.text
        tellCut(count, maximum, into: &out)
    }

    private func tellCut(_ count: Int, _ maximum: Int, into out: inout ByteBuffer) {
        if count > maximum { out.writeString("    (cut: \(count - maximum) more lines, --detail 4 shows them)\n") }
    }

    // MARK: Telling what it is

    /// UTF-8 without control characters that text does not have, judged by its first 8 KiB.
    static func isText(_ bytes: ByteBuffer) -> Bool {
        let head = bytes.slice(ByteRange(0, min(8192, bytes.readableBytes)))
        let span = head.readableBytesUInt8Span
        for i in 0..<span.count
        where span[i] < 0x20 && span[i] != 0x0A && span[i] != 0x0D && span[i] != 0x09 && span[i] != 0x1B && span[i] != 0x0C {
            return false
        }
        // A character may be cut at the end of what is looked at.
        return (0..<4).contains { String(validating: head.readableBytesView.dropLast($0), as: UTF8.self) != nil }
    }

    private static func beginsLikeJSON(_ bytes: ByteBuffer) -> Bool {
        let first = bytes.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        return first == 0x7B || first == 0x5B
    }

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

    private static func fromLatin1(_ bytes: ByteBuffer) -> ByteBuffer {
        ByteBuffer(string: String(String.UnicodeScalarView(bytes.readableBytesView.map { UnicodeScalar($0) })))
    }

    /// Undoes the percent and plus signs of a form (WHATWG URL §5.1).
    private static func unescape(_ text: Substring) -> ByteBuffer {
        var out = ByteBuffer()
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == 0x25, bytes.count >= 2, let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16) {
                bytes = bytes.dropFirst(2)
                out.writeInteger(value)
            } else {
                out.writeInteger(byte == 0x2B ? 0x20 : byte)
            }
        }
        return out
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}

/// JSON with a line for each element, two spaces for each level. Numbers, strings and the order of keys stay as they are.
/// - Returns: nil when brackets or strings do not close.
func jsonLaidOut(_ json: ByteBuffer) -> ByteBuffer? {
    var out = ByteBuffer()
    out.reserveCapacity(json.readableBytes * 2)
    let span = json.readableBytesUInt8Span
    var depth = 0
    var i = 0
    func newLine(_ out: inout ByteBuffer) {
        out.writeInteger(UInt8(0x0A))
        out.writeRepeatingByte(0x20, count: min(depth, 200) * 2)
    }
    while i < span.count {
        let byte = span[i]
        switch byte {
        case 0x22:
            let start = i
            i += 1
            while i < span.count, span[i] != 0x22 { i += span[i] == 0x5C ? 2 : 1 }
            guard i < span.count else { return nil }
            out.writeImmutableBuffer(json.slice(ByteRange(start, i + 1)))
        case 0x7B, 0x5B:
            out.writeInteger(byte)
            var next = i + 1
            while next < span.count, span[next].isWhitespaceOrLineEnd { next += 1 }
            if next < span.count, span[next] == byte + 2 {
                out.writeInteger(byte + 2)
                i = next
            } else {
                depth += 1
                newLine(&out)
            }
        case 0x7D, 0x5D:
            depth -= 1
            guard depth >= 0 else { return nil }
            newLine(&out)
            out.writeInteger(byte)
        case 0x2C:
            out.writeInteger(byte)
            newLine(&out)
        case 0x3A:
            out.writeStaticString(": ")
        default:
            if !byte.isWhitespaceOrLineEnd { out.writeInteger(byte) }
        }
        i += 1
    }
    return depth == 0 ? out : nil
}
