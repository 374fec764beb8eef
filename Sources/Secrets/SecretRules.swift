// The list of rules: our own (Data/secret-rules.yaml, docs/secrets.md), or one that the user gives.

/// Rules for finding secrets.
package struct SecretRules: Sendable {
    /// The first of two rules that find the same text names it.
    let rules: [SecretRule]

    init(_ rules: [SecretRule]) { self.rules = rules }

    /// No rule.
    package static let none = SecretRules([])

    /// Our own list.
    package static let builtIn: SecretRules = {
        do throws(SecretRulesError) {
            return try SecretRules(yaml: builtInText)
        } catch {
            preconditionFailure("the rules of the program are not valid: \(error)")
        }
    }()

    static var builtInText: String { String(decoding: PackageResources.secret_rules_yaml, as: UTF8.self) }

    /// The names of the rules, in their order.
    package var names: [String] { rules.map(\.id) }

    /// The names of the rules, and which secrets they find, in their order.
    package var descriptions: [(name: String, description: String)] { rules.map { ($0.id, $0.description) } }

    /// The rules of a name, or of names with a common beginning: `github-*`.
    /// - Returns: nil without one.
    package func named(_ name: String) -> SecretRules? {
        let found = rules.filter { name.hasSuffix("*") ? $0.id.hasPrefix(name.dropLast()) : $0.id == name }
        return found.isEmpty ? nil : SecretRules(found)
    }

    /// The rules that one of the names has (``named(_:)``).
    package func named(anyOf names: [String]) -> SecretRules {
        let found = Set(names.flatMap { named($0)?.names ?? [] })
        return SecretRules(rules.filter { found.contains($0.id) })
    }
}

/// A list of rules is not valid.
package struct SecretRulesError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, without the file and the line.
    package var message: String
    /// Counted from 1; nil for the whole text.
    package var line: Int?

    package var description: String { (line.map { "line \($0): " } ?? "") + message }
}
