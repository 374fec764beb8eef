// The rules of redaction that recordings name, as redactions that are tried on what is compared with them. A recording may have several
// segments, each with rules of its own, and its flows do not tell which: the rules that it names at one time are tried together, and
// those that were added since by themselves.

import Redaction
import Secrets

/// Makes redactions of the rules that recordings name.
package struct RecordedRules {
    /// The key of this machine; nil if it has none.
    private let key: RedactionKey?
    /// For the rule `secrets`.
    private let secrets: SecretScanner
    /// The texts that are known.
    private var known: Set<[String]> = []
    private var hasWarned = false

    /// - Parameters:
    ///   - key: for rules that hash.
    ///   - secrets: for the rule `secrets`, since a recording does not hold the list of that rule; nil for the built-in list.
    package init(key: RedactionKey?, secrets: SecretRules? = nil) {
        self.key = key
        self.secrets = secrets.map { SecretScanner($0) } ?? .builtIn
    }

    /// - Parameters:
    ///   - named: all that a recording has named so far.
    ///   - count: the number of them that it had named before.
    ///   - name: of the recording, for warnings.
    ///   - warn: receives a sentence for rules that are not known, and, once, for values that were hashed with another key.
    /// - Returns: the redactions that were not returned before.
    package mutating func redactions(
        named: [String], after count: Int, by name: String, warn: (String) -> Void
    ) -> [RecordedRedaction] {
        var found: [RecordedRedaction] = []
        for texts in [named, Array(named.dropFirst(count))] {
            let rules = texts.filter { !$0.hasPrefix("#") }
            guard !rules.isEmpty, known.insert(rules).inserted, let parsed = parse(rules, of: name, warn) else { continue }
            if parsed.needsKey { checkKey(named, of: name, warn) }
            found.append(
                RecordedRedaction(Redactor(parsed, key: key ?? RedactionKey(Array(repeating: 0, count: RedactionKey.size)))))
        }
        return found
    }

    /// The rules that are known here.
    private func parse(_ texts: [String], of name: String, _ warn: (String) -> Void) -> RedactionRules? {
        var rules = texts
        while !rules.isEmpty {
            do throws(RedactionError) {
                // What was not stored because it was too large, or could not be parsed, is compared with nothing.
                return try RedactionRules(rules, limit: RecordedRedaction.maximumBody, keepsUnparsed: true, secrets: secrets)
            } catch {
                guard let unknown = rules.firstIndex(where: { (try? RedactionRules([$0])) == nil }) else { return nil }
                warn("\(name) was redacted by the rule '\(rules.remove(at: unknown))', which this version does not know")
            }
        }
        return nil
    }

    private mutating func checkKey(_ named: [String], of name: String, _ warn: (String) -> Void) {
        let keys = named.filter { $0.hasPrefix(RedactionKey.namePrefix) }
        guard !hasWarned, key == nil || !keys.isEmpty && !keys.contains(key?.name ?? "") else { return }
        hasWarned = true
        warn(
            "values in \(name) were hashed with the key of another machine, so they equal none of this one; copy its redaction.key to the configuration directory"
        )
    }
}
