// Options for the rules by which secrets are found.

import ArgumentParser
import Secrets

/// `--rules`, `--list-rules`.
package struct SecretArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Rules for secrets, in place of the built-in list: a YAML file with the keys of gitleaks (docs/secrets.md).",
            valueName: "file"))
    package var rules: FilePath?

    @Flag(help: "List the rules for secrets, and exit.")
    package var listRules = false

    package init() {}

    /// The rules of the file; nil for the built-in list.
    /// - Throws: ``ToolError`` with the file and the line.
    package func secretRules() throws(ToolError) -> SecretRules? {
        guard let rules else { return nil }
        return try readSecretRules(rules.path)
    }
}

private func readSecretRules(_ path: String) throws(ToolError) -> SecretRules {
    let text = try readText(path, as: "the rules for secrets,")
    do throws(SecretRulesError) {
        return try SecretRules(yaml: text)
    } catch {
        throw ToolError("\(path)\(error.line.map { ":\($0)" } ?? ""): \(error.message)")
    }
}

/// The rules, a line each, for `--list-rules`.
/// - Parameter file: with the rules; nil for the built-in list.
/// - Throws: ``ToolError`` for a file that has none.
func secretRuleList(_ file: String?) throws(ToolError) -> String {
    let rules: SecretRules
    if let file { rules = try readSecretRules(FilePath(file).path) } else { rules = .builtIn }
    let rows = rules.descriptions
    let width = rows.map(\.name.count).max() ?? 0
    return rows.map { row in
        let padding = String(repeating: " ", count: width - row.name.count + 2)
        return row.description.isEmpty ? row.name + "\n" : row.name + padding + row.description + "\n"
    }.joined()
}
