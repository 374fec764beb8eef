// A path prepared for text: which segments apply to a value is a set of bits, and each child of the value has a set of its own.

import NIOCore

/// The selectors of all segments in one list. No list is empty, so that each has an address.
final class JSONPathProgram: Sendable {
    /// A selector without references, so that the loop over a text counts none.
    enum Step: BitwiseCopyable {
        /// A range of ``JSONPathProgram/names``.
        case name(start: Int, count: Int)
        case wildcard
        case index(Int)
        case slice(Slice)
        /// A position in ``JSONPathProgram/conditions``.
        case filter(Int)
    }

    /// Bit n stands for segment n: it applies to the children of a value. The bit after the last one stands for a selected value.
    typealias States = UInt64

    let final: States
    let steps: [Step]
    /// The end of each segment's steps.
    let ends: [Int]
    let names: [UInt8]
    let conditions: [JSONPathCondition]
    /// Segments that also apply to the descendants.
    let descendants: States
    /// Segments that have a filter.
    let filtered: States
    /// Segments that select elements by their positions.
    let positional: States
    /// Segments whose answer depends on the number of elements.
    let counted: States
    /// Whether the order of the text is the order of the path's values, and no value is selected twice.
    let isOrdered: Bool
    /// Whether a filter contains `$`.
    let usesRoot: Bool
    /// The bytes of a name that is in every text with a selected value, with the quotation mark after it; nil if there is no such name.
    /// A text can also have it with escapes.
    let requiredName: [UInt8]?

    init(_ segments: [Segment]) {
        var steps: [Step] = []
        var ends: [Int] = []
        var names: [UInt8] = []
        var conditions: [JSONPathCondition] = []
        var (descendants, filtered, positional, counted) = (States(0), States(0), States(0), States(0))
        var required: JSONString?
        for (index, segment) in segments.enumerated() {
            let bit = States(1) << States(index)
            if segment.isDescendant { descendants |= bit }
            for selector in segment.selectors {
                switch selector {
                case .name(let name):
                    steps.append(.name(start: names.count, count: name.bytes.readableBytes))
                    names += name.bytes.readableBytesView
                case .wildcard: steps.append(.wildcard)
                case .index(let number):
                    steps.append(.index(number))
                    positional |= bit
                    if number < 0 { counted |= bit }
                case .slice(let slice):
                    steps.append(.slice(slice))
                    positional |= bit
                    if slice.needsCount { counted |= bit }
                case .filter(let condition):
                    steps.append(.filter(conditions.count))
                    conditions.append(condition)
                    filtered |= bit
                }
            }
            ends.append(steps.count)
            if segment.selectors.count == 1, case .name(let name) = segment.selectors[0], name.isPlain,
                name.bytes.readableBytes >= required?.bytes.readableBytes ?? 0
            {
                required = name
            }
        }
        final = 1 << States(segments.count)
        self.steps = steps + [.wildcard]
        self.ends = ends + [steps.count]
        self.names = names + [0]
        self.conditions = conditions
        self.descendants = descendants
        self.filtered = filtered
        self.positional = positional
        self.counted = counted
        isOrdered = segments.allSatisfy(\.isOrdered)
        usesRoot = conditions.contains(where: \.usesRoot)
        requiredName = required.map { Array($0.bytes.readableBytesView) + [0x22] }
    }
}

extension Segment {
    fileprivate var isOrdered: Bool {
        guard !isDescendant, selectors.count == 1 else { return false }
        if case .slice(let slice) = selectors[0] { return slice.step >= 0 }
        return true
    }
}

extension JSONString {
    /// No character of it needs an escape, except that any can be written as `\u` and digits.
    fileprivate var isPlain: Bool {
        bytes.readableBytesView.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C && $0 != 0x2F }
    }
}
