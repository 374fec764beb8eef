import Foundation
import TestSupport
import Testing

@testable import ToolSupport

@Suite("The order of the files of a recording")
struct RecordedOrderTests {
    @Test(
        "A file is read before those that a recorder began after it, however they are named",
        arguments: [
            (["a-00001.mflow", "a-00002.mflow", "a.mflow"], ["a.mflow", "a-00001.mflow", "a-00002.mflow"]),
            (["b.mflow", "a.mflow"], ["b.mflow", "a.mflow"]),
            (["x-00001.age", "c", "x.age", "-"], ["x.age", "x-00001.age", "c", "-"]),
            (["a-1.mflow", "a.mflow"], ["a-1.mflow", "a.mflow"]), (["a.mflow", "a-00001.mflow"], ["a.mflow", "a-00001.mflow"]),
        ])
    func arguments(given: [String], expected: [String]) {
        #expect(inRecordedOrder(given.map { FilePath($0) }).map(\.text) == expected)
    }

    @Test("A directory and a pattern stand for their files in this order")
    func directory() throws {
        try withTemporaryDirectory { directory in
            for name in ["a-13-00001.mflow", "a-13.mflow", "a-12.mflow", "a-13-00002.mflow"] {
                try Data().write(to: URL(filePath: directory + "/" + name))
            }
            let expected = ["a-12.mflow", "a-13.mflow", "a-13-00001.mflow", "a-13-00002.mflow"].map { directory + "/" + $0 }
            #expect(try archiveSources([FilePath(directory)]).map(\.name) == expected)
            #expect(try archiveSources([FilePath(directory + "/a-%H.mflow")]).map(\.name) == expected)
        }
    }
}
