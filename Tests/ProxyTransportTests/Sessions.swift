// Small sessions, and a proxy that runs them, for tests.

import FlowModel
import FlowRecords
import NIOCore
import ProxyCore
import Synchronization
import TLSEngine

@testable import ProxyTransport

/// What a session was told, without what differs from run to run.
enum Told: Sendable, Equatable {
    case started
    case received(ConnectionHandle, Int)
    case halfClosed(ConnectionHandle)
    case closed(ConnectionHandle, String?, isReset: Bool)
    case opened(ConnectionHandle, peer: Endpoint)
    case openFailed(ConnectionHandle, String)
    case noDescriptor(ConnectionHandle)
    case descriptorsFree
    case writable(ConnectionHandle, Bool)
    case timer
    case certificate
    case noCertificate(String)
    case login(isRight: Bool)
    case shutdown
    /// The session was let go of.
    case gone

    init(_ event: ProxyEvent) {
        self =
            switch event {
            case .started: .started
            case .received(let handle, let bytes): .received(handle, bytes.readableBytes)
            case .halfClosed(let handle): .halfClosed(handle)
            case .closed(let handle, let error, let isReset): .closed(handle, error, isReset: isReset)
            case .opened(let handle, let peer, _): .opened(handle, peer: peer)
            case .openFailed(let handle, let reason): .openFailed(handle, reason)
            case .noDescriptor(let handle): .noDescriptor(handle)
            case .descriptorsFree: .descriptorsFree
            case .writable(let handle, let isWritable): .writable(handle, isWritable)
            case .timerFired: .timer
            case .certificateReady(_, .success): .certificate
            case .certificateReady(_, .failure(let error)): .noCertificate(error.message)
            case .loginVerified(_, let isRight): .login(isRight: isRight)
            case .shutdown: .shutdown
            }
    }
}

/// A session that does what a closure says, and notes what it is told.
final class ScriptedSession: ProxySessionProtocol {
    typealias Script = (ProxyEvent, Timestamp, inout ProxyOutput) -> Void
    private let told: Journal<Told>
    private let script: Script

    init(_ told: Journal<Told>, _ script: @escaping Script) {
        self.told = told
        self.script = script
    }
    deinit { told.append(.gone) }

    func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput) {
        script(event, now, &output)
        told.append(Told(event))
    }
}

let upstream = ConnectionHandle(1)

/// Sends everything back, FIN included.
func echo(_ event: ProxyEvent, _ now: Timestamp, _ output: inout ProxyOutput) {
    switch event {
    case .received(let handle, let bytes): output.commands.append(.send(handle, bytes))
    case .halfClosed(let handle): output.commands.append(.finish(handle))
    case .shutdown: output.commands.append(.close(.client))
    default: break
    }
}

/// Forwards everything between the client and one server: bytes, FIN, resets and the wish to wait.
func relay(to target: Endpoint) -> ScriptedSession.Script {
    var early: [ProxyCommand] = []
    var isOpen = false
    func other(_ handle: ConnectionHandle) -> ConnectionHandle { handle == .client ? upstream : .client }
    return { event, _, output in
        switch event {
        case .started: output.commands.append(.open(upstream, target))
        case .opened:
            isOpen = true
            output.commands += early
            early = []
        case .openFailed, .noDescriptor: output.commands.append(.close(.client))
        case .received(let handle, let bytes):
            let send = ProxyCommand.send(other(handle), bytes)
            if isOpen { output.commands.append(send) } else { early.append(send) }
        case .halfClosed(let handle):
            let finish = ProxyCommand.finish(other(handle))
            if isOpen { output.commands.append(finish) } else { early.append(finish) }
        case .closed(let handle, let error, let isReset):
            output.commands.append(isReset ? .abort(other(handle)) : .close(other(handle)))
            _ = error
        case .writable(let handle, let isWritable): output.commands.append(.read(other(handle), isWritable))
        case .shutdown: output.commands += [.close(.client), .close(upstream)]
        case .descriptorsFree, .timerFired, .certificateReady, .loginVerified: break
        }
    }
}

/// The events of records, in order.
func events(of records: [FlowRecord]) -> [FlowEvent] {
    var events: [FlowEvent] = []
    for record in records { try! record.forEachEvent { events.append($0) } }
    return events
}

/// A sink without bounds that keeps everything.
final class KeepingSink: FlowSink {
    let batches = Journal<[FlowEvent]>()
    var isFull: Bool { false }
    func submit(_ records: [FlowRecord]) -> [FlowRecord] {
        batches.append(events(of: records))
        return []
    }
    func whenDrained(_ resume: @escaping @Sendable () -> Void) { resume() }
}

/// A proxy for one test.
struct TestProxy {
    let server: ProxyServer
    let endpoint: Endpoint
    let told: Journal<Told>
    let log: Journal<LogLine>

    func connect() async throws -> Peer { try await Peer.connect(to: endpoint) }
}

/// Runs a proxy whose sessions each follow a fresh script, and shuts it down afterwards.
func withProxy(
    loops: Int = 2, limits: TransportLimits = TransportLimits(), sink: any FlowSink = KeepingSink(),
    certificates: @escaping @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError> = { _ in
        .failure(CertificateError("none here"))
    },
    lookUp: @escaping @Sendable (String) -> NameService.Answer = { _ in .failure(LookupError(message: "no such host")) },
    script: @escaping @Sendable () -> ScriptedSession.Script, _ body: (TestProxy) async throws -> Void
) async throws {
    let told = Journal<Told>()
    let log = Journal<LogLine>()
    let server = ProxyServer(
        loops: loops, limits: limits, sink: sink, clock: RecorderClock(), certificates: certificates, log: { log.append($0) },
        lookUp: lookUp)
    let spec = ListenerSpec(host: "127.0.0.1", port: 0) { _ in ScriptedSession(told, script()) }
    let endpoint = try await server.listen(spec)
    do {
        try await body(TestProxy(server: server, endpoint: endpoint, told: told, log: log))
    } catch {
        await server.shutDown(grace: .zero)
        throw error
    }
    await server.shutDown(grace: .zero)
}
