// I-Regexp (RFC 9485), the regular expressions of JSONPath's match and search: checked against the grammar of the RFC, then translated
// for PCRE2 as its section 5.4 describes.

private import CPCRE2
import NIOCore

/// A compiled expression. Compiled code is read-only, so several threads may use it; each match has its own match data.
// SAFETY: `code` and `context` are never written after init, and each match uses match data of its own.
@safe final class IRegexp: @unchecked Sendable {
    /// Backtracking steps of a match. One that takes more is matched by the slower algorithm that takes a bounded number of steps for
    /// each character.
    private static let matchLimit: UInt32 = 1_000_000
    /// Integers for that algorithm's states.
    private static let workspace = 1 << 16

    private let code: OpaquePointer
    private let context: OpaquePointer

    /// - Parameters:
    ///   - isWhole: it must match the whole text (`match`) instead of a part of it (`search`).
    ///   - isReused: it will be matched often enough to compile it to machine code.
    /// - Returns: nil if the text is not an I-Regexp.
    init?(_ text: JSONString, isWhole: Bool, isReused: Bool) {
        guard var pattern = IRegexpTranslation.translate(text, isWhole: isWhole) else { return nil }
        var errorCode: Int32 = 0
        var errorOffset = 0
        guard
            let code = unsafe pcre2_compile_8(
                &pattern, pattern.count, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &errorCode, &errorOffset, nil)
        else { return nil }
        if isReused { unsafe pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE) }
        let context = unsafe pcre2_match_context_create_8(nil)!
        unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
        unsafe self.code = unsafe code
        unsafe self.context = unsafe context
    }

    deinit {
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_code_free_8(code)
    }

    /// Whether the expression matches. It does not match text with half of a surrogate pair.
    func matches(_ text: JSONString) -> Bool {
        let data = unsafe pcre2_match_data_create_8(1, nil)!
        defer { unsafe pcre2_match_data_free_8(data) }
        let result = unsafe text.bytes.withUnsafeReadableBytes { source in
            // An empty buffer has no address, and PCRE2 requires one.
            let base = unsafe source.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe withUnsafePointer(to: UInt8(0)) { nothing in
                let subject = unsafe base ?? nothing
                let result = unsafe pcre2_match_8(code, subject, source.count, 0, 0, data, context)
                guard result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT || result == PCRE2_ERROR_HEAPLIMIT
                else { return result }
                var states = [Int32](repeating: 0, count: Self.workspace)
                return unsafe pcre2_dfa_match_8(code, subject, source.count, 0, 0, data, nil, &states, states.count)
            }
        }
        // 0: a match, with no room for its position.
        return result >= 0
    }
}

/// Checks and translates in one pass.
private struct IRegexpTranslation {
    private let text: [Unicode.Scalar]
    private var position = 0
    private var out = String.UnicodeScalarView()

    /// - Returns: a pattern for PCRE2 in UTF-8; nil if the text is not an I-Regexp.
    static func translate(_ text: JSONString, isWhole: Bool) -> [UInt8]? {
        guard let valid = String(validating: text.bytes.readableBytesView, as: UTF8.self) else { return nil }
        var translation = IRegexpTranslation(text: Array(valid.unicodeScalars))
        guard translation.run() else { return nil }
        let pattern = String(translation.out)
        return Array((isWhole ? "\\A(?:\(pattern))\\z" : pattern).utf8)
    }

    private init(text: [Unicode.Scalar]) { self.text = text }

    private var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

    private mutating func copy() {
        out.append(text[position])
        position += 1
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        copy()
        return true
    }

    /// `i-regexp`, with a counter instead of recursion: PCRE2 has a limit of its own for nested parentheses.
    private mutating func run() -> Bool {
        var depth = 0
        /// Whether a quantifier can be next.
        var hasAtom = false
        while let scalar = next {
            switch scalar {
            case "(":
                position += 1
                out.append(contentsOf: "(?:".unicodeScalars)
                depth += 1
                hasAtom = false
            case ")":
                guard depth > 0 else { return false }
                copy()
                depth -= 1
                hasAtom = true
            case "|":
                copy()
                hasAtom = false
            case "*", "+", "?", "{":
                guard hasAtom else { return false }
                if scalar == "{" {
                    guard range() else { return false }
                } else {
                    copy()
                }
                hasAtom = false
            case ".":
                position += 1
                out.append(contentsOf: "[^\\n\\r]".unicodeScalars)
                hasAtom = true
            case "\\":
                guard escape(allowsCategory: true) else { return false }
                hasAtom = true
            case "[":
                guard characterClass() else { return false }
                hasAtom = true
            case "]", "}":
                return false
            default:
                copy()
                hasAtom = true
            }
        }
        return depth == 0
    }

    /// `{2}`, `{2,}`, `{2,3}`.
    private mutating func range() -> Bool {
        copy()
        guard digits() else { return false }
        if take(",") { _ = digits() }
        return take("}")
    }

    private mutating func digits() -> Bool {
        let start = position
        while let scalar = next, ("0"..."9").contains(scalar) { copy() }
        return position > start
    }

    /// `SingleCharEsc`, `catEsc`, `complEsc`.
    private mutating func escape(allowsCategory: Bool) -> Bool {
        copy()
        guard let scalar = next else { return false }
        if "()*+-.?[\\]^nrt{|}".unicodeScalars.contains(scalar) {
            copy()
            return true
        }
        guard allowsCategory, scalar == "p" || scalar == "P" else { return false }
        copy()
        guard take("{"), let group = next, let minor = Self.categories[group] else { return false }
        copy()
        if let scalar = next, minor.unicodeScalars.contains(scalar) { copy() }
        return take("}")
    }

    /// The second letters of each general category.
    private static let categories: [Unicode.Scalar: String] = [
        "L": "lmotu", "M": "cen", "N": "dlo", "P": "cdefios", "Z": "lps", "S": "ckmo", "C": "cfno",
    ]

    /// `charClassExpr`.
    private mutating func characterClass() -> Bool {
        copy()
        _ = take("^")
        let start = position
        if next == "-" { hyphen() }
        while let scalar = next, scalar != "]" {
            if scalar == "-" {
                // Only the last one stands for itself.
                hyphen()
                return take("]")
            }
            if scalar == "\\", position + 1 < text.count, text[position + 1] == "p" || text[position + 1] == "P" {
                guard escape(allowsCategory: true) else { return false }
                continue
            }
            guard character() else { return false }
            if next == "-", position + 1 < text.count, text[position + 1] != "]" {
                copy()
                guard character() else { return false }
            }
        }
        return position > start && take("]")
    }

    private mutating func hyphen() {
        out.append(contentsOf: "\\-".unicodeScalars)
        position += 1
    }

    /// `CCchar`.
    private mutating func character() -> Bool {
        guard let scalar = next, scalar != "[", scalar != "]", scalar != "-" else { return false }
        if scalar == "\\" { return escape(allowsCategory: false) }
        copy()
        return true
    }
}
