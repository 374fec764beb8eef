import NIOCore
import TestSupport
import Testing
import Yams

@testable import Secrets

/// The examples of our own rules.
private struct RuleExamples: Decodable {
    struct Rule: Decodable, CustomTestStringConvertible {
        var id: String
        var regex: String
        var keywords: [String]
        var hits: [String]
        var misses: [String]
        var testDescription: String { id }
    }
    var rules: [Rule]

    static let all = try! YAMLDecoder().decode(RuleExamples.self, from: SecretRules.builtInText).rules
}

@Suite("Rules")
struct RuleTests {
    @Test("A rule finds its examples, and not what only resembles them", arguments: RuleExamples.all)
    fileprivate func examples(rule: RuleExamples.Rule) throws {
        let scanner = SecretScanner(try #require(SecretRules.builtIn.named(rule.id)))
        var examples = ExampleText(seed: 1)
        #expect(!rule.hits.isEmpty && !rule.misses.isEmpty)
        for _ in 0..<20 {
            for hit in rule.hits.map({ examples.expanded($0) }) {
                for text in [hit, "\(hit)\n", " \(hit) ", "(\(hit))", "x\r\n\(hit)\r\n"] {
                    #expect(try scanner.scan(ByteBuffer(string: text)).map(\.rule) == [rule.id], "\(text)")
                }
            }
            for miss in rule.misses.map({ examples.expanded($0) }) {
                #expect(try scanner.scan(ByteBuffer(string: miss)).map(\.rule) == [], "\(miss)")
            }
        }
    }

    @Test("A keyword with its lead finds what the expression finds everywhere", arguments: RuleExamples.all)
    fileprivate mutating func places(rule: RuleExamples.Rule) throws {
        var examples = ExampleText(seed: 2)
        let known = try #require(SecretRules.builtIn.named(rule.id)).rules[0]
        let searched = SecretRule(
            id: known.id, description: "", expression: try SecretExpression(rule.regex), secretGroup: known.secretGroup,
            entropy: known.entropy, keywords: [], lead: nil, allowlists: known.allowlists)
        let (placed, everywhere) = (SecretScanner(SecretRules([known])), SecretScanner(SecretRules([searched])))
        for _ in 0..<10 {
            let parts = (rule.hits + rule.misses + rule.hits).map { examples.expanded($0) }.shuffled(using: &random)
            let text = ByteBuffer(string: parts.joined(separator: " ; "))
            #expect(try placed.scan(text).map(\.range) == everywhere.scan(text).map(\.range))
        }
    }
    private var random = SeededGenerator(seed: 3)

    @Test("All rules together find every example, whatever stands before it")
    func together() throws {
        var examples = ExampleText(seed: 4)
        for rule in RuleExamples.all {
            for hit in rule.hits.map({ examples.expanded($0) }) {
                let found = try SecretScanner.builtIn.scan(ByteBuffer(string: "{\"a\":1}\n\(hit)\n"))
                #expect(!found.isEmpty, "\(hit)")
            }
        }
    }

    @Test("Rules have distinct names and keywords that are in lower case")
    func names() {
        #expect(Set(SecretRules.builtIn.names).count == SecretRules.builtIn.names.count)
        for rule in RuleExamples.all {
            #expect(!rule.keywords.isEmpty && rule.keywords.allSatisfy { $0 == $0.lowercased() }, "\(rule.id)")
        }
    }

    @Test("A name is that of one rule, or with a star those of several")
    func naming() {
        #expect(SecretRules.builtIn.named("jwt")?.names == ["jwt"])
        #expect(SecretRules.builtIn.named("aws-*")?.names == ["aws-access-key-id", "aws-secret-access-key", "aws-session-token"])
        #expect(SecretRules.builtIn.named("aws") == nil)
        #expect(SecretRules.builtIn.named(anyOf: ["jwt", "aws-access*", "none"]).names == ["aws-access-key-id", "jwt"])
    }
}
