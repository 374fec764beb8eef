import FlowModel
import TestSupport
import Testing

@testable import FlowFilter

/// Makes random expressions of all operators, by the arguments that the help shows.
private struct RandomExpressions {
    private var random = SeededGenerator(seed: 18)
    /// The operators so far.
    private(set) var used: Set<String> = []

    private mutating func pick<T>(_ values: [T]) -> T { values.randomElement(using: &random)! }

    mutating func next(depth: Int) throws -> String {
        guard depth > 0 else { return try term() }
        let (first, second) = (try next(depth: depth - 1), try next(depth: depth - 1))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return "!(\(first))"
        case 1: return "not (\(first))"
        case 2: return "(\(first)) \(pick(["&", "&&", "and", "|", "||", "or", ""])) (\(second))"
        case 3: return "\(first) \(pick(["&", "and", "|", "or"])) \(second)"
        default: return try term()
        }
    }

    private mutating func term() throws -> String {
        let row = pick(FilterOperator.all)
        used.insert(row.name + row.operand.form)
        var form = row.operand.form[...]
        var written = row.name
        while !form.isEmpty {
            let closing = form.contains("[") ? form.firstIndex(of: "]").map { form.index(after: $0) } : nil
            let placeholder = String(form[..<(closing ?? form.endIndex)])
            guard let argument = argument(placeholder) else {
                throw FilterEvaluationError(message: "the test makes no argument for '\(placeholder)' of \(row.name)")
            }
            written += argument
            form = form.dropFirst(placeholder.count)
        }
        return written
    }

    /// - Returns: nil for an argument that is not known.
    private mutating func argument(_ placeholder: String) -> String? {
        let texts = ["a", "x y", "\\d+", "a|b", "(a)", "\"", "'", "\\\\", "=a", ">1", "1-2", "", "~e", "é", "and", "\\\"", "[]a]"]
        switch placeholder {
        case " REGEX": return " " + quoted(pick(texts))
        case " CODE": return " " + pick(["404", "4xx", ">=500", "<300", "200-299", "=200"])
        case " VERSION": return " " + pick(["1.0", "1.1"])
        case "[CODE]": return "[" + pick(["103", "1xx"]) + "]"
        case " N": return " " + pick(["3", ">10", "2-5", "<=7", "=0"])
        case " SIZE": return " " + pick(["512", ">1k", "<=1.5m", "1K-2KiB"])
        case " DURATION": return " " + pick(["1", ">250ms", "1s-2s", "<5us"])
        case " TIME":
            return " "
                + pick(["2026", "2026-01-01", "'2026-01-01 08:00'", "2026-01-01T08:00:00.5-05:00", "today", "-15m", "08:00"])
        case "[NAME]": return "[" + pick(["a", "content-type", "a b", "\"x]\"", "'\"'", "a[b][]", "\"\\\\\""]) + "]"
        case "[PATH]": return "[" + pick(["$", "$.a[*]['b',\"]\"]", " $..é ", "$[?@.a == ')' && !@['\\'']]", "$[1:-1:2]"]) + "]"
        case " [RULE]": return pick(["", " jwt", " 'aws-*'", " github-token"])
        case " NAME": return " view"
        case "[FIELD]": return "[" + pick(["1", "1.2", "user.name", "a.3.b_c", "'1.2'"]) + "]"
        case " STATUS": return " " + pick(["OK", "unavailable", "14", ">0", "1-5"])
        case " [VALUE]":
            return pick(["", " " + quoted(pick(texts)), " =" + quoted(pick(texts)), " =word", " word", " >1", " <=-2.5e3", " >=0"])
        default: return nil
        }
    }
}

@Suite("The canonical form")
struct CanonicalTests {
    @Test("Random expressions of every operator are read from their canonical form as the same expression")
    func random() throws {
        let now = Timestamp(nanoseconds: 1_774_787_696_500_000_000)
        let environment = FilterEnvironment(now: now, utcOffset: { _ in 3600 }, views: ["view": "~c 5xx | ~e"])
        let later = FilterEnvironment(now: now.advanced(byNanoseconds: 99_000_000_000_000), utcOffset: { _ in 0 })
        var expressions = RandomExpressions()
        for _ in 0..<3000 {
            let written = try expressions.next(depth: 3)
            let canonical: String
            do throws(FilterSyntaxError) {
                canonical = try FlowFilter(written, environment: environment).canonical
            } catch {
                // A VALUE before a group, and a pattern that is not valid.
                #expect(error.message.contains("VALUE") || error.message.contains("regular expression"), "\(error.rendered)")
                continue
            }
            // Neither the views nor the moment matter.
            #expect(try FlowFilter(canonical, environment: later).canonical == canonical, "\(written)")
        }
        #expect(expressions.used == Set(FilterOperator.all.map { $0.name + $0.operand.form }))
    }
}
