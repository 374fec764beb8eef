// What a value of JSON text must be: the tests that a search makes of the values that a path selects.

import HTTPSemantics
import NIOCore

/// A test of a value.
package enum JSONValueTest: Sendable {
    case exists
    /// The text of a scalar is the same, or both are numbers of the same value.
    case equals(JSONString, JSONNumber?)
    /// A number compares with another one.
    case number(JSONPathComparison, JSONNumber)
    /// The text of a scalar passes: of a string without quotation marks and escapes, otherwise as it is written.
    case text(@Sendable (ByteBuffer) throws -> Bool)

    /// - Parameter text: a number is also compared by its value.
    package static func equals(_ text: String) -> JSONValueTest { .equals(JSONString(text), JSONNumber(text)) }

    /// - Parameters:
    ///   - scanner: over the body.
    ///   - start: of a valid value.
    ///   - end: after the value.
    func passes(_ scanner: JSONScanner, _ start: Int, _ end: Int, _ body: ByteBuffer) throws -> Bool {
        switch self {
        case .exists: return true
        case .number(let comparison, let bound):
            guard let number = Self.number(scanner, start, end) else { return false }
            return comparison.holds(number, bound)
        case .equals(let text, let bound):
            if let bound, let number = Self.number(scanner, start, end), number == bound { return true }
            return Self.text(scanner, start, end, body) == text.bytes
        case .text(let matches):
            guard let text = Self.text(scanner, start, end, body) else { return false }
            return try matches(text)
        }
    }

    /// The same for a value that is a tree.
    func passes(_ value: JSONTree) throws -> Bool {
        let number: JSONNumber? = if case .number(let text) = value { JSONNumber(text) } else { nil }
        switch self {
        case .exists: return true
        case .number(let comparison, let bound): return number.map { comparison.holds($0, bound) } ?? false
        case .equals(let text, let bound): return bound != nil && number == bound || value.scalarText == text.bytes
        case .text(let matches): return try value.scalarText.map { try matches($0) } ?? false
        }
    }

    private static func number(_ scanner: JSONScanner, _ start: Int, _ end: Int) -> JSONNumber? {
        let first = scanner.byte(at: start)
        guard first == 0x2D || first &- 0x30 < 10 else { return nil }
        return scanner.withBytes(start, end) { JSONNumber($0) }
    }

    /// The text of a scalar.
    private static func text(_ scanner: JSONScanner, _ start: Int, _ end: Int, _ body: ByteBuffer) -> ByteBuffer? {
        switch scanner.byte(at: start) {
        case 0x7B, 0x5B: return nil
        case 0x22:
            var reader = JSONReader(body, at: start)
            return reader.value()?.string?.bytes
        default: return body.slice(ByteRange(start, end))
        }
    }
}

extension JSONPathComparison {
    func holds(_ a: JSONNumber, _ b: JSONNumber) -> Bool {
        switch self {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessOrEqual: a <= b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        }
    }
}

extension JSONTree {
    /// nil for an object or array.
    fileprivate var scalarText: ByteBuffer? {
        switch self {
        case .string(let string): string.bytes
        case .number, .bool, .null: ByteBuffer(string: text)
        case .object, .array: nil
        }
    }

    /// The text of a scalar as ``JSONValueTest/text(_:)`` tests it; of an object or array compact JSON.
    package var plainText: String { string?.text ?? text }
}
