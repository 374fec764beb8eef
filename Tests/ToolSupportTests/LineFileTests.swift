import Foundation
import TestSupport
import Testing
import ToolSupport

@Suite("A file of lines")
struct LineFileTests {
    @Test("One that cannot be written is reported once, and how many lines are missing when it can be written again")
    func full() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/log"
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
            let file = try LineFile(path, name: "the log")
            let line = Array("a line\n".utf8)
            #expect(
                file.append(line)
                    == "cannot write the log \(path): no space left on device; lines are missing until that is possible again")
            #expect(file.append(line) == nil)
            try FileManager.default.removeItem(atPath: path)
            try file.reopen()
            #expect(file.append(line) == "the log \(path) is written again; 2 lines are missing")
            #expect(file.append(line) == nil)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "a line\na line\n")
        }
    }
}
