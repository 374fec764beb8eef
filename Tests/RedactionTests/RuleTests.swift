// Rules as text: what is read, what is refused.

import Testing

@testable import Redaction

@Suite("Rules of redaction")
struct RuleTests {
    @Test(
        "A rule has a canonical text that is read as the same rule",
        arguments: [
            ("header:X-Session", "header:x-session"), ("header:authorization=hash", "header:authorization=hash"),
            ("cookie:*", "cookie:*"), ("cookie:sid=drop", "cookie:sid=drop"), ("query:access_token=mask", "query:access_token"),
            ("form:user[pass]", "form:user[pass]"), ("json:$..password=hash", "json:$..password=hash"),
            (#"json:$[?@.kind=="hash"].v"#, #"json:$[?@.kind=="hash"].v"#), ("json:$.a=drop", "json:$.a=drop"),
            ("pattern:tok.en=hash", "pattern:tok.en=hash"), ("pattern:tok.en=hash=mask", "pattern:tok.en=hash=mask"),
            ("pattern:key=[a-z]+", "pattern:key=[a-z]+"), ("body", "body"), ("body=drop", "body=drop"),
            ("body:~t image", #"body:~t "image""#),
            ("body:~d example.com & ~m POST=hash", #"body:(~m "POST" & ~d "example.com")=hash"#),
            ("secrets", "secrets"), ("default=hash", "default=hash"), ("share", "share"),
        ])
    func canonical(text: String, canonical: String) throws {
        let rules = try redactor([text]).rules
        #expect(rules.canonical == [canonical])
        #expect(try redactor(rules.canonical).rules.canonical == [canonical])
    }

    @Test("A pattern whose text ends like a method is read with that method, unless one follows it")
    func methodOfPattern() throws {
        #expect(try redactor(["pattern:token=hash"]).rules.rules.map(\.method) == [.hash])
        #expect(try redactor(["pattern:token=hash=mask"]).rules.rules.map(\.method) == [.mask])
        #expect(
            try redactor(["pattern:token=hash=mask"]).requestHead("GET /token=hash HTTP/1.1\r\n\r\n").contains("token") == false)
    }

    @Test(
        "An error names the rule, what is wrong and what to do",
        arguments: [
            ("heder:x", "the redaction rule 'heder:x' is not valid: 'heder' is not known, did you mean header:NAME?"),
            (
                "xyzzy",
                """
                the redaction rule 'xyzzy' is not valid: begin it with one of header:NAME, cookie:NAME, query:NAME, form:NAME, json:PATH, \
                body, pattern:REGEX, secrets, default, share
                """
            ),
            ("header", "the redaction rule 'header' is not valid: give the name of a field, such as header:x-session"),
            ("header:", "the redaction rule 'header:' is not valid: give the name of a field, such as header:x-session"),
            ("header:a b", "the redaction rule 'header:a b' is not valid: 'a b' is not the name of a field"),
            (
                "header:x=hide",
                "the redaction rule 'header:x=hide' is not valid: 'hide' is no way to hide a value, use mask, hash or drop"
            ),
            ("json:a.b", "the redaction rule 'json:a.b' is not valid: in the JSON path, "),
            (
                "pattern:(",
                "the redaction rule 'pattern:(' is not valid: in the regular expression, missing closing parenthesis at character 2"
            ),
            (
                "body:~b x",
                "the redaction rule 'body:~b x' is not valid: '~b \"x\"' is known too late to decide what is stored, use terms that the heads answer"
            ),
            ("body:~nix", "the redaction rule 'body:~nix' is not valid: in the expression '~nix', "),
            ("secrets:x", "the redaction rule 'secrets:x' is not valid: 'secrets' takes nothing after a colon"),
            ("", "the redaction rule '' is not valid: begin it with one of header:NAME"),
        ])
    func errors(text: String, message: String) {
        do {
            _ = try redactor([text])
            Issue.record("\(text) was read")
        } catch {
            let description = String(describing: error)
            #expect(description.hasPrefix(message), "\(description)")
            #expect(!description.contains("\n"))
        }
    }

    @Test("A later rule precedes an earlier one, and every rule precedes a set")
    func order() throws {
        let head = "GET / HTTP/1.1\r\nAuthorization: Bearer x\r\n\r\n"
        #expect(try redactor(["header:authorization=drop", "default"]).requestHead(head) == "GET / HTTP/1.1\r\n\r\n")
        #expect(
            try redactor(["header:authorization=drop", "header:Authorization=hash"]).requestHead(head)
                == "GET / HTTP/1.1\r\nAuthorization: Bearer \(hash("x"))\r\n\r\n")
    }

    @Test("The text of a rule is not stored if it has what a pattern hides")
    func textsOfRules() throws {
        let rules = try redactor([
            "pattern:hunter2", "pattern:hunter[0-9]x", "body:~u hunter2", "body:~u other", "json:$[?@.p=='hunter2'].q",
            "json:$..hunter2",
        ]).rules
        let stored = [
            "pattern:«redacted»", "pattern:hunter[0-9]x", "body:!(~all)", #"body:~u "other""#, "json:$['«redacted»']",
            "json:$..hunter2",
        ]
        #expect(rules.canonical == stored)
        #expect(rules.rules.map(\.text) == stored)
        let again = try redactor(stored).rules.canonical
        #expect(again == stored)
        #expect(try redactor(["pattern:hunter2"]).body("hunter2", type: nil) == "«redacted»")
    }

    @Test("Rules that hash need a key")
    func needsKey() throws {
        #expect(try redactor(["default=hash"]).rules.needsKey)
        #expect(try !redactor(["default", "body=drop"]).rules.needsKey)
    }
}
