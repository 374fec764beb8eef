// A command that the recorder runs: what a shell sees of it, and what stays behind.

import Foundation
import Glibc
import TestSupport
import Testing

/// Runs `mitm-record … -- COMMAND` in a directory, with the configuration in `conf` and the flow file `capture.mflow`.
func launch(
    _ command: [String], options: [String] = ["-w", "capture.mflow"], input: Data? = nil, in directory: String
) throws -> ProgramResult {
    try run("mitm-record", options + ["--confdir", "conf", "--"] + command, input: input, in: directory)
}

@Suite("A command through the recorder")
struct CommandTests {
    @Test(
        "The status is the command's, and tells what failed if it is not",
        arguments: [
            (["true"], 0, ""), (["sh", "-c", "exit 3"], 3, ""), (["sh", "-c", "exit 255"], 255, ""),
            (["sh", "-c", "kill -KILL $$"], 137, ""),
            (["no-such-command"], 127, "mitm-record: cannot run 'no-such-command': there is no such command on the PATH\n"),
            (["./missing"], 127, "mitm-record: cannot run './missing': no such file or directory\n"),
            (["./plain-file"], 126, "mitm-record: cannot run './plain-file': permission denied\n"),
            (["./directory"], 126, "mitm-record: cannot run './directory': permission denied\n"),
            (["./no-interpreter"], 127, "mitm-record: cannot run './no-interpreter': no such file or directory\n"),
            (["./script", "a b", ""], 7, "script: a b, \n"),
            ([""], 127, "mitm-record: cannot run '': there is no such command on the PATH\n"),
        ] as [([String], Int32, String)])
    func status(command: [String], status: Int32, errors: String) throws {
        try withTemporaryDirectory { directory in
            let script = """
                echo > plain-file; mkdir directory; printf '#!/no/such/interpreter\\n' > no-interpreter
                printf 'echo "script: $1, $2" >&2; exit 7\\n' > script; chmod +x no-interpreter script
                """
            _ = try run("sh", ["-c", script], in: directory)
            #expect(try launch(command, in: directory) == ProgramResult(status: status, output: "", errors: errors))
        }
    }

    @Test(
        "When the recorder itself fails the status is 125, and the command does not run",
        arguments: [
            (
                ["-p", "PORT"],
                "cannot listen on 127.0.0.1:PORT: address already in use; choose another port with -p, or -p 0 for any free one"
            ),
            (["-w", "-"], "standard output is the command's; name a file with -w"),
            (["-w", "missing/a.mflow"], "cannot write missing/a.mflow: no such file or directory"),
            (["--no-such-option"], "there is no option '--no-such-option'; see mitm-record --help"),
            (["--mode", "nonsense"], nil), (["--proxyauth", "a:b"], nil), (["--environment"], nil),
        ] as [([String], String?)])
    func failure(options: [String], message: String?) throws {
        try withTemporaryDirectory { directory in
            let taken = try RawOrigin(answering: [])
            let text = { (text: String) in text.replacing("PORT", with: "\(taken.port)") }
            let result = try launch(["touch", "ran"], options: options.map(text), in: directory)
            #expect(result.status == 125)
            #expect(result.errors.hasPrefix("mitm-record: ") && result.errors.filter(\.isNewline).count == 1, "\(result.errors)")
            if let message { #expect(result.errors == "mitm-record: \(text(message))\n") }
            #expect(!FileManager.default.fileExists(atPath: directory + "/ran"))
            let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0 != "conf" }
            #expect(files == [])
        }
    }

    @Test("The command's streams are untouched, and it gets no descriptor, signal or limit of ours")
    func streams() throws {
        try withTemporaryDirectory { directory in
            let bytes = Data((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 131 >> 3) })
            try bytes.write(to: URL(fileURLWithPath: directory + "/in"))
            // The shell opens descriptor 7 and lowers the limit of open files; a shell at the other side compares what it was given.
            let script = """
                ulimit -Sn 200; exec 7< in
                "$0" -w a.mflow --confdir conf -- cat < in > out 2> err && cmp in out && ! [ -s err ] &&
                "$0" -w a.mflow --confdir conf -- sh -c 'cat <&7; ulimit -Sn >&2; ls /proc/self/fd >&2; grep Sig[BI] /proc/self/status >&2' > out 2> err &&
                cmp in out
                cat err
                sh -c 'ulimit -Sn; ls /proc/self/fd; grep Sig[BI] /proc/self/status' 
                """
            let result = try run("bash", ["-c", script, toolDirectory + "/mitm-record"], in: directory)
            #expect(result.errors == "")
            let lines = result.output.split(separator: "\n")
            #expect(
                lines.count > 6 && Array(lines.prefix(lines.count / 2)) == Array(lines.suffix(lines.count / 2)), "\(result.output)")
        }
    }

    @Test("Without -w the recording has a name of its own, which is printed at the end unless -q")
    func ownName() throws {
        try withTemporaryDirectory { directory in
            // Two at once: they do not share a file.
            let script =
                "for i in 1 2; do \"$0\" --confdir conf -- true 2> err$i & done; wait; \"$0\" -q --confdir conf -- true; cat err*"
            let result = try run("bash", ["-c", script, toolDirectory + "/mitm-record"], in: directory)
            #expect(result.errors == "")
            let told = Set(result.output.split(separator: "\n").map { String($0.trimmingPrefix("mitm-record: recorded in ")) })
            let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".mflow") }
            #expect(told.count == 2 && files.count == 3 && told.isSubset(of: files), "\(result.output)\(files)")
        }
    }

    @Test("With -v the event log is on stderr; errors are printed without it")
    func log() throws {
        try withTemporaryDirectory { directory in
            let verbose = try launch(["true"], options: ["-v", "-w", "a.mflow"], in: directory)
            #expect(verbose.status == 0 && verbose.errors.contains("listening on 127.0.0.1:"))
            #expect(verbose.output == "")
        }
    }

    @Test("Nothing is left: no process, no descriptor, no file but the recording and the certificates")
    func leftovers() throws {
        try withTemporaryDirectory { directory in
            let script = """
                export TMPDIR=$PWD/tmp; mkdir tmp
                "$0" -w a.mflow --confdir conf -- sh -c 'true & (sleep 0.01 &) ; wait' || exit
                "$0" -w a.mflow --confdir conf -- true || exit
                find . -type f -printf '%P %m\\n' | sort; ps --ppid $$ -o stat=,comm= | grep -v -e 'ps$' -e 'grep$'
                """
            let result = try run("bash", ["-c", script, toolDirectory + "/mitm-record"], in: directory)
            #expect(
                result
                    == ProgramResult(
                        status: 1,
                        output: """
                            a.mflow 600
                            conf/mitm-ca-bundle.p12 600
                            conf/mitm-ca-bundle.pem 600
                            conf/mitm-ca-bundle.wgetrc 600
                            conf/mitm-ca-cert.pem 644
                            conf/mitm-ca.pem 600

                            """, errors: ""))
        }
    }

    /// Starts the recorder on a terminal of its own, from a shell with job control or directly, and prints what is seen there.
    private static let terminalScript = """
        import os, pty, re, signal, sys
        steps, command = sys.argv[1].split(","), sys.argv[2:]
        child, terminal = pty.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp(command[0], command)
        seen = b""
        def wait_for(text):
            global seen
            while text not in seen: seen += os.read(terminal, 1)
            seen = seen[seen.index(text) + len(text):]
        for step in steps:
            action, _, text = step.partition(":")
            if action == "see": wait_for(text.encode())
            elif action == "key": os.write(terminal, bytes([int(text)]))
            elif action == "type": os.write(terminal, text.encode() + b"\\n")
            elif action == "kill": os.kill(child, getattr(signal, text))
            elif action == "close": os.close(terminal)
        print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """

    /// A command that prints the signals it gets, and ends with the second one.
    private static let trapping = """
        trap 'echo got-INT; n=$n.' INT; trap 'echo got-TERM; n=$n..' TERM; trap 'echo got-HUP >> hup; exit 9' HUP
        echo ready; while [ ${#n} -lt 2 ]; do read -t 0.1 x < fifo || :; done; exit 5
        """

    @Test(
        "Keys of the terminal reach the command, and the recorder ends when it does",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"),
        arguments: [
            // Ctrl-C twice: once for each the command hears of one.
            ("see:ready,key:3,see:got-INT,key:3,see:got-INT", 5),
            ("see:ready,kill:SIGINT,see:got-INT,kill:SIGINT,see:got-INT", 5),
            ("see:ready,kill:SIGTERM,see:got-TERM", 5),
            ("see:ready,close", 9),
        ] as [(String, Int32)])
    func keys(steps: String, status: Int32) throws {
        try withTemporaryDirectory { directory in
            _ = try run("mkfifo", ["fifo"], in: directory)
            let command =
                [
                    toolDirectory + "/mitm-record", "-w", "a.mflow", "--confdir", "conf", "--", "bash", "-c",
                    "exec 3<> fifo; " + Self.trapping,
                ]
            let result = try run("python3", ["-c", Self.terminalScript, steps] + command, in: directory)
            #expect(result == ProgramResult(status: 0, output: "status \(status)\n", errors: ""))
            #expect(try run("mitm-dump", ["--verify", "a.mflow"], in: directory).status == 0)
        }
    }

    @Test(
        "Ctrl-Z stops command and recorder, and the shell continues both",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"))
    func stop() throws {
        try withTemporaryDirectory { directory in
            let command =
                "\(toolDirectory)/mitm-record -w a.mflow --confdir conf -- sh -c 'echo is-\"\"up; while read x; do echo got-$x; done; exit 4'"
            // Each time both stop once, in whichever order the signals of the key reach them.
            let stop = "key:26,see:Stopped,see:read x,type:fg,see:read x,type:42,see:got-42"
            let stops = Array(repeating: stop, count: 8).joined(separator: ",")
            let steps = "see:$,type:\(command),see:is-up,\(stops),key:4,see:$,type:echo rc-$?,see:rc-4,type:exit"
            let result = try run(
                "python3", ["-c", Self.terminalScript, steps, "env", "PS1=$", "bash", "--norc", "--noprofile", "-i"], in: directory)
            #expect(result == ProgramResult(status: 0, output: "status 0\n", errors: ""))
        }
    }
}
