import NIOCore
import Testing

@testable import Secrets

private func found(_ rules: String, in text: String) throws -> [String] {
    try SecretScanner(SecretRules(yaml: rules)).scan(ByteBuffer(string: text)).map { "\($0.rule) \(String(buffer: $0.secret))" }
}

@Suite("A file of rules")
struct RuleFileTests {
    /// As a conversion of gitleaks' configuration gives it.
    private static let converted = """
        title: some rules
        minVersion: v8.25.0
        allowlists:
        - description: everywhere
          regexes: ['^SAMPLE']
          paths: ['(^|/)vendor/']
          stopwords: [dummy]
        - {targetRules: [key], regexTarget: line, regexes: ['# none$']}
        rules:
        - id: key
          description: A key
          regex: (?i)\\bkey[ =:]{1,3}([0-9a-z]{4,20})(?:[\\x60'"\\s;]|\\\\[nr]|$)
          entropy: 1
          keywords: [KEY]
          tags: [a]
        - id: token
          regex: 'token-(\\d+)-(\\d+)'
          secretGroup: 2
          keywords: [token]
          allowlists:
          - {condition: AND, regexes: ['^9'], stopwords: ['99']}
          - {regexTarget: match, regexes: ['-0-']}
          - {condition: AND, paths: ['a$'], regexes: ['.']}
        - {id: file, description: files of a name, path: '\\.p12$'}
        """

    @Test(
        "Rules with gitleaks' keys find what gitleaks finds",
        arguments: [
            ("key = abcd1234", ["key abcd1234"]), ("KEY: abcd1234;", ["key abcd1234"]), ("monkey = abcd1234", []),
            ("key = aaaaaaaa", []), ("key = SAMPLE1234", []), ("key = 12dummy34", []), ("key = abcd1234 # none", []),
            ("key = abcd1234 # none\nkey = efgh5678\n", ["key efgh5678"]), ("token-12-345", ["token 345"]), ("token-12-99", []),
            ("token-12-97", ["token 97"]), ("token-0-12", []), ("x.p12", []),
        ])
    func gitleaks(text: String, secrets: [String]) throws { #expect(try found(Self.converted, in: text) == secrets) }

    @Test("A list takes the place of our own, or adds to it; a rule of the same name replaces ours")
    func extending() throws {
        let own = "rules: [{id: own, regex: 'a{3}'}, {id: jwt, regex: 'b{3}'}]"
        #expect(try SecretRules(yaml: own).names == ["own", "jwt"])
        let extended = try SecretRules(yaml: "extend: {useDefault: true, disabledRules: [npm-token]}\n\(own)").names
        #expect(Set(extended) == Set(SecretRules.builtIn.names + ["own"]).subtracting(["npm-token"]))
        #expect(extended.count == SecretRules.builtIn.names.count)
        let allowing = "extend: {useDefault: true}\nallowlist: {stopwords: [dxnl]}"
        #expect(try found(allowing, in: "authorization: Basic dXNlcjpwYXNz") == [])
        #expect(try found("[{id: a, regex: 'b'}]", in: "abc") == ["a b"])
    }

    @Test(
        "A mistake is an error with its line",
        arguments: [
            ("", nil, "there are no rules"),
            ("rules: []", 1, "there are no rules; write them below 'rules:'"),
            ("rules:\n- id: a\n  regex: '(b'", 3, "the regex of a is not valid: missing closing parenthesis"),
            ("rules:\n- id: a\n  regex: 'b'\n  entrophy: 3", 4, "there is no key 'entrophy' of a rule"),
            ("rules:\n- regex: 'b'", 2, "a rule needs an id"),
            ("- id: a b\n  regex: 'b'", 1, "'a b' is not an id for a rule; use letters, digits, '-', '_' and '.'"),
            ("- {id: a, regex: b}\n- {id: a, regex: c}", 2, "there are two rules 'a'"),
            ("- {id: a, regex: b, secretGroup: 1}", 1, "the regex of a has 0 groups, and secretGroup is 1"),
            ("- {id: a, regex: b, entropy: high}", 1, "entropy: a number is expected"),
            ("- {id: a, regex: b, keywords: x}", 1, "keywords: a list is expected"),
            ("- {id: a, regex: b, lead: 3}", 1, "lead of a needs keywords of two bytes or more"),
            ("- {id: a, regex: b, required: []}", 1, "rules that need other rules (required) are not supported"),
            (
                "- {id: a, regex: b, allowlists: [{regextarget: file, regexes: [a]}]}", 1,
                "'file' is not a target; write secret, match or line"
            ),
            ("extend: {path: a.toml}", 1, "'path' of extend is not supported; useDefault and disabledRules are possible"),
            ("rule: []", 1, "there is no key 'rule'; rules, extend and allowlists are possible"),
            ("rules: [", 2, "this is not YAML: did not find expected node content"),
        ])
    func mistakes(text: String, line: Int?, message: String) {
        let error = #expect(throws: SecretRulesError.self) { try SecretRules(yaml: text) }
        #expect(error?.message == message)
        #expect(error?.line == line)
    }

    @Test(
        "An expression of Go is read as Go does",
        arguments: [
            (#"a\vb"#, #"a\x0Bb"#, "a\u{0B}b", true), (#"[\v]"#, #"[\x0B]"#, "\u{0B}", true), (#"\\v"#, #"\\v"#, #"\v"#, true),
            (#"a{,2}"#, #"a\{,2}"#, "a{,2}", true), (#"[a{,2}]+"#, #"[a{,2}]+"#, "{,", true), (#"a{2,}"#, #"a{2,}"#, "aaa", true),
            (#"[[.]x"#, #"[\[.]x"#, "[x", true), (#"[[=]x"#, #"[\[=]x"#, "=x", true), (#"[^[]x"#, #"[^\[]x"#, "ax", true),
            (#"^[\w-.]+$"#, #"^[\w\-.]+$"#, "a-.b", true), (#"^[[:alpha:]-_]+$"#, #"^[[:alpha:]\-_]+$"#, "a-_", true),
            (#"^[\w-]+$"#, #"^[\w-]+$"#, "a-b", true), (#"\w-a"#, #"\w-a"#, "b-a", true),
            (#"[\s\S-]{2}"#, #"[\s\S-]{2}"#, "-\n", true),
            (#"[]a]+"#, #"[]a]+"#, "]a", true), (#"[^]a]"#, #"[^]a]"#, "]", false),
            (#"[[:alnum:]_]+"#, #"[[:alnum:]_]+"#, "a_1", true), (#"[^[:space:]"]+x"#, #"[^[:space:]"]+x"#, "ax", true),
            (#"(?i)ab(?-i)c"#, #"(?i)ab(?-i)c"#, "ABc", true), (#"a(?i:b)c"#, #"a(?i:b)c"#, "aBc", true),
            (#"(?P<name>a)$"#, #"(?P<name>a)$"#, "a\n", false), (#"a\z"#, #"a\z"#, "ba", true),
            (#"\Qa.b\E"#, #"\Qa.b\E"#, "a.b", true),
            (#"\p{Greek}"#, #"\p{Greek}"#, "λ", true), (#"\x{3bb}"#, #"\x{3bb}"#, "λ", true), (#"\x41"#, #"\x41"#, "A", true),
            (#"(?U)a+"#, #"(?U)a+"#, "aa", true), (#"a\_b\/c"#, #"a\_b\/c"#, "a_b/c", true),
        ])
    func go(expression: String, translated: String, text: String, matches: Bool) throws {
        #expect(translatedFromGo(expression) == translated)
        let compiled = try SecretExpression(translatedFromGo(expression))
        #expect(try ExpressionMatcher(groups: 1).match(compiled, in: Array(text.utf8).span) == matches)
    }

    @Test("An expression that takes too many steps is an error that names its rule, not silence")
    func tooManySteps() throws {
        let rules = try SecretRules(yaml: "[{id: slow, regex: '(a+)+$'}]")
        let text = ByteBuffer(string: String(repeating: "a", count: 60) + "b")
        #expect(throws: SecretScanError(rule: "slow")) { try SecretScanner(rules).scan(text) }
    }
}
