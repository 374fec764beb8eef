// Mistakes in command lines, configuration files and inputs: each is one sentence on stderr, with status 2 (3 for damage), and costs no file.

import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A command line with a mistake.
private struct Mistake: Sendable {
    let tool: String
    let arguments: [String]
    /// All of stderr after the name of the tool, or its beginning before `…`. `{port}` is a port that is taken.
    let message: String
    let status: Int32
    let needsUser: Bool

    init(_ tool: String, _ arguments: [String], _ message: String, status: Int32 = 2, needsUser: Bool = false) {
        self.tool = "mitm-" + tool
        self.arguments = arguments
        self.message = message
        self.status = status
        self.needsUser = needsUser
    }
}

@Suite("Mistakes")
struct MistakeTests {
    private static let sizes = "use for example 64k, 10m or 1.5g; a number without a unit is bytes"
    private static let times = "use for example 250ms, 5s, 10m, 1h or 1d; a number without a unit is seconds"

    /// Options that do not exist, values that are missing or wrong.
    private static let options: [Mistake] = [
        Mistake("record", ["--no-such-option"], "there is no option '--no-such-option'; see mitm-record --help"),
        Mistake("dump", ["--detial", "1"], "there is no option '--detial'; did you mean '--detail'?"),
        Mistake("filter", ["--cuont", "~all"], "there is no option '--cuont'; did you mean '--count'?"),
        Mistake("serve", ["--ordr", "cycle"], "there is no option '--ordr'; did you mean '--order'?"),
        Mistake("replay", ["--tarket", "x"], "there is no option '--tarket'; did you mean '--target'?"),
        Mistake("dump", ["-nr", "http.mflow"], "there is no option '-nr'; name the files without an option"),
        Mistake("filter", ["-cx", "~all"], "there is no option '-c' in '-cx'; see mitm-filter --help"),
        Mistake("dump", ["--flow-detail", "3"], "there is no option '--flow-detail'; use --detail"),
        Mistake("record", ["-p"], "-p needs a value, <port>"),
        Mistake("record", ["-p", "-1"], "-p: '-1' is not a port number; use 0 to 65535"),
        Mistake("record", ["-p", "65536"], "-p: '65536' is not a port number; use 0 to 65535"),
        Mistake("serve", ["--listen-port", "http"], "--listen-port: 'http' is not a port number; use 0 to 65535"),
        Mistake("dump", ["--detail", "-1"], "--detail: '-1' is not known; use 0, 1, 2, 3 or 4"),
        Mistake("dump", ["--detail", "9"], "--detail: '9' is not known; use 0, 1, 2, 3 or 4"),
        Mistake("dump", ["--detail="], "--detail: '' is not known; use 0, 1, 2, 3 or 4"),
        Mistake("replay", ["--rate", "0"], "--rate: '0' is not a rate; use for example 50/s"),
        Mistake("replay", ["--rate", "-5"], "--rate: '-5' is not a rate; use for example 50/s"),
        Mistake("replay", ["--rate", "fast"], "--rate: 'fast' is not a rate; use for example 50/s"),
        Mistake("replay", ["--timing", "5s"], "--timing: '5s' is not a speed; use recorded, a factor such as 2x, or max"),
        Mistake("replay", ["--repeat", "0"], "--repeat: '0' is not a number; use 1 or more, at most 2147483647"),
        Mistake("replay", ["--concurrency", "many"], "--concurrency: 'many' is not a number; use 1 or more, at most 2147483647"),
        Mistake("filter", ["-m", "0", "~all"], "-m: '0' is not a number; use 1 or more, at most 2147483647"),
        Mistake("filter", ["-j", "-2", "~all"], "-j: '-2' is not a number; use 1 or more, at most 2147483647"),
        Mistake("record", ["--maximum-body-size", "10x"], "--maximum-body-size: '10x' is not a size; \(sizes)"),
        Mistake("record", ["--max-body-size", "-1"], "--max-body-size: '-1' is not a size; \(sizes)"),
        Mistake("record", ["--maximum-start-line", ""], "--maximum-start-line: the value is empty; \(sizes)"),
        Mistake("record", ["--idle-timeout", "5x"], "--idle-timeout: '5x' is not a length of time; \(times)"),
        Mistake("record", ["--stats", "-1s"], "--stats: '-1s' is not a length of time; \(times)"),
        Mistake("replay", ["--connect-timeout", "soon"], "--connect-timeout: 'soon' is not a length of time; \(times)"),
        Mistake("record", ["--sync", "often"], "--sync: 'often' is not known; use none, interval or always"),
        Mistake("record", ["--tls-minimum", "2"], "--tls-minimum: '2' is not known; use 1.0, 1.1, 1.2 or 1.3"),
        Mistake("serve", ["--order", "random"], "--order: 'random' is not known; use sequence, last, cycle or time"),
        Mistake("dump", ["--color=blue"], "--color: 'blue' is not known; use auto, always or never"),
        Mistake("dump", ["--verify=yes", "http.mflow"], "--verify takes no value, so 'yes' cannot be used"),
        Mistake("record", ["-o", ""], "-o: the value is empty; use the name of a file"),
        Mistake(
            "filter", ["--range", "a:b", "~all", "http.mflow"],
            "--range: 'a:b' is not a range; use OFFSET:LENGTH in bytes, or OFFSET: to read to the end"),
        Mistake(
            "filter", ["--columns", "", "~all"], "--columns: the value is empty; use names of columns with commas between them"),
    ]

    /// Options that cannot be together, or need another one.
    private static let combinations: [Mistake] = [
        Mistake(
            "dump", ["--color", "always", "--no-color", "http.mflow"],
            "--color always and --no-color contradict each other; give one of them"),
        Mistake("record", ["-q", "-v"], "-q and -v contradict each other; give one of them"),
        Mistake(
            "filter", ["--json", "--format", "text", "~all", "http.mflow"],
            "--json and --format text contradict each other; give one of them"),
        Mistake(
            "record", ["--tls-minimum", "1.3", "--tls-maximum", "1.2", "-w", "none", "-p", "0"],
            "--tls-minimum 1.3 is above --tls-maximum 1.2"),
        Mistake("record", ["-f", "~all", "~c 500"], "the filter is given twice: -f '~all' and '~c 500'"),
    ]

    /// Configuration files and --set.
    private static let configurations: [Mistake] = [
        Mistake(
            "record", ["--config", "missing.yaml"], "cannot read the configuration file missing.yaml: no such file or directory"),
        Mistake("record", ["--config", "dir"], "cannot read the configuration file dir: is a directory"),
        Mistake("record", ["--config", "noise"], "cannot read the configuration file noise: it is not text in UTF-8"),
        Mistake(
            "record", ["--config", "unreadable"], "cannot read the configuration file unreadable: permission denied",
            needsUser: true),
        Mistake("record", ["--config", "port.yaml"], "port.yaml:3: listen-port: 'abc' is not a port number; use 0 to 65535"),
        Mistake("dump", ["--config", "key.yaml"], "key.yaml:2: there is no option 'detial' of mitm-dump; did you mean 'detail'?"),
        Mistake(
            "filter", ["--config", "section.yaml", "~all"], "section.yaml:1: there is no section 'recrod'; did you mean 'record'?"),
        Mistake(
            "serve", ["--config", "flat.yaml", "http.mflow"],
            "flat.yaml:1: 'write' is not an option of every tool; move it to the section of a tool, such as 'serve:'"),
        Mistake(
            "dump", ["--config", "flat.yaml", "http.mflow"],
            "flat.yaml:1: 'write' is not an option of every tool; move it to the section of a tool, such as 'dump:'"),
        Mistake(
            "dump", ["--config", "stray.yaml", "http.mflow"],
            "stray.yaml:2: 'target' is not an option that all tools share; move it to the section of its tool, such as 'record:'"),
        Mistake("replay", ["--config", "broken.yaml"], "broken.yaml:3: this is not YAML: did not find expected ',' or ']'"),
        Mistake(
            "replay", ["--config", "notes.txt"],
            "notes.txt:1: a mapping of sections is expected, such as 'replay:' with options below it"),
        Mistake(
            "record", ["--set", "colour=red"], "--set colour=red: there is no option 'colour' of mitm-record; did you mean 'color'?"
        ),
        Mistake(
            "record", ["--set", "listen_port=x"], "--set listen_port=x: listen-port: 'x' is not a port number; use 0 to 65535"),
        Mistake("record", ["--set", "listen_port"], "--set listen_port: a value is missing; write listen_port=VALUE"),
        Mistake(
            "record", ["--set", "insecure=maybe"], "--set insecure=maybe: insecure: 'maybe' is not a switch; use true or false"),
        Mistake(
            "record", ["-q", "--confdir", "notes.txt", "-w", "none", "-p", "0"],
            "cannot make the configuration directory notes.txt: notes.txt is not a directory"),
    ]

    /// Inputs that are missing, of another kind, or damaged.
    private static let inputs: [Mistake] = [
        Mistake("dump", ["missing.mflow"], "cannot open missing.mflow: no such file or directory"),
        Mistake("filter", ["~all", "missing.mflow"], "cannot open missing.mflow: no such file or directory"),
        Mistake("serve", ["-p", "0", "missing.mflow"], "cannot open missing.mflow: no such file or directory"),
        Mistake(
            "replay", ["--target", "http://127.0.0.1:1", "missing.mflow"], "cannot open missing.mflow: no such file or directory"),
        Mistake("dump", ["notes.txt"], "notes.txt is not a flow file…"),
        Mistake("filter", ["~all", "notes.txt", "--count"], "notes.txt is not a flow file…"),
        Mistake("serve", ["-p", "0", "notes.txt"], "notes.txt is not a flow file…"),
        Mistake("record", ["-q", "-p", "0", "-w", "notes.txt"], "notes.txt is not a flow file…"),
        Mistake("record", ["-q", "-p", "0", "-w", "/nowhere/x.mflow"], "cannot write /nowhere/x.mflow: no such file or directory"),
        Mistake("filter", ["~c 2..", "http.mflow"], "'2..' is not a status code…"),
        Mistake("filter", ["~u '['", "http.mflow"], "the regular expression is not valid: missing terminating ]…"),
        Mistake("filter", ["~duration 5x", "http.mflow"], "'5x' is not a length of time; write >250ms, <=2s or 1s-2s; a number…"),
        Mistake("dump", ["-f", "~nothing x", "http.mflow"], "there is no operator ~nothing…"),
        Mistake("filter", [], "an expression is missing…"),
        Mistake("dump", ["unreadable"], "cannot open unreadable: permission denied", needsUser: true),
        Mistake("dump", ["dir"], "there is no .mflow file in the directory dir"),
        Mistake("filter", ["--splits", "1m", "absent"], "cannot open absent: no such file or directory"),
        Mistake("filter", ["~all", "dir", "--count"], "there is no .mflow file in the directory dir"),
    ]

    /// Certificates, names and addresses of the tools with sockets.
    private static let servers: [Mistake] = [
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--ca-file", "missing.pem"],
            "cannot read the file of --ca-file, missing.pem: no such file or directory"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--ca-file", "notes.txt"],
            "--ca-file: notes.txt cannot be used: it contains no…"),
        Mistake(
            "replay", ["--target", "https://127.0.0.1:1", "--client-certificate", "dir", "http.mflow"],
            "cannot read the file of --client-certificate, dir: is a directory"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--certificate", "missing.pem"],
            "cannot read the certificate missing.pem: no such file or directory"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--proxyauth", "someone"], "--proxyauth is written user:password or @file"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--proxyauth", "@missing"],
            "cannot read the file of --proxyauth, missing: no such file or directory"),
        Mistake(
            "serve", ["-p", "0", "--volatile", "missing", "http.mflow"],
            "cannot read the file of --volatile, missing: no such file or directory"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "{port}"],
            "cannot listen on 127.0.0.1:{port}: address already in use; choose another port with -p, or -p 0 for any free one"),
        Mistake(
            "serve", ["-q", "-p", "{port}", "http.mflow"],
            "cannot listen on 127.0.0.1:{port}: address already in use; choose another port with -p, or -p 0 for any free one"),
        Mistake("record", ["-q", "-w", "none", "-p", "0", "--mode", "sideways"], "mode 'sideways' is not known…"),
        Mistake("serve", ["-q", "-p", "0", "--fault", "5:503", "http.mflow"], "--fault 5:503 is not known…"),
        Mistake("serve", ["-q", "-p", "0", "--on-miss", "maybe", "http.mflow"], "--on-miss maybe is not known…"),
        Mistake("serve", ["-q", "-p", "0", "--ignore", "header:x", "http.mflow"], "--ignore…"),
        Mistake("replay", ["--target", "ftp://x", "http.mflow"], "--target 'ftp://x' is not a server…"),
        Mistake("record", ["-q", "-w", "none", "-p", "0", "--ignore-hosts", "("], "--ignore-hosts…"),
        Mistake(
            "record", ["-q", "-w", "none", "-p", "0", "--listen-host", "192.0.2.1"],
            "cannot listen on 192.0.2.1:0: address not available; write an address of this machine, or * for every one"),
    ]

    private static let all = options + combinations + configurations + inputs + servers

    @Test("A mistake is one sentence with the right status; it prints no results and costs no file")
    func sentences() throws {
        try withTemporaryDirectory { directory in
            let taken = try RawOrigin(answering: [])
            let port = taken.port
            try Self.fill(directory, port: port)
            let before = try Self.contents(directory)
            let failures = Mutex<[Int: String]>([:])
            let mistakes = Self.all.filter { !$0.needsUser || getuid() != 0 }
            DispatchQueue.concurrentPerform(iterations: mistakes.count) { index in
                let failure = Self.failure(of: mistakes[index], in: directory, port: port)
                failures.withLock { $0[index] = failure }
            }
            for (_, failure) in failures.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { Issue.record("\(failure)") }
            #expect(mistakes.count >= 80)
            #expect(try Self.contents(directory) == before)
        }
    }

    /// - Returns: what is wrong with the answer; nil if nothing is.
    private static func failure(of mistake: Mistake, in directory: String, port: Int) -> String? {
        func filled(_ text: String) -> String { text.replacingOccurrences(of: "{port}", with: "\(port)") }
        let arguments = mistake.arguments.map(filled)
        let command = "\(mistake.tool) \(arguments.joined(separator: " "))"
        guard
            let result = try? run(
                "env", ["XDG_CONFIG_HOME=\(directory)/home", toolDirectory + "/" + mistake.tool] + arguments, in: directory)
        else { return "\(command): it did not start" }
        if let words = foreignWords.first(where: { result.errors.contains($0) }) { return "\(command): '\(words)'" }
        let expected = "\(mistake.tool): \(filled(mistake.message))"
        let isRight =
            expected.hasSuffix("…") ? result.errors.hasPrefix(expected.dropLast()) : result.errors == expected + "\n"
        return isRight && result.status == mistake.status && result.output.isEmpty
            ? nil : "\(command)\n  expected \(mistake.status) \(expected)\n  received \(result)"
    }

    /// Of Foundation, the argument parser and Swift.
    private static let foreignWords = [
        "The operation could", "The file", "couldn’t", "doesn’t", "doesn't", "don’t", "don't", "Fatal error", "Error Domain",
        "Missing value", "is invalid for", "Unknown option", "Unexpected argument", "Did you mean", ".; see", "Optional(",
    ]

    private static func fill(_ directory: String, port: Int) throws {
        let manager = FileManager.default
        for name in ["http", "damaged", "every-kind"] {
            try manager.copyItem(
                atPath: repository + "/Fixtures/archives/v1/\(name).mflow", toPath: directory + "/\(name).mflow")
        }
        for name in ["dir", "home"] {
            try manager.createDirectory(atPath: directory + "/" + name, withIntermediateDirectories: false)
        }
        let files = [
            "notes.txt": "not flows\n",
            "port.yaml": "all:\nrecord:\n  listen-port: abc\n",
            "key.yaml": "dump:\n  detial: 3\n",
            "section.yaml": "recrod:\n  quiet: true\n",
            "flat.yaml": "write: x.mflow\n",
            "stray.yaml": "all:\n  target: http://127.0.0.1:1\n",
            "broken.yaml": "record: [a\n\n",
            "unreadable": "secret\n",
        ]
        for (name, text) in files { try text.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8) }
        try Data([0xFF, 0xFE, 0x00, 0x80]).write(to: URL(filePath: directory + "/noise"))
        try manager.setAttributes([.posixPermissions: 0], ofItemAtPath: directory + "/unreadable")
        // Makes the certificate authority, so that no case makes it.
        let arguments = ["XDG_CONFIG_HOME=\(directory)/home", toolDirectory + "/mitm-record", "-q", "-w", "none", "-p", "\(port)"]
        try run("env", arguments, in: directory)
    }

    /// The files of a directory, with what is in them, except for those of the configuration.
    private static func contents(_ directory: String) throws -> [String: Data] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: directory).filter { !$0.hasPrefix("home") }
        return Dictionary(
            uniqueKeysWithValues: names.map { ($0, FileManager.default.contents(atPath: directory + "/" + $0) ?? Data()) })
    }
}
