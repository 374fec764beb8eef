import Foundation
import NIOCore
import Testing

@testable import JSONQuery

/// A file of the repository.
func repositoryFile(_ path: String) -> URL {
    var directory = URL(filePath: #filePath)
    for _ in 0..<3 { directory.deleteLastPathComponent() }
    return directory.appending(path: path)
}

/// The values of a path in a body.
func values(_ path: JSONPath, in body: ByteBuffer) -> [JSONTree] {
    var values: [JSONTree] = []
    path.forEachValue(in: body) { value in
        values.append(value)
        return true
    }
    return values
}

@Suite("The compliance suite of RFC 9535")
struct ComplianceTests {
    /// The tests of Fixtures/jsonpath/cts.json, made by the authors of JSONPath implementations.
    private static let tests: [JSONTree] = {
        guard let data = try? Data(contentsOf: repositoryFile("Fixtures/jsonpath/cts.json")) else { return [] }
        return JSONTree(parsing: ByteBuffer(bytes: data))?["tests"]?.elements ?? []
    }()

    @Test("passes whole: values, places, and paths that are not valid; on trees and on text")
    func suite() throws {
        #expect(Self.tests.count == 703)
        var failed: [String] = []
        for test in Self.tests {
            let name = try #require(test["name"]?.string?.text)
            let selector = try #require(test["selector"]?.string?.text)
            guard let path = try? JSONPath(selector) else {
                if test["invalid_selector"]?.bool != true { failed.append("\(name): \(selector) is refused") }
                continue
            }
            guard test["invalid_selector"] == nil, let document = test["document"] else {
                failed.append("\(name): \(selector) is accepted")
                continue
            }
            let nodes = path.select(in: document)
            let found = (JSONTree.array(nodes.map(\.value)), JSONTree.array(nodes.map { .string(JSONString($0.normalizedPath)) }))
            let results = test["result"].map { [$0] } ?? test["results"]?.elements ?? []
            let places = test["result_paths"].map { [$0] } ?? test["results_paths"]?.elements ?? []
            if !zip(results, places).contains(where: { $0.hasSameValue(as: found.0) && $1 == found.1 }) {
                failed.append("\(name): \(selector) finds \(found.1.text)")
            }
            if values(path, in: ByteBuffer(string: document.text)) != nodes.map(\.value) {
                failed.append("\(name): \(selector) differs on text")
            }
        }
        #expect(failed == [])
    }
}
