// Sessions that no client connection causes: they live until they say themselves that they are over.

import FlowModel
import NIOCore
import ProxyCore
import Testing

@testable import ProxyTransport

@Suite("Sessions without a client", .timeLimit(.minutes(1)))
struct HeadlessTests {
    private static let nobody = Endpoint(host: "10.0.0.1", port: 5)

    private func told(by script: @escaping @Sendable () -> ScriptedSession.Script, until last: Told?) async throws -> [Told] {
        let told = Journal<Told>()
        try await withProxy(script: { { _, _, _ in } }) { proxy in
            proxy.server.start(peer: Self.nobody, local: Self.nobody) { _ in ScriptedSession(told, script()) }
            await told.wait { items in last.map { items.contains($0) } ?? !items.isEmpty }
        }
        await told.wait { $0.contains(.gone) }
        return told.items
    }

    @Test("One waits, opens connections, and is let go of when it closes its client")
    func whole() async throws {
        let script: ScriptedSession.Script = { event, now, output in
            switch event {
            case .started: output.commands.append(.wake(at: now.advanced(byNanoseconds: 1_000_000)))
            case .timerFired: output.commands.append(.open(upstream, Endpoint(host: "nowhere", port: 1)))
            case .openFailed: output.commands.append(.close(.client))
            default: break
            }
        }
        nonisolated(unsafe) let shared = script
        let items = try await told(by: { unsafe shared }, until: .gone)
        #expect(items == [.started, .timer, .openFailed(upstream, "no such host"), .gone])
    }

    @Test("One that does not end by itself is cut off when the proxy ends")
    func cut() async throws {
        let items = try await told(by: { { _, _, _ in } }, until: nil)
        #expect(items == [.started, .shutdown, .closed(.client, nil, isReset: true), .gone])
    }
}
