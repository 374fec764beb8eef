// The language on one page: the source of --help-filter, of the block in docs/filter-language.md, and of the lists in the manual page (tools/manual).

/// A list of the help: what is written, and what it means.
private struct HelpList {
    let title: String
    let rows: [(form: String, meaning: String)]

    /// The title, and a line for each row.
    var text: String {
        let width = rows.map(\.form.count).max() ?? 0
        let lines = rows.map { "  " + $0.form + String(repeating: " ", count: width - $0.form.count + 2) + $0.meaning }
        return ([title + ":"] + lines).joined(separator: "\n") + "\n"
    }
}

private let combinations = HelpList(
    title: "Combinations",
    rows: [
        ("!X, not X", "not; binds tightest"),
        ("X & Y, X && Y, X and Y", "and"),
        ("X | Y, X || Y, X or Y", "or"),
        ("X Y", "and; binds loosest: ~u a | ~u b ~u c is (a or b) and c"),
        ("( X )", "grouping"),
    ])

private let arguments = HelpList(
    title: "Arguments",
    rows: [
        ("REGEX", "regular expression (PCRE2), without regard to case; in quotes when it has spaces, parentheses or quotes"),
        ("N, SIZE, DURATION", "3, 2-5, >3, >=3, <3, <=3; sizes: k, m, g, t (powers of 1024); durations: us, ms, s, m, h, d"),
        ("TIME", "2026, 2026-01, 2026-01-31, 2026-01-31T08:00, 2026-01-31T08:00:00Z, 08:00, today, yesterday, now, -15m"),
        ("[NAME]", "a name; in quotes when it has a bracket without a partner: ~query[\"a]b\"]"),
        ("[PATH]", "JSONPath (RFC 9535): $.items[*].price, $..id, $.items[?@.kind == 'book'].id"),
        ("[VALUE]", "nothing (the text exists), REGEX, =TEXT (exactly), >N, >=N, <N, <=N (the text is a number): ~hs[age] >60"),
    ])

/// The list of operators, a line each, and how they are combined, for `--help-filter` and the documentation.
package func filterHelp() -> String {
    let operators = HelpList(
        title: "Operators", rows: FilterOperator.all.map { (form: $0.name + $0.operand.form, meaning: $0.help) })
    return [operators.text, arguments.text, combinations.text].joined(separator: "\n")
}

/// The operators with what each takes and means, for the completion of an expression.
package var filterOperators: [(name: String, form: String, help: String)] {
    FilterOperator.all.map { (name: $0.name, form: $0.operand.form, help: $0.help) }
}
