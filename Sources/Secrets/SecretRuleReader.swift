// Reads lists of rules: YAML with the keys of gitleaks' configuration, and keys of our own.

import Yams

extension SecretRules {
    /// Reads a list of rules. It takes the place of our own list, unless it has `extend: {useDefault: true}`.
    /// - Parameter yaml: a mapping with `rules`, or the list of rules itself.
    package init(yaml: String) throws(SecretRulesError) {
        var reader = SecretRuleReader()
        self = try reader.read(yaml)
    }
}

private struct SecretRuleReader {
    /// For all rules.
    private var allowlists: [(allowlist: SecretAllowlist, rules: Set<String>?)] = []

    /// Keys that are known to have no meaning here: content of flows has no files and commits, and a list needs no title.
    private static let ignoredKeys: Set<String> = [
        "title", "description", "minversion", "version", "tags", "path", "paths", "commits",
    ]

    mutating func read(_ yaml: String) throws(SecretRulesError) -> SecretRules {
        guard let root = try Self.compose(yaml) else { throw SecretRulesError(message: "there are no rules") }
        guard let mapping = root.mapping else { return SecretRules(try rules(root)) }
        var list: Node?
        var base: [SecretRule] = []
        for (key, value) in mapping {
            switch try name(key).lowercased() {
            case "rules": list = value
            case "extend": base = try extended(value)
            case "allowlist": try addGlobal(value)
            case "allowlists":
                for item in try sequence(value, "allowlists") { try addGlobal(item) }
            case let other where Self.ignoredKeys.contains(other): break
            case let other: throw error(key, "there is no key '\(other)'; rules, extend and allowlists are possible")
            }
        }
        let own = try list.map { (node) throws(SecretRulesError) in try rules(node) } ?? []
        let names = Set(own.map(\.id))
        let kept = base.filter { !names.contains($0.id) }.map { $0.adding(shared(for: $0.id)) }
        let all = kept + own
        guard !all.isEmpty else { throw error(root, "there are no rules; write them below 'rules:'") }
        return SecretRules(all)
    }

    private static func compose(_ yaml: String) throws(SecretRulesError) -> Node? {
        do {
            return try Yams.compose(yaml: yaml)
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                throw SecretRulesError(message: "this is not YAML: \(problem)", line: mark.line)
            case .duplicatedKeysInMapping(let keys, let context):
                let names = keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
                throw SecretRulesError(message: "\(names) is given more than once", line: context.mark.line)
            default: throw SecretRulesError(message: "this is not YAML")
            }
        } catch {
            throw SecretRulesError(message: "this is not YAML")
        }
    }

    // MARK: The list

    /// `useDefault: true` takes our own rules, without those of `disabledRules`.
    private func extended(_ node: Node) throws(SecretRulesError) -> [SecretRule] {
        var usesDefault = false
        var disabled: Set<String> = []
        for (key, value) in try mapping(node, "extend") {
            switch try name(key).lowercased() {
            case "usedefault": usesDefault = try boolean(value, "useDefault")
            case "disabledrules": disabled = Set(try strings(value, "disabledRules"))
            case let other: throw error(key, "'\(other)' of extend is not supported; useDefault and disabledRules are possible")
            }
        }
        return usesDefault ? SecretRules.builtIn.rules.filter { !disabled.contains($0.id) } : []
    }

    private mutating func addGlobal(_ node: Node) throws(SecretRulesError) {
        var rules: Set<String>?
        for (key, value) in try mapping(node, "allowlist") where try name(key).lowercased() == "targetrules" {
            rules = Set(try strings(value, "targetRules"))
        }
        if let allowlist = try allowlist(node) { allowlists.append((allowlist, rules)) }
    }

    private func rules(_ node: Node) throws(SecretRulesError) -> [SecretRule] {
        var rules: [SecretRule] = []
        var names: Set<String> = []
        for item in try sequence(node, "rules") {
            guard let rule = try rule(item) else { continue }
            guard names.insert(rule.id).inserted else { throw error(item, "there are two rules '\(rule.id)'") }
            rules.append(rule)
        }
        return rules
    }

    /// The allowlists that are not a part of the rule.
    private func shared(for id: String) -> [SecretAllowlist] {
        allowlists.filter { $0.rules?.contains(id) ?? true }.map(\.allowlist)
    }

    // MARK: A rule

    /// - Returns: nil for a rule without an expression, which finds files by their names.
    private func rule(_ node: Node) throws(SecretRulesError) -> SecretRule? {
        var (id, description, regex) = ("", "", Node?.none)
        var (group, entropy, lead) = (Int?.none, Double?.none, Int?.none)
        var keywords: [String] = []
        var allowlists: [SecretAllowlist] = []
        for (key, value) in try mapping(node, "a rule") {
            switch try name(key).lowercased() {
            case "id": id = try string(value, "id")
            case "description": description = try string(value, "description")
            case "regex": regex = value
            case "secretgroup": group = try integer(value, "secretGroup")
            case "entropy": entropy = try number(value, "entropy")
            case "keywords": keywords = try strings(value, "keywords")
            case "lead": lead = try integer(value, "lead")
            case "allowlist": if let allowlist = try allowlist(value) { allowlists.append(allowlist) }
            case "allowlists":
                for item in try sequence(value, "allowlists") {
                    if let allowlist = try allowlist(item) { allowlists.append(allowlist) }
                }
            case "hits", "misses", "skipreport": break
            case "required": throw error(key, "rules that need other rules (required) are not supported")
            case let other where Self.ignoredKeys.contains(other): break
            case let other: throw error(key, "there is no key '\(other)' of a rule")
            }
        }
        guard !id.isEmpty else { throw error(node, "a rule needs an id") }
        guard id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }) else {
            throw error(node, "'\(id)' is not an id for a rule; use letters, digits, '-', '_' and '.'")
        }
        guard let regex else { return nil }
        let expression = try compile(regex, "regex of \(id)", isForPlaces: lead != nil)
        guard group ?? 0 <= expression.groups else {
            throw error(node, "the regex of \(id) has \(expression.groups) groups, and secretGroup is \(group ?? 0)")
        }
        let usable = keywords.map { Array($0.utf8) }
        // One keyword that cannot be searched for may be the only one in a content.
        let canBeFound = !usable.isEmpty && usable.allSatisfy { $0.count >= KeywordAutomaton.minimumLength }
        guard lead == nil || canBeFound else { throw error(node, "lead of \(id) needs keywords of two bytes or more") }
        return SecretRule(
            id: id, description: description, expression: expression, secretGroup: group == 0 ? nil : group, entropy: entropy,
            keywords: canBeFound ? usable : [], lead: lead, allowlists: allowlists + shared(for: id))
    }

    /// - Returns: nil if it is about files and commits only.
    private func allowlist(_ node: Node) throws(SecretRulesError) -> SecretAllowlist? {
        var expressions: [SecretExpression] = []
        var target = SecretAllowlist.Target.secret
        var words: [String] = []
        var (needsAll, isAboutFiles) = (false, false)
        for (key, value) in try mapping(node, "an allowlist") {
            switch try name(key).lowercased() {
            case "regexes":
                for item in try sequence(value, "regexes") { expressions.append(try compile(item, "regexes of an allowlist")) }
            case "regextarget":
                let text = try string(value, "regexTarget")
                guard text.isEmpty || SecretAllowlist.Target(rawValue: text) != nil else {
                    throw error(value, "'\(text)' is not a target; write secret, match or line")
                }
                target = SecretAllowlist.Target(rawValue: text) ?? .secret
            case "stopwords": words = try strings(value, "stopwords")
            case "condition":
                let text = try string(value, "condition").uppercased()
                guard ["AND", "&&", "OR", "||", ""].contains(text) else {
                    throw error(value, "'\(text)' is not a condition; write AND or OR")
                }
                needsAll = text == "AND" || text == "&&"
            case "paths", "commits": isAboutFiles = true
            case "targetrules", "id": break
            case let other where Self.ignoredKeys.contains(other): break
            case let other: throw error(key, "there is no key '\(other)' of an allowlist")
            }
        }
        // With AND the file would have to be one of the paths too, and content of a flow is in no file.
        if expressions.isEmpty && words.isEmpty || needsAll && isAboutFiles { return nil }
        let short = words.first { $0.utf8.count < KeywordAutomaton.minimumLength }
        if let short { throw error(node, "the stopword '\(short)' is too short; it needs two bytes") }
        return SecretAllowlist(
            expressions: expressions, target: target,
            stopwords: words.isEmpty ? nil : KeywordAutomaton(words.map { Array($0.utf8) }),
            needsBoth: needsAll && !expressions.isEmpty && !words.isEmpty)
    }

    private func compile(
        _ node: Node, _ what: String, isForPlaces: Bool = false
    ) throws(SecretRulesError) -> SecretExpression {
        let text = try string(node, what)
        do throws(ExpressionError) {
            return try SecretExpression(translatedFromGo(text), isForPlaces: isForPlaces)
        } catch {
            throw self.error(node, "the \(what) is not valid: \(error.message)")
        }
    }

    // MARK: Values

    private func error(_ node: Node, _ message: String) -> SecretRulesError {
        SecretRulesError(message: message, line: node.mark?.line)
    }

    private func name(_ node: Node) throws(SecretRulesError) -> String {
        guard let name = node.scalar?.string else { throw error(node, "the name of a key is expected") }
        return name
    }

    private func mapping(_ node: Node, _ what: String) throws(SecretRulesError) -> Node.Mapping {
        guard let mapping = node.mapping else { throw error(node, "\(what): keys with values are expected") }
        return mapping
    }

    private func sequence(_ node: Node, _ what: String) throws(SecretRulesError) -> Node.Sequence {
        guard let sequence = node.sequence else { throw error(node, "\(what): a list is expected") }
        return sequence
    }

    private func string(_ node: Node, _ what: String) throws(SecretRulesError) -> String {
        guard let text = node.scalar?.string else { throw error(node, "\(what): a text is expected") }
        return text
    }

    private func strings(_ node: Node, _ what: String) throws(SecretRulesError) -> [String] {
        var texts: [String] = []
        for item in try sequence(node, what) { texts.append(try string(item, what)) }
        return texts
    }

    private func integer(_ node: Node, _ what: String) throws(SecretRulesError) -> Int {
        guard let number = Int(try string(node, what)), number >= 0 else { throw error(node, "\(what): a number is expected") }
        return number
    }

    private func number(_ node: Node, _ what: String) throws(SecretRulesError) -> Double {
        guard let number = Double(try string(node, what)), number >= 0 else { throw error(node, "\(what): a number is expected") }
        return number
    }

    private func boolean(_ node: Node, _ what: String) throws(SecretRulesError) -> Bool {
        switch try string(node, what).lowercased() {
        case "true": return true
        case "false": return false
        default: throw error(node, "\(what): true or false is expected")
        }
    }
}
