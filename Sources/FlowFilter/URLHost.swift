// The host in a regular expression for URLs. `^https://api\.example/` matches only URLs of one host, so blocks without that host are skipped.

/// A regular expression that matches the host of every URL that the pattern matches.
///
/// Derived only from a pattern that begins with `^`, a literal scheme, `://`, a host of letters, digits, `-`, `_`, `.` and `\.`, and then `/` or
/// `:`. A `.` that is not escaped matches any character, including those that delimit a host, so parts of the text may be the whole host.
/// - Returns: nil when the host can be any.
func hostOfURLs(matching pattern: String) -> String? {
    guard !pattern.contains("|") else { return nil }
    var rest = Substring(pattern)
    guard rest.consume("^http") else { return nil }
    if rest.consume("s") { _ = rest.consume("?") }
    guard rest.consume("://") || rest.consume(":\\/\\/") else { return nil }
    var parts = [""]
    while let next = rest.first {
        if rest.consume("\\.") {
            parts[parts.count - 1] += "\\."
        } else if next.isASCII, next.isLetter || next.isNumber || next == "-" || next == "_" {
            parts[parts.count - 1].append(rest.removeFirst())
        } else if rest.consume(".") {
            parts.append("")
        } else {
            break
        }
    }
    guard rest.consume("/") || rest.consume("\\/") || rest.consume(":"), !rest.isRepeated else { return nil }
    let runs = parts.indices.flatMap { first in parts[first...].indices.map { parts[first...$0].joined(separator: ".") } }
    return "^(?:" + runs.joined(separator: "|") + ")$"
}

extension Substring {
    fileprivate mutating func consume(_ text: String) -> Bool {
        guard hasPrefix(text) else { return false }
        removeFirst(text.count)
        return true
    }

    /// A quantifier follows.
    fileprivate var isRepeated: Bool { first.map { "?*+{".contains($0) } ?? false }
}
