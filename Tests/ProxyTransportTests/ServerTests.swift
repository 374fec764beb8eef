// Listeners: who is let in, what stands in the way, and the end of it all.

import FlowModel
import FlowRecords
import Glibc
import NIOCore
import NIOPosix
import ProxyCore
import TLSEngine
import Testing

@testable import ProxyTransport

@Suite(.timeLimit(.minutes(1)))
struct ServerTests {
    private func server(
        limits: TransportLimits = TransportLimits(), sink: any FlowSink = KeepingSink(), log: Journal<LogLine> = Journal()
    ) -> ProxyServer {
        ProxyServer(
            loops: 1, limits: limits, sink: sink, clock: RecorderClock(), certificates: { _ in .failure(CertificateError("")) },
            log: { log.append($0) })
    }

    private func echoing(_ host: String, _ port: UInt16 = 0) -> ListenerSpec {
        ListenerSpec(host: host, port: port) { _ in ScriptedSession(Journal(), echo) }
    }

    @Test("A port that is taken is told in one sentence, and the rest goes on")
    func portTaken() async throws {
        let other = try await Server.start()
        let server = server()
        let port = other.endpoint.port
        await #expect(throws: TransportError("cannot listen on 127.0.0.1:\(port): address already in use")) {
            try await server.listen(echoing("127.0.0.1", port))
        }
        let endpoint = try await server.listen(echoing("localhost"))
        let client = try await Peer.connect(to: endpoint)
        client.send("hi")
        #expect(await client.received("hi") == "hi")
        await server.shutDown(grace: .zero)
        try await other.stop()
    }

    @Test(
        "An address that cannot be listened on is told in one sentence",
        arguments: [
            ("192.0.2.1", "cannot listen on 192.0.2.1:8080: address not available"),
            ("nowhere.invalid", "cannot listen on nowhere.invalid:8080: no such host"),
            ("2001:db8::1", "cannot listen on [2001:db8::1]:8080: address not available"),
        ])
    func noSuchAddress(host: String, message: String) async throws {
        let server = server()
        await #expect(throws: TransportError(message)) { try await server.listen(echoing(host, 8080)) }
        await server.shutDown(grace: .zero)
    }

    @Test("An empty address is not every address")
    func emptyAddress() async throws {
        let server = server()
        await #expect(throws: TransportError("cannot listen on an empty address; name one, or * for every address")) {
            try await server.listen(echoing("", 8080))
        }
        await server.shutDown(grace: .zero)
    }

    @Test("A listener on all addresses of both families shows an IPv4 client as one", arguments: ["::", "*"])
    func mappedAddress(host: String) async throws {
        let accepted = Journal<AcceptedConnection>()
        let server = server()
        let endpoint = try await server.listen(
            ListenerSpec(host: host, port: 0, readsOriginalDestination: true) { connection in
                accepted.append(connection)
                return ScriptedSession(Journal(), echo)
            })
        let client = try await Peer.connect(to: Endpoint(host: "127.0.0.1", port: endpoint.port))
        let seen = await accepted.wait(count: 1)[0]
        let port = UInt16(client.channel.localAddress?.port ?? 0)
        let expected = AcceptedConnection(
            peer: Endpoint(host: "127.0.0.1", port: port), local: Endpoint(host: "127.0.0.1", port: endpoint.port),
            originalDestination: nil, loop: 0)
        #expect(seen == expected)
        client.close()
        await server.shutDown(grace: .zero)
    }

    @Test("At the bound on connections the next client waits until one leaves")
    func maximum() async throws {
        var limits = TransportLimits()
        limits.maximumConnections = 2
        try await withProxy(limits: limits, script: { echo }) { proxy in
            let first = try await proxy.connect()
            let second = try await proxy.connect()
            for client in [first, second] {
                client.send("in")
                _ = await client.received("in")
            }
            // The kernel accepts for us; the proxy does not.
            let third = try await proxy.connect()
            third.send("third")
            await proxy.log.wait(count: 1)
            second.send(" still")
            _ = await second.received("in still")
            #expect(proxy.server.counts.accepted == 2)
            first.close()
            #expect(await third.received("third") == "third")
            #expect(proxy.server.counts.open == 2)
            #expect(
                proxy.log.items == [
                    LogLine(
                        .warning, "limit",
                        "2 connections are open; new clients of \(Endpoint(host: "127.0.0.1", port: 0)) wait until one closes")
                ])
        }
    }

    @Test("A descriptor is set aside for each client's server; more servers, and further clients, get what is left")
    func descriptors() async throws {
        var limits = TransportLimits()
        limits.maximumDescriptors = 4
        let origin = try await Server.start()
        let target = origin.endpoint
        // Opens as many connections as bytes are received, and closes them all after a full stop.
        let script: @Sendable () -> ScriptedSession.Script = {
            var count = 0
            return { event, now, output in
                echo(event, now, &output)
                guard case .received(.client, let bytes) = event else { return }
                if bytes.readableBytesView.contains(UInt8(ascii: ".")) {
                    output.commands += (1...count).map { .close(ConnectionHandle(UInt32($0))) }
                } else {
                    output.commands += (count + 1...count + bytes.readableBytes).map { .open(ConnectionHandle(UInt32($0)), target) }
                    count += bytes.readableBytes
                }
            }
        }
        try await withProxy(limits: limits, script: script) { proxy in
            let first = try await proxy.connect()
            first.send("abcd")
            let told = await proxy.told.wait { $0.count { $0.isAnswerToOpen } == 4 }
            #expect(
                told.filter { if case .noDescriptor = $0 { true } else { false } } == [.noDescriptor(ConnectionHandle(4))])
            #expect(!told.contains(.descriptorsFree))
            // The kernel accepts for us; the proxy does not.
            let second = try await proxy.connect()
            second.send("e")
            first.send(".")
            await proxy.told.wait { $0.contains(.descriptorsFree) }
            #expect(await second.received("e") == "e")
            await proxy.told.wait { $0.count { $0.isAnswerToOpen } == 5 }
            #expect(proxy.server.counts.open == 2)
        }
        try await origin.stop()
    }

    @Test("One client too many from one address is closed at once, and the log says so once")
    func maximumPerClient() async throws {
        var limits = TransportLimits()
        limits.maximumConnectionsPerClient = 1
        try await withProxy(limits: limits, script: { echo }) { proxy in
            let first = try await proxy.connect()
            first.send("in")
            _ = await first.received("in")
            for _ in 0..<3 {
                let refused = try await proxy.connect()
                #expect(await refused.seen { $0.ended }.bytes.readableBytes == 0)
            }
            #expect(
                proxy.log.items == [
                    LogLine(.warning, "limit", "127.0.0.1 has too many connections; more of them are closed at once")
                ])
            #expect(proxy.server.counts.refusedPerClient == 3)
            first.close()
            await proxy.told.wait { $0.last == .gone }
            // The count goes down a moment after the session: a refused client tries again.
            while true {
                let next = try await proxy.connect()
                next.send("again")
                if await next.seen(until: { $0.ended || $0.bytes.readableBytes == 5 }).bytes.readableBytes == 5 { break }
            }
        }
    }

    @Test("Out of descriptors, accepting rests, says so once, and goes on when a connection closes", arguments: [true, false])
    func outOfDescriptors(closes: Bool) async throws {
        var limits = TransportLimits()
        limits.acceptBackoff = closes ? .hours(1) : .milliseconds(20)
        let log = Journal<LogLine>()
        let server = server(limits: limits, log: log)
        let endpoint = try await server.listen(echoing("127.0.0.1"))
        let first = try await Peer.connect(to: endpoint)
        first.send("in")
        _ = await first.received("in")
        let listener = try #require(server.listeners.first)
        // What accept(2) failing looks like from here.
        for _ in 0..<3 { listener.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept")) }
        let lines = await log.wait(count: 1)
        #expect(
            lines == [
                LogLine(
                    .error, "limit",
                    "cannot accept clients of 127.0.0.1:0: too many open files; trying again when a connection closes")
            ])
        // The socket had been asked for one client already, before the failure.
        let second = try await Peer.connect(to: endpoint)
        let third = try await Peer.connect(to: endpoint)
        third.send("third")
        if closes { first.close() }
        #expect(await third.received("third") == "third")
        #expect(server.counts.pausedWithoutDescriptors == 1)
        second.close()
        await server.shutDown(grace: .zero)
    }

    @Test("Shutting down tells every session, and its last records are in the sink when it is done")
    func shutsDown() async throws {
        let sink = KeepingSink()
        let told = Journal<Told>()
        let server = server(sink: sink)
        let ending = FlowEvent.What.ended(FlowEnding(state: .incomplete))
        let endpoint = try await server.listen(
            ListenerSpec(host: "127.0.0.1", port: 0) { _ in
                ScriptedSession(told) { event, now, output in
                    echo(event, now, &output)
                    if case .closed = event {
                        output.records.add(ending, to: FlowRecord(FlowID(high: 0, low: 1)), at: now)
                    }
                }
            })
        let client = try await Peer.connect(to: endpoint)
        client.send("in")
        _ = await client.received("in")
        await server.shutDown(grace: .hours(1))
        #expect(await client.receivedToEnd().ended)
        #expect(
            told.items == [
                .started, .received(.client, 2), .shutdown, .closed(.client, nil, isReset: false), .gone,
            ])
        #expect(sink.batches.items.joined().count == 1)
        await #expect(throws: TransportError.self) { try await server.listen(echoing("127.0.0.1")) }
        await server.shutDown()
    }

    @Test("What does not end by itself is cut off after the grace, connections that are being asked for included")
    func graceEnds() async throws {
        let hole = try SilentServer()
        let told = Journal<Told>()
        let server = server()
        let target = Endpoint(host: "127.0.0.1", port: hole.port)
        let endpoint = try await server.listen(
            ListenerSpec(host: "127.0.0.1", port: 0) { _ in
                ScriptedSession(told) { event, _, output in
                    if case .started = event { output.commands.append(.open(upstream, target)) }
                }
            })
        let client = try await Peer.connect(to: endpoint)
        await told.wait { $0.contains(.started) }
        await server.shutDown(grace: .milliseconds(10))
        #expect(await client.seen { $0.ended }.reset)
        #expect(
            told.items == [
                .started, .shutdown, .closed(upstream, nil, isReset: false), .closed(.client, nil, isReset: false), .gone,
            ])
    }

    @Test("The recorder's clock starts at the wall clock and never runs backwards")
    func clock() {
        var wall = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &wall)
        let clock = RecorderClock()
        let first = clock.now()
        #expect(abs(first.nanoseconds - (Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec))) < 60_000_000_000)
        let times = (0..<10_000).map { _ in clock.now() }
        #expect(times == times.sorted() && first <= times[0])
        let other = RecorderClock(startingAt: Timestamp(nanoseconds: 1_000_000_000_000_000_000))
        #expect(other.now() - Timestamp(nanoseconds: 1_000_000_000_000_000_000) < 60_000_000_000)
    }

    @Test(
        "Error numbers have words",
        arguments: [
            (ECONNREFUSED, "connection refused"), (ENETUNREACH, "network unreachable"), (ETIMEDOUT, "timed out"),
            (EPIPE, "connection reset by peer"), (EMFILE, "too many open files"), (ENOTSOCK, "socket operation on non-socket"),
        ])
    func errorWords(code: Int32, expected: String) {
        #expect(failureDescription(IOError(errnoCode: code, reason: "connect")) == expected)
    }
}

extension Told {
    fileprivate var isAnswerToOpen: Bool {
        switch self {
        case .opened, .openFailed, .noDescriptor: true
        default: false
        }
    }
}
