// Builds what the arguments ask for, runs it, and ends it in order: sessions first, then the judge that looks at answers, then the recording.

import FlowArchive
import FlowFilter
import FlowModel
import FlowRecording
import FlowReplay
import Foundation
import Glibc
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Synchronization
import TLSEngine
import ToolSupport

/// One run of mitm-replay.
struct Replayer {
    private static let name = "mitm-replay"
    private let arguments: MitmReplay
    private let clock = RecorderClock()

    init(_ arguments: MitmReplay) { self.arguments = arguments }

    private func say(_ text: String) { complain(text, as: Self.name) }

    func run() throws -> ToolStatus {
        let ending = [SIGINT, SIGTERM] + (ControllingTerminal().outlivesTerminal ? [] : [SIGHUP])
        Signals.block(ending)
        let descriptors = prepareProcess()
        let targets = try Targets(arguments.target)
        let comparison = try FlowComparison(ignoring: IgnoreRules(arguments.ignore, for: .answers))
        var options = ReplayPlan.Options()
        options.onlySafeMethods = arguments.safeMethods
        options.hasHTTPTarget = targets.http != nil
        options.hasTCPTarget = targets.bytes != nil
        let (plan, isDamaged) = try makePlan(options)
        guard plan.flowCount > 0 else {
            ReplayTally().summary(compares: arguments.diff, leftOut: plan.leftOut, unsent: 0).forEach(say)
            return isDamaged ? .damaged : .noMatch
        }
        try checkTargets(plan, targets)
        let servers = try ServerSettings(arguments, now: clock.now())
        let recorder = try makeRecorder()
        let judge = Judge(plan, comparison: arguments.diff ? comparison : nil, isQuiet: arguments.quiet, recorder: recorder)
        let limits = try transportLimits(descriptors)
        let server = makeServer(judge, limits, loops: descriptors.loops)
        let conductor = Conductor(plan, score: score(limits), server: server, judge: judge, clock: clock) { connection in
            servers.configuration(connection, targets)
        }
        conductor.start()
        let isInterrupted = waitForEnd(of: conductor, judge, ending)
        wait { await server.shutDown(grace: .seconds(2)) }
        let status = try judge.finish()
        recorder?.finish()
        let unsent = conductor.unsent
        judge.summary(leftOut: plan.leftOut, unsent: unsent).forEach(say)
        if let failure = recorder?.failure { throw ToolError(failure) }
        if isInterrupted { return .failed }
        return status == .done && isDamaged ? .damaged : status
    }

    // MARK: Parts

    /// Goes through the recording once. What can be read again is not kept.
    private func makePlan(_ options: ReplayPlan.Options) throws -> (plan: ReplayPlan, isDamaged: Bool) {
        let places = PlaceNotes(filter: try arguments.filter.map { try FlowFilter($0) })
        var sequence = ArchiveSequence(try archiveSources(arguments.files), where: places)
        var builder = ReplayPlan.Builder(options)
        try sequence.forEach(
            begin: { source, canBeReadAgain in
                guard canBeReadAgain, case .file(let path) = source else { return places.begin(canBeReadAgain: false) }
                builder.addFile(try ArchiveLookup(path: path))
                places.begin(canBeReadAgain: true)
            }, damage: say
        ) { flow in
            builder.add(flow, at: places.take(flow.id))
            return true
        }
        return (builder.finish(), sequence.isDamaged)
    }

    /// Nothing is sent when anything would go where it may not.
    private func checkTargets(_ plan: ReplayPlan, _ targets: Targets) throws {
        let patterns = arguments.allowTarget.map { TargetPattern($0) }
        var refused: [String] = []
        for connection in plan.connections where targets.mode(for: connection) == nil {
            let (host, port) = (connection.target.host, connection.target.port)
            if patterns.contains(where: { $0.matches(host: host, port: port) }) { continue }
            let name = Endpoint(host: host, port: port).description
            if !refused.contains(name) { refused.append(name) }
        }
        guard !refused.isEmpty else { return }
        let names = refused.prefix(3).joined(separator: ", ") + (refused.count > 3 ? " and \(refused.count - 3) more" : "")
        throw ToolError(
            "nothing was sent: the recording goes to \(names), which may not be contacted; say where to send it with --target URL, or allow the recorded servers with --allow-target PATTERN"
        )
    }

    private func score(_ limits: TransportLimits) -> Conductor.Score {
        var score = Conductor.Score()
        score.schedule = arguments.rate.map { .rate($0.perSecond) } ?? .recorded(arguments.timing.value)
        if case .scaled(let speed) = arguments.timing.value { score.speed = speed }
        score.waitsForServer = arguments.timing.value != .recorded
        score.concurrency = min(arguments.concurrency ?? .max, limits.maximumDescriptors ?? .max)
        score.rounds = arguments.rounds
        score.patience = arguments.patience.nanoseconds
        return score
    }

    private func makeRecorder() throws -> FlowRecorder? {
        guard let path = arguments.write else { return nil }
        let isInput = arguments.files.contains {
            URL(fileURLWithPath: $0).standardizedFileURL == URL(fileURLWithPath: path).standardizedFileURL
        }
        if isInput { throw ToolError("\(path) is what is sent; name another file with -w") }
        if path == "-" { throw ToolError("differences go to standard output; name a file with -w") }
        var options = RecordingFiles.Options(pattern: (path as NSString).expandingTildeInPath) { complain($0, as: Self.name) }
        options.truncates = arguments.truncate
        let files = try RecordingFiles(options, now: clock.now())
        return FlowRecorder(
            files: files, options: RecordingOptions(notice: { complain($0, as: Self.name) }, now: { [clock] in clock.now() }))
    }

    private func transportLimits(_ descriptors: DescriptorLimit) throws -> TransportLimits {
        var limits = TransportLimits()
        limits.connectTimeout = .nanoseconds(arguments.connectTimeout.nanoseconds)
        limits.descriptorsPerClient = 1
        // Connections beyond it begin later, and the replay reports by how much.
        _ = try descriptors.bound(&limits, listeners: 0)
        return limits
    }

    private func makeServer(_ judge: Judge, _ limits: TransportLimits, loops: Int) -> ProxyServer {
        let lowest: LogLine.Level = arguments.verbose ? .debug : .error
        return ProxyServer(
            loops: loops, limits: limits, sink: judge, clock: clock,
            certificates: { _ in .failure(CertificateError("a replay has no clients that ask for certificates")) },
            log: { line in if line.level >= lowest { complain(line.text, as: Self.name) } })
    }

    /// - Returns: whether a signal came before everything was sent.
    private func waitForEnd(of conductor: Conductor, _ judge: Judge, _ signals: [Int32]) -> Bool {
        let showsProgress = arguments.quiet && isTerminal(2)
        defer { if showsProgress { writeToStandardError("\r\u{1B}[K") } }
        while !conductor.isDone {
            if Signals.wait(for: signals, seconds: 0.05) != nil {
                judge.stop()
                conductor.stop()
                return true
            }
            if showsProgress { writeToStandardError("\r\(judge.progress)\u{1B}[K") }
        }
        return false
    }
}

/// Notes where flows stand while the reader passes over them.
private final class PlaceNotes: FlowPredicate {
    private let filter: FlowFilter?
    /// nil: the source cannot be read again.
    private let places = Mutex<[FlowID: FlowPlace]?>(nil)

    init(filter: FlowFilter?) { self.filter = filter }

    func matches(_ flow: some FlowQuestions) throws -> Bool {
        if let filter, try !filter.matches(flow) { return false }
        if let view = flow as? RecordView, let place = view.flowPlace { places.withLock { $0?[view.id] = place } }
        return true
    }

    func mayMatch(_ group: some FlowGroupQuestions) -> Bool { filter?.mayMatch(group) ?? true }

    func take(_ flow: FlowID) -> FlowPlace? { places.withLock { $0?.removeValue(forKey: flow) } }

    func begin(canBeReadAgain: Bool) { places.withLock { $0 = canBeReadAgain ? [:] : nil } }
}

/// Where things are sent instead of the recorded servers.
struct Targets {
    var http: (protocol: ReverseProtocol, endpoint: Endpoint)?
    var bytes: (protocol: ReverseProtocol, endpoint: Endpoint)?

    /// - Throws: ``ToolError``.
    init(_ texts: [String]) throws {
        for text in texts {
            guard case .reverse(let server, let endpoint)? = (try? ModeSpecification("reverse:" + text))?.mode else {
                throw ToolError(
                    "--target '\(text)' is no server; write http://, https://, h2c://, tcp:// or tls://host[:port], without a path")
            }
            let isBytes = server == .tcp || server == .tls
            guard (isBytes ? bytes : http) == nil else {
                throw ToolError("--target '\(text)': there is one for HTTP and one for streams of bytes at the most")
            }
            if isBytes { bytes = (server, endpoint) } else { http = (server, endpoint) }
        }
    }

    /// What a connection is sent to instead; nil when that is the recorded server.
    func mode(for connection: ReplayPlan.Connection) -> (protocol: ReverseProtocol, endpoint: Endpoint)? {
        connection.speech == .bytes ? bytes : http
    }
}

/// What the sessions that speak to one server have in common.
struct ServerSettings: Sendable {
    private let serverTLS: TLSServerContext
    private let clientTLS: TLSClientContext
    private let authority: CertificateAuthority
    private let timeouts: SessionTimeouts
    private let own = OwnAddresses()

    init(_ arguments: MitmReplay, now: Timestamp) throws {
        var client = TLSClientOptions()
        client.verifies = !arguments.insecure
        client.trustedPEM = try arguments.caFile.map { try Self.read($0, for: "--ca-file") }
        client.clientCertificatePEM = try arguments.clientCertificate.map { try Self.read($0, for: "--client-certificate") }
        do throws(CertificateError) {
            serverTLS = try TLSServerContext(TLSServerOptions())
            clientTLS = try TLSClientContext(client)
            // Nobody ever sees it; a session cannot be without.
            authority = try CertificateAuthority.generate(now: now.nanoseconds / 1_000_000_000)
        } catch {
            throw ToolError("the settings of TLS cannot be used: \(error.message)")
        }
        var timeouts = SessionTimeouts()
        timeouts.idle = arguments.idleTimeout.nanoseconds
        self.timeouts = timeouts
    }

    private static func read(_ path: String, for option: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ToolError("cannot read the file of \(option), \(path): \(error.localizedDescription)")
        }
    }

    func configuration(_ connection: ReplayPlan.Connection, _ targets: Targets) -> ProxyConfiguration {
        let target = targets.mode(for: connection) ?? Self.recorded(connection)
        return ProxyConfiguration(
            mode: .reverse(target.protocol, target.endpoint), modeText: "replay:\(target.protocol.rawValue)://\(target.endpoint)",
            strategy: .lazy, keepsHostHeader: targets.http == nil, serverTLS: serverTLS, clientTLS: clientTLS, authority: authority,
            validation: .lenient, allowsHTTP2: connection.speech == .http2, http2Validation: .lenient, webSocketPings: .relay,
            blocksGlobal: false, timeouts: timeouts, ownAddresses: own)
    }

    private static func recorded(_ connection: ReplayPlan.Connection) -> (protocol: ReverseProtocol, endpoint: Endpoint) {
        let target = connection.target
        let server: ReverseProtocol
        switch target.scheme {
        case "https": server = .https
        case "tls": server = .tls
        case "tcp": server = .tcp
        default: server = connection.speech == .http2 && connection.isHTTP2Server ? .h2c : .http
        }
        return (server, Endpoint(host: target.host, port: target.port))
    }
}
