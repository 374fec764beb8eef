// Values of JSON that follow one another: a line each (NDJSON, JSON Lines), or with a record separator before each (RFC 7464).

import ContentFormats
import HTTPSemantics
import NIOCore

/// Values of JSON, one for each line or record.
struct NDJSONView: ContentView {
    static let name = "ndjson"
    static let help = "application/x-ndjson, jsonl, json-seq, lines of JSON: each value with number and size"

    private static let media: Set<String> = [
        "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines",
        "application/x-jsonlines", "application/json-lines", "application/x-json-stream", "application/stream+json",
    ]
    private static let separator: UInt8 = 0x1E
    /// Lines that are checked when the media type does not name the format.
    private static let checkedLines = 3

    private let content: ViewedContent
    private let isSeparated: Bool

    static func fit(_ content: ViewedContent) -> ContentFit? {
        if media.contains(content.media) || content.media.hasSuffix("json-seq") { return .type }
        let first = content.bytes.readableBytesView.first
        return first == 0x7B || first == 0x5B ? .looks : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content
        isSeparated = content.bytes.readableBytesView.first == Self.separator
        guard isSeparated || content.isText else { throw .notText }
        var records = self.records
        if content.isExpected {
            guard let first = records.next() else { throw ContentMismatch("there is no value") }
            try JSONView.check(first, isStrict: false)
            return
        }
        let checked = (0..<Self.checkedLines).compactMap { _ in records.next() }
        guard checked.count > 1 else { throw ContentMismatch("there is only one line") }
        for record in checked { try JSONView.check(record, isStrict: true) }
    }

    private var records: Records { Records(content.bytes, end: isSeparated ? Self.separator : 0x0A) }

    func write(into lines: inout CountedLines) {
        var number = 0
        for record in records {
            if lines.isFull { return }
            number += 1
            lines.line(0) { $0.writeString("value \(number), \(readableSize(UInt64(record.readableBytes)))") }
            lines.indented { content.inner(record, type: ByteBuffer(staticString: "application/json")).write(into: &$0) }
        }
    }

    /// Records without white space around them; empty ones are left out.
    private struct Records: Sequence, IteratorProtocol {
        private let text: ByteBuffer
        private let end: UInt8
        private var place = 0

        init(_ text: ByteBuffer, end: UInt8) {
            self.text = text
            self.end = end
        }

        mutating func next() -> ByteBuffer? {
            let text = text
            let span = text.readableBytesUInt8Span
            while place < span.count {
                let start = place
                while place < span.count, span[place] != end { place += 1 }
                let record = text.slice(ByteRange(start, place)).trimmed()
                place += 1
                if record.readableBytes > 0 { return record }
            }
            return nil
        }
    }
}
