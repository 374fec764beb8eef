// Evaluates a path on a tree. The order of the values is that of RFC 9535; the members of an object are in the order of the text.

/// A selected value and where it is.
package struct JSONNode {
    package let value: JSONTree
    /// The position of each child on the way from the root: of an element in its array, of a member in its object.
    let positions: [Int]
    private let root: JSONTree

    init(value: JSONTree, positions: [Int], root: JSONTree) {
        self.value = value
        self.positions = positions
        self.root = root
    }

    /// Such as `$['a'][0]` (RFC 9535 section 2.7).
    package var normalizedPath: String {
        var text = "$"
        var tree = root
        for position in positions {
            switch tree {
            case .object(let members):
                text += "['\(Self.escaped(members[position].name))']"
                tree = members[position].value
            case .array(let elements):
                text += "[\(position)]"
                tree = elements[position]
            default: return text
            }
        }
        return text
    }

    private static func escaped(_ name: JSONString) -> String {
        var text = ""
        for scalar in name.text.unicodeScalars {
            switch scalar {
            case "'": text += "\\'"
            case "\\": text += "\\\\"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\0"..<" ": text += (scalar.value < 16 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension JSONPath {
    /// The selected values of a tree, which can be the same value several times.
    package func select(in root: JSONTree) -> [JSONNode] {
        var nodes: [JSONNode] = []
        var evaluation = JSONPathEvaluation(segments, root: root)
        _ = evaluation.select(from: root) { value, positions in
            nodes.append(JSONNode(value: value, positions: positions, root: root))
            return true
        }
        return nodes
    }
}

/// The evaluation of one query. It recurses once for each segment, not for each level of the tree.
struct JSONPathEvaluation {
    /// Takes a value and its positions; returns false to stop.
    typealias Body = (JSONTree, [Int]) -> Bool

    private let segments: [Segment]
    private let root: JSONTree
    private var positions: [Int] = []

    init(_ segments: [Segment], root: JSONTree) {
        self.segments = segments
        self.root = root
    }

    /// - Parameter segment: the first one that applies.
    /// - Returns: false if the body stopped it.
    mutating func select(from value: JSONTree, segment: Int = 0, _ body: Body) -> Bool { select(value, segment, body) }

    private mutating func select(_ value: JSONTree, _ index: Int, _ body: Body) -> Bool {
        guard index < segments.count else { return body(value, positions) }
        guard segments[index].isDescendant else { return children(of: value, index, body) }
        // Values before their descendants, elements in their order (RFC 9535 section 2.5.2.2).
        let depth = positions.count
        defer { positions.removeLast(positions.count - depth) }
        var waiting: [(value: JSONTree, position: Int, depth: Int)] = [(value, 0, depth)]
        while let (value, position, level) = waiting.popLast() {
            positions.removeLast(positions.count - max(depth, level - 1))
            if level > depth { positions.append(position) }
            guard children(of: value, index, body) else { return false }
            switch value {
            case .array(let elements):
                for (position, element) in elements.enumerated().reversed() { waiting.append((element, position, level + 1)) }
            case .object(let members):
                for (position, member) in members.enumerated().reversed() { waiting.append((member.value, position, level + 1)) }
            default: break
            }
        }
        return true
    }

    /// Continues with the children that a segment selects.
    private mutating func children(of value: JSONTree, _ index: Int, _ body: Body) -> Bool {
        for selector in segments[index].selectors {
            let isWhole =
                switch value {
                case .object(let members): select(selector, members, index, body)
                case .array(let elements): select(selector, elements, index, body)
                default: true
                }
            guard isWhole else { return false }
        }
        return true
    }

    private mutating func child(_ value: JSONTree, at position: Int, _ index: Int, _ body: Body) -> Bool {
        positions.append(position)
        defer { positions.removeLast() }
        return select(value, index + 1, body)
    }

    private mutating func select(_ selector: Selector, _ members: [JSONTree.Member], _ index: Int, _ body: Body) -> Bool {
        for (position, member) in members.enumerated() {
            let isSelected =
                switch selector {
                case .name(let name): member.name == name
                case .wildcard: true
                case .filter(let condition): condition.holds(member.value, root)
                case .index, .slice: false
                }
            if isSelected, !child(member.value, at: position, index, body) { return false }
        }
        return true
    }

    private mutating func select(_ selector: Selector, _ elements: [JSONTree], _ index: Int, _ body: Body) -> Bool {
        switch selector {
        case .name: return true
        case .index(let number):
            let position = number >= 0 ? number : elements.count + number
            guard elements.indices.contains(position) else { return true }
            return child(elements[position], at: position, index, body)
        case .slice(let slice):
            for position in slice.indices(in: elements.count) where !child(elements[position], at: position, index, body) {
                return false
            }
            return true
        case .wildcard, .filter:
            for (position, element) in elements.enumerated() {
                if case .filter(let condition) = selector, !condition.holds(element, root) { continue }
                guard child(element, at: position, index, body) else { return false }
            }
            return true
        }
    }
}

// MARK: Removing

extension JSONTree {
    /// The value without the values at a path. An element of an array becomes null, so that the others keep their positions.
    package func removing(_ path: JSONPath) -> JSONTree {
        var places = Places()
        for node in path.select(in: self) { places.add(node.positions[...]) }
        return places.isEmpty ? self : removing(places) ?? .null
    }

    /// Places in a tree.
    private struct Places {
        private(set) var isRemoved = false
        private(set) var children: [Int: Places] = [:]

        var isEmpty: Bool { !isRemoved && children.isEmpty }

        mutating func add(_ positions: ArraySlice<Int>) {
            if let first = positions.first {
                children[first, default: Places()].add(positions.dropFirst())
            } else {
                isRemoved = true
            }
        }
    }

    /// - Returns: nil if the value itself is removed.
    private func removing(_ places: Places) -> JSONTree? {
        if places.isRemoved { return nil }
        switch self {
        case .object(let members):
            return .object(
                members.enumerated().compactMap { position, member in
                    guard let inner = places.children[position] else { return member }
                    return member.value.removing(inner).map { Member(name: member.name, value: $0) }
                })
        case .array(let elements):
            return .array(
                elements.enumerated().map { position, element in
                    places.children[position].map { element.removing($0) ?? .null } ?? element
                })
        default: return self
        }
    }
}
