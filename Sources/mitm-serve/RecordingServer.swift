// Builds the server that the arguments describe, runs it, and stops it in order.

import FlowFilter
import FlowModel
import FlowRecording
import FlowReplay
import Foundation
import HTTP2Codec
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Secrets
import Synchronization
import TLSEngine
import ToolSupport

/// One run of mitm-serve.
struct RecordingServer {
    private let arguments: MitmServe
    private let clock = RecorderClock()
    private let log: EventLog

    init(_ arguments: MitmServe) throws {
        self.arguments = arguments
        let authority = configurationDirectory(arguments.settings.confdir) + "/mitm-ca-cert.pem"
        log = try EventLog(
            arguments.logging, of: "mitm-serve", clock: clock, hints: TLSHints(authority: authority, isServedByName: false))
    }

    func run() throws -> ToolStatus {
        let signals = [SIGINT, SIGTERM, SIGHUP]
        let terminal = ControllingTerminal()
        if arguments.format != nil || arguments.json, !arguments.list { throw ToolError("--format and --json are for --list") }
        let settings = try answerSettings()
        let secretRules = try arguments.secrets.secretRules()
        let selection = try selection(settings, secretRules)
        if arguments.list {
            return try RecordingListing(selection: selection, format: arguments.json ? .json : arguments.format ?? .text).print()
        }
        let modes = try self.modes(settings)
        let ready = try arguments.listening.readyFile.map { try ReadyFile(path: $0.path) }
        defer { ready?.remove() }
        Signals.block(signals)
        let manager = ServiceManager()
        let descriptors = prepareProcess()
        let progress = ProgressLine(isQuiet: arguments.logging.quiet)
        let follower = RecordingFollower(selection, log: log, progress: progress)
        guard let recordings = try follower.start(endedBy: [SIGINT, SIGTERM]) else {
            ProgressLine.clear()
            log.log(.notice, "summary", "ended while the recordings were read")
            return .done
        }
        let (authority, certificates) = try certificateAuthority()
        log.log(.notice, "serving", "serving \(recordings.requests) recorded requests and \(recordings.streams) TCP streams")
        if recordings.requests + recordings.streams == 0 {
            log.log(.notice, "serving", "nothing is recorded yet; flows are served as they are added to the files")
        }
        let redaction =
            arguments.answering.write == nil
            ? nil
            : try arguments.redaction.redaction(arguments.settings.confdir, arguments.matching.selection.environment(secretRules))
        let recorder = try recorder(redaction)
        let view = RecordingView(of: "mitm-serve", work: "serving", log: log)
        defer { view.end() }
        let own = OwnAddresses()
        if let port = arguments.viewing.view { own.add(try view.start(port: port, viewArguments()), of: .view) }
        let server = try start(
            modes, own, follower.recordings, settings, recorder, redaction, descriptors, files: recordings.files, ready, authority,
            certificates)
        manager.report(.ready)
        waitForEnd(signals, terminal, recorder, follower)
        manager.report(.stopping)
        wait { await server.shutDown(grace: .seconds(2)) }
        follower.stop()
        recorder.finish()
        let totals = follower.recordings.totals.withLock { $0 }
        log.log(
            .notice, "summary",
            "\(totals.answered) requests answered, \(totals.missed) missed, \(totals.streams) streams, \(totals.faults) faults")
        if redaction != nil { log.log(.notice, "summary", recorder.totals.redaction.summary) }
        // The log has the reason of a failure.
        if recorder.failure != nil {
            if let missing = recorder.totals.disk.missing { log.log(.error, "recording-failed", "not recorded: \(missing)") }
            return .failed
        }
        return totals.isDamaged ? .damaged : .done
    }

    /// The lowest level of lines about connections. The responder reports answers and misses.
    private var coreLevel: LogLine.Level { arguments.logging.verbose ? .debug : .error }

    /// Runs until a signal arrives or recording fails. SIGHUP reads the recordings again, unless it was sent because the terminal was
    /// closed.
    private func waitForEnd(
        _ signals: [Int32], _ terminal: ControllingTerminal, _ recorder: FlowRecorder, _ follower: RecordingFollower
    ) {
        while recorder.failure == nil {
            guard let signal = Signals.wait(for: signals, seconds: 0.5) else { continue }
            guard signal == SIGHUP, !terminal.isGone else { return }
            log.reopen()
            follower.reload()
        }
    }

    // MARK: Parts

    private func selection(_ settings: AnswerSettings, _ secretRules: SecretRules?) throws -> RecordingSelection {
        RecordingSelection(
            files: arguments.files, keys: try arguments.identities.keys(), written: arguments.answering.write,
            mayBeEmpty: settings.onMiss.contactsServers,
            filter: try arguments.matching.selection.parsed(secretRules), rules: try rules(),
            recordedRules: RecordedRules(
                key: try RedactionKeyFile.read(from: configurationDirectory(arguments.settings.confdir)), secrets: secretRules),
            order: arguments.matching.order, isOnce: arguments.matching.once)
    }

    private func rules() throws -> MatchRules {
        var rules = MatchRules()
        do throws(ReplayRuleError) {
            rules.ignore = try IgnoreRules(arguments.matching.ignore, for: .matching)
        } catch {
            throw ToolError("--ignore: \(error)")
        }
        rules.body = arguments.matching.matchBody
        rules.headers = arguments.matching.matchHeader.map { $0.lowercased() }
        switch arguments.matching.volatile {
        case "on": rules.volatile = .usual
        case "off": break
        case let path:
            rules.volatile = VolatileNames(parsing: try readText(expandingTilde(path), as: "the file of --volatile,"))
        }
        return rules
    }

    private func answerSettings() throws -> AnswerSettings {
        let answering = arguments.answering
        let pause = TimeSpan(argument: answering.timing).map { ReplayTiming.fixed($0.nanoseconds) }
        guard let timing = ReplayTiming(answering.timing) ?? pause else {
            throw ToolError(
                "--timing \(answering.timing) is not known; write none, recorded, a speed such as 2x, or a time such as 50ms")
        }
        let isRecording = answering.onMiss == "record" || answering.onMiss.hasPrefix("record:")
        if isRecording != (answering.write != nil) {
            throw ToolError("--write and --on-miss record:URL must be given together")
        }
        let faults = try answering.fault.map { try Fault($0) }
        guard faults.reduce(0, { $0 + $1.percent }) <= 100 else { throw ToolError("the faults add up to more than 100 %") }
        let policy = try MissPolicy(answering.onMiss)
        return AnswerSettings(
            timing: timing, dialogues: arguments.matching.websocketMatch, onMiss: policy, keepsDates: answering.noRefresh,
            faults: faults, isOnce: arguments.matching.once,
            log: AnswerLog(log: log, journal: try arguments.journal.map { try Journal(path: $0.path) }, clock: clock))
    }

    private func modes(_ settings: AnswerSettings) throws -> [ModeSpecification] {
        let modes = try (arguments.mode.isEmpty ? ["origin"] : arguments.mode).map { mode in
            do throws(ModeError) { return try ModeSpecification(mode, isServing: true) } catch {
                throw ToolError(error.description)
            }
        }
        if settings.onMiss == .forward(to: nil), modes.contains(where: { $0.mode == .origin }) {
            let policy = arguments.answering.onMiss
            throw ToolError(
                "--on-miss \(policy): a client of an origin names no server; write \(policy):URL, or listen as a proxy with --mode")
        }
        return modes
    }

    /// Records the answers of --on-miss record:URL. Requests that recordings answer have no server.
    private func recorder(_ redaction: RecordingRedaction?) throws -> FlowRecorder {
        var options = RecordingOptions(notice: { [log] in log.log($0) }, now: { [clock] in clock.now() })
        guard let path = arguments.answering.write else { return FlowRecorder(files: nil, options: options) }
        options.filter = try FlowFilter("~dst .")
        options.failed = { Signals.askToEnd() }
        var files = RecordingFiles.Options(pattern: path.path) { [log] in log.log($0) }
        files.disk.whenFull = .stop
        files.archive.redactionRules = redaction?.rules ?? []
        try files.encrypt(arguments.answering.encryption)
        return FlowRecorder(files: try RecordingFiles(files, now: clock.now()), options: options)
    }

    private func certificateAuthority() throws -> (CertificateAuthority, LeafCertificateCache) {
        let now = clock.now().nanoseconds / 1_000_000_000
        let authority = try Authority.load(from: configurationDirectory(arguments.settings.confdir), now: now) {
            log.log(.notice, "authority", $0)
        }
        let certificates = LeafCertificateCache(authority: authority)
        try certificates.register(files: arguments.clientTLS.certificate)
        return (authority, certificates)
    }

    /// The view shows the served files and the written one.
    private func viewArguments() throws -> [String] {
        var files = arguments.files
        if let written = arguments.answering.write, !files.contains(where: { $0.path == written.path }) { files.append(written) }
        guard !files.contains(where: \.isStandard), !files.isEmpty else {
            throw ToolError("--view cannot show what comes from standard input; name the files")
        }
        let words = arguments.identities.identity.flatMap { ["--identity", $0.path] }
        return words + arguments.settings.given + ["--"] + files.map(\.path)
    }

    private func start(
        _ modes: [ModeSpecification], _ own: OwnAddresses, _ served: ServedRecordings, _ settings: AnswerSettings,
        _ recorder: FlowRecorder,
        _ redaction: RecordingRedaction?, _ descriptors: DescriptorLimit, files: Int, _ ready: ReadyFile?,
        _ authority: CertificateAuthority, _ certificates: LeafCertificateCache
    ) throws -> ProxyServer {
        let now = clock.now()
        var limits = TransportLimits()
        limits.descriptorsPerClient = settings.onMiss.contactsServers ? 2 : 1
        // A reload opens each file again, for reading and for its flows.
        if let notice = try descriptors.bound(&limits, listeners: modes.count, files: 2 * files) {
            log.log(.notice, "limit", notice)
        }
        let server = ProxyServer(
            loops: descriptors.loops, limits: limits, sink: RecordingSink(queue: recorder.queue), clock: clock,
            certificates: certificates.maker(clock), log: { [log, coreLevel] in if $0.level >= coreLevel { log.log($0) } })
        var addresses: [Endpoint] = []
        for (mode, address) in zip(modes, arguments.listening.addresses(of: modes)) {
            var settings = settings
            settings.isOrigin = mode.mode == .origin
            let responder = RecordingResponder(served: served, settings: settings, started: now)
            let configuration = try configuration(mode, authority, own, responder, redaction)
            let bound = try server.listenAndWait(
                ListenerSpec(
                    host: address.host, port: address.port, readsOriginalDestination: mode.mode == .transparent
                ) { accepted in
                    ProxySession(
                        configuration: configuration, seed: .random(in: .min ... .max),
                        originalDestination: accepted.originalDestination)
                })
            own.add(bound)
            addresses.append(bound)
            log.log(.notice, "listening", "listening on \(bound) (\(mode.text))")
        }
        try ready?.write(addresses)
        return server
    }

    private func configuration(
        _ mode: ModeSpecification, _ authority: CertificateAuthority, _ own: OwnAddresses, _ responder: RecordingResponder,
        _ redaction: RecordingRedaction?
    ) throws -> ProxyConfiguration {
        let tls = try tlsContexts(TLSServerOptions(), arguments.serverTLS.options)
        return ProxyConfiguration(
            mode: mode.mode, modeText: mode.text, strategy: .lazy, serverTLS: tls.server, clientTLS: tls.client,
            authority: authority, allowsHTTP2: !arguments.clientTLS.noHTTP2, webSocketPings: .relay,
            blocksGlobal: !arguments.listening.noBlockGlobal, ownAddresses: own, responder: responder,
            isRecording: arguments.answering.write != nil,
            recordStages: FlowEventStages(redaction.map { [$0.maker] } ?? []), lowestLogLevel: coreLevel)
    }
}
