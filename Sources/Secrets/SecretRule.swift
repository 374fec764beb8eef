// A rule: how one kind of secret is found.

import Glibc

/// A kind of secret.
struct SecretRule: Sendable {
    let id: String
    let description: String
    let expression: SecretExpression
    /// The group of the expression that is the secret; nil: the first that takes part, or the whole match without groups.
    let secretGroup: Int?
    /// A secret has more bits of entropy for each byte.
    let entropy: Double?
    /// Texts of which one is in all content with such a secret, in any case; empty when there are none, so all content is searched.
    let keywords: [[UInt8]]
    /// The most bytes by which a match can begin before a keyword; nil: a match and a keyword may be anywhere.
    let lead: Int?
    private(set) var allowlists: [SecretAllowlist]

    func adding(_ allowlists: [SecretAllowlist]) -> SecretRule {
        var rule = self
        rule.allowlists += allowlists
        return rule
    }
}

/// What is not a secret although an expression matches it.
struct SecretAllowlist: Sendable {
    /// The text that the expressions are searched in.
    enum Target: String, Sendable, CaseIterable {
        case secret
        case match
        /// The lines of the match.
        case line
    }

    let expressions: [SecretExpression]
    let target: Target
    /// Words of which a secret contains one, in any case.
    let stopwords: KeywordAutomaton?
    /// Both an expression and a stopword are needed; otherwise one of them is enough.
    let needsBoth: Bool

    /// - Parameters:
    ///   - secret: the place of it in the bytes, as is that of the match.
    func allows(
        _ secret: Range<Int>, match: Range<Int>, in bytes: Span<UInt8>, _ matcher: ExpressionMatcher
    ) throws(TooManySteps) -> Bool {
        var isStopword: Bool?
        if let stopwords { isStopword = stopwords.isFound(in: bytes.extracting(secret)) }
        if isStopword == true, !needsBoth { return true }
        guard !expressions.isEmpty else { return isStopword == true }
        if needsBoth, isStopword == false { return false }
        let searched =
            switch target {
            case .secret: secret
            case .match: match
            case .line: Self.line(of: match, in: bytes)
            }
        let text = bytes.extracting(searched)
        for expression in expressions where try matcher.match(expression, in: text) { return true }
        return false
    }

    /// A line of minified text can be the whole of it.
    private static let maximumLine = 4096

    private static func line(of match: Range<Int>, in bytes: Span<UInt8>) -> Range<Int> {
        var (start, end) = (match.lowerBound, match.upperBound)
        let (first, last) = (max(0, start - maximumLine), min(bytes.count, end + maximumLine))
        while start > first, bytes[start - 1] != 0x0A { start -= 1 }
        while end < last, bytes[end] != 0x0A { end += 1 }
        return start..<end
    }
}

/// Bits of entropy for each byte (Shannon), from 0 to 8.
func entropy(of bytes: Span<UInt8>) -> Double {
    guard bytes.count > 0 else { return 0 }
    var counts = [Int](repeating: 0, count: 256)
    for index in bytes.indices { counts[Int(bytes[index])] += 1 }
    let total = Double(bytes.count)
    return counts.reduce(0) { sum, count in
        guard count > 0 else { return sum }
        let share = Double(count) / total
        return sum - share * log2(share)
    }
}
