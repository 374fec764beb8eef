// Random content as Python's libraries write and read it (Tests/Peers/content_oracle.py).

import Foundation

package enum ContentOracle {
    private static let repository: URL = {
        var directory = URL(filePath: #filePath)
        for _ in "Tests/TestSupport/ContentOracle.swift".split(separator: "/") { directory.deleteLastPathComponent() }
        return directory
    }()
    private static let python = repository.appending(path: ".build-test-venv/bin/python")

    /// Python with the libraries, which `tools/setup test` installs.
    package static let isInstalled = FileManager.default.isExecutableFile(atPath: python.path)

    /// Runs the script.
    /// - Returns: the objects that it prints, one for each line.
    package static func run<Line: Decodable>(_ arguments: [String], input: [String] = [], as line: Line.Type) throws -> [Line] {
        let process = Process()
        process.executableURL = python
        process.arguments = [repository.appending(path: "Tests/Peers/content_oracle.py").path] + arguments
        let output = Pipe()
        process.standardOutput = output
        let file = FileManager.default.temporaryDirectory.appending(path: "content-oracle-\(UUID().uuidString)")
        try Data(input.map { $0 + "\n" }.joined().utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardInput = try FileHandle(forReadingFrom: file)
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(status: process.terminationStatus) }
        return try printed.split(separator: 0x0A).map { try JSONDecoder().decode(Line.self, from: $0) }
    }

    package struct Failure: Error {
        let status: Int32
    }
}
