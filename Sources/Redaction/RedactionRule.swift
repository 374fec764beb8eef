// The text of one rule, `WHAT[=HOW]`: what is hidden and how. WHAT can contain `=` (paths, expressions, regular expressions), so HOW is only
// what follows the last `=` and is one of its three words.

import FlowFilter
import JSONQuery

/// How a value is hidden.
package enum RedactionMethod: String, Sendable, CaseIterable {
    /// `«redacted»` instead of the value.
    case mask
    /// `«redacted:3f9a1c…»`: equal values stay equal.
    case hash
    /// The value is removed, with its name.
    case drop
}

/// What a rule hides.
enum RedactionSubject: Sendable {
    enum Set: String, CaseIterable {
        /// Credentials in heads, cookies, queries, forms and JSON.
        case `default`
        /// The same, bodies of scripts and images, and addresses of clients.
        case share
    }

    /// In lower case.
    case header(String)
    /// nil is every cookie.
    case cookie(String?)
    case query(String)
    case form(String)
    case json(JSONPath)
    /// The body of flows that match; nil is every body.
    case body(FlowFilter?)
    case pattern(Pattern)
    case secrets
    case set(Set)
}

/// A parsed rule.
struct ParsedRule: Sendable {
    var subject: RedactionSubject
    var method: RedactionMethod
    /// A text that is parsed to the same rule.
    var canonical: String

    /// - Parameters:
    ///   - text: as the user wrote it.
    ///   - environment: what the expression of `body:` can refer to.
    init(_ text: String, environment: FilterEnvironment) throws(RedactionError) {
        var what = Substring(text)
        method = .mask
        if let equals = text.lastIndex(of: "="), let named = RedactionMethod(rawValue: String(text[text.index(after: equals)...])) {
            (what, method) = (text[..<equals], named)
        }
        let kind = what.prefix { $0 != ":" }
        let argument = kind.endIndex < what.endIndex ? String(what[what.index(after: kind.endIndex)...]) : nil
        let suffix = method == .mask ? "" : "=\(method.rawValue)"
        let reader = RuleReader(text: text, kind: String(kind), argument: argument)
        let (subject, canonical) = try reader.subject(environment)
        self.subject = subject
        // A word after the last `=` would be read as HOW.
        let needsMask = method == .mask && Self.endsInMethod(canonical)
        self.canonical = canonical + (needsMask ? "=mask" : suffix)
    }

    private static func endsInMethod(_ text: String) -> Bool {
        guard let equals = text.lastIndex(of: "=") else { return false }
        return RedactionMethod(rawValue: String(text[text.index(after: equals)...])) != nil
    }
}

/// Reads the WHAT of a rule.
private struct RuleReader {
    /// The whole rule, for errors.
    var text: String
    var kind: String
    /// After the colon; nil without one.
    var argument: String?

    /// The words before the colon, with the form of what follows.
    private static let kinds: [(name: String, form: String)] = [
        ("header", "header:NAME"), ("cookie", "cookie:NAME"), ("query", "query:NAME"), ("form", "form:NAME"), ("json", "json:PATH"),
        ("body", "body"), ("pattern", "pattern:REGEX"), ("secrets", "secrets"), ("default", "default"), ("share", "share"),
    ]

    func subject(_ environment: FilterEnvironment) throws(RedactionError) -> (RedactionSubject, canonical: String) {
        switch kind {
        case "header":
            let name = try self.name("a field").lowercased()
            return (.header(name), "header:\(name)")
        case "cookie":
            let name = try self.name("a cookie, or *")
            return (.cookie(name == "*" ? nil : name), "cookie:\(name)")
        case "query":
            let name = try required("the name of a query parameter", "query:access_token")
            return (.query(name), "query:\(name)")
        case "form":
            let name = try required("the name of a form field", "form:password")
            return (.form(name), "form:\(name)")
        case "json": return try json()
        case "pattern": return try pattern()
        case "body": return try body(environment)
        case "secrets":
            try refuseArgument()
            return (.secrets, "secrets")
        default:
            guard let set = RedactionSubject.Set(rawValue: kind) else { throw unknown }
            try refuseArgument()
            return (.set(set), set.rawValue)
        }
    }

    private var unknown: RedactionError {
        let forms = Self.kinds.map(\.form)
        if let near = nearestWord(to: kind.lowercased(), in: Self.kinds.map(\.name)),
            let form = Self.kinds.first(where: { $0.name == near })?.form
        {
            return RedactionError(text, "'\(kind)' is not known, did you mean \(form)?")
        }
        return RedactionError(text, "begin it with one of \(forms.joined(separator: ", "))")
    }

    private func required(_ what: String, _ example: String) throws(RedactionError) -> String {
        guard let argument, !argument.isEmpty else { throw RedactionError(text, "give \(what), such as \(example)") }
        return argument
    }

    private func refuseArgument() throws(RedactionError) {
        guard argument == nil else { throw RedactionError(text, "'\(kind)' takes nothing after a colon") }
    }

    /// A name of a field or a cookie: a token (RFC 9110 section 5.6.2).
    private func name(_ what: String) throws(RedactionError) -> String {
        let name = try required("the name of \(what)", kind == "header" ? "header:x-session" : "cookie:sid")
        if let equals = name.firstIndex(of: "=") {
            let word = name[name.index(after: equals)...]
            throw RedactionError(text, "'\(word)' is no way to hide a value, use mask, hash or drop")
        }
        let isToken = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
        guard isToken else { throw RedactionError(text, "'\(name)' is not the name of \(what)") }
        return name
    }

    private func json() throws(RedactionError) -> (RedactionSubject, canonical: String) {
        let path = try required("a JSON path", "json:$..password")
        do {
            let parsed = try JSONPath(path)
            return (.json(parsed), "json:\(path)")
        } catch {
            throw RedactionError(text, "in the JSON path, \(error)")
        }
    }

    private func pattern() throws(RedactionError) -> (RedactionSubject, canonical: String) {
        let expression = try required("a regular expression", "pattern:sk-[a-z0-9]{20,}")
        do {
            return (.pattern(try Pattern(expression, Pattern.Options(isMultiline: true))), "pattern:\(expression)")
        } catch {
            throw RedactionError(text, "in the regular expression, \(error.message) at character \(error.offset + 1)")
        }
    }

    private func body(_ environment: FilterEnvironment) throws(RedactionError) -> (RedactionSubject, canonical: String) {
        guard let argument else { return (.body(nil), "body") }
        let expression = try required("a filter expression, or leave the colon out", "body:~t image")
        do {
            let filter = try FlowFilter(expression, environment: environment)
            if let term = filter.termBeyondHeads {
                throw RedactionError(text, "'\(term)' is known too late to decide what is stored, use terms that the heads answer")
            }
            return (.body(filter), "body:\(filter.canonical)")
        } catch let error as RedactionError {
            throw error
        } catch {
            throw RedactionError(text, "in the expression '\(argument)', \((error as? FilterSyntaxError)?.message ?? "\(error)")")
        }
    }
}
