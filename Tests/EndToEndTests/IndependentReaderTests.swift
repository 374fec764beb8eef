// tools/mflow.py was written from the specification alone; it and mitm-dump must say the same of every file.

import Foundation
import Testing

@Suite("The independent reader")
struct IndependentReaderTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("It agrees with mitm-dump on every fixture, flow for flow and field for field")
    func agrees() throws {
        let folder = Self.root.appendingPathComponent("Fixtures/archives/v1")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".mflow") }.sorted()
        #expect(files.count >= 10)
        for file in files {
            let path = folder.appendingPathComponent(file).path
            let ours = try run("mitm-dump", ["--format", "json", "--raw-body", path])
            let theirs = try run("python3", [Self.root.appendingPathComponent("tools/mflow.py").path, path])
            #expect(try Self.objects(ours.output) == Self.objects(theirs.output), "\(file)")
            #expect(ours.status == theirs.status, "\(file)")
        }
    }

    private static func objects(_ text: String) throws -> [NSDictionary] {
        try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary)
        }
    }
}
