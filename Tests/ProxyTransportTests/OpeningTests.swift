// Upstream connections that are asked for: names, addresses, failures in words, cancelling.

import FlowModel
import Glibc
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import Testing

@testable import ProxyTransport

@Suite(.timeLimit(.minutes(1)))
struct OpeningTests {
    private static func opening(_ endpoint: Endpoint) -> @Sendable () -> ScriptedSession.Script {
        {
            { event, _, output in
                switch event {
                case .started: output.commands.append(.open(upstream, endpoint))
                case .openFailed, .opened: output.commands.append(.close(.client))
                default: break
                }
                if case .opened = event { output.commands.append(.close(upstream)) }
            }
        }
    }

    private func outcome(
        of endpoint: Endpoint, limits: TransportLimits = TransportLimits(),
        lookUp: @escaping @Sendable (String) -> NameService.Answer = { _ in .failure(LookupError(message: "no such host")) }
    ) async throws -> Told? {
        var outcome: Told?
        try await withProxy(limits: limits, lookUp: lookUp, script: Self.opening(endpoint)) { proxy in
            _ = try await proxy.connect()
            outcome = await proxy.told.wait { $0.last == .gone }.first {
                switch $0 {
                case .opened, .openFailed: true
                default: false
                }
            }
        }
        return outcome
    }

    @Test("A port without a listener: connection refused")
    func refused() async throws {
        let server = try await Server.start()
        try await server.stop()
        #expect(try await outcome(of: server.endpoint) == .openFailed(upstream, "connection refused"))
    }

    @Test("A name without an address: no such host, from the system's own lookup")
    func noSuchHost() async throws {
        // RFC 6761 §6.4: names under `invalid` do not exist. Without a name server the system cannot say so.
        let answer = try await outcome(of: Endpoint(host: "nowhere.invalid", port: 80), lookUp: systemLookup)
        #expect([.openFailed(upstream, "no such host"), .openFailed(upstream, "the name server does not answer")].contains(answer))
    }

    @Test("A name that the system knows is connected to")
    func localhost() async throws {
        let server = try await Server.start()
        let named = Endpoint(host: "localhost", port: server.endpoint.port)
        #expect(try await outcome(of: named, lookUp: systemLookup) == .opened(upstream, peer: server.endpoint))
        try await server.stop()
    }

    @Test(
        "Names below localhost, and localhost with a dot, are this machine's: no server is asked (RFC 6761)",
        arguments: ["localhost.", "a.localhost", "B.A.LocalHost."])
    func loopbackNames(name: String) async throws {
        let server = try await Server.start()
        let outcome = try await outcome(of: Endpoint(host: name, port: server.endpoint.port))
        #expect(outcome == .opened(upstream, peer: server.endpoint))
        try await server.stop()
        let foreign = try await self.outcome(of: Endpoint(host: "notlocalhost.", port: server.endpoint.port))
        #expect(foreign == .openFailed(upstream, "no such host"))
    }

    @Test("Of several addresses the one that answers is taken")
    func happyEyeballs() async throws {
        let server = try await Server.start()
        let addresses = try ["::1", "127.0.0.1"].map { try SocketAddress(ipAddress: $0, port: 0) }
        let named = Endpoint(host: "both.example", port: server.endpoint.port)
        #expect(try await outcome(of: named, lookUp: { _ in .success(addresses) }) == .opened(upstream, peer: server.endpoint))
        try await server.stop()
        #expect(try await outcome(of: named, lookUp: { _ in .success(addresses) }) == .openFailed(upstream, "connection refused"))
    }

    @Test("A server that does not answer: timed out", arguments: [false, true])
    func timesOut(byName: Bool) async throws {
        let hole = try SilentServer()
        var limits = TransportLimits()
        limits.connectTimeout = .milliseconds(50)
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let target = Endpoint(host: byName ? "silent.example" : "127.0.0.1", port: hole.port)
        let outcome = try await outcome(of: target, limits: limits, lookUp: { _ in .success([address, address]) })
        #expect(outcome == .openFailed(upstream, "timed out"))
    }

    @Test("A lookup that hangs: timed out, while other names are looked up")
    func lookupHangs() async throws {
        let release = Gate()
        var limits = TransportLimits()
        limits.connectTimeout = .milliseconds(50)
        let server = try await Server.start()
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let lookUp: @Sendable (String) -> NameService.Answer = { name in
            if name == "slow.example" { release.wait() }
            return .success([address])
        }
        let script: @Sendable () -> ScriptedSession.Script = {
            { event, _, output in
                switch event {
                case .started:
                    output.commands += [
                        .open(upstream, Endpoint(host: "slow.example", port: 1)),
                        .open(ConnectionHandle(2), Endpoint(host: "fast.example", port: server.endpoint.port)),
                    ]
                case .openFailed: output.commands += [.close(.client), .close(ConnectionHandle(2))]
                default: break
                }
            }
        }
        try await withProxy(limits: limits, lookUp: lookUp, script: script) { proxy in
            _ = try await proxy.connect()
            let told = await proxy.told.wait { $0.last == .gone }
            #expect(told.contains(.opened(ConnectionHandle(2), peer: server.endpoint)))
            #expect(told.contains(.openFailed(upstream, "timed out")))
            release.open()
        }
        try await server.stop()
    }

    @Test("A name is looked up once for all that wait for it, and not again while it is known")
    func lookupsAreShared() async throws {
        let count = Mutex(0)
        let server = try await Server.start()
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let lookUp: @Sendable (String) -> NameService.Answer = { _ in
            count.withLock { $0 += 1 }
            return .success([address])
        }
        let named = Endpoint(host: "one.example", port: server.endpoint.port)
        try await withProxy(loops: 1, lookUp: lookUp, script: Self.opening(named)) { proxy in
            for _ in 0..<5 { _ = try await proxy.connect() }
            let told = await proxy.told.wait { $0.count { $0 == .gone } == 5 }
            #expect(told.count { $0 == .opened(upstream, peer: server.endpoint) } == 5)
        }
        #expect(count.withLock { $0 } == 1)
        try await server.stop()
    }

    @Test("A connection that is being asked for can be closed, whatever it waits for", arguments: [false, true], [false, true])
    func cancels(byName: Bool, byAbort: Bool) async throws {
        let hole = try SilentServer()
        let release = Gate()
        let target = Endpoint(host: byName ? "slow.example" : "127.0.0.1", port: hole.port)
        let script: @Sendable () -> ScriptedSession.Script = {
            { event, _, output in
                switch event {
                case .started: output.commands.append(.open(upstream, target))
                case .received: output.commands.append(byAbort ? .abort(upstream) : .close(upstream))
                case .closed(upstream, _, _): output.commands.append(.close(.client))
                default: break
                }
            }
        }
        let lookUp: @Sendable (String) -> NameService.Answer = { _ in
            release.wait()
            return .failure(LookupError(message: "too late"))
        }
        try await withProxy(lookUp: lookUp, script: script) { proxy in
            let client = try await proxy.connect()
            client.send("stop")
            #expect(
                await proxy.told.wait { $0.last == .gone } == [
                    .started, .received(.client, 4), .closed(upstream, nil, isReset: false), .closed(.client, nil, isReset: false),
                    .gone,
                ])
            release.open()
        }
    }

    @Test("The proxy does not connect to itself", arguments: ["127.0.0.1", "0.0.0.0", "self.example"])
    func noLoops(host: String) async throws {
        let port = Mutex<UInt16>(0)
        let script: @Sendable () -> ScriptedSession.Script = {
            { event, _, output in
                switch event {
                case .started: output.commands.append(.open(upstream, Endpoint(host: host, port: port.withLock { $0 })))
                case .openFailed: output.commands.append(.close(.client))
                default: break
                }
            }
        }
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        try await withProxy(lookUp: { _ in .success([address]) }, script: script) { proxy in
            port.withLock { $0 = proxy.endpoint.port }
            _ = try await proxy.connect()
            let told = await proxy.told.wait { $0.last == .gone }
            #expect(told.contains(.openFailed(upstream, "this is the proxy's own address")))
        }
    }
}

/// Listens, but its queue is full, so that a client's SYN is not answered.
final class SilentServer {
    let port: UInt16
    private var sockets: [Int32] = []

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = unsafe inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe bind(listener, generic, size)
                _ = listen(listener, 0)
                _ = unsafe getsockname(listener, generic, &size)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        sockets.append(listener)
        // A queue of length 0 holds one connection; the second is never answered.
        for _ in 0..<3 {
            let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = unsafe connect(filler, $0, size) }
            }
            sockets.append(filler)
        }
    }

    deinit { for socket in sockets { Glibc.close(socket) } }
}
