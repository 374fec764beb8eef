// The rules of redaction, prepared for lookups. Rules of sets come first; a later rule precedes an earlier one for the same value.

import FlowFilter
import HTTPSemantics
import JSONQuery
import NIOCore
import Secrets

/// What is hidden, and how. Made once, used by all threads.
package final class RedactionRules: Sendable {
    /// The most bytes of a body that are held to redact it, sent or decoded.
    package static let defaultLimit = 1024 * 1024

    /// One rule as the facts of a flow name it.
    struct Rule: Sendable {
        var text: String
        var method: RedactionMethod
    }

    struct BodyRule: Sendable {
        var rule: Int
        /// nil is every flow.
        var filter: FlowFilter?
    }

    /// The rules in a form that is parsed to the same rules; the sets by their names.
    package let canonical: [String]
    let limit: Int
    /// A body that cannot be decoded or parsed, or is too large, is stored as it was sent.
    let keepsUnparsed: Bool
    let rules: [Rule]
    let headers: HeaderNames
    let cookies: NameIndex
    /// The rule for every cookie.
    let allCookies: Int?
    let query: RuleNames
    let form: RuleNames
    /// Members of JSON objects at any depth.
    let members: RuleNames
    let paths: [(path: JSONPath, rule: Int)]
    let bodies: [BodyRule]
    let patterns: [(pattern: Pattern, rule: Int)]
    let secrets: (scanner: SecretScanner, rule: Int)?
    /// Names and passwords in URLs.
    let userinfo: Int?
    /// The rule that hides addresses of clients, and bodies of scripts and images.
    let share: Int?

    /// - Parameters:
    ///   - texts: rules, `WHAT[=HOW]`.
    ///   - limit: the most bytes of a body that are held.
    ///   - keepsUnparsed: stores a body that cannot be decoded or parsed, or is too large, as it was sent.
    ///   - secrets: finds what the rule `secrets` hides.
    ///   - environment: what expressions of `body:` can refer to.
    /// - Throws: for the first rule that is not valid.
    package init(
        _ texts: [String], limit: Int = RedactionRules.defaultLimit, keepsUnparsed: Bool = false,
        secrets: SecretScanner = .builtIn, environment: FilterEnvironment = FilterEnvironment()
    ) throws(RedactionError) {
        var compiler = RuleCompiler(secrets)
        var parsed: [ParsedRule] = []
        for text in texts { parsed.append(try ParsedRule(text, environment: environment)) }
        for rule in parsed { if case .set(let set) = rule.subject { compiler.add(set, rule) } }
        for rule in parsed { compiler.add(rule) }
        compiler.hideTextsOfRules()
        canonical = parsed.map { compiler.stored($0) }
        self.limit = limit
        self.keepsUnparsed = keepsUnparsed
        (rules, headers, cookies, allCookies) = (compiler.rules, compiler.headers, compiler.cookies, compiler.allCookies)
        (query, form, members, paths) = (compiler.query, compiler.form, compiler.members, compiler.paths)
        (bodies, patterns, self.secrets) = (compiler.bodies, compiler.patterns, compiler.secrets)
        (userinfo, share) = (compiler.userinfo, compiler.share)
        drops = rules.contains { $0.method == .drop }
    }

    /// Whether a rule removes values.
    let drops: Bool

    /// Whether a rule hashes, so that a key is needed.
    package var needsKey: Bool { rules.contains { $0.method == .hash } }

    /// Whether texts are searched: everything of a flow can have a match.
    var searchesText: Bool { !patterns.isEmpty || secrets != nil }
    /// Whether values of header fields are hidden by their names.
    var readsFields: Bool { headers.bits != 0 || allCookies != nil || !cookies.isEmpty }
    /// Whether parameters or userinfo of URLs are hidden.
    var changesURLs: Bool { !query.isEmpty || userinfo != nil }
    var readsJSON: Bool { !members.isEmpty || !paths.isEmpty }
    var readsForms: Bool { !form.isEmpty }
    /// Whether a rule can change the content of a body.
    var readsBodies: Bool { readsJSON || readsForms || searchesText }
    /// Whether a rule can change the facts of a connection.
    var changesConnections: Bool { share != nil || searchesText || userinfo != nil }
    /// Whether a rule needs the facts of a flow beside the message.
    var filtersBodies: Bool { bodies.contains { $0.filter != nil } }
}

/// The rules for header fields, in the form of ``FieldSection``'s lookup.
struct HeaderNames: Sendable {
    private var names = NameIndex(.caseInsensitive)
    /// The bits of all names, as ``FieldSection/names`` has them.
    private(set) var bits: UInt64 = 0

    mutating func add(_ name: String, rule: Int) {
        guard let first = name.utf8.first else { return }
        names.add(name, rule: rule)
        bits |= 1 &<< UInt64(FieldSection.place(count: name.utf8.count, first: first))
    }

    /// The rule for the name of a line; nil without one.
    @inline(__always) func rule(_ name: Span<UInt8>) -> Int? {
        guard name.count > 0, bits &>> UInt64(FieldSection.place(count: name.count, first: name[0])) & 1 != 0 else { return nil }
        return names.rule(name)
    }
}

/// Fills the tables of rules.
private struct RuleCompiler {
    var rules: [RedactionRules.Rule] = []
    var headers = HeaderNames()
    var cookies = NameIndex(.caseInsensitive)
    var allCookies: Int?
    var query = RuleNames()
    var form = RuleNames()
    var members = RuleNames()
    var paths: [(path: JSONPath, rule: Int)] = []
    var bodies: [RedactionRules.BodyRule] = []
    var patterns: [(pattern: Pattern, rule: Int)] = []
    var secrets: (scanner: SecretScanner, rule: Int)?
    var userinfo: Int?
    var share: Int?
    private let scanner: SecretScanner
    /// The rules that are not sets, with their indexes.
    private var parsedRules: [(index: Int, parsed: ParsedRule)] = []

    init(_ scanner: SecretScanner) { self.scanner = scanner }

    private mutating func rule(_ text: String, _ method: RedactionMethod) -> Int {
        rules.append(RedactionRules.Rule(text: method == .mask ? text : "\(text)=\(method.rawValue)", method: method))
        return rules.count - 1
    }

    /// Adds the rules of a set, each with a name of its own.
    mutating func add(_ set: RedactionSubject.Set, _ parsed: ParsedRule) {
        let method = parsed.method
        for name in RedactionSets.fields { headers.add(name, rule: rule("header:\(name)", method)) }
        allCookies = rule("cookie:*", method)
        for name in RedactionSets.names + RedactionSets.parameters {
            query.add(name, rule: rule("query:\(name)", method), isOfSet: true)
            form.add(name, rule: rule("form:\(name)", method), isOfSet: true)
        }
        for name in RedactionSets.names { members.add(name, rule: rule("json:$..\(name)", method), isOfSet: true) }
        userinfo = rule("default", method)
        guard set == .share else { return }
        let hides = rule("share", method)
        share = hides
        for name in RedactionSets.clientAddressFields { headers.add(name, rule: hides) }
    }

    /// Gives the rules the texts that recordings may have, when all of them are known.
    mutating func hideTextsOfRules() {
        for (index, parsed) in parsedRules { rules[index].text = stored(parsed) }
    }

    /// The text of a rule as a recording may have it. The text of a pattern that is itself what the pattern hides is left out, and so is what
    /// patterns and the search for secrets find in the constants of an expression or a path.
    func stored(_ parsed: ParsedRule) -> String {
        let marker = String(buffer: RedactionMarker.mask)
        let harmless: String
        switch parsed.subject {
        case .pattern: harmless = "pattern:\(marker)"
        case .body(_?): harmless = "body:!(~all)"
        case .json where parsed.canonical.contains("?"): harmless = "json:$['\(marker)']"
        default: return parsed.canonical
        }
        let isHidden = if case .pattern(let pattern) = parsed.subject { isLiteral(pattern) } else { finds(in: parsed.canonical) }
        guard isHidden else { return parsed.canonical }
        return parsed.method == .mask ? harmless : "\(harmless)=\(parsed.method.rawValue)"
    }

    /// A pattern has a text that it finds, and that is not made of wildcards; or one that is a secret.
    private func isLiteral(_ pattern: Pattern) -> Bool {
        let text = ByteBuffer(string: pattern.text)
        do {
            if try secrets?.scanner.finds(in: text) ?? false { return true }
            return try pattern.ranges(in: text).contains { range in
                !text.slice(ByteRange(range.lowerBound, range.upperBound)).readableBytesView.contains {
                    #"\.[](){}*+?|^$"#.utf8.contains($0)
                }
            }
        } catch {
            return true
        }
    }

    private func finds(in text: String) -> Bool {
        let text = ByteBuffer(string: text)
        // A search that cannot be completed may have missed something.
        do {
            for (pattern, _) in patterns where try !pattern.ranges(in: text).isEmpty { return true }
            return try secrets?.scanner.finds(in: text) ?? false
        } catch {
            return true
        }
    }

    /// Adds a rule that is not a set.
    mutating func add(_ parsed: ParsedRule) {
        if case .set = parsed.subject { return }
        parsedRules.append((rules.count, parsed))
        rules.append(RedactionRules.Rule(text: parsed.canonical, method: parsed.method))
        let rule = rules.count - 1
        switch parsed.subject {
        case .header(let name): headers.add(name, rule: rule)
        case .cookie(let name?): cookies.add(name, rule: rule)
        case .cookie(nil): allCookies = rule
        case .query(let name): query.add(name, rule: rule, isOfSet: false)
        case .form(let name): form.add(name, rule: rule, isOfSet: false)
        case .json(let path): paths.append((path, rule))
        case .body(let filter): bodies.append(RedactionRules.BodyRule(rule: rule, filter: filter))
        case .pattern(let pattern): patterns.append((pattern, rule))
        case .secrets: secrets = (scanner, rule)
        case .set: break
        }
    }
}
