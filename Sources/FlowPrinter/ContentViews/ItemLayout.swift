// Values of binary formats (MessagePack, CBOR) in the notation of JSON. What JSON does not have is an object with a name that begins with a
// dollar sign: `{"$bin": "…"}` for bytes (Base64), `{"$ext": 5, "$bin": "…"}` for extensions, `{"$tag": 1, "$value": …}` for tags. It is for
// people: the bytes cannot be made from it again.

import HTTPSemantics
import NIOCore

/// A value, or the beginning of one that has others.
enum Item {
    case null
    case undefined
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    /// A number in decimal digits.
    case number(String)
    case float(Double)
    case text(ByteBuffer)
    case bytes(ByteBuffer)
    case extended(Int8, ByteBuffer)
    case simple(UInt8)
    /// The next item is the value.
    case tag(UInt64)
    /// nil: up to ``end``.
    case array(count: UInt64?)
    case map(count: UInt64?)
    /// The end of an array or map without a count.
    case end

    var isEnd: Bool { if case .end = self { true } else { false } }
}

/// Why bytes are not an item.
struct ItemError: Error, Equatable {
    /// Where the item begins that cannot be read.
    let offset: Int
    let reason: String

    var text: String { "byte \(offset): \(reason)" }
}

/// Reads items, one after the other.
protocol ItemReader {
    /// Where the next item begins.
    var offset: Int { get }
    /// The bytes from the next item on.
    var rest: ByteBuffer { get }

    /// - Returns: nil at the end of the content.
    mutating func next() throws(ItemError) -> Item?
}

/// The arrays, maps and tags that are open around an item.
struct ItemNesting {
    /// Values in one another.
    static let maximumDepth = 512

    enum Place {
        case element
        case name
        case value
        case tagged
        /// In no other value.
        case top
    }

    struct Frame {
        enum Kind { case array, map, tag }
        var kind: Kind
        /// Items that are missing; nil: up to the end mark.
        var left: UInt64?
        /// Items that came.
        var count: UInt64 = 0
    }

    private(set) var frames: [Frame] = []

    var isEmpty: Bool { frames.isEmpty }

    /// Where the next item stands.
    var place: Place {
        guard let frame = frames.last else { return .top }
        switch frame.kind {
        case .array: return .element
        case .map: return frame.count % 2 == 0 ? .name : .value
        case .tag: return .tagged
        }
    }

    /// Why an item cannot be the next one; nil if it can.
    func refusal(of item: Item) -> String? {
        switch item {
        case .end:
            guard let frame = frames.last, frame.kind != .tag, frame.left == nil else { return "an end without a beginning" }
            return frame.kind == .map && frame.count % 2 == 1 ? "a map ends after a key" : nil
        case .map(let count) where count ?? 0 > UInt64.max / 2:
            return "a map with more keys than content can have"
        case .array, .map, .tag:
            return frames.count < Self.maximumDepth ? nil : "nested deeper than \(Self.maximumDepth) times"
        default:
            return nil
        }
    }

    /// Takes an item that is not refused.
    /// - Parameter close: is called for each array, map or tag that ends with it.
    mutating func take(_ item: Item, _ close: (Frame) -> Void = { _ in }) {
        if case .end = item {
            close(frames.removeLast())
        } else if !frames.isEmpty {
            frames[frames.count - 1].count += 1
            if let left = frames[frames.count - 1].left { frames[frames.count - 1].left = left - 1 }
        }
        switch item {
        case .array(let count): frames.append(Frame(kind: .array, left: count))
        case .map(let count): frames.append(Frame(kind: .map, left: count.map { $0 * 2 }))
        case .tag: frames.append(Frame(kind: .tag, left: 1))
        default: break
        }
        while let frame = frames.last, frame.left == 0 { close(frames.removeLast()) }
    }
}

/// What a pass over all items finds.
struct ItemSummary {
    /// Values that are not in others.
    var values = 0
    /// The first value is a map with a key, and all keys of all maps are text.
    var isTextMap = false
    /// nil if all of the content can be read.
    var error: ItemError?

    init(_ reader: some ItemReader) {
        var reader = reader
        var nesting = ItemNesting()
        var hasOtherKeys = false
        var first: Item?
        do throws(ItemError) {
            while true {
                let offset = reader.offset
                guard let item = try reader.next() else {
                    if !nesting.isEmpty { throw ItemError(offset: offset, reason: ItemLayout.isTruncated) }
                    break
                }
                if let reason = nesting.refusal(of: item) { throw ItemError(offset: offset, reason: reason) }
                if case .text = item {} else if nesting.place == .name, !item.isEnd { hasOtherKeys = true }
                if first == nil { first = item }
                nesting.take(item)
                if nesting.isEmpty { values += 1 }
            }
        } catch {
            self.error = error
        }
        if case .map(let count)? = first, count != 0 { isTextMap = !hasOtherKeys }
    }
}

/// Writes items as lines.
struct ItemLayout {
    static let isTruncated = "the content ends inside a value"

    private var layout = ValueLayout()
    private var nesting = ItemNesting()

    /// Writes all items. What cannot be read is dumped, with the reason.
    static func write(_ reader: some ItemReader, into lines: inout CountedLines) {
        var reader = reader
        var layout = ItemLayout()
        while !lines.isFull {
            let offset = reader.offset
            let rest = reader.rest
            var reason: String?
            do throws(ItemError) {
                if let item = try reader.next() {
                    reason = layout.write(item, &lines)
                } else {
                    reason = layout.nesting.isEmpty ? nil : isTruncated
                    if reason == nil { return layout.layout.finish(&lines) }
                }
            } catch {
                reason = error.reason
            }
            guard let reason else { continue }
            layout.layout.finish(&lines)
            lines.remark("byte \(offset): \(reason)")
            return lines.dump(rest, depth: 0)
        }
    }

    /// - Returns: why the item cannot stand there; nil if it was written.
    private mutating func write(_ item: Item, _ lines: inout CountedLines) -> String? {
        let place = nesting.place
        if let reason = nesting.refusal(of: item) { return reason }
        if !item.isEnd {
            if nesting.frames.last?.count ?? 0 > 0, place == .element || place == .name { layout.comma(into: &lines) }
            // A key that has others in it stays in one line.
            if place == .name { layout.isInline = true }
            write(item, isName: place == .name, &lines)
        }
        var closed: [ItemNesting.Frame.Kind] = []
        nesting.take(item) { closed.append($0.kind) }
        for kind in closed { layout.close(UInt8(ascii: kind == .array ? "]" : "}"), into: &lines) }
        layout.isInline = nesting.isInName
        if closed.count > 0 { layout.endInline(&lines) }
        if nesting.place == .value { layout.colon(into: &lines) }
        return nil
    }

    private mutating func write(_ item: Item, isName: Bool, _ lines: inout CountedLines) {
        func word(_ text: String) { layout.word(.literal, into: &lines) { $0.writeString(text) } }
        switch item {
        case .null: word("null")
        case .undefined: word("undefined")
        case .bool(let value): word(value ? "true" : "false")
        case .integer(let value): word("\(value)")
        case .unsigned(let value): word("\(value)")
        case .number(let digits): word(digits)
        case .float(let value): word(Self.text(value))
        case .text(let text): layout.word(isName ? .name : .string, into: &lines) { $0.writeQuoted(text) }
        case .bytes(let bytes): object(&lines) { $0.member("$bin", bytes, &$1) }
        case .extended(let type, let bytes):
            object(&lines) { layout, lines in
                layout.member("$ext", "\(type)", &lines)
                layout.comma(into: &lines)
                layout.member("$bin", bytes, &lines)
            }
        case .simple(let number): object(&lines) { $0.member("$simple", "\(number)", &$1) }
        case .tag(let number):
            layout.open(UInt8(ascii: "{"), into: &lines)
            layout.member("$tag", "\(number)", &lines)
            layout.comma(into: &lines)
            layout.name("$value", &lines)
        case .array: layout.open(UInt8(ascii: "["), into: &lines)
        case .map: layout.open(UInt8(ascii: "{"), into: &lines)
        case .end: break
        }
    }

    /// An object in one line.
    private mutating func object(_ lines: inout CountedLines, _ members: (inout ValueLayout, inout CountedLines) -> Void) {
        let isInline = layout.isInline
        layout.isInline = true
        layout.open(UInt8(ascii: "{"), into: &lines)
        members(&layout, &lines)
        layout.close(UInt8(ascii: "}"), into: &lines)
        layout.isInline = isInline
        layout.endInline(&lines)
    }

    private static func text(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
    }
}

extension ItemNesting {
    /// The next item is inside the key of a map.
    var isInName: Bool {
        // An item of a key was counted when it began, so the count of a map is odd in its key, and even in its value.
        frames.dropLast().contains { $0.kind == .map && $0.count % 2 == 1 }
    }
}

extension ValueLayout {
    fileprivate mutating func name(_ name: StaticString, _ lines: inout CountedLines) {
        word(.name, into: &lines) { $0.writeString("\"\(name)\"") }
        colon(into: &lines)
    }

    fileprivate mutating func member(_ name: StaticString, _ literal: String, _ lines: inout CountedLines) {
        self.name(name, &lines)
        word(.literal, into: &lines) { $0.writeString(literal) }
    }

    fileprivate mutating func member(_ name: StaticString, _ bytes: ByteBuffer, _ lines: inout CountedLines) {
        self.name(name, &lines)
        word(.string, into: &lines) { $0.writeString("\"\(Base64.encode(bytes))\"") }
    }
}
