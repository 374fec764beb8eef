// tools/mflow.py was written from the specification alone; it and mitm-dump must say the same of every file.

import Foundation
import TestSupport
import Testing

@Suite("The independent reader")
struct IndependentReaderTests {
    @Test("It agrees with mitm-dump on every fixture, flow for flow and field for field")
    func agrees() throws {
        let folder = URL(filePath: repository + "/Fixtures/archives/v1")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".mflow") }.sorted()
        #expect(files.count >= 10)
        for file in files {
            let path = folder.appendingPathComponent(file).path
            let ours = try run("mitm-dump", ["--format", "json", "--raw-body", path])
            let theirs = try run("python3", [repository + "/tools/mflow.py", path])
            #expect(try Self.objects(ours.output) == Self.objects(theirs.output), "\(file)")
            #expect(ours.status == theirs.status, "\(file)")
        }
    }

    @Test("It agrees on content that is damaged", arguments: ["every-kind", "http", "websocket", "tcp", "long-bodies"])
    func damaged(name: String) throws {
        try withTemporaryDirectory { directory in
            let path = repository + "/Fixtures/archives/v1/\(name).mflow"
            var data = try Data(contentsOf: URL(fileURLWithPath: path))
            let frames = try run("mitm-dump", ["--structure", path]).output.split(separator: "\n")
            let first = try #require(frames.firstIndex { $0.contains("\tblock") && !$0.contains("content 0") })
            // The last frame of a block is content.
            let end = try #require(frames[first + 1].split(separator: "\t").first.flatMap { Int($0) })
            data[end - 6] ^= 1
            try data.write(to: URL(fileURLWithPath: directory + "/damaged.mflow"))
            let ours = try run("mitm-dump", ["--format", "json", "--raw-body", "damaged.mflow"], in: directory)
            let theirs = try run(
                "python3", [repository + "/tools/mflow.py", "damaged.mflow"], in: directory)
            #expect(ours.output.contains(#""damaged":true"#))
            #expect(try Self.objects(ours.output) == Self.objects(theirs.output))
            #expect(ours.status == 3)
            #expect(theirs.status == 3)
        }
    }

    private static func objects(_ text: String) throws -> [NSDictionary] {
        try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary)
        }
    }
}
