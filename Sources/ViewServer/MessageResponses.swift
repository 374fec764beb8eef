// Responses about the messages of a flow: a part of those that a text and a direction select, and the content of one.

import FlowFilter
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import Synchronization

extension ViewAPI {
    private static let maximumMessages = 1000
    /// Bytes of a message in the list.
    private static let beginning = 400

    func messages(_ flow: Flow, _ ordinal: Int, _ query: ViewQuery) throws -> ViewResponse {
        let from = try query.number("from", 0...Int(UInt32.max), otherwise: 0)
        let count = try query.number("count", 0...Self.maximumMessages, otherwise: 100)
        let choice = try MessageChoice(query)
        var json = JSONText()
        json.writer.beginObject()
        json.member("from", from)
        json.member("total", flow.pieces.count)
        json.key("messages")
        json.writer.beginArray()
        let matched = try messageMarks.visit(flow, ordinal, choice, from..<from + count) { number, message in
            write(number, message, flow.started, &json)
        }
        json.writer.endArray()
        json.member("matched", matched)
        json.writer.endObject()
        return ViewResponse(.json, json)
    }

    private func write(_ number: Int, _ message: StoredMessage, _ started: Timestamp, _ json: inout JSONText) {
        json.object { json in
            json.member("n", number)
            json.member("at", Int((message.at - started) / 1000))
            json.member("from", "\(message.from)")
            json.member("kind", "\(message.kind)")
            json.member("size", Int(clamping: message.size))
            guard let content = message.content else { return json.member("damaged", true) }
            let beginning = content.slice(ByteRange(0, min(Self.beginning, content.readableBytes)))
            json.member("text", visible: beginning)
            if beginning.readableBytes < content.readableBytes { json.member("cut", true) }
        }
    }

    func message(_ flow: Flow, _ ordinal: Int, _ name: String, _ query: ViewQuery) throws -> ViewResponse {
        guard let number = Int(name), number >= 0, number < flow.pieces.count else { throw ViewError.notFound }
        let view = query["view"] ?? "auto"
        let printer = try printer(view)
        let key = RenderedContents.Key(ordinal: ordinal, part: "message \(number)", view: view, size: 0)
        let content = try contents.content(key) {
            var text: ByteBuffer?
            _ = try messageMarks.visit(flow, ordinal, .all, number..<number + 1) { _, message in
                guard let content = message.content else { return }
                var shown = ByteBuffer()
                let beginning = content.slice(ByteRange(0, min(Self.maximumShown, content.readableBytes)))
                printer.content(of: FlowPiece(kind: message.kind, from: message.from, content: beginning), in: flow, into: &shown)
                if beginning.readableBytes < content.readableBytes { Self.noteCut(UInt64(content.readableBytes), &shown) }
                text = shown
            }
            guard let text else { throw ViewError.notFound }
            return RenderedContent(text)
        }
        return try lines(of: content, query)
    }
}

/// A message of a flow.
struct StoredMessage {
    var at: Timestamp
    var kind: FlowPiece.Kind
    var from: Side
    var size: UInt64
    /// nil when it is damaged.
    var content: ByteBuffer?
}

/// Which messages of a flow are asked for.
struct MessageChoice: Hashable, Sendable {
    static let all = MessageChoice(text: "", from: nil)

    /// Text that they contain, without regard to case; empty selects all.
    var text: String
    /// nil is both sides.
    var from: Side?

    private init(text: String, from: Side?) { (self.text, self.from) = (text, from) }

    /// - Throws: 400 for a direction that is neither true nor false.
    init(_ query: ViewQuery) throws(ViewError) {
        text = query["filter"] ?? ""
        switch query["from_client"] {
        case nil: from = nil
        case "true": from = .client
        case "false": from = .server
        default: throw ViewError(.badRequest, "from_client is true or false")
        }
    }

    /// The text as an expression that matches it literally.
    fileprivate func pattern() throws(ViewError) -> Pattern? {
        guard !text.isEmpty else { return nil }
        let escaped = text.unicodeScalars.map {
            $0.isASCII && !$0.properties.isAlphabetic ? "\\x{\(String($0.value, radix: 16))}" : "\($0)"
        }
        do {
            return try Pattern(escaped.joined(), Pattern.Options())
        } catch {
            throw ViewError(.unprocessableEntity, "the text cannot be searched for: \(error.message)")
        }
    }
}

/// Places in the messages of the flows that were shown last, so that a page of a long conversation is read from a place before it and a text
/// is searched once. Shared by threads.
final class MessageMarks: Sendable {
    /// Selected messages from mark to mark.
    private static let step = 512
    private static let maximum = 6

    /// The choice, and the number of messages that the flow had.
    private struct Key: Equatable {
        var ordinal: Int
        var total: Int
        var choice: MessageChoice
    }

    /// Before a message that is selected.
    private struct Mark {
        var cursor: any FlowPieceCursor
        var number: Int
    }

    private struct Marks {
        /// The n-th one has n steps of selected messages before it.
        var marks: [Mark]
        /// All that are selected; nil until the end was reached.
        var matched: Int?
    }

    private let kept = Mutex<[(key: Key, marks: Marks)]>([])

    /// Visits selected messages.
    /// - Parameter range: of the selected ones, by their positions among these.
    /// - Returns: how many are selected in all.
    /// - Throws: errors of fetching a message, except for damaged ones, which are visited without content.
    func visit(
        _ flow: Flow, _ ordinal: Int, _ choice: MessageChoice, _ range: Range<Int>, _ body: (Int, StoredMessage) throws -> Void
    ) throws -> Int {
        let key = Key(ordinal: ordinal, total: flow.pieces.count, choice: choice)
        var marks =
            kept.withLock { kept in kept.first { $0.key == key }?.marks }
            ?? Marks(marks: [Mark(cursor: flow.pieces.cursor(), number: 0)], matched: choice == .all ? key.total : nil)
        let pattern = try choice.pattern()
        let first = min(range.lowerBound / Self.step, marks.marks.count - 1)
        var (mark, position) = (marks.marks[first], first * Self.step)
        while position < range.upperBound || marks.matched == nil {
            let before = mark
            guard let message = try mark.cursor.nextMessage() else {
                marks.matched = position
                break
            }
            mark.number += 1
            guard choice.from.map({ $0 == message.from }) ?? true,
                try pattern.map({ try message.content.map($0.matches) ?? false }) ?? true
            else { continue }
            if position == marks.marks.count * Self.step { marks.marks.append(before) }
            if range.contains(position) { try body(before.number, message) }
            position += 1
        }
        let found = marks
        kept.withLock { kept in
            kept.removeAll { $0.key == key }
            kept.append((key, found))
            if kept.count > Self.maximum { kept.removeFirst() }
        }
        return found.matched ?? position
    }
}

extension FlowPieceCursor {
    /// The next message; nil after the last one.
    fileprivate mutating func nextMessage() throws -> StoredMessage? {
        do {
            guard let (at, piece) = try next() else { return nil }
            return StoredMessage(
                at: at, kind: piece.kind, from: piece.from, size: UInt64(piece.content.readableBytes), content: piece.content)
        } catch let error as any ContentError {
            guard let piece = error.damagedPiece else { throw error }
            return StoredMessage(at: piece.at, kind: piece.kind, from: piece.from, size: piece.size, content: nil)
        }
    }
}
