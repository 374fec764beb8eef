import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Secrets

private func scan(_ text: String) throws -> [SecretFinding] { try SecretScanner.builtIn.scan(ByteBuffer(string: text)) }

extension String {
    fileprivate var base64: String { Data(utf8).base64EncodedString() }
    fileprivate var hex: String { utf8.map { String(format: "%02x", $0) }.joined() }
    fileprivate var percent: String { utf8.map { String(format: "%%%02X", $0) }.joined() }
}

@Suite("Scanner")
struct ScannerTests {
    private var examples = ExampleText(seed: 5)

    @Test("A finding has the rule, the place, the entropy and a preview without the secret")
    mutating func finding() throws {
        let token = examples.expanded("ghp_<36 alnum>")
        let found = try scan("{\"a\": \"\(token)\"}")
        #expect(
            found == [
                SecretFinding(
                    rule: "github-token", range: 7..<47, entropy: entropy(of: Array(token.utf8).span),
                    secret: ByteBuffer(string: token), preview: "ghp_…(36)")
            ])
        #expect(abs(entropy(of: Array("aabb".utf8).span) - 1) < 1e-9)
    }

    @Test("A preview has a keyword's bytes only if much follows them")
    func preview() throws {
        #expect(try scan("authorization: Basic dXNlcjpwYXNz").map(\.preview) == ["…(12)"])
        #expect(try scan("redis://:akia-1@cache").map(\.preview) == ["…(6)"])
        let rules = try SecretRules(yaml: "[{id: own, regex: 'pass:(\\w+)', keywords: [hunter]}]")
        let own = try SecretScanner(rules).scan(ByteBuffer(string: "pass:hunter2 pass:hunter0123456789abcdef"))
        #expect(own.map(\.preview) == ["…(7)", "hunter…(16)"])
    }

    @Test("A secret in a code has the place of the coded text")
    mutating func codes() throws {
        let token = examples.expanded("ghp_<36 alnum>")
        for (code, coded) in [
            ("percent", "a=\(token.percent)"), ("hex", "a: \(token.hex)"), ("json", "a \\u0067hp_\(token.dropFirst(4))"),
        ] {
            let text = "{\"x\": 1, \"t\": \"\(coded)\", \"y\": 2}"
            let found = try scan(text)
            #expect(found.map(\.secret) == [ByteBuffer(string: token)], "\(code)")
            let start =
                text.utf8.count - "\", \"y\": 2}".utf8.count - (coded.utf8.count - (code == "percent" ? 2 : code == "hex" ? 3 : 2))
            #expect(found.map(\.range) == [start..<text.utf8.count - "\", \"y\": 2}".utf8.count], "\(code)")
        }
        // Base64 has groups of four characters for three bytes.
        let inner = "xy\(token)z, and more"
        let text = "t=\(inner.replacing("xy", with: "x ").base64)"
        #expect(try scan(text).map(\.range) == [2..<2 + 56 + 4])
    }

    @Test("A secret is found in codes within codes")
    mutating func nested() throws {
        let token = examples.expanded("ghp_<36 alnum>")
        for text in [
            "{\"id\":\"\("{\"k\":\"\(token)\"}".base64)\"}",
            "data=\("{\"k\":\"\(token)\"}".base64.percent)",
            "\"{\\\"k\\\": \\\"\("key \(token) end".base64)\\\"}\"",
            "u=\("https://a/?t=\(token.percent)".percent)",
            "x=\("user \(token.hex)".base64)",
        ] {
            let found = try scan(text)
            #expect(found.map(\.secret) == [ByteBuffer(string: token)], "\(text)")
            let bytes = Array(text.utf8)
            #expect(found.allSatisfy { $0.range.lowerBound > 0 && $0.range.upperBound <= bytes.count && !$0.range.isEmpty })
        }
    }

    @Test("Ranges do not overlap and cover what each rule finds; the rule that is first in the list names them")
    mutating func overlaps() throws {
        let token = examples.expanded("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx<40 url>.<43 url>")
        let found = try scan("authorization: Bearer \(token)~more\r\n")
        #expect(found.map(\.rule) == ["jwt"])
        #expect(found.map(\.range) == [22..<22 + token.utf8.count + 5])
        let other = examples.expanded("https://x:ghp_<36 alnum>@github.com/a")
        #expect(try scan(other).map(\.rule) == ["github-token"])
        #expect(try SecretScanner(SecretRules.builtIn.named("url-password")!).scan(ByteBuffer(string: other)).count == 1)
    }

    @Test("Content that is not text is searched too")
    mutating func binary() throws {
        let token = examples.expanded("xoxb-<12 digits>-<13 digits>-<24 alnum>")
        var bytes = ByteBuffer(bytes: (1...1000).map { UInt8(truncatingIfNeeded: $0 &* 32) })
        bytes.writeString(token)
        bytes.writeBytes((0..<1000).map { UInt8(truncatingIfNeeded: 0xFF &- $0 &* 91) })
        let found = try SecretScanner.builtIn.scan(bytes)
        #expect(found.map(\.rule) == ["slack-token"] && found[0].range.lowerBound == 1000)
    }

    @Test("Ranges are counted from the reader index")
    mutating func readerIndex() throws {
        var bytes = ByteBuffer(string: "abc " + examples.expanded("ghp_<36 alnum>"))
        bytes.moveReaderIndex(forwardBy: 3)
        #expect(try SecretScanner.builtIn.scan(bytes).map(\.range) == [1..<41])
        #expect(try SecretScanner.builtIn.finds(in: bytes))
        #expect(try !SecretScanner.builtIn.finds(in: ByteBuffer(string: "abc")))
        #expect(try SecretScanner.builtIn.scan(ByteBuffer()) == [])
    }

    @Test(
        "Hostile content takes time in proportion to its size",
        arguments: [
            "://", "://a:bbb", "authorization", "authorization: Basic ", "eyJhbGciOi.", "eyJhbGciOi.eyJhbGciOi",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "sk-proj-", "server=a;", "user=", "jdbc:a:", "%41",
            "a%41",
            "\\u0041", "\\\\", "\"\\", "YWFhYWFh", "61", "xoxb-1", "glpat-a", "ghs_1", "-us1", "q~", "azdo", "heroku", "bot ",
            "discord=",
            "access_token", "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ", "JTQx", "25",
        ])
    func hostile(part: String) throws {
        // A time for each size would depend on the machine. Work that grows with the square of the size would take minutes.
        let text = ByteBuffer(string: String(repeating: part, count: 300_000 / part.utf8.count))
        let start = ContinuousClock.now
        _ = try SecretScanner.builtIn.scan(text)
        #expect(ContinuousClock.now - start < .seconds(30))
    }
}

@Suite("Keywords")
struct KeywordTests {
    @Test("Every keyword is found at each of its places, in any case")
    func places() {
        var random = SeededGenerator(seed: 6)
        for _ in 0..<200 {
            let letters = Array("abAB_".utf8)
            func word(_ count: ClosedRange<Int>) -> [UInt8] {
                (0..<Int.random(in: count, using: &random)).map { _ in letters.randomElement(using: &random)! }
            }
            let keywords = (0..<Int.random(in: 1...8, using: &random)).map { _ in word(2...5) }
            let text = word(0...60)
            func lowered(_ bytes: some Sequence<UInt8>) -> [UInt8] {
                Array(String(decoding: Array(bytes), as: UTF8.self).lowercased().utf8)
            }
            var expected: [[Int]] = []
            for end in 0...text.count {
                for (index, keyword) in keywords.enumerated()
                where end >= keyword.count && lowered(text[(end - keyword.count)..<end]) == lowered(keyword) {
                    expected.append([end, index])
                }
            }
            var found: [[Int]] = []
            KeywordAutomaton(keywords).forEachHit(in: text.span) { hit, end in
                #expect(hit.length == keywords[hit.keyword].count)
                found.append([end, hit.keyword])
                return true
            }
            #expect(found.sorted { $0.lexicographicallyPrecedes($1) } == expected.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }
}
