// Paths in a JSON value, in a part of JSONPath (RFC 9535): `$.a.b`, `$['a b']`, `$.list[0].id`, `$.list[*].id`, `$..id`. No filters
// and no slices.

/// One or several places in a JSON value.
package struct JSONPath: Sendable, Equatable, CustomStringConvertible {
    enum Step: Sendable, Equatable {
        case member(JSONString)
        case index(Int)
        case all
        /// The steps after it apply at any depth.
        case anywhere
    }

    let steps: [Step]
    package let description: String

    /// - Returns: nil if the text is not a valid path.
    package init?(_ text: String) {
        description = text
        var rest = Substring(text)
        if rest.first == "$" { rest.removeFirst() } else if rest.first != ".", rest.first != "[" { rest = "." + rest }
        var steps: [Step] = []
        while let first = rest.first {
            if first == "." {
                rest.removeFirst()
                if rest.first == "." {
                    rest.removeFirst()
                    steps.append(.anywhere)
                    if rest.first == "[" { continue }
                }
                let name = rest.prefix { $0 != "." && $0 != "[" }
                guard !name.isEmpty else { return nil }
                rest = rest.dropFirst(name.count)
                steps.append(name == "*" ? .all : .member(JSONString(String(name))))
            } else if first == "[" {
                guard let end = rest.firstIndex(of: "]") else { return nil }
                let inner = rest[rest.index(after: rest.startIndex)..<end]
                rest = rest[rest.index(after: end)...]
                if inner == "*" {
                    steps.append(.all)
                } else if let index = Int(inner), index >= 0 {
                    steps.append(.index(index))
                } else if inner.count >= 2, let quote = inner.first, quote == "'" || quote == "\"", inner.last == quote {
                    steps.append(.member(JSONString(String(inner.dropFirst().dropLast()))))
                } else {
                    return nil
                }
            } else {
                return nil
            }
        }
        guard let last = steps.last, last != .anywhere else { return nil }
        self.steps = steps
    }
}

extension JSONTree {
    /// The value without the values at a path. An element of an array becomes null, so that the others keep their positions.
    package func removing(_ path: JSONPath) -> JSONTree { removing(path.steps[...]) }

    private func removing(_ steps: ArraySlice<JSONPath.Step>) -> JSONTree {
        guard let step = steps.first else { return self }
        let rest = steps.dropFirst()
        switch (step, self) {
        case (.anywhere, .object(let members)):
            let inner = JSONTree.object(members.map { Member(name: $0.name, value: $0.value.removing(steps)) })
            return inner.removing(rest)
        case (.anywhere, .array(let elements)):
            return JSONTree.array(elements.map { $0.removing(steps) }).removing(rest)
        case (.member(let name), .object(let members)):
            return .object(
                members.compactMap { member in
                    guard member.name == name else { return member }
                    return rest.isEmpty ? nil : Member(name: name, value: member.value.removing(rest))
                })
        case (.all, .object(let members)):
            return .object(rest.isEmpty ? [] : members.map { Member(name: $0.name, value: $0.value.removing(rest)) })
        case (.all, .array(let elements)):
            return .array(elements.map { rest.isEmpty ? .null : $0.removing(rest) })
        case (.index(let index), .array(var elements)) where index < elements.count:
            elements[index] = rest.isEmpty ? .null : elements[index].removing(rest)
            return .array(elements)
        default:
            return self
        }
    }
}
