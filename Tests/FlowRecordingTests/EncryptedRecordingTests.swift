// Recordings that are encrypted: each file is one of its own, also after a rotation and after another program has emptied it.

import AgeFormat
import FlowArchive
import FlowModel
import FlowRecording
import Foundation
import NIOCore
import TestSupport
import Testing

@Suite("Encrypted recordings")
struct EncryptedRecordingTests {
    private static let identity = AgeIdentity.x25519(privateKey: [UInt8](repeating: 7, count: 32))
    private let keys = ArchiveKeys([identity])
    private let later = start.advanced(byNanoseconds: 10_000_000_000)

    private func options(_ pattern: String, _ notices: Notices = Notices()) -> RecordingFiles.Options {
        var options = RecordingFiles.Options(pattern: pattern, notice: { notices.add($0.text) })
        options.encryption = Self.identity.recipient.map { ArchiveEncryption([$0]) }
        return options
    }

    @Test("A flow continues in the next file, which has a key of its own, and none can be read without it")
    func rotation() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow.age"
            let next = directory + "/a-00001.mflow.age"
            var files = try RecordingFiles(options(path), now: start)
            let long = exchange(1)
            let batches = handedOver([Array(long.prefix(4)), exchange(2), Array(long.dropFirst(4)), exchange(3, at: later)])
            for batch in batches[..<2] { try files.append(batch) }
            try files.rotate(now: later)
            for batch in batches[2...] { try files.append(batch) }
            try files.close(now: later)
            #expect(try recorded(path, next, keys: keys) == ["/2", "/1", "/3"])
            for file in [path, next] {
                #expect(throws: ArchiveError.self) { try recorded(file) }
                let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
                #expect(bytes.starts(with: AgeHeader.firstLine))
                #expect(bytes.range(of: Data("mflow\r\n".utf8)) == nil)
            }
        }
    }

    @Test("A recorder that starts again begins a new file if the name has conversions, and reports an error otherwise")
    func startedAgain() throws {
        try withTemporaryDirectory { directory in
            for number in 1...2 {
                var files = try RecordingFiles(options(directory + "/%Y.mflow.age"), now: start)
                for batch in handedOver([exchange(UInt64(number))]) { try files.append(batch) }
                try files.close(now: start)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
            #expect(names.count == 2 && names.allSatisfy { $0.hasSuffix(".mflow.age") })
            #expect(
                try names.sorted { $0.count < $1.count }.map { try recorded(directory + "/" + $0, keys: keys) } == [["/1"], ["/2"]])
            let path = directory + "/" + names[0]
            #expect(throws: ArchiveError.self) { try RecordingFiles(options(path), now: start) }
        }
    }

    @Test("A file that another program empties begins again as an age file; with the copy every flow is there once")
    func copyTruncate() throws {
        try withTemporaryDirectory { directory in
            let (path, copy) = (directory + "/a.mflow.age", directory + "/copy.mflow.age")
            var files = try RecordingFiles(options(path), now: start)
            let batches = handedOver([exchange(1), exchange(2), exchange(3), exchange(4)])
            for batch in batches[..<2] { try files.append(batch) }
            _ = try files.flushWhenDue(now: later)
            try FileManager.default.copyItem(atPath: path, toPath: copy)
            #expect(unsafe truncate(path, 0) == 0)
            for batch in batches[2...] { try files.append(batch) }
            try files.close(now: later)
            #expect(try recorded(copy, keys: keys) == ["/1", "/2"])
            #expect(try recorded(path, keys: keys) == ["/3", "/4"])
        }
    }

    @Test("Encrypted files of earlier runs count for the limits, if they are sealed and the pattern makes their names")
    func retention() throws {
        try withTemporaryDirectory { directory in
            let pattern = directory + "/%s.mflow.age"
            func record(_ second: Int64, keeping count: Int? = nil) throws {
                var options = options(pattern)
                options.retention.files = count
                let now = start.advanced(byNanoseconds: second * 1_000_000_000)
                var files = try RecordingFiles(options, now: now)
                for batch in handedOver([exchange(UInt64(second), at: now)]) { try files.append(batch) }
                _ = try files.flushWhenDue(now: now)
                try files.close(now: now)
            }
            for second in 1...3 { try record(Int64(second)) }
            let sealed = try names(in: directory)
            // One of a recorder that was killed, and one of another name.
            let killed = try Data(contentsOf: URL(fileURLWithPath: directory + "/" + sealed[0]))
            try killed.dropLast(1000).write(to: URL(fileURLWithPath: directory + "/other.mflow.age"))
            try record(4, keeping: 2)
            #expect(
                try names(in: directory) == [sealed[2], "\(start.nanoseconds / 1_000_000_000 + 4).mflow.age", "other.mflow.age"])
        }
    }

    private func names(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }
}
