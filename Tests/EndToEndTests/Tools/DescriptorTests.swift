// Few descriptors: clients for which there is no room wait without cost, and all are served as soon as there is room.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Few descriptors")
struct DescriptorTests {
    private static let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    /// How descriptors come to be scarce: a limit that the tool knows at its start, or one that it meets later.
    enum Scarcity: CaseIterable {
        case known
        case sudden
    }

    @Test(
        "A hundred idle clients of a tool with 64 descriptors cost at most fifty system calls a second, and then are all served",
        arguments: ["mitm-record", "mitm-serve"], Scarcity.allCases)
    func waits(tool: String, scarcity: Scarcity) throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                connection.send(Self.response)
            }
            var arguments = ["-p", "0", "--confdir", "conf"]
            if tool == "mitm-serve" {
                try record([("/", Self.response)], in: directory)
                arguments += ["-v", "capture.mflow"]
            }
            let limit = scarcity == .known ? "ulimit -n 64; " : ""
            let program = try RunningProgram(
                "sh", ["-c", limit + "exec \"$0\" \"$@\"", toolDirectory + "/" + tool] + arguments, in: directory)
            let line = try #require(program.errorLine(containing: "listening on "))
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            if scarcity == .sudden { try setLimit(40, of: program) }
            let clients = try (0..<100).map { _ in try RawConnection(port: port) }
            let words = scarcity == .known ? "no descriptors are left; new clients of" : "too many open files; trying again when"
            #expect(program.errorLine(containing: words) != nil)
            program.collectErrors()
            #expect(try systemCalls(of: program, seconds: 2) <= 100)
            if scarcity == .sudden { try setLimit(1024, of: program) }
            let target = "http://127.0.0.1:\(origin.port)/"
            var answers: [String: Int] = [:]
            for client in clients {
                client.send("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(origin.port)\r\nConnection: close\r\n\r\n")
                answers[client.readToEnd().components(separatedBy: "\r\n")[0], default: 0] += 1
                client.finish()
            }
            #expect(answers == ["HTTP/1.1 200 OK": 100])
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test("A hundred streams of one client are answered by a recorder with 64 descriptors")
    func streams() throws {
        try withTemporaryDirectory { directory in
            let gate = DispatchSemaphore(value: 0)
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                gate.wait()
                gate.signal()
                connection.send(Self.response)
                connection.finish()
            }
            let program = try RunningProgram(
                "sh",
                [
                    "-c", "ulimit -n 64; exec \"$0\" \"$@\"", toolDirectory + "/mitm-record", "-p", "0", "--confdir", "conf", "-v",
                    "--mode", "reverse:http://127.0.0.1:\(origin.port)",
                ], in: directory)
            let line = try #require(program.errorLine(containing: "listening on "))
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            let client = try HTTP2Endpoint.client(port: port)
            let streams = (0..<100).map { UInt32(2 * $0 + 1) }
            client.send(streams.map { .get($0) })
            // No answer comes before the descriptors are used up.
            #expect(program.errorLine(containing: "no descriptor is free") != nil)
            program.collectErrors()
            gate.signal()
            client.wait(.seconds(30)) { streams.allSatisfy { client.streams[$0]?.isOver == true } }
            #expect(streams.map { client.streams[$0]?.status } == Array(repeating: 200, count: 100))
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0)
        }
    }

    @Test("A limit that leaves no room for a client is an error at the start")
    func tooFew() throws {
        try withTemporaryDirectory { directory in
            let result = try run(
                "sh",
                ["-c", "ulimit -n 16; exec \"$0\" \"$@\"", toolDirectory + "/mitm-record", "-p", "0", "--confdir", "conf", "-q"],
                in: directory)
            #expect(
                result
                    == ProgramResult(
                        status: 2, output: "",
                        errors: "mitm-record: the limit of open files, 16, is too low for a proxy; raise it with ulimit -n\n"))
        }
    }

    private func setLimit(_ limit: Int, of program: RunningProgram) throws {
        #expect(try run("prlimit", ["--pid", "\(program.processID)", "--nofile=\(limit):"]).status == 0)
    }

    /// How many system calls a program makes in a time, by strace's count.
    private func systemCalls(of program: RunningProgram, seconds: Int) throws -> Int {
        // Threads of Dispatch block most signals, and hand that down to programs: timeout's clock is one of them.
        let unblocked =
            "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execvp(sys.argv[1], sys.argv[1:])"
        let counted = try run(
            "python3",
            ["-c", unblocked, "timeout", "-s", "INT", "\(seconds)", "strace", "-f", "-c", "-p", "\(program.processID)"])
        let total = try #require(counted.errors.split(separator: "\n").first { $0.hasSuffix(" total") }, "\(counted.errors)")
        // % time, seconds, usecs/call, calls, errors, name
        return try #require(Int(total.split(separator: " ")[3]))
    }
}
