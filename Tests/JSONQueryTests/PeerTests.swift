import Foundation
import NIOCore
import Testing

@testable import JSONQuery

@Suite("A path and jsonpath-rfc9535")
struct PeerTests {
    @Test("find the same values of random documents, and refuse the same texts")
    func peer() throws {
        var random = RandomJSON(seed: 9535)
        var cases: [(text: String, path: String)] = []
        for index in 0..<6000 {
            let text = random.document()
            cases.append((index % 10 == 0 ? random.damaged(text) : text, random.path()))
        }
        let answers = try Self.answers(cases)
        try #require(answers.count == cases.count)
        var failed: [String] = []
        var found = 0
        for (test, answer) in zip(cases, answers) where answer != .string("names") {
            let ours = try Self.answer(test.text, test.path)
            if ours != answer {
                failed.append("\(test.path) of \(test.text): \(ours.text), and the peer finds \(answer.text)")
            }
            if answer.elements?.isEmpty == false { found += 1 }
        }
        #expect(failed == [])
        #expect(found > 1000)
    }

    private static func answer(_ text: String, _ path: String) throws -> JSONTree {
        let body = ByteBuffer(string: text)
        guard let root = values(try JSONPath("$"), in: body).first else { return .string("text") }
        guard let path = try? JSONPath(path) else { return .string("path") }
        let nodes = path.select(in: root)
        #expect(values(path, in: body) == nodes.map(\.value))
        #expect(try path.contains(in: body, .exists) == !nodes.isEmpty)
        return .array(nodes.map { .string(JSONString($0.normalizedPath)) })
    }

    /// What the peer finds; one process for all cases.
    private static func answers(_ cases: [(text: String, path: String)]) throws -> [JSONTree] {
        let process = Process()
        process.executableURL = repositoryFile(".build-test-venv/bin/python")
        process.arguments = [repositoryFile("Tests/Peers/jsonpath_peer.py").path]
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        // The peer reads all of its input before it writes.
        let lists = cases.map { JSONTree.array([.string(JSONString($0.text)), .string(JSONString($0.path))]) }
        try input.fileHandleForWriting.write(contentsOf: Data(JSONTree.array(lists).text.utf8))
        try input.fileHandleForWriting.close()
        let answers = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return JSONTree(parsing: ByteBuffer(bytes: answers))?.elements ?? []
    }
}
