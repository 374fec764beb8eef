// The tools in pipelines: what comes is printed as it comes, outputs are safe, and inputs that cannot be read do not hide the others.

import Foundation
import Glibc
import TestSupport
import Testing

private let archives = repository + "/Fixtures/archives/v1"
private let http = archives + "/http.mflow"

/// Commands of a shell in which `$T` is the directory of the tools.
private func shell(_ script: String, in directory: String) throws -> ProgramResult {
    try run("bash", ["-c", "T=\(toolDirectory)\n" + script], in: directory)
}

@Suite("Live pipes")
struct LivePipeTests {
    @Test(
        "What a pipe has brought is printed while more may come",
        arguments: [
            "$T/mitm-dump", "$T/mitm-dump --follow -", "$T/mitm-dump --format json", "$T/mitm-filter --json '~all'",
            "$T/mitm-filter -j 4 --format text '~all'", "$T/mitm-filter '~all' | $T/mitm-dump --format json",
            "$T/mitm-filter '~all' | $T/mitm-filter -j 1 '~all' | $T/mitm-dump",
        ])
    func live(reader: String) throws {
        try withTemporaryDirectory { directory in
            let count = try run("mitm-dump", ["--detail", "1", http]).output.split(separator: "\n").count
            #expect(try run("mkfifo", [directory + "/hold"]).status == 0)
            // The writer of the pipe continues when the last flow has been printed; a reader that keeps it back waits for ever.
            let script = """
                T=\(toolDirectory)
                exec 9<>hold
                (cat \(http); read -r _ <&9) | \(reader) | for ((i = 0; i < \(count); i++)); do read -r line && echo x; done
                """
            let program = try RunningProgram("bash", ["-c", script + " | (head -n \(count); echo >&9; cat)"], in: directory)
            #expect(program.readOutput().split(separator: "\n").count == count)
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test("The first interrupt leaves the reader to print what its writer says at its end")
    func interrupted() throws {
        try withTemporaryDirectory { directory in
            let data = try Data(contentsOf: URL(fileURLWithPath: http))
            let program = try RunningProgram("bash", ["-c", "exec \(toolDirectory)/mitm-dump --format json"], takesInput: true)
            // The first flows are out, so the tool reads its pipe.
            program.writePart(data.prefix(data.count - 1))
            let first = program.outputLine()
            program.send(SIGINT)
            program.write(data.suffix(1))
            let lines = ((first ?? "") + "\n" + program.readOutput()).split(separator: "\n").count
            let printed = try run("mitm-dump", ["--detail", "1", http]).output.split(separator: "\n").count
            #expect(lines == printed)
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test(
        "A reader that has gone ends a tool quietly",
        arguments: ["mitm-filter '~all'", "mitm-filter --json '~all'", "mitm-dump", "mitm-dump --verify"])
    func quiet(tool: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell("set -o pipefail; exec 8> >(exec true); wait $!; $T/\(tool) \(http) >&8", in: directory)
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }
}

@Suite("Outputs and inputs")
struct OutputTests {
    @Test(
        "A file stays as it was when there is an error",
        arguments: [
            ("$T/mitm-filter -o out '~c 503' nofile", "mitm-filter: cannot open nofile: no such file or directory\n"),
            ("$T/mitm-filter -o out '~c (' a.mflow", nil), ("$T/mitm-filter -o out '~all' /etc/passwd", nil),
            ("$T/mitm-filter --format json -o out '~all' nofile -", nil), ("$T/mitm-filter --format har -o out '~all' nofile", nil),
            ("$T/mitm-filter --append -o out '~all' a.mflow", nil),
            ("ulimit -f 1; trap '' XFSZ; $T/mitm-filter -o out '~all' a.mflow", nil),
        ] as [(String, String?)])
    func errors(command: String, message: String?) throws {
        try withTemporaryDirectory { directory in
            let result = try shell("echo old > out; cp \(archives)/every-kind.mflow a.mflow; echo x | (\(command))", in: directory)
            #expect(result.status == 2)
            if let message { #expect(result.errors == message) }
            #expect(try String(contentsOfFile: directory + "/out", encoding: .utf8) == "old\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["a.mflow", "out"])
        }
    }

    @Test(
        "An output that is an input under any name is refused, and stays as it was",
        arguments: [
            "$T/mitm-filter -o hard '~all' a", "$T/mitm-filter -o soft '~all' a", "$T/mitm-filter -o ./a '~all' hard",
            "$T/mitm-filter -o a '~all' - < a", "$T/mitm-filter -o hard '~all' < a", "$T/mitm-filter '~all' a >> hard",
            "$T/mitm-dump a >> a", "$T/mitm-dump < a >> soft", "$T/mitm-filter --append -o hard '~all' a",
            "$T/mitm-replay --target http://127.0.0.1:9 -w hard a",
            "$T/mitm-replay --target http://127.0.0.1:9 --truncate -w soft a",
        ])
    func inputs(command: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                "cp \(http) a; ln a hard; ln -s a soft; \(command); s=$?; cmp a \(http) || exit 9; exit $s", in: directory)
            #expect(result.status == 2)
            #expect(
                result.errors.contains(" is an input; write to another file") || result.errors.contains("is the recording itself"))
        }
    }

    @Test("An output is replaced when it is complete: a link stays one, permissions stay, and --append adds")
    func replaced() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                """
                echo old > file; chmod 640 file; ln -s file link
                $T/mitm-filter -o link '~all' \(http) || exit 8
                [ -L link ] && [ "$(stat -c %a file)" = 640 ] || exit 9
                $T/mitm-filter -o new '~all' \(http) && [ "$(stat -c %a new)" = 600 ] || exit 10
                mkdir sub; ln -s there.mflow sub/second; ln -s sub/second first; $T/mitm-filter -o first '~all' \(http) || exit 12
                [ -L first ] && [ -L sub/second ] && [ -f sub/there.mflow ] || exit 13
                $T/mitm-dump --format json sub/there.mflow > one; $T/mitm-dump --format json \(http) | cmp - one || exit 14
                $T/mitm-dump --format json file > one; $T/mitm-dump --format json \(http) | cmp - one || exit 11
                $T/mitm-filter --append -o file '~all' \(http) && $T/mitm-dump --format json file | cmp - <(cat one one)
                """, in: directory)
            #expect(result.status == 0)
        }
    }

    @Test("A signal in the middle leaves the file that was there, and nothing else", arguments: [SIGINT, SIGTERM, SIGKILL])
    func killed(signal: Int32) throws {
        try withTemporaryDirectory { directory in
            try "old\n".write(toFile: directory + "/out", atomically: true, encoding: .utf8)
            #expect(try run("mkfifo", [directory + "/pipe"]).status == 0)
            // The threads of tests have signals blocked, which programs inherit.
            let unblocked =
                "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execv(sys.argv[1], sys.argv[1:])"
            let tool = toolDirectory + "/mitm-filter"
            let running = try RunningProgram("python3", ["-c", unblocked, tool, "-o", "out", "~all", http, "pipe"], in: directory)
            // Opening the pipe waits for its reader, which comes when the first file has been read.
            let handle = FileHandle(forWritingAtPath: directory + "/pipe")
            running.send(signal)
            #expect(running.waitForEnd() == 128 + signal)
            try handle?.close()
            #expect(try String(contentsOfFile: directory + "/out", encoding: .utf8) == "old\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["out", "pipe"])
        }
    }

    @Test(
        "An input that cannot be read is reported, the others are read, and the status is 2",
        arguments: [
            "$T/mitm-filter --json '~all'", "$T/mitm-dump --format json", "$T/mitm-serve --list", "$T/mitm-filter --count '~all'",
        ])
    func unreadable(tool: String) throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                "mkdir none; \(tool) \(http) gone.mflow none /etc/passwd \(archives)/tcp.mflow > out; s=$?; \(tool) \(http) \(archives)/tcp.mflow | cmp - out || exit 9; exit $s",
                in: directory)
            #expect(result.status == 2)
            let lines = result.errors.split(separator: "\n")
            #expect(lines.count == 3)
            #expect(lines.first?.hasSuffix("cannot open gone.mflow: no such file or directory") == true)
        }
    }

    @Test(
        "--verify counts the flows that are printed, and uses the right numbers",
        arguments: ["http", "open-flows", "every-kind", "concatenated"])
    func verify(file: String) throws {
        let printed = try run("mitm-dump", ["--detail", "1", "\(archives)/\(file).mflow"]).output.split(separator: "\n").count
        let result = try run("mitm-dump", ["--verify", "\(archives)/\(file).mflow"])
        #expect(result.output.contains(", \(printed) flow\(printed == 1 ? "" : "s"): verified\n"))
    }

    @Test("Names of files need not be UTF-8: they are read, written, listed and printed as they are")
    func names() throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                """
                n=$(printf 'a\\351\\200b\\364\\217\\236\\200.mflow'); mkdir -p "d/$(printf '\\377')"; cp \(http) "d/$(printf '\\377')/$n"
                $T/mitm-filter -o "$n" '~all' "d/$(printf '\\377')/$n" && cmp <($T/mitm-dump --format json d) <($T/mitm-dump --format json "$n") || exit 9
                $T/mitm-dump --verify "$n" | grep -aq "^$n: 1 block" || exit 10
                $T/mitm-filter -o "$n" '~all' "$n" && exit 11
                $T/mitm-dump "x$n" 2> message; printf 'mitm-dump: cannot open x%s: no such file or directory\\n' "$n" | cmp - message
                """, in: directory)
            #expect(result.status == 0)
        }
    }
}
