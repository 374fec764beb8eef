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
import Synchronization
import TLSEngine
import ToolSupport

/// One run of mitm-serve.
struct RecordingServer {
    private static let name = "mitm-serve"
    private let arguments: MitmServe
    private let clock = RecorderClock()

    init(_ arguments: MitmServe) { self.arguments = arguments }

    private func say(_ text: String) {
        if !arguments.logging.quiet { printError(text, as: Self.name) }
    }

    func run() throws -> ToolStatus {
        let signals = [SIGINT, SIGTERM, SIGHUP]
        let terminal = ControllingTerminal()
        let settings = try answerSettings()
        let selection = try selection(settings)
        if arguments.list {
            return try RecordingListing(selection: selection, format: arguments.json ? .json : arguments.format ?? .text).print()
        }
        let modes = try self.modes(settings)
        let ready = try arguments.listening.readyFile.map { try ReadyFile(path: $0) }
        defer { ready?.remove() }
        Signals.block(signals)
        let descriptors = prepareProcess()
        let quiet = arguments.logging.quiet
        let follower = RecordingFollower(
            selection, say: { if !quiet { printError($0, as: Self.name) } }, complain: { printError($0, as: Self.name) })
        let recordings = try follower.start()
        say("serving \(recordings.requests) recorded requests and \(recordings.streams) TCP streams")
        if recordings.requests + recordings.streams == 0 {
            say("nothing is recorded yet; flows are served as they are added to the files")
        }
        let recorder = try recorder()
        let server = try start(modes, follower.recordings, settings, recorder, descriptors, files: recordings.files, ready)
        waitForEnd(signals, terminal, recorder, follower)
        wait { await server.shutDown(grace: .seconds(2)) }
        follower.stop()
        recorder.finish()
        let totals = follower.recordings.totals.withLock { $0 }
        say("\(totals.answered) requests answered, \(totals.missed) missed, \(totals.streams) streams, \(totals.faults) faults")
        if let failure = recorder.failure { throw ToolError(failure) }
        return totals.isDamaged ? .damaged : .done
    }

    /// Runs until a signal arrives or recording fails. SIGHUP reads the recordings again, unless it was sent because the terminal was
    /// closed.
    private func waitForEnd(
        _ signals: [Int32], _ terminal: ControllingTerminal, _ recorder: FlowRecorder, _ follower: RecordingFollower
    ) {
        while recorder.failure == nil {
            guard let signal = Signals.wait(for: signals, seconds: 0.5) else { continue }
            guard signal == SIGHUP, !terminal.isGone else { return }
            follower.reload()
        }
    }

    // MARK: Parts

    private func selection(_ settings: AnswerSettings) throws -> RecordingSelection {
        RecordingSelection(
            files: arguments.files, written: arguments.answering.write, mayBeEmpty: settings.onMiss.contactsServers,
            filter: try arguments.matching.filter.map { try FlowFilter($0) }, rules: try rules(),
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
            do {
                rules.volatile = VolatileNames(parsing: try String(contentsOfFile: path, encoding: .utf8))
            } catch {
                throw ToolError("cannot read the names of --volatile, \(path): \(error.localizedDescription)")
            }
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
        let line: @Sendable (String) -> Void = { printError($0, as: Self.name) }
        let policy = try MissPolicy(answering.onMiss)
        return AnswerSettings(
            timing: timing, dialogues: arguments.matching.websocketMatch, onMiss: policy, keepsDates: answering.noRefresh,
            faults: faults, isOnce: arguments.matching.once,
            log: AnswerLog(
                line: arguments.logging.quiet ? nil : line,
                journal: try arguments.journal.map { try Journal(path: expandingTilde($0)) }, clock: clock))
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
    private func recorder() throws -> FlowRecorder {
        var options = RecordingOptions(notice: { printError($0, as: Self.name) }, now: { [clock] in clock.now() })
        guard let path = arguments.answering.write else { return FlowRecorder(files: nil, options: options) }
        options.filter = try FlowFilter("~dst .")
        options.failed = { Signals.askToEnd() }
        let files = RecordingFiles.Options(pattern: expandingTilde(path)) { printError($0, as: Self.name) }
        return FlowRecorder(files: try RecordingFiles(files, now: clock.now()), options: options)
    }

    private func start(
        _ modes: [ModeSpecification], _ served: ServedRecordings, _ settings: AnswerSettings, _ recorder: FlowRecorder,
        _ descriptors: DescriptorLimit, files: Int, _ ready: ReadyFile?
    ) throws -> ProxyServer {
        let now = clock.now()
        let authority = try Authority.load(from: configurationDirectory(arguments.confdir), now: now.nanoseconds / 1_000_000_000)
        let certificates = LeafCertificateCache(authority: authority)
        try certificates.register(files: arguments.clientTLS.certificate)
        let lowest = arguments.logging.lowest(otherwise: .error)
        var limits = TransportLimits()
        limits.descriptorsPerClient = settings.onMiss.contactsServers ? 2 : 1
        // A reload opens each file again, for reading and for its flows.
        if let notice = try descriptors.bound(&limits, listeners: modes.count, files: 2 * files) { say(notice) }
        let server = ProxyServer(
            loops: descriptors.loops, limits: limits, sink: RecordingSink(queue: recorder.queue), clock: clock,
            certificates: certificates.maker(clock)
        ) { line in
            if line.level >= lowest { printError(line.text, as: Self.name) }
        }
        let own = OwnAddresses()
        var addresses: [Endpoint] = []
        for (mode, address) in zip(modes, arguments.listening.addresses(of: modes)) {
            var settings = settings
            settings.isOrigin = mode.mode == .origin
            let responder = RecordingResponder(served: served, settings: settings, started: now)
            let configuration = try configuration(mode, authority, own, responder)
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
            say("listening on \(bound) (\(mode.text))")
        }
        try ready?.write(addresses)
        return server
    }

    private func configuration(
        _ mode: ModeSpecification, _ authority: CertificateAuthority, _ own: OwnAddresses, _ responder: RecordingResponder
    ) throws -> ProxyConfiguration {
        let tls = try tlsContexts(TLSServerOptions(), arguments.serverTLS.options)
        return ProxyConfiguration(
            mode: mode.mode, modeText: mode.text, strategy: .lazy, serverTLS: tls.server, clientTLS: tls.client,
            authority: authority, allowsHTTP2: !arguments.clientTLS.noHTTP2, webSocketPings: .relay,
            blocksGlobal: !arguments.listening.noBlockGlobal, ownAddresses: own, responder: responder,
            isRecording: arguments.answering.write != nil)
    }
}
