// The argument of ~c: a status code, a class, a range, a comparison.

/// A range of status codes, including both ends.
struct StatusRange: Equatable, Sendable {
    var lowest: Int
    var highest: Int
    var text: String

    /// `404`, `4xx`, `200-299`, `>=500`, `>500`, `<=299`, `<300`, `=404`; nil for anything else.
    init?(_ text: String) {
        self.text = text
        func code(_ digits: Substring) -> Int? {
            digits.count == 3 && digits.allSatisfy { $0.isASCII && $0.isNumber } ? Int(digits) : nil
        }
        if text.count == 3, text.hasSuffix("xx"), let first = text.first?.wholeNumberValue, (1...9).contains(first) {
            (lowest, highest) = (first * 100, first * 100 + 99)
        } else if let dash = text.firstIndex(of: "-"), let from = code(text[..<dash]),
            let to = code(text[text.index(after: dash)...]), from <= to
        {
            (lowest, highest) = (from, to)
        } else if text.hasPrefix(">="), let code = code(text.dropFirst(2)) {
            (lowest, highest) = (code, .max)
        } else if text.hasPrefix("<="), let code = code(text.dropFirst(2)) {
            (lowest, highest) = (1, code)
        } else if text.hasPrefix(">"), let code = code(text.dropFirst()) {
            (lowest, highest) = (code + 1, .max)
        } else if text.hasPrefix("<"), let code = code(text.dropFirst()) {
            (lowest, highest) = (1, code - 1)
        } else if text.hasPrefix("="), let code = code(text.dropFirst()) {
            (lowest, highest) = (code, code)
        } else if let code = code(text[...]) {
            (lowest, highest) = (code, code)
        } else {
            return nil
        }
    }

    func contains(_ status: Int) -> Bool { status > 0 && status >= lowest && status <= highest }
}
