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

    /// Runs a pipeline that begins with a recorder on a terminal of its own, as a shell would. Each request is made when the one before is
    /// shown; after the last one Ctrl-C is typed at once.
    private static let session = """
        import http.server, os, pty, signal, subprocess, sys, threading, urllib.request
        class Origin(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
            def log_message(self, *arguments): pass
        origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        os.mkfifo("log")
        child, terminal = pty.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp("bash", ["bash", "-c", sys.argv[1]])
        log = open("log")
        port = next(line for line in log if "listening on " in line).rsplit("listening on ")[-1].split(" ")[0].rsplit(":")[-1]
        threading.Thread(target=log.read, daemon=True).start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://127.0.0.1:" + port}))
        def request(path):
            try: opener.open("http://127.0.0.1:%d/%s" % (origin.server_address[1], path))
            except urllib.error.HTTPError: pass
        shown = b""
        for path in ("first", "second"):
            request(path)
            while path.encode() not in shown: shown += os.read(terminal, 65536)
        request("third")
        os.write(terminal, b"\\x03")
        try:
            while data := os.read(terminal, 65536): shown += data
        except OSError: pass
        print(*(shown.count(path.encode()) for path in ("first", "second", "third")), shown.decode().split()[-1])
        """

    @Test(
        "A pipeline of a recorder shows each flow while it records, and Ctrl-C ends it with the last one",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"),
        arguments: [
            ("$T/mitm-dump", 1, "0,0"), ("$T/mitm-filter '~c 5xx' | $T/mitm-dump --format json", 2, "0,0,0"),
            ("$T/mitm-filter --format text '~all'", 1, "0,0"),
            ("$T/mitm-filter --format mitmproxy '~all' | $T/mitm-dump --detail 1", 1, "0,0,0"),
            ("$T/mitm-filter '~c 5xx' | $T/mitm-filter -j 1 '~m GET' | $T/mitm-dump --follow -", 1, "0,0,0,0"),
            ("$T/mitm-dump --format mflow | $T/mitm-dump -o /dev/tty", 1, "0,0,0"),
        ])
    func recorded(readers: String, mentions: Int, statuses: String) throws {
        try withTemporaryDirectory { directory in
            let pipeline = """
                T=\(toolDirectory); $T/mitm-record -w - -p 0 --confdir conf 2> log | \(readers); echo "${PIPESTATUS[*]}" | tr ' ' ,
                """
            let result = try run("python3", ["-c", Self.session, pipeline], in: directory)
            #expect(result.output == "\(mentions) \(mentions) \(mentions) \(statuses)\n", "\(result.errors)")
        }
    }

    @Test("All that is named is followed: files that grow, appear, rotate, are moved away or emptied, and a pipe")
    func followed() throws {
        try withTemporaryDirectory { directory in
            let script = """
                T=\(toolDirectory); H=\(http); C=\(archives)/tcp.mflow; h=$($T/mitm-filter --count '~all' $H); c=$($T/mitm-filter --count '~all' $C)
                lines() { for ((i = 0; i < $1; i++)); do read -r line <&${F[0]} || exit 1; done; }
                mkdir d; cp $H d/a.mflow; mkfifo hold; exec 9<>hold
                coproc F { exec $T/mitm-dump --follow --json d 'r-%H.mflow' - < <(cat $H; read -r _ <&9); }
                lines $h; lines $h
                cp $C d/b.mflow; lines $c
                cp $H r-10.mflow; lines $h
                cat $C >> d/a.mflow; lines $c
                mv d/a.mflow d/old.mflow; cp $H d/a.mflow; lines $h
                cat $C > r-10.mflow; lines $c
                kill -INT $F_PID; echo >&9
                read -r line <&${F[0]} && exit 2
                wait $F_PID
                """
            let result = try run("bash", ["-c", script], in: directory)
            #expect(result == ProgramResult(status: 0, output: "", errors: ""))
        }
    }

    @Test("A recorder whose pipe is closed ends quietly: at its start, and with the next flow")
    func recorderWithoutReader() throws {
        try withTemporaryDirectory { directory in
            let script = "exec 8> >(exec true); wait $!; exec \(toolDirectory)/mitm-record -q -w - -p 0 --confdir conf >&8"
            #expect(try run("bash", ["-c", script], in: directory) == ProgramResult(status: 0, output: "", errors: ""))
            let record = "\(toolDirectory)/mitm-record -w - -p 0 --confdir conf"
            // The reader wants only the header.
            let pipeline = try RunningProgram(
                "bash", ["-c", record + " | head -c 32 > /dev/null; echo ${PIPESTATUS[*]}"], in: directory)
            let line = try #require(pipeline.errorLine(containing: "listening on "))
            let address = try #require(line.split(separator: " ").first { $0.hasPrefix("127.0.0.1:") })
            try run("curl", ["-s", "-x", "http://\(address)", "http://127.0.0.1:1/"])
            #expect(pipeline.readOutput() == "0 0\n")
            #expect(pipeline.waitForEnd() == 0)
            #expect(!pipeline.errors.contains("broken pipe"))
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
            ("$T/mitm-filter --format json -o text '~all' nofile -", nil), ("$T/mitm-dump --format har -o text nofile", nil),
            (
                "$T/mitm-filter --append -o text '~all' a.mflow",
                "mitm-filter: text is not a flow file: it does not begin as one; it was not changed\n"
            ),
            ("ulimit -f 1; trap '' XFSZ; $T/mitm-filter -o out '~all' a.mflow", nil),
            ("$T/mitm-dump --detail 9 -o text a.mflow", nil), ("$T/mitm-dump -o text a.mflow '~nothing'", nil),
            ("$T/mitm-dump -o text nofile", "mitm-dump: cannot open nofile: no such file or directory\n"),
        ] as [(String, String?)])
    func errors(command: String, message: String?) throws {
        try withTemporaryDirectory { directory in
            let result = try shell(
                "cp \(http) out; echo old > text; cp \(archives)/every-kind.mflow a.mflow; echo x | (\(command)); s=$?; cmp out \(http) || exit 9; exit $s",
                in: directory)
            #expect(result.status == 2)
            if let message { #expect(result.errors == message) }
            #expect(try String(contentsOfFile: directory + "/text", encoding: .utf8) == "old\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["a.mflow", "out", "text"])
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
                cp \(archives)/tcp.mflow file; chmod 640 file; ln -s file link
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
            try FileManager.default.copyItem(atPath: archives + "/tcp.mflow", toPath: directory + "/out")
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
            #expect(FileManager.default.contentsEqual(atPath: directory + "/out", andPath: archives + "/tcp.mflow"))
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
