// Regular expressions of Go (pkg.go.dev/regexp/syntax), in which gitleaks' rules are written, as PCRE2 reads them. The languages are the same
// but for what is translated here.

/// - Returns: an expression of PCRE2 that matches the same.
func translatedFromGo(_ text: String) -> String {
    var translated = String.UnicodeScalarView()
    let scalars = Array(text.unicodeScalars)
    var position = 0
    /// The place of the opening bracket of a class.
    var opening: Int?
    /// The place after a set in a class, such as `\w` and `[:alpha:]`.
    var afterSet: Int?
    while position < scalars.count {
        let scalar = scalars[position]
        let next = position + 1 < scalars.count ? scalars[position + 1] : nil
        switch scalar {
        case "\\":
            // A vertical tab; PCRE2 has it as any vertical space.
            translated.append(contentsOf: next == "v" ? "\\x0B".unicodeScalars : "\\".unicodeScalars)
            if let next, next != "v" { translated.append(next) }
            position += next == nil ? 1 : 2
            if let next, opening != nil, "wWdDsS".unicodeScalars.contains(next) { afterSet = position }
            continue
        case "[" where opening == nil:
            opening = position
            translated.append(scalar)
            if next == "^" {
                translated.append("^")
                position += 1
            }
            // The first bracket of a class stands for itself.
            if position + 1 < scalars.count, scalars[position + 1] == "]" {
                translated.append("]")
                position += 1
            }
        case "[" where next != ":":
            // Not the beginning of [.a.] or [=a=], which PCRE2 refuses.
            translated.append(contentsOf: "\\[".unicodeScalars)
        case "[":
            // [:alnum:]
            var end = position + 2
            while end + 1 < scalars.count, scalars[end] != ":" || scalars[end + 1] != "]" { end += 1 }
            translated.append(contentsOf: scalars[position..<min(end + 2, scalars.count)])
            position = end + 2
            afterSet = position
            continue
        case "-" where afterSet == position && next != "]":
            // No range begins here, and PCRE2 takes it for a mistake.
            translated.append(contentsOf: "\\-".unicodeScalars)
        case "]" where opening != nil:
            opening = nil
            translated.append(scalar)
        case "{" where opening == nil && next == ",":
            // Newer versions of PCRE2 read {,n} as a repetition.
            translated.append(contentsOf: "\\{".unicodeScalars)
        default:
            translated.append(scalar)
        }
        position += 1
    }
    return String(translated)
}
