// The view that a recorder or a server of recordings starts: what it shows, who reaches it, and that its end is not theirs.

import Foundation
import Glibc
import TestSupport
import Testing

/// A view that was started, by its address.
private struct StartedView {
    let url: String
    let secret: String

    /// - Parameter line: of the event log.
    init(_ line: String?) throws {
        guard let line, let start = line.range(of: "http://"), let end = line.range(of: "/#k=") else {
            throw TestFailure("there is no view: \(line ?? "")")
        }
        url = String(line[start.lowerBound..<end.lowerBound])
        secret = String(line[end.upperBound...])
    }

    var port: Int { Int(url.split(separator: ":").last ?? "") ?? 0 }

    func get(_ call: String) throws -> JSONObject {
        let result = try run("curl", ["-sS", "-H", "Authorization: Bearer \(secret)", "\(url)/api/1/\(call)"])
        return try #require(try JSONObject.lines(result.output).first)
    }

    /// The status when it has so many flows.
    func status(flows: Int) throws -> JSONObject {
        for _ in 0..<1000 {
            let status = try get("status")
            if status["flows"] == "\(flows)" { return status }
        }
        throw TestFailure("the view does not have \(flows) flows: \(try get("status"))")
    }

    /// Waits until the process has ended, which the system makes known to its clients.
    func waitForEnd(_ body: () throws -> Void) throws {
        let connection = try RawConnection(port: port)
        try body()
        _ = connection.readToEnd()
    }
}

@Suite("The view of a recorder")
struct ViewTests {
    private func origin() throws -> RawOrigin {
        try RawOrigin { connection, _ in
            while connection.read(until: "\r\n\r\n") != "" { connection.send(response("ok")) }
        }
    }

    @Test("It follows all files of the recording, cannot be reached through the recorder, and its crash ends nothing else")
    func recorder() throws {
        try withTemporaryDirectory { directory in
            let origin = try origin()
            let program = try RunningProgram(
                "mitm-record",
                ["-w", "a.mflow", "--view", "--rotate-size", "4k", "--flush-interval", "10ms", "-p", "0", "--confdir", "conf"],
                in: directory)
            let view = try StartedView(program.errorLine(containing: "view at "))
            let port = try #require(
                program.errorLine(containing: "listening on ")?.split(separator: ":").last?.prefix { $0.isNumber })
            let proxy = "http://127.0.0.1:\(port)"
            for number in 0..<20 {
                try run("curl", ["-sS", "-x", proxy, "http://127.0.0.1:\(origin.port)/\(number)"])
            }
            let status = try view.status(flows: 20)
            #expect(status["files.0.path"] == "a.mflow" && status["files.1.path"] == "a-00001.mflow")

            let bearer = [
                "-sS", "-x", proxy, "-H", "Authorization: Bearer \(view.secret)", "-o", "/dev/null", "-w", "%{http_code}",
            ]
            for host in ["127.0.0.1", "localhost", "[::1]", "2130706433"] {
                #expect(try run("curl", bearer + ["-g", "http://\(host):\(view.port)/api/1/status"]).output == "502")
            }
            #expect(try run("curl", bearer + ["-p", "\(view.url)/api/1/status"]).status != 0)
            let refused = try view.status(flows: 25)
            let last = refused.count("files") - 1
            #expect(refused["files.\(last).growing"] == "1")

            try view.waitForEnd { try kill(viewOf: program.processID) }
            #expect(program.errorLine(containing: "the view has ended")?.hasSuffix("by signal 9; recording continues") == true)
            #expect(try run("curl", ["-sS", "-x", proxy, "http://127.0.0.1:\(origin.port)/after"]).output == "ok")
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0)
            #expect(
                program.errors.contains(" × 127.0.0.1:\(view.port) is the view of this recorder, to which nothing is forwarded"))
        }
    }

    /// Ends the only child of a process.
    private func kill(viewOf process: Int32) throws {
        let children = try String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
        let all = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").map {
            try String(contentsOfFile: "/proc/\(process)/task/\($0)/children", encoding: .utf8)
        }
        let child = try #require(Int32((children + all.joined()).split(separator: " ").first ?? ""))
        Glibc.kill(child, SIGKILL)
    }

    @Test("It ends with the recorder, even with one that is killed", arguments: [SIGTERM, SIGKILL])
    func ends(signal: Int32) throws {
        try withTemporaryDirectory { directory in
            let program = try RunningProgram(
                "mitm-record", ["-w", "a.mflow", "--view", "-p", "0", "--confdir", "conf"], in: directory)
            let view = try StartedView(program.errorLine(containing: "view at "))
            _ = program.errorLine(containing: "listening on ")
            try view.waitForEnd { program.send(signal) }
            #expect(program.waitForEnd() == (signal == SIGTERM ? 0 : 128 + SIGKILL))
            #expect(!program.errors.contains("the view has ended"))
        }
    }

    @Test("A flow is replayed to the named target only, and only by a request that has the secret and comes from the page")
    func replays() throws {
        try withTemporaryDirectory { directory in
            try record([("/a?b=1", response("recorded"))], in: directory)
            let target = try RawOrigin(answering: [("\r\n\r\n", response("changed"))])
            let program = try RunningProgram(
                "mitm-view",
                ["--allow-replay", "http://127.0.0.1:\(target.port)", "--confdir", "conf", "capture.mflow"], in: directory)
            let view = try StartedView(program.outputLine())
            #expect(try view.status(flows: 1)["replay"] == "http://127.0.0.1:\(target.port)")
            let call = "\(view.url)/api/1/flows/0/replay"
            let bearer = ["-H", "Authorization: Bearer \(view.secret)"]
            let attacks = [
                (["-X", "POST", call], "401"), (bearer + [call], "404"),
                (bearer + ["-d", "target=http://127.0.0.1:1", call], "400"),
                (bearer + ["-X", "POST", "-H", "Origin: http://evil.example", call], "403"),
                (bearer + ["-X", "POST", "-H", "Sec-Fetch-Site: cross-site", call], "403"),
                (bearer + ["-X", "POST", "-H", "Host: evil.example", call], "403"),
                (["-X", "POST", "-b", "mitm-view-\(view.port)=0", call], "401"),
            ]
            for (arguments, status) in attacks {
                #expect(try run("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}"] + arguments).output == status)
            }
            #expect(target.log == "")
            let answer = try run("curl", ["-sS", "-X", "POST"] + bearer + [call]).output
            let result = try #require(try JSONObject.lines(answer).first)
            #expect(result["target"] == "http://127.0.0.1:\(target.port)")
            #expect(result["result.result"] == "different")
            #expect(result["result.differences.0.path"] == "body")
            #expect(target.log.hasPrefix("GET /a?b=1 HTTP/1.1\r\n"))
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test(
        "What cannot be shown, and an address that cannot be used, is an error at once",
        arguments: [
            (["text.mflow"], "text.mflow is not a flow file: it does not begin as one"),
            (
                ["--host", "none.invalid", "-"],
                "cannot listen on none.invalid: no such host; name an address of this machine with --host"
            ),
            (
                ["--host", "192.0.2.77", "-"],
                "cannot listen on 192.0.2.77: this machine does not have the address; name one that it has with --host"
            ),
        ])
    func viewMistakes(arguments: [String], message: String) throws {
        try withTemporaryDirectory { directory in
            try "text".write(toFile: directory + "/text.mflow", atomically: true, encoding: .utf8)
            let result = try run("mitm-view", ["--confdir", "conf"] + arguments, in: directory)
            #expect(result.status == 2)
            #expect(result.errors == "mitm-view: \(message)\n")
        }
    }

    @Test("An address that cannot be printed is an error")
    func fullOutput() throws {
        let result = try run("sh", ["-c", "exec \"$0\" --confdir conf - >/dev/full", toolDirectory + "/mitm-view"])
        #expect(result.status == 2)
        #expect(result.errors == "mitm-view: cannot write to standard output: no space left on device\n")
    }

    @Test("A named pipe is opened once, and a file of a directory that cannot be read does not hide the others")
    func pipes() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", response("a")), ("/b", response("b"))], in: directory)
            try run("sh", ["-c", "mkdir d && mkfifo pipe && cp capture.mflow d/a.mflow && echo text >d/b.mflow"], in: directory)
            let program = try RunningProgram("mitm-view", ["--confdir", "conf", "pipe", "d"], in: directory)
            let view = try StartedView(program.outputLine())
            try run("sh", ["-c", "cat capture.mflow >pipe"], in: directory)
            #expect(try view.status(flows: 4)["files.1.path"] == "d/a.mflow")
            #expect(program.errorLine(containing: "d/b.mflow is not a flow file") != nil)
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 2)
        }
    }

    @Test("mitm-serve shows the files that it serves")
    func server() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", response("a")), ("/b", response("b"))], in: directory)
            let program = try RunningProgram(
                "mitm-serve", ["--view", "-p", "0", "--confdir", "conf", "capture.mflow"], in: directory)
            let view = try StartedView(program.errorLine(containing: "view at "))
            #expect(try view.status(flows: 2)["files.0.path"] == "capture.mflow")
            try view.waitForEnd { program.send(SIGTERM) }
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test(
        "A recording that a view cannot read is an error before anything is recorded",
        arguments: [
            (["-w", "-", "--view"], "-w - makes no file for --view to show; name one, or pipe to mitm-view -"),
            (["-w", "none", "--view"], "-w none makes no file for --view to show; name one, or pipe to mitm-view -"),
            (["--view=x"], "--view: 'x' is not a port number; use 0 to 65535"),
            (
                ["--view", "--encrypt-to", "age1zzz"],
                """
                --view cannot read what --encrypt-to encrypts, since the recorder has no private key; \
                start mitm-view --identity KEY FILE beside it
                """
            ),
        ])
    func mistakes(arguments: [String], message: String) throws {
        try withTemporaryDirectory { directory in
            let result = try run("mitm-record", ["-p", "0", "--confdir", "conf"] + arguments, in: directory)
            #expect(result.status == 2)
            #expect(result.errors == "mitm-record: \(message)\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
        }
    }
}
