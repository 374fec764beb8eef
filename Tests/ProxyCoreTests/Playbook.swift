// A script for one session: this arrives, that must follow. What follows is rendered as lines, and a script that passes over a line fails.

import FlowModel
import FlowRecords
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import ProxyCore
import TLSEngine
import Testing

/// A session under test, with a clock that moves one millisecond with each event.
final class Playbook {
    let session: ProxySession
    let ownAddresses = OwnAddresses()
    private(set) var now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
    private(set) var records: [FlowEvent] = []
    /// When timers that run will fire.
    var timers: [Deadline.Kind: Timestamp] {
        var timers: [Deadline.Kind: Timestamp] = [:]
        for kind in Deadline.Kind.allCases { timers[kind] = session.deadlines.first(kind) }
        return timers
    }
    /// The numbers of the logins that were to be verified and are not yet.
    private var logins: [Login: RequestID] = [:]
    /// The numbers of the certificates that were asked for and are not there yet.
    private var certificates: [RequestID] = []
    /// The event log.
    private(set) var log: [String] = []
    /// What was sent to each connection and not taken yet.
    private var sent: [ConnectionHandle: ByteBuffer] = [:]
    /// What of it was sent in a part that is skipped.
    private var skipped: [ConnectionHandle: ByteBuffer] = [:]
    private let turns = Turns()
    /// What followed the client's arrival.
    private(set) var started: Turn

    /// Made once: they read the system's certificates.
    private static let serverTLS = try! TLSServerContext(TLSServerOptions())
    private static let clientTLS = try! TLSClientContext(TLSClientOptions())
    static let authority = try! CertificateAuthority.generate(now: 1_700_000_000)

    init(
        _ mode: String = "regular", strategy: ConnectionStrategy = .eager, keepsHostHeader: Bool = false,
        maximumBodySize: UInt64? = nil, responder: (any Responder)? = nil, originalDestination: Endpoint? = nil,
        pings: WebSocketPings = .answer, credentials: CredentialCheck? = nil, verifies: Bool = true,
        altSvc: AltSvcPolicy = .keep, hosts: HostPolicy = HostPolicy(), validation: HTTP1Validation = .strict,
        http2Validation: HTTP2Validation = .strict,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var unverified = TLSClientOptions()
        unverified.verifies = false
        let specification = try ModeSpecification(mode, isServing: responder != nil)
        session = ProxySession(
            configuration: ProxyConfiguration(
                mode: specification.mode, modeText: specification.text, strategy: strategy, keepsHostHeader: keepsHostHeader,
                serverTLS: Self.serverTLS, clientTLS: verifies ? Self.clientTLS : try TLSClientContext(unverified),
                authority: Self.authority, validation: validation, http2Validation: http2Validation, webSocketPings: pings,
                altSvc: altSvc,
                hosts: hosts, credentials: credentials, maximumBodySize: maximumBodySize,
                ownAddresses: ownAddresses, responder: responder),
            seed: 1, originalDestination: originalDestination)
        ownAddresses.add(Endpoint(host: "127.0.0.1", port: 8080))
        started = turns.hold([], at: sourceLocation)
        started = deliver(
            .started(peer: Endpoint(host: "10.0.0.1", port: 5000), local: Endpoint(host: "127.0.0.1", port: 8080)),
            sourceLocation: sourceLocation)
    }

    /// Delivers an event to the session.
    /// - Returns: what it asks for; log lines and timers are left out. Nothing, unless the caller compares it, takes its bytes or skips it.
    @discardableResult
    func deliver(_ event: ProxyEvent, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        turns.next()
        now = now.advanced(byNanoseconds: 1_000_000)
        var output = ProxyOutput()
        session.receive(event, at: now, into: &output)
        output.records.finishOpen()
        // What the recording would read.
        for record in output.records.take() { try! record.forEachEvent { records.append($0) } }
        for command in output.commands {
            switch command {
            case .verify(let request, let login, _): logins[login] = request
            case .forge(let request, _): certificates.append(request)
            case .log(let line): log.append(line.text)
            default: break
            }
        }
        for case .send(let handle, let bytes) in output.commands {
            if turns.isSkipping {
                skipped[handle, default: ByteBuffer()].writeImmutableBuffer(bytes)
            } else {
                sent[handle, default: ByteBuffer()].writeImmutableBuffer(bytes)
            }
        }
        return turns.hold(Self.joined(output.commands), at: sourceLocation)
    }

    /// Moves the clock to the moment of a timer that runs, and lets it fire.
    @discardableResult
    func fire(_ timer: Deadline.Kind, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        guard let due = timers[timer] else { return turns.hold(["\(timer) does not run"], at: sourceLocation) }
        now = max(now, due.advanced(byNanoseconds: -1_000_000))
        return deliver(.timerFired, sourceLocation: sourceLocation)
    }

    /// A certificate is made: of those that the session waits for, the first one that it asked for, or another.
    @discardableResult
    func certified(_ leaf: LeafCertificate, at index: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        guard certificates.indices.contains(index) else {
            return turns.hold(["no certificate was asked for"], at: sourceLocation)
        }
        return deliver(.certificateReady(certificates.remove(at: index), .success(leaf)), sourceLocation: sourceLocation)
    }

    /// A login that was to be verified is right or wrong.
    @discardableResult
    func verified(_ login: Login, isRight: Bool, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        let request = logins.removeValue(forKey: login) ?? RequestID(0)
        return deliver(.loginVerified(request, isRight: isRight), sourceLocation: sourceLocation)
    }

    @discardableResult
    func client(sends text: String, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        deliver(.received(.client, ByteBuffer(string: text)), sourceLocation: sourceLocation)
    }

    @discardableResult
    func server(_ number: UInt32 = 1, sends text: String, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        deliver(.received(ConnectionHandle(number), ByteBuffer(string: text)), sourceLocation: sourceLocation)
    }

    @discardableResult
    func serverOpens(
        _ number: UInt32 = 1, at address: String = "192.0.2.1", port: UInt16 = 80,
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> Turn {
        deliver(
            .opened(
                ConnectionHandle(number), peer: Endpoint(host: address, port: port),
                local: Endpoint(host: "192.0.2.9", port: 40000)),
            sourceLocation: sourceLocation)
    }

    /// The bytes that were sent to a connection since they were taken last.
    func takeSent(_ handle: ConnectionHandle) -> ByteBuffer {
        turns.took(handle)
        var bytes = sent.removeValue(forKey: handle) ?? ByteBuffer()
        if let rest = skipped.removeValue(forKey: handle) { bytes.writeImmutableBuffer(rest) }
        return bytes
    }

    /// Drops the bytes that were sent to a connection and not taken.
    func skipSent(_ handles: ConnectionHandle...) { for handle in handles { _ = takeSent(handle) } }

    /// Set-up: what follows the events is not compared, because another test does; what was sent and not taken is dropped.
    @discardableResult
    func skip<Result>(_ events: () throws -> Result) rethrows -> Result {
        defer { if !turns.isSkipping { skipped = [:] } }
        return try turns.skip(events)
    }

    /// What followed several events that a test double delivered, without what it has examined itself.
    func hold(_ lines: [String], at sourceLocation: SourceLocation) -> Turn { turns.hold(lines, at: sourceLocation) }

    /// The flows that were recorded so far, each as one line.
    var flows: [String] { wholeFlows.map(Self.render) }

    /// The flows that were recorded so far.
    var wholeFlows: [Flow] {
        var assemblers: [FlowID: FlowAssembler] = [:]
        var order: [FlowID] = []
        for event in records {
            if case .opened(let opening) = event.what {
                order.append(event.flow)
                assemblers[event.flow] = FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: true)
            }
            assemblers[event.flow]?.receive(event.what, at: event.at)
        }
        return order.map { assemblers[$0]!.flow }
    }

    static func render(_ flow: Flow) -> String {
        var line = "\(flow.kind) \(flow.state)"
        if let request = flow.request {
            line += " \(String(buffer: request.head.method)) \(flow.target.scheme)://\(flow.target.host):\(flow.target.port)"
            line += " \(String(buffer: request.head.target))"
            if let body = try? flow.pieces.content(from: .client), body.readableBytes > 0 { line += " <\(String(buffer: body))>" }
        }
        for interim in flow.interims { line += " | \(interim.value.status)" }
        if let response = flow.response {
            line += " | \(response.head.status)"
            if let body = try? flow.pieces.content(from: .server), body.readableBytes > 0 { line += " <\(String(buffer: body))>" }
            if let trailers = response.trailers { line += " trailers \(trailers.pairs.map(\.name))" }
        }
        if flow.kind == .tcp || flow.isWebSocket {
            try? flow.pieces.forEach { _, piece in
                let kind = piece.kind == .data ? "" : "\(piece.kind) "
                line += " \(piece.from == .client ? ">" : "<")\(kind)\(text(of: piece))"
                return true
            }
        }
        if let error = flow.error { line += " ! \(error.side.map { "\($0)" } ?? "recorder"): \(error.message)" }
        return line
    }

    /// A close frame by its code, everything else as it is.
    private static func text(of piece: FlowPiece) -> String {
        guard piece.kind == .close else { return String(buffer: piece.content) }
        return piece.content.getInteger(at: piece.content.readerIndex, as: UInt16.self).map { "\($0)" } ?? ""
    }

    /// Commands as lines; sends to one connection that follow each other are one.
    static func joined(_ commands: [ProxyCommand]) -> [String] {
        var lines: [String] = []
        for command in commands {
            switch command {
            case .open(let handle, let endpoint): lines.append("open \(handle): \(endpoint)")
            case .send(let handle, let bytes):
                let prefix = "send \(handle): "
                let text = String(buffer: bytes)
                if let last = lines.last, last.hasPrefix(prefix) {
                    lines[lines.count - 1] = last + text
                } else {
                    lines.append(prefix + text)
                }
            case .finish(let handle): lines.append("finish \(handle)")
            case .close(let handle): lines.append("close \(handle)")
            case .abort(let handle): lines.append("abort \(handle)")
            case .read(let handle, let reads): lines.append("\(reads ? "read" : "pause") \(handle)")
            case .forge(_, let request): lines.append("forge \(request.serverName)")
            case .verify(_, let login, _): lines.append("verify \(login.user):\(login.password)")
            case .wake, .log: break
            }
        }
        return lines
    }
}
