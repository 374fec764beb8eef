// JSONPath as RFC 9535 defines it: parsed once, evaluated on trees (JSONPathEvaluation.swift) or on text (JSONPathStream.swift).
//
// RFC 9535 leaves open what happens with text that is not I-JSON. Here, a name selector selects every member with its name; where a
// filter compares the value of a query, the first of them counts. Numbers are exact up to 64-bit integers, and otherwise doubles.

/// A query for places in a JSON value. May be used by several threads.
package struct JSONPath: Sendable, Equatable, CustomStringConvertible {
    /// As it was written.
    package let description: String
    let segments: [Segment]
    let program: JSONPathProgram

    /// - Parameter text: in the syntax of RFC 9535; it begins with `$`.
    package init(_ text: String) throws(JSONPathError) {
        var parser = JSONPathParser(text)
        description = text
        segments = try parser.parse()
        program = JSONPathProgram(segments)
    }

    /// Whether the path selects at most one value of any text without duplicate names (a singular query, RFC 9535 section 2.3.5.1).
    package var isSingular: Bool { segments.allSatisfy(\.isSingular) }

    package static func == (a: JSONPath, b: JSONPath) -> Bool { a.description == b.description }

    /// Segments of one query. Deeper values can be reached by `..`.
    static let maximumSegments = 63
    /// Levels of filters, parentheses and functions.
    static let maximumNesting = 50
}

/// Why a text is not a path.
package struct JSONPathError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, without the path.
    package var message: String
    /// Characters from the start of the path.
    package var offset: Int

    package var description: String { "\(message) at character \(offset + 1)" }
}

/// A step from values to some of their children (RFC 9535 section 2.5).
struct Segment: Sendable {
    /// Applies to the values and to everything in them.
    var isDescendant: Bool
    var selectors: [Selector]

    var isSingular: Bool {
        guard !isDescendant, selectors.count == 1 else { return false }
        switch selectors[0] {
        case .name, .index: return true
        case .wildcard, .slice, .filter: return false
        }
    }
}

/// Which children of a value are selected (RFC 9535 section 2.3).
enum Selector: Sendable {
    case name(JSONString)
    case wildcard
    /// A negative one counts from the end.
    case index(Int)
    case slice(Slice)
    indirect case filter(JSONPathCondition)
}

/// Elements from a start to an end, which is not included (RFC 9535 section 2.3.4).
struct Slice: Sendable, Equatable {
    var start: Int?
    var end: Int?
    var step: Int

    /// The first selected element of an array with a number of elements, and the end after the last one in the direction of the step.
    private func bounds(_ count: Int) -> (first: Int, end: Int) {
        // Numbers are at most 2^53, so no sum overflows.
        func normal(_ index: Int) -> Int { index >= 0 ? index : count + index }
        let range = step > 0 ? 0...count : -1...count - 1
        func clamped(_ index: Int) -> Int { min(max(index, range.lowerBound), range.upperBound) }
        return step > 0
            ? (clamped(start.map(normal) ?? 0), clamped(end.map(normal) ?? count))
            : (clamped(start.map(normal) ?? count - 1), clamped(end.map(normal) ?? -1))
    }

    /// The selected elements of an array with a number of elements, in the order of the selector.
    func indices(in count: Int) -> StrideTo<Int> {
        guard step != 0 else { return stride(from: 0, to: 0, by: 1) }
        let (first, end) = bounds(count)
        return stride(from: first, to: end, by: step)
    }

    /// Whether an element of an array with a number of elements is selected.
    func contains(_ index: Int, in count: Int) -> Bool {
        guard step != 0 else { return false }
        let (first, end) = bounds(count)
        return (step > 0 ? index >= first && index < end : index <= first && index > end) && (index - first).isMultiple(of: step)
    }

    /// Whether the answer depends on the number of elements.
    var needsCount: Bool { step < 0 || (start ?? 0) < 0 || (end ?? 0) < 0 }
}
