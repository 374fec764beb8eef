// Named expressions of the configuration file, and the options --since and --until.

import ArgumentParser
import FlowModel
import TestSupport
import Testing

@testable import ToolSupport

@Suite("Views and times of the tools")
struct ViewTests {
    private static let config = "views:\n  slow: '~duration >2s'\n  bad: ~view slow & ~c 5xx\nall:\n  quiet: true\n"

    private func sample(_ given: [String], config: String? = nil) throws -> Sample {
        try Sample.parse(arguments(given, config: config))
    }

    @Test("A view of the configuration file is known to the filter of a tool")
    func views() throws {
        let tool = try sample(["-f", "~view bad | ~e"], config: Self.config)
        #expect(try tool.selection.parsed()?.canonical == "((~duration >2s & ~c 5xx) | ~e)")
        #expect(tool.quiet)
        #expect(try sample([]).selection.parsed() == nil)
        #expect(try sample([], config: "views:\n").selection.environment.views == [:])
    }

    @Test("--print-config prints the views, and reading that gives the same")
    func printed() throws {
        let yaml = try settings([], config: Self.config).yaml()
        let views = yaml.split(separator: "\n").drop { $0 != "views:" }.map { $0.replacing(#/# \/.*\/config/#, with: "# config") }
        #expect(
            views == [
                "views:", "  slow: '~duration >2s'  # config.yaml:2", "  bad: '~view slow & ~c 5xx'  # config.yaml:3",
            ])
        let again = try sample([], config: yaml).selection.environment.views
        #expect(again == ["slow": "~duration >2s", "bad": "~view slow & ~c 5xx"])
    }

    @Test(
        "Mistakes in the section of views are errors with the line",
        arguments: [
            ("views: ~e", "config.yaml:1: 'views' is the section of named expressions; write name: 'expression' below it"),
            ("views:\n  a b: ~e", "config.yaml:2: 'a b' is not a name for an expression; use letters, digits, '-', '_' and '.'"),
            ("views:\n  a: [x]", "config.yaml:2: views: a: an expression is expected, in single quotes"),
            ("views:\n  a:", "config.yaml:2: views: a: an expression is expected, in single quotes"),
            ("veiws:\n  a: ~e", "config.yaml:1: there is no section 'veiws'; did you mean 'views'?"),
            (
                "views:\n  a: ~e\n  b: ~c 2x",
                "config.yaml:3: views: in the view 'b': '2x' is not a status code; write 404, 4xx, 200-299, >=500 or <300\n  ~c 2x\n     ^"
            ),
            (
                "views:\n  a: '!~view a'",
                "config.yaml:2: views: in the view 'a': a view cannot use itself: a, which uses a\n  !~view a\n         ^"
            ),
        ])
    func mistakes(config: String, sentence: String) {
        #expect(throws: ToolError(sentence)) { try settings([], config: config) }
    }

    @Test(
        "--since and --until limit a filter, or stand alone",
        arguments: [
            ([], "~e", "~e"),
            (["--since", "2026-01-01T00:00Z"], nil, "~since 2026-01-01T00:00:00.000000000Z"),
            (["--until=2026-01-01 00:00:00Z"], "~b x", "(~until 2026-01-01T00:00:00.000000000Z & ~b \"x\")"),
            (
                ["--since", "2026-01-01T00:00Z", "--until", "2027-01-01T00:00Z"], "~e",
                "((~since 2026-01-01T00:00:00.000000000Z & ~until 2027-01-01T00:00:00.000000000Z) & ~e)"
            ),
        ] as [([String], String?, String)])
    func times(given: [String], filter: String?, canonical: String) throws {
        let tool = try sample(given + (filter.map { ["-f", $0] } ?? []))
        #expect(try tool.times.limiting(try tool.selection.parsed(), tool.selection.environment)?.canonical == canonical)
        #expect(tool.times.isGiven == !given.isEmpty)
    }

    @Test("A time that is not one, and an end before the beginning, are errors")
    func wrongTimes() throws {
        let use = "use 2026-01-31, 2026-01-31T08:00, 08:00, today, yesterday or -15m"
        #expect(throws: ToolError("--since: 'tomorrow' is not a time; \(use)")) { try settings(["--since", "tomorrow"]) }
        #expect(throws: ToolError("--until: '>2026' is not a time; \(use)")) { try settings(["--until", ">2026"]) }
        #expect(throws: (any Error).self) { try sample(["--since", "today", "--until", "yesterday"]) }
        #expect(try sample(["--since", "-15m", "--until", "now"]).times.isGiven)
    }
}
