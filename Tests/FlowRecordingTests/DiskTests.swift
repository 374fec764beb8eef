// Every storage fails somewhere: what is in the files, and what the recording reports as missing, are together what came.

import AgeFormat
import FlowArchive
import FlowFilter
import FlowModel
import FlowRecording
import FlowRecords
import Foundation
import Glibc
import HTTPSemantics
import NIOCore
import Synchronization
import TestSupport
import Testing

/// When a storage fails, over all files of a recording.
final class FaultScript: Sendable {
    private struct State {
        var appends = 0
        var syncs = 0
        var waits = 0
        var isClosing = false
        var hasFailedClosing = false
        var time: Int64 = 0
    }

    let error: Int32
    let failing: Range<Int>
    /// Bytes that the first failing call takes before the error; 0: none.
    let shortened: Int
    /// The call of sync that fails; nil: none.
    let failingSync: Int?
    private let state = Mutex(State())

    init(error: Int32, failing: Range<Int> = 0..<0, shortened: Int = 0, failingSync: Int? = nil) {
        self.failingSync = failingSync
        self.error = error
        self.failing = failing
        self.shortened = shortened
    }

    var waits: Int { state.withLock { $0.waits } }

    /// A clock that advances when it is waited for.
    var clock: DiskClock {
        var clock = DiskClock()
        clock.now = { self.state.withLock { $0.time } }
        clock.wait = { duration in
            self.state.withLock { state in
                state.waits += 1
                state.time += duration
            }
        }
        return clock
    }

    /// From now on nothing waits for the disk.
    func close() { state.withLock { $0.isClosing = true } }
    var hasFailedClosing: Bool { state.withLock { $0.hasFailedClosing } }

    /// Time passes while nothing waits.
    func advance() { state.withLock { $0.time += 300_000_000 } }

    func sync() -> Bool {
        state.withLock { state in
            state.syncs += 1
            return state.syncs != failingSync
        }
    }

    /// - Returns: how many bytes the call takes; nil: it fails.
    func take(_ count: Int) -> Int? {
        let call = state.withLock { state in
            state.appends += 1
            return state.appends
        }
        guard failing.contains(call) else { return count }
        state.withLock { $0.hasFailedClosing = $0.isClosing }
        return call == failing.lowerBound && shortened > 0 ? min(shortened, count) : nil
    }
}

/// A file that fails according to a script.
private final class FaultyStorage: ArchiveStorage {
    private let file: POSIXStorage
    private let script: FaultScript

    init(_ file: POSIXStorage, _ script: FaultScript) {
        self.file = file
        self.script = script
    }

    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        guard let count = script.take(bytes.count) else {
            throw ArchiveError(
                .system(script.error), unsafe "cannot write a: \(String(cString: strerror(script.error)).lowercased())")
        }
        var rest = ByteBuffer()
        for buffer in bytes.buffers { rest.writeImmutableBuffer(buffer) }
        rest.moveWriterIndex(to: count)
        while rest.readableBytes > 0 { rest.moveReaderIndex(forwardBy: try file.append(rest)) }
        return count
    }

    func sync() throws(ArchiveError) {
        guard script.sync() else { throw ArchiveError(.uncertain(script.error), "cannot sync a") }
    }

    func close() throws(ArchiveError) { try file.close() }
    func removeLast(_ count: Int) { file.removeLast(count) }
}

private let identity = AgeIdentity.x25519(privateKey: [UInt8](repeating: 7, count: 32))

/// What files hold, or what came.
private struct Stock: Equatable {
    var flows = 0
    var incomplete = 0
    var bytes: UInt64 = 0

    init() {}

    /// What is in files.
    init(_ paths: [String]) throws {
        let isEncrypted = paths.first?.hasSuffix(".age") == true
        for item in try items(of: paths.filter { try !isEncrypted || Self.hasChunk($0) }, keys: ArchiveKeys([identity])) {
            // What a full disk takes of a chunk cannot be removed.
            if isEncrypted, case .damage(let damage) = item, damage.kind == .tornTail { continue }
            take(item)
        }
    }

    /// Without a whole chunk nothing can be decrypted.
    private static func hasChunk(_ path: String) throws -> Bool {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0 >= AgePayload.sealedSize
    }

    private mutating func take(_ item: ArchiveItem) {
        guard case .flow(let flow) = item else {
            Issue.record("not a flow: \(item)")
            return
        }
        flows += 1
        if flow.state != .complete { incomplete += 1 }
        for side in [Side.client, .server] { bytes += (try? flow.contentSize(from: side)) ?? 0 }
    }

    /// What is in the files according to the totals of a recording of complete flows.
    init(_ totals: DiskTotals, of came: Stock) {
        flows = came.flows - totals.missingFlows
        incomplete = totals.cutFlows
        bytes = came.bytes - totals.missingBytes
    }

    /// What is in the files according to the totals of a recording with a filter, without the bytes.
    init(_ totals: RecordingTotals) {
        flows = totals.flows - totals.disk.missingFlows + totals.disk.refusedFlows
        incomplete = totals.disk.cutFlows + totals.disk.refusedFlows
    }
}

@Suite("A disk that fails at any call")
struct DiskTests {
    /// Batches of which each ends flows of the one before and begins others.
    private static let batches: [[FlowRecord]] = {
        var events: [[FlowEvent]] = []
        var open: [FlowEvent] = []
        for number in 0..<UInt64(7) {
            let at = start.advanced(byNanoseconds: Int64(number) * 1_000_000_000)
            let long = exchange(number * 10, bodies: [100, 2000, 30], at: at)
            events.append(exchange(number * 10 + 1, at: at) + open + long.prefix(4) + exchange(number * 10 + 2, at: at))
            open = Array(long.dropFirst(4))
        }
        events.append(open)
        return handedOver(events)
    }()

    private static var came: Stock {
        var came = Stock()
        for record in batches.joined() {
            if record.isFirst { came.flows += 1 }
            came.bytes += record.wireSizeFromClient + record.wireSizeFromServer
        }
        return came
    }

    struct Fault: CustomTestStringConvertible {
        var error: Int32
        var full: DiskFullPolicy
        var failed = DiskErrorPolicy.stop
        /// Failing calls; then the disk takes everything again.
        var count: Int
        var testDescription: String { "errno \(error), \(full), \(failed), \(count) calls" }
    }

    private static let forEver = 1_000_000

    private static let faults: [Fault] = [2, forEver].flatMap { count in
        DiskFullPolicy.allCases.map { Fault(error: ENOSPC, full: $0, count: count) }
            + DiskErrorPolicy.allCases.map { Fault(error: EIO, full: .pass, failed: $0, count: count) }
    }

    @Test("A quota and the limit on a file's size count as a full disk", arguments: [EDQUOT, EFBIG])
    func full(error: Int32) throws {
        let fault = Fault(error: error, full: .pass, count: 2)
        try record(fault, FaultScript(error: error, failing: 5..<7), "a.mflow") { totals, failure, notices, paths in
            #expect(failure == nil)
            #expect(totals.missingFlows > 0)
            let stock = try Stock(paths)
            #expect(stock == Stock(totals, of: Self.came))
            #expect(notices.count == 2 && notices[0].contains("is not recorded until there is room"), "\(notices)")
        }
    }

    @Test(
        "What is in the files and what is reported as missing is what came", arguments: faults,
        ["a.mflow", "%s.mflow", "a.mflow.age"])
    func counts(fault: Fault, pattern: String) throws {
        for call in 1...12 {
            for shortened in [0, 50] {
                let script = FaultScript(error: fault.error, failing: call..<call + fault.count, shortened: shortened)
                try record(fault, script, pattern) { totals, failure, notices, paths in
                    let place = Comment("call \(call), \(shortened) bytes: \(notices)")
                    let stock = try Stock(paths)
                    #expect(stock == Stock(totals, of: Self.came), place)
                    #expect(notices.count { $0.hasSuffix(" was deleted: the disk is full") } == totals.deletedFiles, place)
                    let pauses = fault.error == EIO ? fault.failed == .pause : fault.full == .pause
                    guard pauses, fault.count < Self.forEver, !script.hasFailedClosing else { return }
                    #expect(stock == Self.came && failure == nil, place)
                }
            }
        }
    }

    @Test("A failed sync stops the recording, whatever the policy, and is not repeated", arguments: 1...6)
    func sync(call: Int) throws {
        let fault = Fault(error: EIO, full: .pause, failed: .pause, count: 0)
        try record(fault, FaultScript(error: EIO, failingSync: call), "a.mflow", sync: .interval) {
            totals, failure, notices, paths in
            #expect(failure?.kind == .uncertain(EIO))
            #expect(totals.condition == .stopped && notices == [])
            let stock = try Stock(paths)
            #expect(stock == Stock(totals, of: Self.came))
        }
    }

    @Test(
        "Flows that a filter has not decided are decided when the disk ends them", arguments: [DiskFullPolicy.pass, .stop],
        [2, forEver])
    func filter(policy: DiskFullPolicy, count: Int) throws {
        // The filter needs the whole body; it accepts POST.
        let filter = try FlowFilter("!~b zzz & (~m POST | ~b yyy)")
        var events: [[FlowEvent]] = []
        var open: [FlowEvent] = []
        for number in 0..<UInt64(6) {
            let at = start.advanced(byNanoseconds: Int64(number) * 1_000_000_000)
            let long = exchange(number, method: number % 2 == 0 ? "GET" : "POST", bodies: [600_000, 600_000, 9, 9, 9], at: at)
            events.append(open + long.prefix(5))
            open = Array(long.dropFirst(6))
            events.append([long[5]])
        }
        events.append(open)
        for call in 2...12 {
            try withTemporaryDirectory { directory in
                let script = FaultScript(error: ENOSPC, failing: call..<call + count)
                var options = RecordingFiles.Options(pattern: directory + "/a.mflow") { _ in }
                options.disk.whenFull = policy
                options.disk.clock = script.clock
                options.flushInterval = 0
                options.wrapStorage = { FaultyStorage($0, script) }
                var recording = RecordingOptions(notice: { _ in }, now: { start.advanced(byNanoseconds: 1_000_000_000_000) })
                recording.filter = filter
                let recorder = FlowRecorder(files: try RecordingFiles(options, now: start), options: recording)
                for batch in handedOver(events) {
                    recorder.queue.submit(batch)
                    recorder.queue.wake()
                    script.advance()
                }
                recorder.finish()
                var stock = try Stock([directory + "/a.mflow"])
                stock.bytes = 0
                #expect(stock == Stock(recorder.totals), "call \(call): \(recorder.totals)")
            }
        }
    }

    /// Records the batches as the recording's thread does, in a directory of its own.
    private func record(
        _ fault: Fault, _ script: FaultScript, _ pattern: String, sync: ArchiveSync = .none,
        _ check: (DiskTotals, ArchiveError?, [String], [String]) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            let notices = Mutex<[String]>([])
            var options = RecordingFiles.Options(pattern: directory + "/" + pattern) { notice in
                notices.withLock { $0.append(notice.text) }
            }
            options.disk.whenFull = fault.full
            options.disk.onError = fault.failed
            options.disk.clock = script.clock
            options.archive.sync = sync
            if pattern.hasSuffix(".age"), let recipient = identity.recipient { options.encryption = ArchiveEncryption([recipient]) }
            // A file that is deleted keeps this name.
            let kept = directory + "/kept"
            try FileManager.default.createDirectory(atPath: kept, withIntermediateDirectories: false)
            options.wrapStorage = { file in
                for path in (try? FileNames.all(in: directory)) ?? [] where path != kept {
                    _ = unsafe link(path, kept + "/" + FileNames.last(path))
                }
                return FaultyStorage(file, script)
            }
            var files: RecordingFiles
            do { files = try RecordingFiles(options, now: start) } catch {
                // A disk that is full from the start ends the recorder, unless traffic is to pass.
                #expect(script.failing.lowerBound <= 2)
                return
            }
            files.isEnding = { script.waits > 200 }
            var failure: ArchiveError?
            func attempt(_ work: () throws(ArchiveError) -> Void) {
                do throws(ArchiveError) { try work() } catch { failure = failure ?? error }
            }
            for batch in Self.batches {
                attempt { () throws(ArchiveError) in try files.append(batch) }
                let now = batch.last!.last.advanced(byNanoseconds: 1_000_000_000)
                attempt { () throws(ArchiveError) in _ = try files.flushWhenDue(now: now) }
                script.advance()
            }
            script.close()
            attempt { () throws(ArchiveError) in try files.close(now: start) }
            let paths = try FileNames.all(in: kept)
            try check(files.diskTotals, failure, notices.withLock { $0 }, paths)
        }
    }
}

private enum FileNames {
    static func last(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    static func all(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted().map { directory + "/" + $0 }
    }
}
