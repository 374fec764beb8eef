// Regular expressions by PCRE2 (pcre2api(3), pcre2jit(3)): compiled once, matched over bytes, with limits so that no pattern hangs.

private import CPCRE2
import NIOCore

/// A compiled pattern. Compiled code is read-only, so several threads may use it; each match has its own match data.
// SAFETY: `code` is never written after init, and each match uses match data of its own.
@safe package final class Pattern: @unchecked Sendable {
    /// Limit on backtracking steps per match; a pattern that exceeds it is an error.
    private static let matchLimit: UInt32 = 10_000_000

    private let code: OpaquePointer
    private let context: OpaquePointer
    package let text: String

    /// How a pattern is compiled.
    package struct Options {
        var isCaseSensitive: Bool
        /// `^` and `$` match at lines (Python's MULTILINE).
        var isMultiline: Bool
        /// `.` matches line ends (Python's DOTALL).
        var dotMatchesAll: Bool

        package init(isCaseSensitive: Bool = false, isMultiline: Bool = false, dotMatchesAll: Bool = false) {
            (self.isCaseSensitive, self.isMultiline, self.dotMatchesAll) = (isCaseSensitive, isMultiline, dotMatchesAll)
        }
    }

    /// - Throws: what is not valid, and its position in bytes.
    package init(_ text: String, _ options: Options) throws(PatternError) {
        var flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C
        if !options.isCaseSensitive { flags |= PCRE2_CASELESS }
        if options.isMultiline { flags |= PCRE2_MULTILINE }
        if options.dotMatchesAll { flags |= PCRE2_DOTALL }
        var errorCode: Int32 = 0
        var errorOffset = 0
        var bytes = Array(text.utf8)
        // Field lines end in CRLF, and `$` matches before it.
        let compileContext = unsafe pcre2_compile_context_create_8(nil)
        defer { unsafe pcre2_compile_context_free_8(compileContext) }
        if options.isMultiline { unsafe pcre2_set_newline_8(compileContext, UInt32(PCRE2_NEWLINE_ANYCRLF)) }
        let code = unsafe pcre2_compile_8(&bytes, bytes.count, flags, &errorCode, &errorOffset, compileContext)
        guard let code = unsafe code else {
            var message = [UInt8](repeating: 0, count: 256)
            let length = unsafe pcre2_get_error_message_8(errorCode, &message, message.count)
            throw PatternError(message: String(decoding: message.prefix(max(0, Int(length))), as: UTF8.self), offset: errorOffset)
        }
        unsafe pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        let context = unsafe pcre2_match_context_create_8(nil)!
        unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
        unsafe self.code = unsafe code
        unsafe self.context = unsafe context
        self.text = text
    }

    deinit {
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_code_free_8(code)
    }

    /// Whether the pattern matches somewhere in the bytes.
    /// - Throws: when the match takes more steps than allowed.
    package func matches(_ bytes: ByteBuffer) throws -> Bool {
        let data = unsafe pcre2_match_data_create_8(1, nil)!
        defer { unsafe pcre2_match_data_free_8(data) }
        let result = unsafe bytes.withUnsafeReadableBytes { source in
            // An empty buffer has no address, and PCRE2 requires one.
            let base = unsafe source.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe withUnsafePointer(to: UInt8(0)) { nothing in
                unsafe pcre2_match_8(code, base ?? nothing, source.count, 0, 0, data, context)
            }
        }
        if result >= 0 { return true }
        if result == PCRE2_ERROR_NOMATCH || result == PCRE2_ERROR_PARTIAL { return false }
        throw tooManySteps
    }

    /// Where the pattern matches in the bytes: from left to right, without empty matches.
    /// - Throws: when a match takes more steps than allowed.
    package func ranges(in bytes: ByteBuffer) throws -> [Range<Int>] {
        guard bytes.readableBytes > 0 else { return [] }
        let data = unsafe pcre2_match_data_create_8(1, nil)!
        defer { unsafe pcre2_match_data_free_8(data) }
        var ranges: [Range<Int>] = []
        var offset = 0
        while offset < bytes.readableBytes {
            let result = unsafe bytes.withUnsafeReadableBytes { source in
                let base = unsafe source.baseAddress!.assumingMemoryBound(to: UInt8.self)
                return unsafe pcre2_match_8(code, base, source.count, offset, 0, data, context)
            }
            if result == PCRE2_ERROR_NOMATCH || result == PCRE2_ERROR_PARTIAL { break }
            guard result >= 0 else { throw tooManySteps }
            let places = unsafe pcre2_get_ovector_pointer_8(data)!
            let (start, end) = unsafe (Int(places[0]), Int(places[1]))
            if start < end { ranges.append(start..<end) }
            // An empty match does not move; the next one is searched one byte later.
            offset = max(end, offset) + (end > offset ? 0 : 1)
        }
        return ranges
    }

    private var tooManySteps: FilterEvaluationError {
        FilterEvaluationError(message: "the regular expression '\(text)' takes too many steps on a flow; make it simpler")
    }
}

/// Why a pattern cannot be compiled.
package struct PatternError: Error {
    package var message: String
    /// Bytes from the start of the pattern.
    package var offset: Int
}

/// A filter could not be evaluated on a flow.
package struct FilterEvaluationError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}

/// A regular expression for hosts, on `host:port`.
package struct HostExpression: Sendable {
    private let pattern: Pattern

    /// - Throws: ``HostExpressionError`` in one sentence.
    package init(_ text: String) throws(HostExpressionError) {
        do {
            pattern = try Pattern(text, Pattern.Options())
        } catch {
            throw HostExpressionError(
                description: "'\(text)' is not a regular expression: \(error.message) at character \(error.offset + 1)")
        }
    }

    /// An expression that takes too many steps does not match.
    package func matches(_ host: String) -> Bool { (try? pattern.matches(ByteBuffer(string: host))) ?? false }
}

package struct HostExpressionError: Error, CustomStringConvertible {
    package var description: String
}

/// `name/version` of the library, as it is at run time.
package var pcre2Library: String {
    // The version and its date, pcre2_config(3); the first call reports the length.
    var text = [CChar](repeating: 0, count: max(1, Int(pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), nil))))
    unsafe pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), &text)
    let version = text.prefix { $0 != 0 && $0 != 0x20 }
    return "pcre2/\(String(decoding: version.map { UInt8(bitPattern: $0) }, as: UTF8.self))"
}
