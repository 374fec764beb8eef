// A recorder under test in a fresh directory, and what it recorded.

import Foundation
import Glibc
import Testing

/// mitm-record on a free port, writing to `capture.mflow`.
final class Recorder {
    let directory: String
    let port: Int
    let program: RunningProgram

    /// - Parameter arguments: beside the file, the port and the configuration directory.
    init(_ arguments: [String], in directory: String, file: String = "capture.mflow") throws {
        self.directory = directory
        program = try RunningProgram(
            "mitm-record", ["-w", file, "-p", "0", "--confdir", directory + "/conf"] + arguments, in: directory)
        guard let line = program.errorLine(containing: "listening on "),
            let port = line.split(separator: " ").compactMap({ Int($0.split(separator: ":").last ?? "") }).first
        else {
            _ = program.waitForEnd()
            throw TestFailure("the recorder did not start: \(program.errors)")
        }
        self.port = port
    }

    var authority: String { directory + "/conf/mitm-ca-cert.pem" }

    /// Ends the recorder as a user would.
    @discardableResult
    func stop() -> Int32 {
        program.send(SIGTERM)
        return program.waitForEnd()
    }

    /// The recorded flows, by mitm-dump's JSON.
    func flows(_ file: String = "capture.mflow", arguments: [String] = []) throws -> [JSONObject] {
        try JSONObject.lines(try run("mitm-dump", ["--format", "json", file] + arguments, in: directory).output)
    }

    /// curl through the recorder, trusting its authority.
    func curl(_ arguments: [String]) throws -> ProgramResult {
        try run(
            "curl", ["-sS", "--max-time", "30", "-x", "http://127.0.0.1:\(port)", "--cacert", authority] + arguments, in: directory)
    }
}

struct TestFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// One JSON object, with what is in it by path.
struct JSONObject {
    private let value: [String: Any]

    static func lines(_ text: String) throws -> [JSONObject] {
        try text.split(separator: "\n").map { line in
            guard let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                throw TestFailure("no object: \(line)")
            }
            return JSONObject(value: value)
        }
    }

    /// What stands at a path such as `response.body.text`, as text; nil when there is nothing.
    subscript(_ path: String) -> String? {
        var current: Any? = value
        for key in path.split(separator: ".") {
            if let index = Int(key) {
                current = (current as? [Any]).flatMap { $0.indices.contains(index) ? $0[index] : nil }
            } else {
                current = (current as? [String: Any])?[String(key)]
            }
        }
        switch current {
        case let text as String: return text
        case let number as NSNumber: return CFBooleanText(number)
        case let list as [[String]]: return list.map { $0.joined(separator: ": ") }.joined(separator: "\n")
        default: return nil
        }
    }

    /// How many elements the list at a path has.
    func count(_ path: String) -> Int {
        var current: Any? = value
        for key in path.split(separator: ".") { current = (current as? [String: Any])?[String(key)] }
        return (current as? [Any])?.count ?? 0
    }
}

private func CFBooleanText(_ number: NSNumber) -> String { "\(number)" }
