// A disk without room: a real one, and a limit on the size of files (RLIMIT_FSIZE), which would end a program that does not expect it.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("A full disk")
struct DiskFullTests {
    enum Disk: CaseIterable {
        case small
        case limit
    }

    /// A recorder whose disk has no room for `/big`, and an origin.
    private final class Scene {
        let disk: Disk
        let directory: String
        let recorder: Recorder
        let origin: RawOrigin
        private var volume: String { directory + "/disk" }

        /// - Returns: nil, with the reason printed, when no disk can be mounted here.
        init?(_ disk: Disk, policy: String, in directory: String) throws {
            self.disk = disk
            self.directory = directory
            var random = SeededGenerator(seed: 1)
            let big = (0..<1 << 20).map { _ in UInt8.random(in: 0...255, using: &random) }
            origin = try RawOrigin { connection, _ in
                let content = connection.read(until: "\r\n\r\n").contains("/big") ? big : Array("ok".utf8)
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(content.count)\r\nConnection: close\r\n\r\n")
                connection.send(bytes: content)
            }
            try FileManager.default.createDirectory(atPath: directory + "/disk", withIntermediateDirectories: false)
            if disk == .small {
                let mount = try run("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", directory + "/disk"])
                guard mount.status == 0 else {
                    print("A full disk: skipped, since no file system can be mounted: \(mount.errors)")
                    return nil
                }
            }
            recorder = try Recorder(
                ["--on-disk-full", policy, "--flush-interval", "10ms"], in: directory, file: "disk/capture.mflow")
            if disk == .limit { try limitFiles("65536") }
        }

        private func limitFiles(_ size: String) throws {
            #expect(try run("prlimit", ["--pid", "\(recorder.program.processID)", "--fsize=\(size):"]).status == 0)
        }

        func makeRoom() throws {
            switch disk {
            case .small: #expect(try run("mount", ["-o", "remount,size=16m", volume]).status == 0)
            case .limit: try limitFiles("unlimited")
            }
        }

        func arguments(_ path: String) -> [String] {
            [
                "-sS", "--max-time", "30", "-x", "http://127.0.0.1:\(recorder.port)", "-o", "/dev/null", "-w",
                "%{http_code} %{size_download}", "http://127.0.0.1:\(origin.port)\(path)",
            ]
        }

        func ask(_ path: String) throws -> String { try run("curl", arguments(path)).output }

        /// Path, state and error of each recorded flow.
        func flows() throws -> [[String?]] {
            try recorder.flows("disk/capture.mflow").map { [$0["request.path"], $0["state"], $0["error.message"]] }
        }

        func end() throws {
            if disk == .small { #expect(try run("umount", ["-l", volume]).status == 0) }
        }
    }

    private func withScene(_ disk: Disk, _ policy: String, _ body: (Scene) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            guard let scene = try Scene(disk, policy: policy, in: directory) else { return }
            defer { try? scene.end() }
            try body(scene)
        }
    }

    @Test("stop: the recorder ends at once with status 2, and what it wrote can be read", arguments: Disk.allCases)
    func stop(disk: Disk) throws {
        try withScene(disk, "stop") { scene in
            let client = try RawConnection(port: scene.recorder.port)
            #expect(try scene.ask("/small") == "200 2")
            // What reached the file stays there; what the full disk refuses is lost with this policy.
            let isWritten = try (0..<500).contains { _ in try scene.flows().first == ["/small", "complete", nil] }
            #expect(isWritten)
            _ = try scene.ask("/big")
            #expect(scene.recorder.program.waitForEnd() == 2)
            #expect(scene.recorder.program.errors.contains("recording stopped: cannot write disk/capture.mflow: "))
            // A client that had nothing to do with it is not served any more.
            #expect(client.read() == nil)
            #expect(try scene.flows().first == ["/small", "complete", nil])
        }
    }

    @Test("pass: traffic continues unrecorded, and recording resumes when there is room", arguments: Disk.allCases)
    func pass(disk: Disk) throws {
        try withScene(disk, "pass") { scene in
            #expect(try scene.ask("/small") == "200 2")
            #expect(try scene.ask("/big") == "200 1048576")
            #expect(scene.recorder.program.errorLine(containing: "is not recorded until there is room") != nil)
            #expect(try scene.ask("/lost") == "200 2")
            try scene.makeRoom()
            #expect(scene.recorder.program.errorLine(containing: "there is room again; recording continues") != nil)
            #expect(try scene.ask("/kept") == "200 2")
            #expect(scene.recorder.stop() == 0)
            #expect(scene.recorder.program.errors.contains("; not recorded: 1 flow"))
            let message = "the disk was full; the rest of the flow was not recorded"
            let flows = try scene.flows()
            #expect(flows.map { $0[0] } == ["/small", "/big", "/kept"])
            // Its last bytes may have come in the batch for which there was no room: they wait in memory, and nothing is missing.
            #expect([["/big", "incomplete", message], ["/big", "complete", nil]].contains(flows[1]))
            #expect([flows[0], flows[2]].allSatisfy { $0[1] == "complete" })
        }
    }

    @Test("pause: traffic waits until there is room, and nothing is lost", arguments: Disk.allCases)
    func pause(disk: Disk) throws {
        try withScene(disk, "pause") { scene in
            let client = try RunningProgram("curl", scene.arguments("/big"))
            #expect(scene.recorder.program.errorLine(containing: "traffic waits until there is room") != nil)
            try scene.makeRoom()
            #expect(scene.recorder.program.errorLine(containing: "there is room again") != nil)
            #expect(client.readOutput() == "200 1048576")
            #expect(try scene.ask("/small") == "200 2")
            #expect(scene.recorder.stop() == 0)
            #expect(try scene.flows() == [["/big", "complete", nil], ["/small", "complete", nil]])
        }
    }

    @Test("pause: a recorder that is asked to end does not wait for room for ever")
    func pauseEnds() throws {
        try withScene(.limit, "pause") { scene in
            let client = try RunningProgram("curl", scene.arguments("/big"))
            #expect(scene.recorder.program.errorLine(containing: "traffic waits until there is room") != nil)
            #expect(scene.recorder.stop() == 2)
            #expect(scene.recorder.program.errors.contains("; not recorded: "))
            #expect(scene.recorder.program.errors.contains("cannot write disk/capture.mflow: file too large"))
            _ = client.waitForEnd()
        }
    }
}
