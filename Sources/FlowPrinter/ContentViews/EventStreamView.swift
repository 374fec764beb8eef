// Server-sent events (WHATWG HTML section 9.2): fields in lines, an empty line after each event.

import ContentFormats
import FlowModel
import HTTPSemantics
import NIOCore

/// Server-sent events: a line for each event with its type, identifier and time, its data below it.
struct EventStreamView: ContentView {
    static let name = "sse"
    static let help = "text/event-stream: events with type, id and time, the data of each through its own view"

    private let content: ViewedContent

    static func fit(_ content: ViewedContent) -> ContentFit? { content.media == "text/event-stream" ? .type : nil }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content
        var stream = EventStream(content.bytes)
        guard let first = stream.next(), first.hasFields else { throw ContentMismatch("it does not begin with an event") }
    }

    func write(into lines: inout CountedLines) {
        var number = 0
        var pieces = (content.origin?.pieces ?? [])[...]
        for event in EventStream(content.bytes) {
            if lines.isFull { return }
            while let piece = pieces.first, piece.end < event.end { pieces = pieces.dropFirst() }
            for comment in event.comments {
                lines.line(0) { out in
                    out.writeStaticString("comment: ")
                    out.writeVisible(comment)
                }
            }
            if let retry = event.retry {
                lines.line(0) { out in
                    out.writeStaticString("retry: ")
                    out.writeVisible(retry)
                    out.writeStaticString(" ms")
                }
            }
            guard event.hasData || event.type != nil || event.id != nil else { continue }
            number += 1
            head(event, number, at: pieces.first?.after, &lines)
            lines.indented { if event.hasData { content.inner(event.data).write(into: &$0) } }
            if !event.isEnded { lines.remark("the event does not end: a client does not deliver it") }
        }
    }

    /// `event 3 update, id 17, +1.25 s`.
    private func head(_ event: EventStream.Event, _ number: Int, at time: Int64?, _ lines: inout CountedLines) {
        let palette = lines.palette
        lines.line(0) { out in
            out.writeString("event \(number)")
            if let type = event.type {
                out.writeStaticString(" ")
                palette.write(.name, into: &out) { $0.writeVisible(type) }
            }
            if let id = event.id {
                out.writeStaticString(", id ")
                out.writeVisible(id)
            }
            if !event.hasData { out.writeStaticString(", without data") }
            if let time { out.writeString(", +\(readableDuration(time))") }
        }
    }
}

/// The events of a stream.
struct EventStream: Sequence, IteratorProtocol {
    struct Event {
        var type: ByteBuffer?
        var id: ByteBuffer?
        /// The lines of data, joined by line feeds.
        var data = ByteBuffer()
        var hasData = false
        /// Digits.
        var retry: ByteBuffer?
        var comments: [ByteBuffer] = []
        /// An empty line ends it.
        var isEnded = false
        /// Where it ends: bytes from the beginning of the stream.
        var end = 0

        /// It has a field that is known, or a comment.
        var hasFields: Bool { hasData || type != nil || id != nil || retry != nil || !comments.isEmpty }
    }

    private let stream: ByteBuffer
    private var place = 0

    init(_ stream: ByteBuffer) {
        self.stream = stream
        // A byte order mark is not part of the first line.
        if stream.readableBytesView.starts(with: [0xEF, 0xBB, 0xBF]) { place = 3 }
    }

    mutating func next() -> Event? {
        var event = Event()
        var isEmpty = true
        while let line = line() {
            event.end = place
            if line.readableBytes > 0 {
                isEmpty = false
                Self.read(line, &event)
            } else if !isEmpty {
                event.isEnded = true
                return event
            }
        }
        return isEmpty ? nil : event
    }

    private static func read(_ line: ByteBuffer, _ event: inout Event) {
        let span = line.readableBytesUInt8Span
        var colon = 0
        while colon < span.count, span[colon] != UInt8(ascii: ":") { colon += 1 }
        var start = Swift.min(colon + 1, span.count)
        if start < span.count, span[start] == 0x20 { start += 1 }
        let value = line.slice(ByteRange(start, span.count))
        let name = line.slice(ByteRange(0, colon)).readableBytesView
        func isNamed(_ word: String) -> Bool { name.elementsEqual(word.utf8) }
        if name.isEmpty {
            event.comments.append(value)
        } else if isNamed("data") {
            if event.hasData { event.data.writeInteger(UInt8(0x0A)) }
            event.data.writeImmutableBuffer(value)
            event.hasData = true
        } else if isNamed("event") {
            event.type = value
        } else if isNamed("id"), !value.readableBytesView.contains(0) {
            event.id = value
        } else if isNamed("retry"), value.readableBytes > 0, value.readableBytesView.allSatisfy({ $0 &- 0x30 < 10 }) {
            event.retry = value
        }
    }

    /// The next line, without its end: LF, CRLF or CR.
    private mutating func line() -> ByteBuffer? {
        let stream = stream
        let span = stream.readableBytesUInt8Span
        guard place < span.count else { return nil }
        let start = place
        while place < span.count, span[place] != 0x0A, span[place] != 0x0D { place += 1 }
        let line = stream.slice(ByteRange(start, place))
        if place + 1 < span.count, span[place] == 0x0D, span[place + 1] == 0x0A { place += 1 }
        place = Swift.min(place + 1, span.count)
        return line
    }
}
