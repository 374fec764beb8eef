// Command lines: how the tools read them, and what they answer to mistakes.

import Foundation
import TestSupport
import Testing

@Suite("Command lines of the tools")
struct CommandLineTests {
    @Test("A short option takes its value behind it, or joined to it")
    func joined() throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory)
            recorder.stop()
            let results = try [["-j", "1"], ["-j1"], ["-m1", "-j1"]].map {
                try run("mitm-filter", $0 + ["--count", "~all", "capture.mflow"], in: directory)
            }
            #expect(results == Array(repeating: ProgramResult(status: 1, output: "0\n", errors: ""), count: 3))
        }
    }

    @Test("A filter that matches nothing ends with status 1")
    func statuses() throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory)
            recorder.stop()
            #expect(
                try run("mitm-filter", ["--count", "~all", "capture.mflow"], in: directory)
                    == ProgramResult(status: 1, output: "0\n", errors: ""))
        }
    }

    private static let tools = ["mitm-record", "mitm-dump", "mitm-filter", "mitm-serve", "mitm-replay", "mitm-view"]

    @Test(
        "The options that the page on configuration lists for all tools mean the same in two tools or more, and every tool reads them"
    )
    func sharedOptions() throws {
        let page = try String(contentsOfFile: repository + "/docs/configuration.md", encoding: .utf8)
        let item = try #require(page.firstMatch(of: #/- `all` takes the options[^:]*:([^.]*)\./#)).1
        let names = item.matches(of: #/`([a-z0-9-]+)`/#).map { String($0.1) }
        let dumps = try Self.tools.map { try Self.options(of: $0) }
        for name in names {
            let kinds = dumps.compactMap { $0[name] }
            #expect(kinds.count >= 2 && Set(kinds).count == 1, "\(name): \(kinds)")
        }
        try withTemporaryDirectory { directory in
            let settings = names.filter { !["no-color", "verbose"].contains($0) }.map { name in
                let kind = dumps.lazy.compactMap { $0[name] }.first
                return "  \(name): \(kind == "flag" ? "true" : ["<time>": "5s", "<when>": "auto"][kind] ?? "text")\n"
            }
            try "all:\n\(settings.joined())".write(toFile: directory + "/all.yaml", atomically: true, encoding: .utf8)
            for (tool, dump) in zip(Self.tools, dumps) {
                let result = try run(tool, ["--config", "all.yaml", "--print-config"], in: directory)
                let read = result.output.split(separator: "\n").filter { $0.contains("  # all.yaml:") }.count
                let expected = dump.keys.filter { names.contains($0) && !["no-color", "verbose"].contains($0) }.count
                #expect(result.status == 0 && result.errors.isEmpty && read == expected, "\(tool): \(result)")
            }
        }
    }

    @Test("A tool ignores the sections of the others, whatever is in them")
    func otherSections() throws {
        try withTemporaryDirectory { directory in
            for tool in Self.tools {
                let others = Self.tools.filter { $0 != tool }.map { "\($0.dropFirst(5)): {nothing: [like, it], format: 5}\n" }
                try others.joined().write(toFile: directory + "/config.yaml", atomically: true, encoding: .utf8)
                let result = try run(tool, ["--config", "config.yaml", "--print-config"], in: directory)
                #expect(result.status == 0 && result.errors.isEmpty && !result.output.contains("config.yaml"), "\(tool): \(result)")
            }
        }
    }

    @Test("What --print-config prints is read by the same tool without an error, and means the same")
    func printedConfiguration() throws {
        try withTemporaryDirectory { directory in
            for tool in Self.tools {
                let first = try run(tool, ["--confdir", directory, "--print-config"], in: directory)
                try first.output.write(toFile: directory + "/printed.yaml", atomically: true, encoding: .utf8)
                let second = try run(tool, ["--config", "printed.yaml", "--print-config"], in: directory)
                func values(_ yaml: String) -> [String] {
                    yaml.split(separator: "\n").map { String($0.split(separator: "  # ").first ?? $0) }
                }
                #expect(second.errors.isEmpty)
                #expect(values(first.output) == values(second.output))
            }
        }
    }

    @Test("Help shows examples that can be pasted, the exit status, and fits a terminal of 80 columns")
    func help() throws {
        for tool in Self.tools {
            let long = try run(tool, ["--help"]).output
            let short = try run(tool, ["-h"]).output
            let lines = long.split(separator: "\n").map(String.init)
            let examples = lines.drop { $0 != "Examples:" }.dropFirst().prefix { $0.hasPrefix("  ") }
            #expect(
                !examples.isEmpty
                    && examples.allSatisfy { $0.hasPrefix("  mitm-") || $0.hasPrefix("  cat ") || $0.hasPrefix("    ") })
            #expect(long.contains("Exit status: 0 "), "\(tool)")
            #expect(lines.filter { $0.count > 80 && !$0.hasPrefix("  ") } == [], "\(tool)")
            #expect(short.split(separator: "\n").count < lines.count && short.contains("--print-config"))
        }
    }

    @Test("A full disk is reported for help as for results")
    func full() throws {
        for arguments in ["--help", "--version", "--help-filter", "--list-views", "--print-config"] {
            let result = try run("sh", ["-c", "'\(toolDirectory)/mitm-dump' \(arguments) > /dev/full"])
            #expect(
                result
                    == ProgramResult(
                        status: 2, output: "", errors: "mitm-dump: cannot write to standard output: no space left on device\n"))
        }
    }

    /// `flag`, or the name of the value, by the long names of a tool's options.
    private static func options(of tool: String) throws -> [String: String] {
        let dump = try run(tool, ["--experimental-dump-help"]).output
        let command = try JSONDecoder().decode(CommandDump.self, from: Data(dump.utf8)).command
        let pairs = command.arguments.flatMap { argument in
            (argument.names ?? []).filter { $0.kind == "long" }.map { name in
                (name.name, argument.kind == "flag" ? "flag" : "<\(argument.valueName ?? "")>")
            }
        }
        return Dictionary(pairs) { first, _ in first }
    }
}

/// A tool's description of its options.
private struct CommandDump: Decodable {
    struct Name: Decodable {
        var kind: String
        var name: String
    }
    struct Argument: Decodable {
        var kind: String
        var names: [Name]?
        var valueName: String?
    }
    struct Command: Decodable { var arguments: [Argument] }
    var command: Command
}
