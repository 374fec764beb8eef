// The expressions of rules by PCRE2 (pcre2api(3), pcre2jit(3)): compiled once, matched over bytes, with limits so that none hangs.

private import CPCRE2

/// A compiled expression. Bytes are characters of their own unless the expression has characters beyond ASCII, so any content can be searched.
// SAFETY: `code` is never written after init, and each match uses an ExpressionMatcher of one thread.
@safe final class SecretExpression: @unchecked Sendable {
    fileprivate let code: OpaquePointer
    /// Groups in parentheses, without the whole match.
    let groups: Int

    /// - Parameter isForPlaces: it is tried at few places instead of searched for.
    /// - Throws: what is not valid, and its position in bytes.
    init(_ text: String, isForPlaces: Bool = false) throws(ExpressionError) {
        var flags = PCRE2_DOLLAR_ENDONLY | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C
        // Otherwise each place costs a search for the last character that every match has.
        if isForPlaces { flags |= PCRE2_NO_START_OPTIMIZE }
        if Self.needsUnicode(text) { flags |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF }
        let compileContext = unsafe pcre2_compile_context_create_8(nil)
        defer { unsafe pcre2_compile_context_free_8(compileContext) }
        unsafe pcre2_set_newline_8(compileContext, UInt32(PCRE2_NEWLINE_LF))
        var errorCode: Int32 = 0
        var errorOffset = 0
        var bytes = Array(text.utf8)
        let code = unsafe pcre2_compile_8(&bytes, bytes.count, flags, &errorCode, &errorOffset, compileContext)
        guard let code = unsafe code else {
            var message = [UInt8](repeating: 0, count: 256)
            let length = unsafe pcre2_get_error_message_8(errorCode, &message, message.count)
            throw ExpressionError(
                message: String(decoding: message.prefix(max(0, Int(length))), as: UTF8.self), offset: errorOffset)
        }
        unsafe pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        var groups: UInt32 = 0
        unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_CAPTURECOUNT), &groups)
        unsafe self.code = unsafe code
        self.groups = Int(groups)
    }

    deinit { unsafe pcre2_code_free_8(code) }

    private static func needsUnicode(_ text: String) -> Bool {
        text.utf8.contains { $0 >= 0x80 } || text.contains("\\p") || text.contains("\\P") || text.contains("\\x{")
    }
}

/// Why an expression cannot be compiled.
struct ExpressionError: Error {
    var message: String
    var offset: Int
}

/// A match that takes more steps than allowed.
struct TooManySteps: Error {}

/// What PCRE2 needs to match, for the scan of one text. Used by one thread.
@safe final class ExpressionMatcher {
    /// Limit on backtracking steps per match.
    private static let matchLimit: UInt32 = 10_000_000
    /// Most bytes of the stack of compiled expressions, which is made when one needs more than 32 KiB.
    private static let stackSize = 1024 * 1024

    // SAFETY: the three are not null until deinit, except the stack before it is needed, and PCRE2 keeps none of them.
    private let data: OpaquePointer
    private let context: OpaquePointer
    private var stack: OpaquePointer?

    /// - Parameter groups: the most of an expression.
    init(groups: Int) {
        unsafe data = unsafe pcre2_match_data_create_8(UInt32(groups + 1), nil)!
        unsafe context = unsafe pcre2_match_context_create_8(nil)!
        unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
    }

    deinit {
        unsafe pcre2_match_data_free_8(data)
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_jit_stack_free_8(stack)
    }

    /// Finds the first match.
    /// - Parameters:
    ///   - start: where it may begin.
    ///   - last: the last place where it may begin; nil for any.
    /// - Returns: whether there is one; ``range(of:)`` has it.
    func match(
        _ expression: SecretExpression, in bytes: Span<UInt8>, from start: Int = 0, beginningBy last: Int? = nil
    ) throws(TooManySteps) -> Bool {
        unsafe pcre2_set_offset_limit_8(context, last ?? Int(bitPattern: UInt.max))
        var result = run(expression, bytes, start)
        if result == PCRE2_ERROR_JIT_STACKLIMIT, unsafe stack == nil {
            unsafe stack = unsafe pcre2_jit_stack_create_8(32 * 1024, Self.stackSize, nil)
            unsafe pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
            result = run(expression, bytes, start)
        }
        if result >= 0 { return true }
        if result == PCRE2_ERROR_NOMATCH { return false }
        throw TooManySteps()
    }

    private func run(_ expression: SecretExpression, _ bytes: Span<UInt8>, _ start: Int) -> Int32 {
        unsafe bytes.withUnsafeBufferPointer { source in
            // An empty buffer has no address, and PCRE2 requires one.
            unsafe withUnsafePointer(to: UInt8(0)) { nothing in
                unsafe pcre2_match_8(expression.code, source.baseAddress ?? nothing, source.count, start, 0, data, context)
            }
        }
    }

    /// The place of a group in the last match; 0 is the whole.
    /// - Returns: nil for a group that took no part.
    func range(of group: Int) -> Range<Int>? {
        let places = unsafe pcre2_get_ovector_pointer_8(data)!
        guard unsafe group < Int(pcre2_get_ovector_count_8(data)) else { return nil }
        let (start, end) = unsafe (places[group * 2], places[group * 2 + 1])
        return start == Int(bitPattern: UInt.max) || end < start ? nil : start..<end
    }
}
