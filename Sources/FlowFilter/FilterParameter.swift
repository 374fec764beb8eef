// A parameter in brackets after the name of an operator: ~hs[content-type], ~json[$.items[*].price].

/// The text between the brackets as it is written, with its quotes, and where it begins.
struct FilterParameter {
    let text: String
    /// Characters from the expression's start.
    let start: Int
}

/// A name as a parameter.
struct ParameterName: Sendable, Equatable {
    let text: String
    /// For names that have no case.
    let lowercased: [UInt8]

    init(_ text: String) {
        self.text = text
        lowercased = Array(text.utf8).map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
    }

    /// The name that is written between brackets: in quotes as a whole, with a backslash before a quote or a backslash of the name, or as it
    /// is, without the white space around it. Empty for a parameter without a name.
    init(_ parameter: FilterParameter) {
        var written = parameter.text[...]
        while written.first?.isWhitespace == true { written.removeFirst() }
        while written.last?.isWhitespace == true { written.removeLast() }
        self.init(Self.unquoted(written) ?? String(written))
    }

    /// nil when the text is not one quoted text.
    private static func unquoted(_ written: Substring) -> String? {
        guard let quote = written.first, quote == "\"" || quote == "'" else { return nil }
        var rest = written.dropFirst()
        var name = ""
        while let next = rest.popFirst() {
            if next == quote { return rest.isEmpty ? name : nil }
            if next == "\\", let escaped = rest.first, escaped == quote || escaped == "\\" {
                name.append(rest.removeFirst())
            } else {
                name.append(next)
            }
        }
        return nil
    }

    /// With its brackets, in a form that is read as the same name.
    var canonical: String {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.:$*/".contains($0)) }
        return "[\(isPlain ? text : quoted(text))]"
    }
}
