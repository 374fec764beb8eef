// Command lines: how the tools read them, and what they answer to mistakes.

import Foundation
import TestSupport
import Testing

@Suite("Bad input")
struct BadInputTests {
    private static func sentence(_ result: ProgramResult) -> String { String(result.errors.split(separator: "\n").last ?? "") }

    @Test("A mistake is one clear sentence with status 2, and nothing is overwritten")
    func mistakes() throws {
        try withTemporaryDirectory { directory in
            try "not flows\n".write(toFile: directory + "/notes.txt", atomically: true, encoding: .utf8)
            let taken = try RawOrigin(answering: [])
            let cases: [(String, [String], String)] = [
                ("mitm-record", ["-w", "x.mflow", "-p", "\(taken.port)"], "address already in use"),
                ("mitm-record", ["-w", "/nowhere/x.mflow", "-p", "0"], "cannot write /nowhere/x.mflow: no such file or directory"),
                ("mitm-record", ["-w", "notes.txt", "-p", "0"], "notes.txt is not a flow file"),
                ("mitm-record", ["--no-such-option"], "--no-such-option"),
                ("mitm-record", ["-w", "none", "-p", "0", "~c 2.."], "'2..' is not a status code"),
                ("mitm-record", ["-w", "none", "-p", "0", "--mode", "sideways"], "mode 'sideways' is not known"),
                ("mitm-record", ["-w", "none", "-p", "0", "--ca-file", "missing.pem"], "cannot read the file of --ca-file"),
                ("mitm-record", ["-w", "none", "-p", "0", "--set", "colour=red"], "there is no option 'colour'"),
                ("mitm-dump", ["notes.txt"], "notes.txt is not a flow file"),
                ("mitm-dump", ["missing.mflow"], "cannot open missing.mflow: no such file or directory"),
                ("mitm-dump", ["--detail", "9", "x"], "--detail: '9' is not known; use 0, 1, 2, 3 or 4"),
                ("mitm-filter", ["~u '['", "notes.txt"], "missing terminating ]"),
                ("mitm-filter", ["~all", "notes.txt", "--count"], "notes.txt is not a flow file"),
                ("mitm-filter", [], "an expression is missing"),
            ]
            for (program, arguments, words) in cases {
                let confdir = program == "mitm-record" ? ["--confdir", directory + "/conf"] : []
                let result = try run(program, confdir + arguments, in: directory)
                #expect(result.status == 2, "\(program) \(arguments): \(result)")
                #expect(result.errors.contains(words), "\(program) \(arguments): \(result.errors)")
                #expect(!result.errors.contains("Fatal error"))
            }
            #expect(try String(contentsOfFile: directory + "/notes.txt", encoding: .utf8) == "not flows\n")
        }
    }

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
}
