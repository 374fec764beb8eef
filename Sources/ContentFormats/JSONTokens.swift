// The tokens of JSON text, leniently: strings, brackets and punctuation as in RFC 8259 section 2, and any other word as a literal, so that
// text that is almost JSON (NaN, names without quotation marks) can still be laid out. Nothing is kept but the text itself.

import HTTPSemantics
import JSONQuery
import NIOCore

/// Why text is not JSON, even leniently.
package struct JSONTextError: Error, Equatable {
    /// Part of a sentence, such as `byte 17: a string does not end`.
    package let reason: String
}

/// Reads JSON text, token by token.
package struct JSONTokens {
    package enum Token {
        /// `{` or `[`.
        case open(UInt8)
        /// `}` or `]`.
        case close(UInt8)
        case comma
        case colon
        /// With its quotation marks.
        case string(ByteBuffer)
        /// A number, true, false or null, or another word.
        case literal(ByteBuffer)
    }

    private let text: ByteBuffer
    /// Where the next token is searched: bytes from the beginning of the text.
    package private(set) var offset = 0

    package init(_ text: ByteBuffer) { self.text = text }

    /// - Returns: nil at the end of the text.
    package mutating func next() throws(JSONTextError) -> Token? {
        let text = text
        let span = text.readableBytesUInt8Span
        while offset < span.count, span[offset].isWhitespaceOrLineEnd { offset += 1 }
        guard offset < span.count else { return nil }
        let start = offset
        let byte = span[start]
        offset += 1
        switch byte {
        case 0x7B, 0x5B: return .open(byte)
        case 0x7D, 0x5D: return .close(byte)
        case 0x2C: return .comma
        case 0x3A: return .colon
        case 0x22:
            while offset < span.count, span[offset] != 0x22 { offset += span[offset] == 0x5C ? 2 : 1 }
            guard offset < span.count else { throw JSONTextError(reason: "byte \(start): a string does not end") }
            offset += 1
            return .string(text.slice(ByteRange(start, offset)))
        default:
            while offset < span.count, !span[offset].endsLiteral { offset += 1 }
            return .literal(text.slice(ByteRange(start, offset)))
        }
    }

    /// Whether the next token is a colon.
    package var isBeforeColon: Bool {
        let span = text.readableBytesUInt8Span
        var i = offset
        while i < span.count, span[i].isWhitespaceOrLineEnd { i += 1 }
        return i < span.count && span[i] == 0x3A
    }

    // MARK: Check

    /// Values in one another.
    package static let maximumDepth = 512

    /// Checks that strings end and brackets match.
    /// - Parameter isStrict: also that words are JSON's, and that all of the text is in brackets.
    /// - Returns: the number of values that are not in others.
    @discardableResult
    package static func check(_ text: ByteBuffer, isStrict: Bool) throws(JSONTextError) -> Int {
        var tokens = JSONTokens(text)
        var open: [UInt8] = []
        var values = 0
        while let token = try tokens.next() {
            func error(_ reason: String) -> JSONTextError { JSONTextError(reason: "byte \(tokens.offset - 1): \(reason)") }
            switch token {
            case .open(let bracket):
                guard open.count < maximumDepth else { throw error("nested deeper than \(maximumDepth) times") }
                if open.isEmpty { values += 1 }
                open.append(bracket)
            case .close(let bracket):
                // In ASCII a closing bracket is two after the one that it closes.
                guard let last = open.popLast(), last + 2 == bracket else { throw error("a bracket closes that is not open") }
            case .literal(let word):
                if isStrict, open.isEmpty || !word.isJSONLiteral { throw error("a word that JSON does not have") }
                if open.isEmpty { values += 1 }
            case .string:
                if open.isEmpty { values += 1 }
            case .comma, .colon:
                if isStrict, open.isEmpty { throw error("punctuation between values") }
            }
        }
        guard values > 0 else { throw JSONTextError(reason: "there is no value") }
        guard open.isEmpty else {
            throw JSONTextError(reason: open.count == 1 ? "a bracket is not closed" : "\(open.count) brackets are not closed")
        }
        return values
    }

    // MARK: Members and elements

    /// A member of an object.
    package struct Member {
        /// Without quotation marks, escapes resolved.
        package var name: JSONString
        /// The text of the value.
        package var value: ByteBuffer
    }

    /// The members of an object, without making a tree of their values.
    /// - Returns: nil if the text is not an object and nothing else.
    package static func members(of text: ByteBuffer) -> [Member]? {
        var members: [Member] = []
        let isWhole = forEachItem(of: text, 0x7B) { tokens in
            guard case .string(let quoted)? = try? tokens.next(), let name = string(quoted), case .colon? = try? tokens.next(),
                let value = tokens.value()
            else { return false }
            members.append(Member(name: name, value: value))
            return true
        }
        return isWhole ? members : nil
    }

    /// The elements of an array, without making a tree of them.
    /// - Returns: nil if the text is not an array and nothing else, or has more elements.
    package static func elements(of text: ByteBuffer, maximum: Int) -> [ByteBuffer]? {
        var elements: [ByteBuffer] = []
        let isWhole = forEachItem(of: text, 0x5B) { tokens in
            guard elements.count < maximum, let value = tokens.value() else { return false }
            elements.append(value)
            return true
        }
        return isWhole ? elements : nil
    }

    /// The text of a string, escapes resolved.
    /// - Parameter value: the text of a value.
    /// - Returns: nil if the value is not a string.
    package static func string(_ value: ByteBuffer) -> JSONString? {
        guard value.readableBytesView.first == 0x22 else { return nil }
        return JSONTree(parsing: value)?.string
    }

    /// - Parameter item: reads an item; returns false to stop.
    private static func forEachItem(of text: ByteBuffer, _ bracket: UInt8, _ item: (inout JSONTokens) -> Bool) -> Bool {
        var tokens = JSONTokens(text)
        guard case .open(bracket)? = try? tokens.next() else { return false }
        var ahead = tokens
        if case .close(bracket + 2)? = try? ahead.next() { return (try? ahead.next()) == nil }
        while item(&tokens) {
            switch try? tokens.next() {
            case .comma: continue
            case .close(bracket + 2): return (try? tokens.next()) == nil
            default: return false
            }
        }
        return false
    }

    /// Skips a value.
    /// - Returns: its text; nil when it is absent.
    private mutating func value() -> ByteBuffer? {
        let text = text
        let span = text.readableBytesUInt8Span
        while offset < span.count, span[offset].isWhitespaceOrLineEnd { offset += 1 }
        let start = offset
        var depth = 0
        repeat {
            switch try? next() {
            case .open: depth += 1
            case .close: depth -= 1
            case .comma, .colon: if depth == 0 { return nil }
            case .string, .literal: break
            case nil: return nil
            }
        } while depth > 0
        return depth == 0 ? text.slice(ByteRange(start, offset)) : nil
    }
}

extension UInt8 {
    /// The byte is not one of a number, of true, false or null.
    fileprivate var endsLiteral: Bool {
        switch self {
        case 0x22, 0x2C, 0x3A, 0x5B, 0x5D, 0x7B, 0x7D: true
        default: isWhitespaceOrLineEnd
        }
    }
}

extension ByteBuffer {
    /// A number, true, false or null.
    fileprivate var isJSONLiteral: Bool {
        let span = readableBytesUInt8Span
        guard span.count > 0 else { return false }
        guard span[0] == 0x2D || span[0] &- 0x30 < 10 else {
            return [ByteBuffer(staticString: "true"), ByteBuffer(staticString: "false"), ByteBuffer(staticString: "null")].contains(
                self)
        }
        for i in 0..<span.count {
            switch span[i] {
            case 0x30...0x39, 0x2B, 0x2D, 0x2E, 0x45, 0x65: continue
            default: return false
            }
        }
        return true
    }
}
