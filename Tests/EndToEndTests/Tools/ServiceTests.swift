// The tools as services: reports to the service manager, rotation by a signal.

import Foundation
import TestSupport
import Testing

@Suite("Services")
struct ServiceTests {
    /// Stands for the service manager: starts a tool with NOTIFY_SOCKET, sends it signals, prints each report by the names of its values.
    private static let manager = """
        import os, signal, socket, subprocess, sys
        name, signals, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
        reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        reports.settimeout(30)
        reports.bind(name.replace("@", "\\0"))
        tool = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": name}, stderr=subprocess.DEVNULL)
        def receive():
            values = dict(line.split("=", 1) for line in reports.recv(4096).decode().split("\\n"))
            print(" ".join(sorted(values)))
            return values
        receive()
        for name in signals:
            tool.send_signal(getattr(signal, name))
            if receive().get("RELOADING"): receive()
        print(tool.wait())
        """

    @Test(
        "A tool reports to the service manager that it is ready, reads its configuration, and ends",
        arguments: [
            ("mitm-record", "socket", "SIGHUP,SIGTERM", "READY, MONOTONIC_USEC RELOADING, READY, STOPPING, 0"),
            ("mitm-record", "@mitm-test-\(getpid())", "SIGINT", "READY, STOPPING, 0"),
            ("mitm-serve", "socket", "SIGTERM", "READY, STOPPING, 0"),
        ])
    func reports(tool: String, socket: String, signals: String, expected: String) throws {
        try withTemporaryDirectory { directory in
            if tool == "mitm-serve" { try record([("/", response("ok"))], in: directory) }
            let name = socket.hasPrefix("@") ? socket : "\(directory)/\(socket)"
            let arguments = ["-p", "0", "--confdir", "conf"] + (tool == "mitm-serve" ? ["capture.mflow"] : ["-w", "a.mflow"])
            let result = try run(
                "python3", ["-c", Self.manager, name, signals, toolDirectory + "/" + tool] + arguments, in: directory)
            #expect(result.output.split(separator: "\n").joined(separator: ", ") == expected, "\(result.errors)")
        }
    }

    @Test("SIGUSR1 after a rename: the next flows are in a new file of the old name")
    func rotation() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                connection.send(response("ok"))
            }
            let recorder = try Recorder([], in: directory)
            _ = try recorder.curl(["http://127.0.0.1:\(origin.port)/first"])
            try FileManager.default.moveItem(atPath: directory + "/capture.mflow", toPath: directory + "/capture.1.mflow")
            recorder.program.send(SIGUSR1)
            #expect(recorder.program.errorLine(containing: "recording to ") != nil)
            _ = try recorder.curl(["http://127.0.0.1:\(origin.port)/second"])
            #expect(recorder.stop() == 0)
            #expect(try recorder.flows("capture.1.mflow").map { $0["request.path"] } == ["/first"])
            #expect(try recorder.flows().map { $0["request.path"] } == ["/second"])
        }
    }

    @Test(
        "SIGUSR1 changes nothing for standard output",
        arguments: [("-", "standard output cannot be rotated"), ("none", "nothing is recorded")])
    func nothingToRotate(file: String, notice: String) throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory, file: file)
            recorder.program.send(SIGUSR1)
            #expect(recorder.program.errorLine(containing: notice) != nil)
            #expect(recorder.stop() == 0)
        }
    }

    @Test(
        "--version has a line with name, version and commit, and a line with libraries",
        arguments: [
            ("mitm-record", "OpenSSL nghttp2 zlib brotli zstd lz4 pcre2 jemalloc"), ("mitm-dump", "zlib brotli zstd lz4 pcre2"),
            ("mitm-filter", "zlib brotli zstd lz4 pcre2"), ("mitm-serve", "OpenSSL nghttp2 zlib brotli zstd lz4 pcre2 jemalloc"),
            ("mitm-replay", "OpenSSL nghttp2 zlib brotli zstd lz4 pcre2 jemalloc"), ("mitm-view", "zlib brotli zstd lz4 pcre2"),
        ])
    func version(tool: String, libraries: String) throws {
        let result = try run(tool, ["--version"])
        let lines = result.output.split(separator: "\n").map(String.init)
        #expect(lines.count == 2 && result.status == 0)
        #expect(lines.first?.wholeMatch(of: /(mitm-[a-z]+) \d+\.\d+\.\d+ \(commit [0-9a-z-]+\)/)?.1 == tool[...])
        let names = (lines.last ?? "").split(separator: " ").map { $0.wholeMatch(of: /([A-Za-z0-9]+)\/\d+(\.\d+)+/)?.1 ?? $0 }
        #expect(names.joined(separator: " ") == libraries)
    }
}
