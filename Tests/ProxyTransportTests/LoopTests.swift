// What belongs to an event loop rather than to a connection: records, timers, certificates, limits, and the end.

import FlowModel
import FlowRecords
import Glibc
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import TLSEngine
import TestSupport
import Testing

@testable import ProxyTransport

/// Echoes, and records every piece that is received.
private func recordingEcho() -> ScriptedSession.Script {
    let record = FlowRecord(FlowID(high: 0, low: 1))
    return { event, now, output in
        echo(event, now, &output)
        if case .received(_, let bytes) = event {
            output.records.add(.piece(FlowPiece(from: .client, content: bytes)), to: record, at: now)
        }
    }
}

private func content(_ batches: [[FlowEvent]]) -> ByteBuffer {
    var content = ByteBuffer()
    for case .piece(let piece) in batches.joined().map(\.what) { content.writeImmutableBuffer(piece.content) }
    return content
}

@Suite(.timeLimit(.minutes(1)))
struct LoopTests {
    @Test("Records reach the sink in order and complete, with the times at which their bytes were read")
    func records() async throws {
        let sink = KeepingSink()
        let clock = RecorderClock()
        let before = clock.now()
        try await withProxy(sink: sink, script: recordingEcho) { proxy in
            let client = try await proxy.connect()
            client.send(pattern(1_000_000))
            client.finish()
            _ = await client.receivedToEnd()
        }
        #expect(content(sink.batches.items) == pattern(1_000_000))
        let times = sink.batches.items.joined().map(\.at)
        #expect(times == times.sorted() && times.first! > before.advanced(byNanoseconds: -1_000_000_000))
    }

    @Test("Records of open flows reach the sink within the flush interval")
    func openFlows() async throws {
        let sink = KeepingSink()
        var limits = TransportLimits()
        limits.flushInterval = .milliseconds(20)
        try await withProxy(limits: limits, sink: sink, script: recordingEcho) { proxy in
            let client = try await proxy.connect()
            for text in ["first", "second"] {
                client.send(text)
                _ = await sink.batches.wait { content($0).readableBytesView.elementsEqual(text.utf8) || $0.count == 2 }
            }
            #expect(content(sink.batches.items) == ByteBuffer(string: "firstsecond"))
        }
    }

    @Test("While the sink is full nothing is read, and nothing is lost")
    func fullSink() async throws {
        let size = 8 * 1024 * 1024
        let sink = SmallSink(bound: 4 * 256 * 1024)
        try await withProxy(sink: sink, script: recordingEcho) { proxy in
            let clients = try await [proxy.connect(), proxy.connect(), proxy.connect()]
            for client in clients { client.send(ByteBuffer(repeating: 1, count: size)) }
            let drain = Task {
                while !Task.isCancelled {
                    await sink.drainWhenFull()
                }
            }
            for client in clients { #expect(await client.received(count: size).readableBytes == size) }
            drain.cancel()
            sink.open()
        }
        #expect(sink.bytes == 3 * size)
        // A loop looks after each submission of 256 KiB. Each of its three sockets may have been read once more, and has one open record.
        #expect(sink.largest <= 7 * 256 * 1024)
        #expect(sink.drains > 10)
    }

    @Test("A session is woken once, at the moment that it asked for last")
    func waking() async throws {
        let script: @Sendable () -> ScriptedSession.Script = {
            var last = Timestamp(nanoseconds: .max)
            return { event, now, output in
                switch event {
                case .started:
                    last = now.advanced(byNanoseconds: 20_000_000)
                    output.commands += [.wake(at: now.advanced(byNanoseconds: 1_000_000)), .wake(at: last)]
                case .timerFired: output.commands.append(now < last ? .abort(.client) : .close(.client))
                default: break
                }
            }
        }
        try await withProxy(script: script) { proxy in
            _ = try await proxy.connect()
            #expect(
                await proxy.told.wait { $0.last == .gone } == [
                    .started, .timer, .closed(.client, nil, isReset: false), .gone,
                ])
        }
    }

    @Test("A session can ask to be woken again when it is, and earlier than it asked before")
    func timersAgain() async throws {
        let script: @Sendable () -> ScriptedSession.Script = {
            var rounds = 0
            return { event, now, output in
                switch event {
                case .started:
                    output.commands += [.wake(at: now.advanced(byNanoseconds: 3_600_000_000_000)), .wake(at: now)]
                case .timerFired:
                    rounds += 1
                    output.commands.append(rounds == 50 ? .close(.client) : .wake(at: now))
                default: break
                }
            }
        }
        try await withProxy(script: script) { proxy in
            _ = try await proxy.connect()
            let told = await proxy.told.wait { $0.last == .gone }
            #expect(told.count { $0 == .timer } == 50)
        }
    }

    @Test("Many holders of deadlines come out in the order of their times, however they were moved and removed", arguments: 0..<8)
    func heap(seed: UInt64) {
        final class Holder: DeadlineHolder {
            var heapDeadline = Timestamp(nanoseconds: 0)
            var heapIndex: Int?
        }
        var random = SeededGenerator(seed: seed)
        var heap = DeadlineHeap<Holder>()
        let holders = (0..<200).map { _ in Holder() }
        var expected: [ObjectIdentifier: Int64] = [:]
        for _ in 0..<2000 {
            let holder = holders.randomElement(using: &random)!
            if Int.random(in: 0..<4, using: &random) == 0 {
                heap.remove(holder)
                expected[ObjectIdentifier(holder)] = nil
            } else {
                let time = Int64.random(in: 0..<1000, using: &random)
                heap.set(holder, to: Timestamp(nanoseconds: time))
                expected[ObjectIdentifier(holder)] = time
            }
            #expect(heap.earliest?.nanoseconds == expected.values.min())
        }
        var times: [Int64] = []
        #expect(heap.popDue(at: Timestamp(nanoseconds: -1)) == nil)
        while let holder = heap.popDue(at: Timestamp(nanoseconds: 1000)) { times.append(holder.heapDeadline.nanoseconds) }
        #expect(times == expected.values.sorted())
    }

    @Test("A certificate is made once for a loop, and a failure is told and tried again")
    func certificates() async throws {
        let asked = Mutex<[LeafRequest]>([])
        let script: @Sendable () -> ScriptedSession.Script = {
            var names = ["good.example", "good.example", "bad.example", "bad.example"]
            return { event, _, output in
                switch event {
                case .started, .certificateReady:
                    if names.isEmpty {
                        output.commands.append(.close(.client))
                    } else {
                        output.commands.append(.forge(RequestID(0), LeafRequest(serverName: names.removeFirst())))
                    }
                default: break
                }
            }
        }
        let good = try CertificateAuthority.generate(now: 1_700_000_000).issue(
            LeafRequest(serverName: "good.example"), now: 1_700_000_000)
        let make: @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError> = { request in
            asked.withLock { $0.append(request) }
            return request.serverName == "good.example" ? .success(good) : .failure(CertificateError("not this one"))
        }
        try await withProxy(certificates: make, script: script) { proxy in
            _ = try await proxy.connect()
            #expect(
                await proxy.told.wait { $0.last == .gone } == [
                    .started, .certificate, .certificate, .noCertificate("not this one"), .noCertificate("not this one"),
                    .closed(.client, nil, isReset: false), .gone,
                ])
        }
        #expect(asked.withLock { $0 }.map(\.serverName) == ["good.example", "bad.example", "bad.example"])
    }

    @Test("While it is found out who a client is, the other clients of its loop are served")
    func logins() async throws {
        let gate = Gate()
        let check = CredentialCheck(
            cached: { _ in nil },
            verify: { login in
                gate.wait()
                return login.password == "right"
            })
        let script: @Sendable () -> ScriptedSession.Script = {
            var password = ""
            return { event, now, output in
                switch event {
                case .received(.client, let bytes) where bytes.readableBytes > 1:
                    password = String(buffer: bytes)
                    output.commands.append(.verify(RequestID(7), Login(user: "u", password: password), check))
                case .loginVerified(RequestID(7), let isRight):
                    output.commands.append(.send(.client, ByteBuffer(string: "\(password): \(isRight)")))
                default: echo(event, now, &output)
                }
            }
        }
        try await withProxy(loops: 1, script: script) { proxy in
            let (first, second, third) = try await (proxy.connect(), proxy.connect(), proxy.connect())
            first.send("right")
            second.send("wrong")
            _ = await proxy.told.wait { $0.filter { $0 == .received(.client, 5) }.count == 2 }
            third.send("3")
            let answer = await third.received("3")
            gate.open()
            let outcomes = await (first.received("right: true"), second.received("wrong: false"))
            #expect(answer == "3")
            #expect(outcomes == ("right: true", "wrong: false"))
        }
    }

    @Test("Five hundred clients at once are served, spread evenly over the loops, and every session is let go of")
    func manyClients() async throws {
        let loops = Mutex<[Int: Int]>([:])
        let told = Journal<Told>()
        let server = ProxyServer(
            loops: 2, limits: TransportLimits(), sink: KeepingSink(), clock: RecorderClock(),
            certificates: { _ in .failure(CertificateError("")) }, log: { _ in })
        let spec = ListenerSpec(host: "127.0.0.1", port: 0) { accepted in
            loops.withLock { $0[accepted.loop, default: 0] += 1 }
            return ScriptedSession(told, echo)
        }
        let endpoint = try await server.listen(spec)
        var clients: [Peer] = []
        for _ in 0..<500 { clients.append(try await Peer.connect(to: endpoint)) }
        for (index, client) in clients.enumerated() { client.send("I am \(index)") }
        for (index, client) in clients.enumerated() { #expect(await client.received("I am \(index)") == "I am \(index)") }
        #expect(server.counts.open == 500)
        for client in clients { client.close() }
        _ = await told.wait { $0.count { $0 == .gone } == 500 }
        #expect(loops.withLock { $0 } == [0: 250, 1: 250])
        await server.shutDown(grace: .zero)
        var counts = TransportCounts()
        counts.accepted = 500
        #expect(server.counts == counts)
    }
}

/// A sink with a bound, emptied by hand.
final class SmallSink: FlowSink {
    private struct State {
        var waiting = 0
        var bytes = 0
        var largest = 0
        var isOpen = false
        var resumes: [@Sendable () -> Void] = []
    }
    private let bound: Int
    private let state = Mutex(State())
    private let full = Journal<Void>()
    private let seen = Mutex(0)

    init(bound: Int) { self.bound = bound }

    var bytes: Int { state.withLock { $0.bytes } }
    var largest: Int { state.withLock { $0.largest } }
    var drains: Int { seen.withLock { $0 } }

    func submit(_ records: [FlowRecord]) -> [FlowRecord] {
        let size = content([events(of: records)]).readableBytes
        state.withLock { state in
            state.waiting += size
            state.bytes += size
            state.largest = max(state.largest, state.waiting)
        }
        return []
    }

    var isFull: Bool { state.withLock { !$0.isOpen && $0.waiting >= bound } }

    func whenDrained(_ resume: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            if !state.isOpen { state.resumes.append(resume) }
            return state.isOpen
        }
        if isOpen { resume() } else { full.append(()) }
    }

    /// Waits for a loop to stop, empties the queue and lets the loops go on.
    func drainWhenFull() async {
        let next = seen.withLock { $0 } + 1
        await full.wait(count: next)
        seen.withLock { $0 = next }
        release { $0.waiting = 0 }
    }

    /// Takes everything from now on.
    func open() {
        release { $0.isOpen = true }
        full.append(())
    }

    private func release(_ change: (inout State) -> Void) {
        let resumes = state.withLock { state in
            change(&state)
            defer { state.resumes = [] }
            return state.resumes
        }
        for resume in resumes { resume() }
    }
}
