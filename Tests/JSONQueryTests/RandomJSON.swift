import NIOCore
import TestSupport

@testable import JSONQuery

/// Random documents and paths that often select something of each other.
struct RandomJSON {
    var random: SeededGenerator
    /// White space between tokens.
    var spaces = ["", "", "", "", " ", "\t", "  "]
    /// Objects can have a name twice.
    var repeatsNames = false

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int.random(in: 0..<elements.count, using: &random)] }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    // MARK: Documents

    private static let names = [
        "a", "b", "c", "items", "price", "", "é", "a b", "it's", "0", "q\"", "\\", "😀", "\n", "longer name",
    ]
    private static let numbers = [
        "0", "-0", "1", "2", "3", "-1", "10", "1.0", "1e0", "0.5", "-2.5E1", "100", "1e2", "9007199254740991",
    ]
    private static let strings = ["", "a", "b", "ab", "abc", "1", "é", "😀", "a\nb", "price", "true", "a.c", "\u{2028}"]

    mutating func document(_ depth: Int = 4) -> String {
        let text =
            switch depth > 0 ? Int.random(in: 0..<8, using: &random) : Int.random(in: 0..<4, using: &random) {
            case 0: pick(["true", "false", "null"])
            case 1, 2: pick(Self.numbers)
            case 3: quoted(pick(Self.strings))
            case 4, 5: array(depth)
            default: object(depth)
            }
        return pick(spaces) + text + pick(spaces)
    }

    private mutating func array(_ depth: Int) -> String {
        var elements: [String] = []
        for _ in 0..<Int.random(in: 0...4, using: &random) { elements.append(document(depth - 1)) }
        return "[" + (elements.isEmpty ? pick(spaces) : elements.joined(separator: ",")) + "]"
    }

    private mutating func object(_ depth: Int) -> String {
        var members: [String] = []
        var used: Set<String> = []
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let name = pick(Self.names)
            guard used.insert(name).inserted || repeatsNames else { continue }
            members.append(pick(spaces) + quoted(name) + pick(spaces) + ":" + document(depth - 1))
        }
        return "{" + (members.isEmpty ? pick(spaces) : members.joined(separator: ",")) + "}"
    }

    /// A string in quotation marks; some characters are escaped without need.
    private mutating func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\" + String(scalar)
            case "\n": out += chance(50) ? "\\n" : "\\u000A"
            default:
                guard chance(10) else {
                    out.unicodeScalars.append(scalar)
                    continue
                }
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: chance(50))
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return out + "\""
    }

    // MARK: Paths

    /// - Parameter root: `$` or `@`.
    mutating func path(_ root: String = "$", depth: Int = 2, segments: ClosedRange<Int> = 0...4) -> String {
        var path = root
        for _ in 0..<Int.random(in: segments, using: &random) { path += segment(depth) }
        return path
    }

    private mutating func segment(_ depth: Int) -> String {
        let dots = chance(20) ? ".." : ""
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return (dots.isEmpty ? "." : dots) + pick(["a", "b", "c", "items", "price", "é", "😀"])
        case 1: return (dots.isEmpty ? "." : dots) + "*"
        case 2: return dots + "[" + selector(depth) + pick([", ", ","]) + selector(depth) + "]"
        default: return dots + "[" + selector(depth) + "]"
        }
    }

    private mutating func selector(_ depth: Int) -> String {
        func bound() -> String { pick(["", "0", "1", "2", "5", "-1", "-2", "-5"]) }
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
        case 0: return "*"
        case 1, 2: return literal(pick(Self.names))
        case 3: return pick(["0", "1", "2", "-1", "-3", "7"])
        case 4: return bound() + ":" + bound()
        case 5: return bound() + ":" + bound() + ":" + pick(["", "1", "2", "-1", "-2", "0"])
        default: return "?" + condition(depth - 1)
        }
    }

    private mutating func literal(_ text: String) -> String {
        if chance(50) { return quoted(text) }
        return "'"
            + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'").replacing("\n", with: "\\n") + "'"
    }

    private mutating func condition(_ depth: Int) -> String {
        switch Int.random(in: 0..<9, using: &random) {
        // The peer takes [?@] for false when the value is.
        case 0: return path(chance(80) ? "@" : "$", depth: depth, segments: 1...2)
        case 1: return "!" + path("@", depth: depth, segments: 1...2)
        case 2 where depth > 0: return "(" + condition(depth - 1) + pick([" || ", "&&"]) + condition(depth - 1) + ")"
        case 3 where depth > 0: return "!(" + condition(depth - 1) + ")"
        case 4:
            return pick(["match", "search"]) + "(" + operand(depth) + ", "
                + pick(["'a.*'", "'[a-c]+'", "'\\\\p{L}|1'", "'a?b{1,2}'", "'('", "@", "'.'"]) + ")"
        default:
            return operand(depth) + pick(["==", " != ", "<", " <= ", ">", ">="]) + operand(depth)
        }
    }

    private mutating func operand(_ depth: Int) -> String {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return pick(Self.numbers)
        case 1: return literal(pick(Self.strings.filter { !$0.contains("\u{2028}") }))
        case 2: return pick(["true", "false", "null"])
        // The peer fails for count(@) and value(@) of a scalar.
        case 3: return pick(["count", "value"]) + "(" + path("@", depth: 0, segments: 1...2) + ")"
        case 4: return "length(" + single() + ")"
        default: return single()
        }
    }

    /// A singular query.
    private mutating func single() -> String {
        var query = chance(85) ? "@" : "$"
        for _ in 0..<Int.random(in: 0...2, using: &random) { query += pick([".a", ".b", "['items']", "[0]", "[-1]", ".price"]) }
        return query
    }

    // MARK: Damage

    /// A text with one character deleted, inserted or replaced.
    mutating func damaged(_ text: String) -> String {
        var characters = Array(text.unicodeScalars)
        let position = Int.random(in: 0...characters.count, using: &random)
        let other = pick(Array("\"\\{}[]():,.-+eE01 ax?@$!=<*&|\t\u{1}tn'".unicodeScalars))
        switch Int.random(in: 0..<3, using: &random) {
        case 0: characters.insert(other, at: position)
        case 1 where position < characters.count: characters[position] = other
        default: if position < characters.count { characters.remove(at: position) }
        }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: characters)
        return String(result)
    }
}
