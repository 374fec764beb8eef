// Finds secrets: one pass for the keywords of all rules decides which expressions are matched, and where; then the same in the parts of the
// text that are in a code.

import NIOCore

/// A secret in a text.
package struct SecretFinding: Sendable, Equatable {
    /// The name of the rule.
    package var rule: String
    /// Where it is in the text, in bytes from the reader index: all that has to be masked. A secret that is in a code has the range of the
    /// coded text.
    package var range: Range<Int>
    /// Bits for each byte of the secret.
    package var entropy: Double
    /// Without codes.
    package var secret: ByteBuffer
    /// The kind of the secret and its length, without a byte of it that is not the same in all of its kind: `ghp_…(36)`.
    package var preview: String

    package init(rule: String, range: Range<Int>, entropy: Double, secret: ByteBuffer, preview: String) {
        (self.rule, self.range, self.entropy, self.secret, self.preview) = (rule, range, entropy, secret, preview)
    }
}

/// A text could not be searched: it may have secrets.
package struct SecretScanError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The rule whose expression takes too many steps.
    package var rule: String

    package var description: String { "the expression of the rule '\(rule)' takes too many steps on a text; make it simpler" }
}

/// Searches texts for secrets. May be used by several threads.
///
/// A text is searched as bytes. A header section is searched as a whole, with the names of its fields: a rule may need them. Of a message
/// body the content codings (gzip, …) are removed before.
package final class SecretScanner: Sendable {
    /// Codes within codes: a JSON string with a URL with percent-encoded Base64.
    private static let maximumDepth = 3
    /// Bytes that are decoded for each byte of a text, and for short texts.
    private static let (decodedShare, minimumDecoded) = (4, 64 * 1024)

    private let rules: [SecretRule]
    private let keywords: KeywordAutomaton?
    /// The rules of each keyword.
    private let rulesOfKeywords: [[Int]]
    /// Rules without keywords.
    private let unconditional: [Int]
    /// The most groups of an expression.
    private let groups: Int

    package init(_ rules: SecretRules) {
        self.rules = rules.rules
        var places: [[UInt8]: Int] = [:]
        var words: [[UInt8]] = []
        var rulesOfKeywords: [[Int]] = []
        for (index, rule) in rules.rules.enumerated() {
            for word in Set(rule.keywords.map { String(decoding: $0, as: UTF8.self).lowercased() }).sorted().map({ Array($0.utf8) })
            {
                if let place = places[word] {
                    rulesOfKeywords[place].append(index)
                } else {
                    places[word] = words.count
                    words.append(word)
                    rulesOfKeywords.append([index])
                }
            }
        }
        keywords = words.isEmpty ? nil : KeywordAutomaton(words)
        self.rulesOfKeywords = rulesOfKeywords
        unconditional = rules.rules.indices.filter { rules.rules[$0].keywords.isEmpty }
        groups = rules.rules.map(\.expression.groups).max() ?? 0
    }

    /// The beginning of what redaction writes in place of a secret, also in a URL and in JSON of ASCII.
    private static let redacted = KeywordAutomaton(["«redacted", "%C2%ABredacted", "\\u00abredacted"].map { Array($0.utf8) })

    /// For our own list of rules.
    package static let builtIn = SecretScanner(.builtIn)

    /// Finds all secrets.
    /// - Returns: in the order of their places, which do not overlap. What several rules found is one finding, named by the first of the rules
    ///   in their list.
    /// - Throws: when the text could not be searched whole.
    package func scan(_ bytes: ByteBuffer) throws(SecretScanError) -> [SecretFinding] {
        Self.resolved(try candidates(in: bytes, stopsAtFirst: false)).map { found in
            let secret = found.secret
            return SecretFinding(
                rule: rules[found.rule].id, range: found.range, entropy: entropy(of: secret.readableBytesUInt8Span), secret: secret,
                preview: Self.preview(of: secret, rules[found.rule]))
        }
    }

    /// Whether there is a secret.
    /// - Throws: when the text could not be searched whole.
    package func finds(in bytes: ByteBuffer) throws(SecretScanError) -> Bool {
        try !candidates(in: bytes, stopsAtFirst: true).isEmpty
    }

    private func candidates(in bytes: ByteBuffer, stopsAtFirst: Bool) throws(SecretScanError) -> [Candidate] {
        do {
            let budget = max(Self.minimumDecoded, Self.decodedShare * bytes.readableBytes)
            var scan = TextScan(self, stopsAtFirst: stopsAtFirst, budget: budget)
            return try scan.run(bytes.readableBytesUInt8Span, depth: 0)
        } catch let error as SecretScanError {
            throw error
        } catch {
            preconditionFailure("a scan threw \(error)")
        }
    }

    /// The beginning that all secrets of the rule can have, if it is one of its keywords, then the number of bytes after it.
    private static func preview(of secret: ByteBuffer, _ rule: SecretRule) -> String {
        let bytes = secret.readableBytesView
        let longest =
            rule.keywords.filter { word in
                // A short rest would be easy to guess.
                word.count + 16 <= bytes.count && zip(bytes, word).allSatisfy { $0 == $1 || $0 | 0x20 == $1 && $1 &- 0x61 < 26 }
            }.map(\.count).max() ?? 0
        return String(decoding: bytes.prefix(longest), as: UTF8.self) + "…(\(bytes.count - longest))"
    }

    // MARK: Overlaps

    fileprivate struct Candidate {
        /// The index of the rule.
        var rule: Int
        var range: Range<Int>
        var secret: ByteBuffer
    }

    /// Joins those that overlap, so that everything that a rule found is within a range.
    private static func resolved(_ candidates: [Candidate]) -> [Candidate] {
        var joined: [Candidate] = []
        for next in candidates.sorted(by: { ($0.range.lowerBound, $0.rule) < ($1.range.lowerBound, $1.rule) }) {
            guard let last = joined.last, next.range.lowerBound < last.range.upperBound else {
                joined.append(next)
                continue
            }
            let range = last.range.lowerBound..<max(last.range.upperBound, next.range.upperBound)
            joined[joined.count - 1] = next.rule < last.rule ? next : last
            joined[joined.count - 1].range = range
        }
        return joined
    }

    // MARK: One text

    /// The state of one scan.
    private struct TextScan {
        private let scanner: SecretScanner
        private let stopsAtFirst: Bool
        /// Bytes that may still be decoded. Without it a text could be made of which each level is as large as the text.
        private var budget: Int
        /// nil until an expression is matched.
        private var matcher: ExpressionMatcher?
        private var found: [Candidate] = []
        /// The end of the last match of each rule; empty until there is one.
        private var ends: [Int] = []

        init(_ scanner: SecretScanner, stopsAtFirst: Bool, budget: Int) {
            (self.scanner, self.stopsAtFirst, self.budget) = (scanner, stopsAtFirst, budget)
        }

        private var isDone: Bool { stopsAtFirst && !found.isEmpty }

        /// - Returns: the secrets of the text, and those of its parts that are in a code.
        mutating func run(_ text: Span<UInt8>, depth: Int) throws -> [Candidate] {
            let outer = found
            found = []
            ends.removeAll(keepingCapacity: true)
            try searchPlain(text)
            var all = found
            if depth < SecretScanner.maximumDepth, !isDone {
                try EncodedText.forEachPart(of: text) { part in
                    guard part.range.count <= budget else { return true }
                    budget -= part.range.count
                    let inner = try run(part.decoded(in: text).span, depth: depth + 1)
                    let places = part.places(of: inner.map(\.range), in: text)
                    all += zip(inner, places).map { Candidate(rule: $0.rule, range: $1, secret: $0.secret) }
                    return !stopsAtFirst || all.isEmpty
                }
            }
            found = outer
            return all
        }

        private mutating func searchPlain(_ text: Span<UInt8>) throws {
            for rule in scanner.unconditional where !isDone { try search(rule, text) }
            guard let keywords = scanner.keywords, !isDone else { return }
            /// Rules without a lead whose keyword was found.
            var reached: [Int] = []
            try keywords.forEachHit(in: text) { hit, end in
                for rule in scanner.rulesOfKeywords[hit.keyword] {
                    if let lead = scanner.rules[rule].lead {
                        try searchPlace(rule, text, keyword: end - hit.length, lead: lead)
                    } else if !reached.contains(rule) {
                        reached.append(rule)
                    }
                }
                return !isDone
            }
            for rule in reached where !isDone { try search(rule, text) }
        }

        /// Searches the whole text for a rule.
        private mutating func search(_ rule: Int, _ text: Span<UInt8>) throws {
            var start = 0
            while start <= text.count, let match = try match(rule, text, from: start, beginningBy: nil), !isDone {
                start = match.isEmpty ? match.upperBound + 1 : match.upperBound
            }
        }

        /// Matches a rule at a keyword, and before it as far as its lead allows.
        private mutating func searchPlace(_ rule: Int, _ text: Span<UInt8>, keyword: Int, lead: Int) throws {
            if ends.isEmpty { ends = Array(repeating: 0, count: scanner.rules.count) }
            let start = max(keyword - lead, ends[rule])
            guard start <= keyword, let match = try match(rule, text, from: start, beginningBy: keyword) else { return }
            ends[rule] = match.upperBound
        }

        /// Finds the next match, and notes its secret unless an allowlist or the entropy excludes it.
        /// - Returns: the place of the match.
        private mutating func match(
            _ index: Int, _ text: Span<UInt8>, from start: Int, beginningBy last: Int?
        ) throws -> Range<Int>? {
            let rule = scanner.rules[index]
            let matcher = matcher ?? ExpressionMatcher(groups: scanner.groups)
            self.matcher = matcher
            do throws(TooManySteps) {
                guard try matcher.match(rule.expression, in: text, from: start, beginningBy: last),
                    let match = matcher.range(of: 0)
                else { return nil }
                let secret = Self.secret(of: rule, match, matcher)
                let bytes = text.extracting(secret)
                if secret.isEmpty || SecretScanner.redacted.isFound(in: bytes) { return match }
                if let bound = rule.entropy, entropy(of: bytes) <= bound { return match }
                for allowlist in rule.allowlists where try allowlist.allows(secret, match: match, in: text, matcher) {
                    return match
                }
                found.append(Candidate(rule: index, range: secret, secret: Self.copy(bytes)))
                return match
            } catch {
                throw SecretScanError(rule: rule.id)
            }
        }

        private static func copy(_ bytes: Span<UInt8>) -> ByteBuffer {
            unsafe bytes.withUnsafeBytes { unsafe ByteBuffer(bytes: $0) }
        }

        private static func secret(of rule: SecretRule, _ match: Range<Int>, _ matcher: ExpressionMatcher) -> Range<Int> {
            if let group = rule.secretGroup { return matcher.range(of: group) ?? match }
            guard rule.expression.groups > 0 else { return match }
            for group in 1...rule.expression.groups {
                if let range = matcher.range(of: group), !range.isEmpty { return range }
            }
            return match
        }
    }
}
