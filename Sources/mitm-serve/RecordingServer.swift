// Builds the server that the arguments describe, runs it, and stops it in order.

import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
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
        let ending = [SIGINT, SIGTERM] + (ControllingTerminal().outlivesTerminal ? [] : [SIGHUP])
        let filter = try arguments.matching.selection.filter.map { try FlowFilter($0) }
        let recordings = Recordings(
            RecordingIndex(rules: try rules(), order: arguments.matching.order, isOnce: arguments.matching.once))
        let sources = try archiveSources(arguments.files)
        if arguments.list { return try list(sources, filter) }
        let settings = try answerSettings()
        let modes = try self.modes()
        Signals.block(ending)
        let manager = ServiceManager()
        let descriptors = prepareProcess()
        let loaders = try sources.map {
            try RecordingLoader($0, into: recordings, filter: filter, mayBeAbsent: isWritten($0))
        }
        let warn: (String) -> Void = {
            recordings.state.withLock { $0.isDamaged = true }
            log.log(.error, "damage", $0)
        }
        for loader in loaders { try loader.load(warn: warn) }
        let (requests, streams) = recordings.state.withLock { ($0.index.count, $0.index.streams.count) }
        if requests + streams == 0, arguments.answering.write == nil, !loaders.contains(where: \.mayGrow) {
            for loader in loaders { try loader.finish(warn: warn) }
            throw ToolError("there is nothing to serve: the recordings contain no request and no stream")
        }
        log.log(.notice, "serving", "serving \(requests) recorded requests and \(streams) TCP streams")
        if requests + streams == 0 {
            log.log(.notice, "serving", "nothing is recorded yet; flows are served as they are added to the files")
        }
        let recorder = try recorder()
        let server = try start(modes, recordings, settings, recorder, descriptors)
        manager.report(.ready)
        follow(loaders, recorder, ending, warn)
        manager.report(.stopping)
        wait { await server.shutDown(grace: .seconds(2)) }
        recorder.finish()
        let (counts, isDamaged) = recordings.state.withLock { ($0.counts, $0.isDamaged) }
        log.log(
            .notice, "summary",
            "\(counts.answered) requests answered, \(counts.missed) missed, \(counts.streams) streams, \(counts.faults) faults")
        // The log has the reason of a failure.
        if recorder.failure != nil { return .failed }
        return isDamaged ? .damaged : .done
    }

    /// The lowest level of lines about connections. The responder reports answers and misses.
    private var coreLevel: LogLine.Level { arguments.logging.verbose ? .debug : .error }

    // MARK: Parts

    /// It is the file of --write, which is created if it does not exist.
    private func isWritten(_ source: ArchiveSource) -> Bool {
        guard case .file(let path) = source, let written = arguments.answering.write else { return false }
        func identity(_ path: String) -> String {
            URL(fileURLWithPath: path).standardizedFileURL.path
        }
        return identity(path) == identity(written.path)
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
        guard let timing = ReplayTiming(answering.timing) else {
            throw ToolError(
                "--timing \(answering.timing) is not known; write none, recorded, a speed such as 2x, or a pause such as 50ms")
        }
        let isRecording = answering.onMiss.hasPrefix("record:")
        if isRecording != (answering.write != nil) {
            throw ToolError("--write and --on-miss record:URL must be given together")
        }
        let faults = try answering.fault.map { try Fault($0) }
        guard faults.reduce(0, { $0 + $1.percent }) <= 100 else { throw ToolError("the faults add up to more than 100 %") }
        let policy = try MissPolicy(answering.onMiss)
        return AnswerSettings(
            timing: timing, dialogues: arguments.matching.websocketMatch, onMiss: policy, keepsDates: answering.noRefresh,
            faults: faults, isOnce: arguments.matching.once, log: log)
    }

    private func modes() throws -> [ModeSpecification] {
        try (arguments.mode.isEmpty ? ["origin"] : arguments.mode).map { mode in
            do throws(ModeError) { return try ModeSpecification(mode, isServing: true) } catch {
                throw ToolError(error.description)
            }
        }
    }

    /// Records the answers of --on-miss record:URL. Requests that recordings answer have no server.
    private func recorder() throws -> FlowRecorder {
        var options = RecordingOptions(notice: { [log] in log.log($0) }, now: { [clock] in clock.now() })
        guard let path = arguments.answering.write else { return FlowRecorder(files: nil, options: options) }
        options.filter = try FlowFilter("~dst .")
        options.failed = { Signals.askToEnd() }
        let files = RecordingFiles.Options(pattern: path.path) { [log] in log.log($0) }
        return FlowRecorder(files: try RecordingFiles(files, now: clock.now()), options: options)
    }

    private func start(
        _ modes: [ModeSpecification], _ recordings: Recordings, _ settings: AnswerSettings, _ recorder: FlowRecorder,
        _ descriptors: DescriptorLimit
    ) throws -> ProxyServer {
        let now = clock.now()
        let authority = try Authority.load(
            from: configurationDirectory(arguments.settings.confdir), now: now.nanoseconds / 1_000_000_000
        ) { log.log(.notice, "authority", $0) }
        let certificates = LeafCertificateCache(authority: authority)
        try certificates.register(files: arguments.clientTLS.certificate)
        var limits = TransportLimits()
        limits.descriptorsPerClient = settings.onMiss.contactsServers ? 2 : 1
        if let notice = try descriptors.bound(&limits, listeners: modes.count) { log.log(.notice, "limit", notice) }
        let server = ProxyServer(
            loops: descriptors.loops, limits: limits, sink: RecordingSink(queue: recorder.queue), clock: clock,
            certificates: certificates.maker(clock), log: { [log, coreLevel] in if $0.level >= coreLevel { log.log($0) } })
        let own = OwnAddresses()
        for (mode, address) in zip(modes, arguments.listening.addresses(of: modes)) {
            var settings = settings
            settings.isOrigin = mode.mode == .origin
            let responder = RecordingResponder(recordings: recordings, settings: settings, started: now)
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
            log.log(.notice, "listening", "listening on \(bound) (\(mode.text))")
        }
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
            isRecording: arguments.answering.write != nil, lowestLogLevel: coreLevel)
    }

    /// Runs until a signal arrives or recording fails. Reads what is added to files meanwhile; an incomplete block at the end is
    /// reported when it ends.
    private func follow(
        _ loaders: [RecordingLoader], _ recorder: FlowRecorder, _ signals: [Int32], _ warn: (String) -> Void
    ) {
        var active = loaders
        func each(_ body: (RecordingLoader) throws -> Void) {
            active.removeAll { loader in
                do { try body(loader) } catch {
                    warn("\(error); the part that was read is served")
                    return true
                }
                return false
            }
        }
        while recorder.failure == nil, Signals.wait(for: signals, seconds: 0.5) == nil { each { try $0.load(warn: warn) } }
        each { try $0.finish(warn: warn) }
    }

    /// Prints the flows that would be served.
    private func list(_ sources: [ArchiveSource], _ filter: FlowFilter?) throws -> ToolStatus {
        var style = TextStyle(detail: 1, isColoured: false)
        style.time = .clock
        let printer = FlowTextPrinter(style)
        var sink = OutputSink()
        var count = 0
        var sequence = ArchiveSequence(sources, where: Servable(filter: filter), skipsUnreadable: true)
        do {
            try sequence.forEach(damage: { printError($0, as: "mitm-serve") }) { flow in
                count += 1
                try sink.write { try printer.print(flow, into: &$0) }
                return true
            }
            try sink.flush()
        } catch is ReaderGone {
            return .done
        }
        if sequence.hasFailed { return .failed }
        return sequence.isDamaged ? .damaged : count > 0 ? .done : .noMatch
    }
}

/// Selects flows that can answer a request or a stream.
private struct Servable: FlowPredicate {
    let filter: FlowFilter?

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard flow.kind == .tcp || (flow.kind == .http && flow.method != nil) else { return false }
        return try filter?.matches(flow) ?? true
    }
}
