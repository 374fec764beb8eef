import FlowFilter
import FlowModel
import Testing

@Suite("Nesting of filters")
struct NestingTests {
    /// What makes an expression deeper, and what ends that.
    private static let nestings = [
        ("!", ""),
        ("not ", ""),
        ("(", ")"),
        ("!(", ")"),
        ("not (~c 200 | ", ")"),
        ("(~m GET & ", ")"),
        ("(~m GET ", ")"),
        ("! ! ", ""),
    ]

    private static func nested(_ nesting: (String, String), _ count: Int) -> String {
        String(repeating: nesting.0, count: count) + "~all" + String(repeating: nesting.1, count: count)
    }

    private static let get = exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n")

    @Test("Each operator may be nested some levels deep, and too many are an error that says so", arguments: nestings)
    func nesting(begin: String, end: String) throws {
        let filter = try FlowFilter(Self.nested((begin, end), 40))
        #expect(try filter.matches(Self.get))
        for count in [101, 5000, 26_000] {
            let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter(Self.nested((begin, end), count)) }
            #expect(error?.message == "the expression is nested too deeply; the limit is 100 levels")
        }
    }

    @Test("Lists are not nested: ten thousand elements are evaluated and freed", arguments: [" & ", " | ", " "])
    func lists(separator: String) throws {
        let filter = try FlowFilter(Array(repeating: "!~tcp", count: 10_000).joined(separator: separator))
        #expect(try filter.matches(Self.get))
    }
}
