// mitm-serve under test, on a free port.

import Foundation
import Glibc
import Synchronization
import Testing

/// Serves recordings of a directory. Stopped when it is let go.
final class Replayer {
    let directory: String
    let port: Int
    let program: RunningProgram

    /// - Parameters:
    ///   - arguments: beside the port and the configuration directory, which is the recorder's.
    ///   - isQuiet: without a log the port is read from the file `ready`.
    init(_ arguments: [String], in directory: String, file: String = "capture.mflow", isQuiet: Bool = false) throws {
        self.directory = directory
        program = try RunningProgram(
            "mitm-serve", ["-p", "0", "--confdir", directory + "/conf"] + arguments + [file], in: directory)
        port =
            isQuiet
            ? try readyAddresses(program, directory + "/ready").compactMap { Int($0.split(separator: ":").last ?? "") }.first ?? 0
            : try Self.port(of: program)
    }

    /// The port that a program says it listens on; from then on its errors are collected.
    static func port(of program: RunningProgram) throws -> Int {
        guard let line = program.errorLine(containing: "listening on "),
            let port = line.split(separator: " ").compactMap({ Int($0.split(separator: ":").last ?? "") }).first
        else {
            _ = program.waitForEnd()
            throw TestFailure("mitm-serve did not start: \(program.errors)")
        }
        program.collectErrors()
        return port
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Ends it as a user would.
    /// - Parameter status: with which it is to end.
    /// - Returns: its event log, without the times.
    func stop(status: Int32 = 0) -> [String] {
        program.send(SIGTERM)
        #expect(program.waitForEnd() == status)
        return eventLog(program.errors)
    }

    func curl(_ arguments: [String]) throws -> ProgramResult {
        try run("curl", ["-sS", "--max-time", "20"] + arguments, in: directory)
    }

    /// The status of the response and the body, in one line; where there is none, curl's own status.
    func ask(_ path: String, _ arguments: [String] = []) throws -> String {
        let result = try curl(["-w", " %{http_code}"] + arguments + [url + path])
        return result.status == 0 ? result.output : "curl \(result.status)"
    }
}

/// Records one request for each answer, in their order, behind what the file holds.
/// - Parameter arguments: of curl.
func record(
    _ exchanges: [(path: String, answer: String)], curl arguments: [String] = [], in directory: String,
    file: String = "capture.mflow"
) throws {
    let count = Mutex(0)
    let origin = try RawOrigin { connection, _ in
        let number = count.withLock { number in
            defer { number += 1 }
            return number
        }
        _ = connection.read(until: "\r\n\r\n")
        if number < exchanges.count { connection.send(exchanges[number].answer) }
    }
    let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory, file: file)
    recorder.program.collectErrors()
    for (path, _) in exchanges {
        _ = try run("curl", ["-s", "--max-time", "20"] + arguments + ["http://127.0.0.1:\(recorder.port)\(path)"], in: directory)
    }
    #expect(recorder.stop() == 0)
}

/// A response with a body, whose connection persists.
func response(_ body: String, status: String = "200 OK") -> String {
    "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
