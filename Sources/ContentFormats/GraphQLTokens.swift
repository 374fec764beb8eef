// The lexical tokens of a GraphQL document (GraphQL specification, October 2021, section 2.1). Nothing is executed or resolved.

import HTTPSemantics
import NIOCore

/// A lexical token, as it is written.
package struct GraphQLToken: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// One of `! $ & ( ) ... : = @ [ ] { | }`.
        case punctuator
        case name
        case number
        case string
        /// Of several lines, between three quotation marks.
        case blockString
        /// From `#` to the end of the line. Not a token of the language, but worth showing.
        case comment
    }

    package var kind: Kind
    package var text: ByteBuffer

    /// The first byte of a punctuator; 0 for other tokens.
    package var mark: UInt8 { kind == .punctuator ? text.readableBytesView.first ?? 0 : 0 }

    package func isName(_ word: String) -> Bool { kind == .name && text.readableBytesView.elementsEqual(word.utf8) }
}

/// Why text is not a GraphQL document.
package struct GraphQLSyntaxError: Error, Equatable {
    /// Part of a sentence, such as `byte 17: a string does not end`.
    package let reason: String
}

/// Reads a document, token by token.
package struct GraphQLTokens {
    private let text: ByteBuffer
    /// Where the next token is searched: bytes from the beginning of the text.
    package private(set) var offset = 0

    package init(_ text: ByteBuffer) { self.text = text }

    /// - Returns: nil at the end of the document.
    package mutating func next() throws(GraphQLSyntaxError) -> GraphQLToken? {
        let text = text
        let span = text.readableBytesUInt8Span
        // Commas are white space, and so is a byte order mark.
        while offset < span.count {
            if span[offset].isWhitespaceOrLineEnd || span[offset] == 0x2C {
                offset += 1
            } else if offset + 2 < span.count, span[offset] == 0xEF, span[offset + 1] == 0xBB, span[offset + 2] == 0xBF {
                offset += 3
            } else {
                break
            }
        }
        guard offset < span.count else { return nil }
        let start = offset
        let kind: GraphQLToken.Kind
        switch span[start] {
        case UInt8(ascii: "#"):
            kind = .comment
            while offset < span.count, span[offset] != 0x0A, span[offset] != 0x0D { offset += 1 }
        case UInt8(ascii: "\""):
            kind = try string(span)
        case UInt8(ascii: "."):
            guard offset + 2 < span.count, span[offset + 1] == 0x2E, span[offset + 2] == 0x2E else { throw unknown(span) }
            kind = .punctuator
            offset += 3
        case let byte where byte.isNameStart:
            kind = .name
            while offset < span.count, span[offset].isNameStart || span[offset] &- 0x30 < 10 { offset += 1 }
        case let byte where byte == 0x2D || byte &- 0x30 < 10:
            kind = .number
            offset += 1
            while offset < span.count, span[offset].isInNumber { offset += 1 }
        case let byte where "!$&():=@[]{|}".utf8.contains(byte):
            kind = .punctuator
            offset += 1
        default:
            throw unknown(span)
        }
        return GraphQLToken(kind: kind, text: text.slice(ByteRange(start, offset)))
    }

    private func unknown(_ span: Span<UInt8>) -> GraphQLSyntaxError {
        GraphQLSyntaxError(reason: "byte \(offset): a character that GraphQL does not have there")
    }

    private mutating func string(_ span: Span<UInt8>) throws(GraphQLSyntaxError) -> GraphQLToken.Kind {
        let start = offset
        func isQuotes(_ i: Int) -> Bool {
            i + 2 < span.count && span[i] == 0x22 && span[i + 1] == 0x22 && span[i + 2] == 0x22
        }
        if isQuotes(start) {
            offset += 3
            while offset < span.count {
                if isQuotes(offset) {
                    offset += 3
                    return .blockString
                }
                offset += span[offset] == 0x5C && isQuotes(offset + 1) ? 4 : 1
            }
        } else {
            offset += 1
            while offset < span.count, span[offset] != 0x22, span[offset] != 0x0A, span[offset] != 0x0D {
                offset += span[offset] == 0x5C ? 2 : 1
            }
            if offset < span.count, span[offset] == 0x22 {
                offset += 1
                return .string
            }
        }
        offset = span.count
        throw GraphQLSyntaxError(reason: "byte \(start): a string does not end")
    }
}

extension UInt8 {
    fileprivate var isNameStart: Bool { lowercased &- 0x61 < 26 || self == 0x5F }

    fileprivate var isInNumber: Bool {
        switch self {
        case 0x30...0x39, 0x2B, 0x2D, 0x45, 0x65: true
        default: self == 0x2E
        }
    }
}

// MARK: Operations

/// An operation that a document defines.
package struct GraphQLOperation: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case query, mutation, subscription
    }

    package var kind: Kind
    /// nil if it has none.
    package var name: ByteBuffer?
}

/// What a document defines, as far as it can be seen from its tokens.
package struct GraphQLDocument: Sendable {
    /// Brackets in one another. Real documents stay below 20.
    package static let maximumDepth = 256

    package private(set) var operations: [GraphQLOperation] = []

    /// Reads a document to its end.
    /// - Throws: if a token is not one of GraphQL's, brackets do not match, or it does not begin as a definition does.
    package init(_ text: ByteBuffer) throws(GraphQLSyntaxError) {
        var tokens = GraphQLTokens(text)
        var open: [UInt8] = []
        /// The definition begins with the next token.
        var isBetween = true
        /// The operation's name may be the next token.
        var isUnnamed = false
        var isEmpty = true
        while let token = try tokens.next() {
            func error(_ reason: String) -> GraphQLSyntaxError {
                GraphQLSyntaxError(reason: "byte \(tokens.offset - 1): \(reason)")
            }
            if token.kind == .comment { continue }
            if isUnnamed, token.kind == .name { operations[operations.count - 1].name = token.text }
            isUnnamed = false
            if open.isEmpty, isBetween {
                if token.mark == UInt8(ascii: "{") {
                    operations.append(GraphQLOperation(kind: .query))
                } else if token.kind == .name, let kind = GraphQLOperation.Kind(rawValue: String(buffer: token.text)) {
                    operations.append(GraphQLOperation(kind: kind))
                    isUnnamed = true
                } else if !Self.beginsDefinition(token) {
                    throw error("a definition does not begin so")
                }
                isEmpty = false
                isBetween = token.kind == .string || token.kind == .blockString
            }
            switch token.mark {
            case UInt8(ascii: "{"), UInt8(ascii: "("), UInt8(ascii: "["):
                guard open.count < Self.maximumDepth else { throw error("nested deeper than \(Self.maximumDepth) times") }
                open.append(token.mark)
            case UInt8(ascii: "}"), UInt8(ascii: ")"), UInt8(ascii: "]"):
                // In ASCII a closing bracket is two after the one that it closes, a parenthesis one.
                guard let last = open.popLast(), last + (last == UInt8(ascii: "(") ? 1 : 2) == token.mark else {
                    throw error("a bracket closes that is not open")
                }
                isBetween = open.isEmpty && token.mark == UInt8(ascii: "}")
            default: break
            }
        }
        if !open.isEmpty { throw GraphQLSyntaxError(reason: "a bracket is not closed") }
        if isEmpty { throw GraphQLSyntaxError(reason: "there is no definition") }
    }

    private static func beginsDefinition(_ token: GraphQLToken) -> Bool {
        if token.kind == .string || token.kind == .blockString { return true }
        return [
            "fragment", "schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend",
        ].contains { token.isName($0) }
    }
}
