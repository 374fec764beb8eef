// Command lines and configuration files as settings, before the parser sees them.

import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import ToolSupport

/// A tool with options of every kind.
struct Sample: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, har }

    static let configuration = CommandConfiguration(commandName: "mitm-record", abstract: "Records.")

    @Option(name: .output, help: ArgumentHelp("A file.", valueName: "file")) var output: FilePath?
    @Option(name: .short("p"), help: ArgumentHelp("A port.", valueName: "port")) var listenPort: UInt16 = 8080
    @Option(help: ArgumentHelp("A size.", valueName: "size")) var maximumBodySize: ByteSize?
    @Option(help: ArgumentHelp("Hosts.", valueName: "regex")) var ignoreHosts: [String] = []
    @Option(help: ArgumentHelp("Credentials.", valueName: "credentials")) var proxyauth: String?
    @Option(help: "A format.") var format = Format.text
    @Flag(help: "Short for --format json.") var json = false
    @Flag(name: .shortAndLong, help: "Less.") var quiet = false
    @Flag(name: .shortAndLong, help: "More.") var verbose = false
    @Flag(help: "No checks.") var insecure = false
    @OptionGroup var selection: FilterArguments
    @OptionGroup var times: TimeArguments
    @OptionGroup var colours: ColorArguments
    @OptionGroup var settings: ConfigurationArguments
    @Argument var filter: [String] = []
}

private let table = OptionTable(Sample.self)

func settings(_ arguments: [String], config: String? = nil) throws -> ToolSettings {
    try withTemporaryDirectory { directory in
        try (config ?? "").write(toFile: directory + "/config.yaml", atomically: true, encoding: .utf8)
        do throws(ToolError) {
            return try ToolSettings(["--confdir=\(directory)"] + arguments, table, optionalValues: ["color": "always"])
        } catch {
            throw ToolError(error.description.replacingOccurrences(of: directory + "/", with: ""))
        }
    }
}

func arguments(_ arguments: [String], config: String? = nil) throws -> [String] {
    try settings(arguments, config: config).arguments(withRest: true).filter { !$0.hasPrefix("--confdir") }
}

@Suite("Command lines")
struct CommandLineTests {
    @Test(
        "Every way to write an option is read the same",
        arguments: [
            (["-p", "1"], ["--listen-port=1"]),
            (["-p1"], ["--listen-port=1"]),
            (["-p=1"], ["--listen-port=1"]),
            (["--listen-port", "1"], ["--listen-port=1"]),
            (["-qp1", "x"], ["--listen-port=1", "--quiet", "x"]),
            (["-o", "a"], ["--output=a"]),
            (["-w", "a"], ["--output=a"]),
            (["--write=a"], ["--output=a"]),
            (["-o", "-"], ["--output=-"]),
            (["-o", ""], []),
            (["--max-body-size", "1k"], ["--maximum-body-size=1k"]),
            (["--maximum-body-size", "1k"], ["--maximum-body-size=1k"]),
            (["--color", "~all"], ["--color=always", "~all"]),
            (["--color", "never", "~all"], ["--color=never", "~all"]),
            (["--color=auto"], ["--color=auto"]),
            (["--color"], ["--color=always"]),
            (["--color", "never", "--no-color"], ["--color=never", "--no-color"]),
            (["--format", "json", "--json"], ["--format=json", "--json"]),
            (["-", "x"], ["-", "x"]),
            (["x", "--", "-p", "--quiet", "--help", "--set"], ["x", "--", "-p", "--quiet", "--help", "--set"]),
        ] as [([String], [String])])
    func written(given: [String], expected: [String]) throws {
        if expected.isEmpty {
            #expect(throws: ToolError.self) { try arguments(given) }
        } else {
            #expect(try arguments(given) == expected)
        }
    }

    @Test(
        "A mistake is a sentence that names the option",
        arguments: [
            (["--quite"], "there is no option '--quite'; did you mean '--quiet'?"),
            (["--nothing-like-it"], "there is no option '--nothing-like-it'; see mitm-record --help"),
            (["-x"], "there is no option '-x'; see mitm-record --help"),
            (["-qx"], "there is no option '-x' in '-qx'; see mitm-record --help"),
            (["-insecure"], "there is no option '-insecure'; did you mean '--insecure'?"),
            (["-n"], "there is no option '-n'; only mitm-record, mitm-serve and mitm-replay use the network"),
            (["--flow-detail", "3"], "there is no option '--flow-detail'; use --detail"),
            (["-p"], "-p needs a value, <port>"),
            (["-p", "-q"], "-p needs a value, <port>"),
            (["--output", "-q"], "--output needs a value, <file>; write --output=-q for one that begins with a dash"),
            (["--output", "--"], "--output needs a value, <file>"),
            (["--insecure=no"], "--insecure takes no value, so 'no' cannot be used"),
            (["-p", "-1"], "-p: '-1' is not a port number; use 0 to 65535"),
            (["--listen-port=65536"], "--listen-port: '65536' is not a port number; use 0 to 65535"),
            (["--listen-port="], "--listen-port: the value is empty; use 0 to 65535"),
            (
                ["--max-body-size", "-1"],
                "--max-body-size: '-1' is not a size; use for example 64k, 10m or 1.5g; a number without a unit is bytes"
            ),
            (["--format", "xml"], "--format: 'xml' is not known; use text, json or har"),
            (["--color=blue"], "--color: 'blue' is not known; use auto, always or never"),
            (["--color", "always", "--no-color"], "--color always and --no-color contradict each other; give one of them"),
            (["--json", "--format", "text"], "--json and --format text contradict each other; give one of them"),
            (["-q", "--verbose"], "-q and --verbose contradict each other; give one of them"),
            (["--set", "colour=never"], "--set colour=never: there is no option 'colour' of mitm-record; did you mean 'color'?"),
            (["--set", "listen_port"], "--set listen_port: a value is missing; write listen_port=VALUE"),
            (
                ["--set", "listen_port=x"],
                "--set listen_port=x: listen-port: 'x' is not a port number; use 0 to 65535"
            ),
            (["--set", "insecure=maybe"], "--set insecure=maybe: insecure: 'maybe' is not a switch; use true or false"),
            (["--set", "confdir=/x"], "--set confdir=/x: write 'confdir' as an option, --confdir"),
            (
                ["--config", "/nowhere/c.yaml"],
                "cannot read the configuration file /nowhere/c.yaml: no such file or directory"
            ),
            (["--config", "/"], "cannot read the configuration file /: is a directory"),
        ] as [([String], String)])
    func mistakes(given: [String], sentence: String) {
        #expect(throws: ToolError(sentence)) { try settings(given) }
    }
}

@Suite("Configuration files")
struct ConfigurationFileTests {
    @Test("The command line is stronger than --set, --set than the tool's section, that than 'all'; a list replaces a list")
    func precedence() throws {
        let config = """
            all:
              insecure: true
              quiet: true
              color: never
            record:
              insecure: no
              listen_port: 1
              write: ~/a.mflow
              ignore-hosts: [a, b]
            dump:
              nothing: here
            """
        #expect(
            try arguments([], config: config)
                == ["--output=~/a.mflow", "--listen-port=1", "--ignore-hosts=a", "--ignore-hosts=b", "--quiet", "--color=never"])
        #expect(
            try arguments(["--set", "listen_port=2", "--set", "ssl_insecure=true", "-v", "--color"], config: config)
                == [
                    "--output=~/a.mflow", "--listen-port=2", "--ignore-hosts=a", "--ignore-hosts=b", "--verbose", "--insecure",
                    "--color=always",
                ])
        #expect(
            try arguments(["--set", "ignore_hosts=c", "--set", "ignore_hosts=d", "-o", "b", "-p3"], config: config)
                == ["--output=b", "--listen-port=3", "--ignore-hosts=c", "--ignore-hosts=d", "--quiet", "--color=never"])
    }

    @Test("A filter on the command line replaces that of the file")
    func filter() throws {
        #expect(try arguments([], config: "record: {filter: '~c 500'}") == ["--filter=~c 500"])
        #expect(try arguments(["~all"], config: "record: {filter: '~c 500'}") == ["~all"])
    }

    @Test(
        "A mistake is a sentence with the file and the line",
        arguments: [
            ("record:\n  listen-port: abc", "config.yaml:2: listen-port: 'abc' is not a port number; use 0 to 65535"),
            ("record:\n  quiet: 3", "config.yaml:2: quiet: '3' is not a switch; use true or false"),
            (
                "record:\n  q: 1\n  lisen-port: 1",
                "config.yaml:2: there is no option 'q' of mitm-record"
            ),
            (
                "record:\n  lisen-port: 1",
                "config.yaml:2: there is no option 'lisen-port' of mitm-record; did you mean 'listen-port'?"
            ),
            ("recrod:\n  quiet: 1", "config.yaml:1: there is no section 'recrod'; did you mean 'record'?"),
            ("mitm-dump:\n  quiet: 1", "config.yaml:1: there is no section 'mitm-dump'; did you mean 'dump'?"),
            (
                "\nwrite: x",
                "config.yaml:2: 'write' is not an option of every tool; move it to the section of a tool, such as 'record:'"
            ),
            (
                "all:\n  detail: 3",
                "config.yaml:2: 'detail' is not an option that all tools share; move it to the section of its tool, such as 'record:'"
            ),
            ("record: x", "config.yaml:1: 'record' is the section of mitm-record, so options are expected below it"),
            ("filter: ~c 500", "config.yaml:1: 'filter' is the section of mitm-filter, so options are expected below it"),
            ("- record", "config.yaml:1: a mapping of sections is expected, such as 'record:' with options below it"),
            ("record:\n  write:", "config.yaml:2: write: a value is expected"),
            ("record:\n  write: [a, b]", "config.yaml:2: write: one value is expected, not a list"),
            ("record:\n  write: {a: b}", "config.yaml:2: write: a value is expected"),
            ("record:\n  config: x", "config.yaml:2: 'config' is an option of the command line only"),
            (
                "record:\n  quiet: yes\n  verbose: yes",
                "config.yaml:3: verbose: 'quiet' and 'verbose' contradict each other; give one of them"
            ),
            ("record:\n  quiet: yes\nrecord:\n  quiet: no", "config.yaml:1: 'record' is given more than once"),
            ("record: [", "config.yaml:2: this is not YAML: did not find expected node content"),
        ])
    func mistakes(config: String, sentence: String) {
        #expect(throws: ToolError(sentence)) { try settings([], config: config) }
    }

    @Test(
        "Files without settings are read: empty, comments only, an empty section, /dev/null",
        arguments: ["", "# x\n", "record:\n", "---\n"])
    func empty(config: String) throws {
        #expect(try arguments([], config: config) == [])
        #expect(try arguments(["--config", "/dev/null"], config: "x: y") == ["--config=/dev/null"])
    }

    @Test("--print-config is a configuration file that has the same effect, without passwords")
    func printed() throws {
        let config = "all: {insecure: true}\nrecord:\n  ignore-hosts: ['^a b', 'c:d']\n"
        let given = ["-p", "0", "--set", "write=it's - x", "--proxyauth", "me:secret"]
        let yaml = try settings(given, config: config).yaml()
        #expect(
            yaml.split(separator: "\n").map { $0.replacing(#/# \/.*\/config/#, with: "# config") }.joined(separator: "\n") == """
                record:
                  output: 'it''s - x'  # --set
                  listen-port: 0  # command line
                  # maximum-body-size: not set
                  ignore-hosts:
                    - '^a b'  # config.yaml:3
                    - 'c:d'  # config.yaml:3
                  proxyauth: 'me:***'  # command line
                  format: text  # default
                  json: false  # default
                  quiet: false  # default
                  verbose: false  # default
                  insecure: true  # config.yaml:1
                  # filter: not set
                  # since: not set
                  # until: not set
                  color: auto  # default
                  no-color: false  # default
                """)
        let again = try arguments([], config: yaml)
        let first = try arguments(given, config: config)
        #expect(again.filter { first.contains($0) } == first.filter { !$0.hasPrefix("--proxyauth") })
    }
}

@Suite("Paths")
struct PathTests {
    @Test("A tilde at the beginning is the user's directory, with a name that of another user; others stay")
    func tilde() {
        let home = homeDirectory()
        #expect(expandingTilde("~") == home)
        #expect(expandingTilde("~/a b") == home + "/a b")
        #expect(expandingTilde("~daemon/x").hasSuffix("/x") && !expandingTilde("~daemon/x").hasPrefix("~"))
        #expect(["~no-such-user/x", "a~", "./~", "/~", ""].map(expandingTilde) == ["~no-such-user/x", "a~", "./~", "/~", ""])
        #expect(FilePath(argument: "") == nil)
        #expect(FilePath("~/x").text == "~/x")
    }
}

@Suite("Help")
struct HelpTests {
    @Test("Examples are printed as they are written; everything else is wrapped at the width")
    func wrapped() {
        let command = HelpDump.Command(
            commandName: "mitm-x", abstract: "Does things.",
            discussion: "A paragraph of words that is longer than the width of sixty columns, which wraps.\n\nExamples:\n  "
                + "mitm-x --an-example-that --is-longer-than-the-width-of-the-page --and-stays one-line",
            arguments: [])
        let page = HelpPage(OptionTable(command), usage: "mitm-x [OPTION]…", width: 60).text(isShort: false)
        #expect(
            page == """
                Does things.

                Usage: mitm-x [OPTION]…

                A paragraph of words that is longer than the width of sixty
                columns, which wraps.

                Examples:
                  mitm-x --an-example-that --is-longer-than-the-width-of-the-page --and-stays one-line

                """)
    }

    @Test("-h has one line about each option, --help everything")
    func short() {
        let table = OptionTable(Sample.self)
        let short = HelpPage(table, usage: nil, width: 80).text(isShort: true)
        let long = HelpPage(table, usage: nil, width: 100).text(isShort: false)
        #expect(short.contains("  -p, --listen-port <port>    A port\n"))
        #expect(long.contains("  -p, --listen-port <port>    A port. (default: 8080)\n"))
        #expect(long.contains("      --format <format>       A format. (values: text, json, har) (default: text)\n"))
        #expect(short.hasSuffix("mitm-record --help tells more.\n"))
        #expect(short.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }
}
