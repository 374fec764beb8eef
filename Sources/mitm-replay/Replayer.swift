// Builds the replay that the arguments describe, runs it, and stops it in order: sessions first, then the comparison, then the
// recording.

import ArgumentParser
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
import Secrets
import Synchronization
import TLSEngine
import ToolSupport

/// One run of mitm-replay.
struct Replayer {
    private let arguments: MitmReplay
    private let clock = RecorderClock()
    private let progressLine: ProgressLine
    private let log: EventLog
    /// A shorter schedule is not announced, in nanoseconds.
    private static let announcedDuration: Int64 = 2_000_000_000

    init(_ arguments: MitmReplay) throws {
        self.arguments = arguments
        progressLine = ProgressLine(isQuiet: arguments.logging.quiet)
        // A line for each flow has the level info. The summary is printed also with -q.
        log = try EventLog(arguments.logging, of: "mitm-replay", lowest: .info, quiet: .notice, clock: clock)
    }

    private func say(_ text: String) { log.log(.notice, "replay", text) }

    func run() throws -> ToolStatus {
        let ending = [SIGINT, SIGTERM] + (ControllingTerminal().outlivesTerminal ? [] : [SIGHUP])
        Signals.block(ending)
        let descriptors = prepareProcess()
        let targets = try Targets(arguments.target)
        let comparison = try FlowComparison(
            ignoring: IgnoreRules(arguments.ignore, for: .responses), maximumDifferences: arguments.maxDifferences)
        if arguments.duration != nil, arguments.rounds != 1 {
            throw ToolError("--duration and --repeat contradict each other; give one of them")
        }
        let report = try ResultReport(arguments.reportFormat)
        var options = ReplayPlan.Options()
        options.onlySafeMethods = arguments.safeMethods
        options.hasHTTPTarget = targets.http != nil
        options.hasTCPTarget = targets.bytes != nil
        let secretRules = try arguments.secrets.secretRules()
        let (plan, redactions, isDamaged) = try makePlan(options, secretRules, report, ending: ending)
        guard plan.flowCount > 0 else {
            try end(report, ReplayTally(), plan, unsent: 0, elapsed: 0)
            return isDamaged ? .damaged : .noMatch
        }
        try checkTargets(plan, targets)
        let redaction =
            arguments.write == nil
            ? nil : try arguments.redaction.redaction(arguments.settings.confdir, arguments.selection.environment(secretRules))
        let servers = try ServerSettings(arguments, redaction, coreLevel, now: clock.now())
        let recorder = try makeRecorder(redaction)
        let comparer = ResponseComparer(
            plan, comparison: arguments.diff ? comparison : nil, redactions: redactions, recorder: recorder, log: log,
            report: report)
        let limits = try transportLimits(descriptors)
        let schedulerOptions = schedulerOptions(limits)
        let server = makeServer(comparer, limits, loops: descriptors.loops)
        let scheduler = Scheduler(plan, options: schedulerOptions, server: server, comparer: comparer, clock: clock) { connection in
            servers.configuration(connection, targets)
        }
        let duration = announceDuration(of: plan, schedulerOptions.schedule)
        let start = clock.now()
        scheduler.start()
        let flows = arguments.duration == nil ? plan.flowCount * arguments.rounds : 0
        let signal = waitForEnd(of: scheduler, comparer, ending, flows: flows, duration)
        wait { await server.shutDown(grace: .seconds(2)) }
        let (status, tally) = comparer.finish()
        recorder?.finish()
        if redaction != nil, let recorder { say(recorder.totals.redaction.summary) }
        try end(report, tally, plan, unsent: scheduler.unsent, elapsed: (scheduler.end ?? clock.now()) - start)
        // The log has the reason of a failure.
        if let recorder, recorder.failure != nil {
            if let missing = recorder.totals.disk.missing { log.log(.error, "recording-failed", "not recorded: \(missing)") }
            return .failed
        }
        // As a shell reports a program that a signal has ended.
        if let signal { throw ExitCode(128 + signal) }
        return status == .done && isDamaged ? .damaged : status
    }

    /// Prints the summary: in the report where that has one, otherwise on stderr.
    private func end(_ report: ResultReport, _ tally: ReplayTally, _ plan: ReplayPlan, unsent: Int, elapsed: Int64) throws {
        let now = clock.now()
        try report.finish(
            ReplaySummary(
                tally: tally, leftOut: plan.leftOut, unsent: unsent, elapsed: elapsed,
                started: now.advanced(byNanoseconds: -elapsed)))
        guard report.format != .json else { return }
        tally.summary(compares: arguments.diff, leftOut: plan.leftOut, unsent: unsent, elapsed: elapsed).forEach(say)
    }

    /// Announces the duration of a long schedule.
    /// - Returns: nanoseconds; nil if nothing waits for the clock.
    private func announceDuration(of plan: ReplayPlan, _ schedule: ReplaySchedule) -> Int64? {
        if let duration = arguments.duration { return duration.nanoseconds }
        guard let once = plan.duration(schedule) else { return nil }
        let all = once.multipliedReportingOverflow(by: Int64(arguments.rounds))
        let duration = all.overflow ? Int64.max : all.partialValue
        guard duration >= Self.announcedDuration else { return duration }
        let flows = groupedDigits(plan.flowCount * arguments.rounds)
        let reason =
            arguments.rate == nil ? "at their recorded times; --timing max sends as fast as the server answers" : "at this rate"
        say("\(flows) flows, which take \(roundedDuration(duration)) \(reason)")
        return duration
    }

    // MARK: Parts

    /// Reads the recording once. Flows that can be read again are not kept.
    /// - Parameter ending: blocked signals, of which one ends the reading.
    private func makePlan(
        _ options: ReplayPlan.Options, _ secretRules: SecretRules?, _ report: ResultReport, ending: [Int32]
    ) throws -> (plan: ReplayPlan, redactions: [RecordedRedaction], isDamaged: Bool) {
        var rules = RecordedRules(
            key: try RedactionKeyFile.read(from: configurationDirectory(arguments.settings.confdir)), secrets: secretRules)
        var redactions: [RecordedRedaction] = []
        var known: [String] = []
        let sources = try archiveSources(arguments.files, keys: arguments.identities.keys())
        let places = PlaceNotes(filter: try arguments.selection.parsed(secretRules))
        var sequence = ArchiveSequence(sources, where: places)
        let observer = ReadingObserver("reading the recording", on: progressLine) { Signals.wait(for: ending, seconds: 0) }
        sequence.observer = observer
        sequence.namedRules = { [log] named in
            // Each file names its own, some of them later.
            let count = named.starts(with: known) ? known.count : 0
            redactions += rules.redactions(named: named, after: count, by: "the recording") { log.log(.notice, "redaction", $0) }
            known = named
        }
        var builder = ReplayPlan.Builder(options)
        try sequence.forEach(
            begin: { source, canBeReadAgain in
                guard canBeReadAgain, source.path != nil else { return places.begin(canBeReadAgain: false) }
                builder.addFile(try ArchiveLookup(source.input()))
                places.begin(canBeReadAgain: true)
            }, damage: { log.log(.error, "damage", $0) }
        ) { flow in
            if let reason = builder.add(flow, at: places.take(flow.id)), report.format != .text {
                var leftOut = FlowReport(flow, .leftOut)
                leftOut.reason = reason
                report.add(leftOut)
            }
            return true
        }
        if let signal = observer.signal {
            say("interrupted while the recording was read; nothing was sent")
            throw ExitCode(128 + signal)
        }
        let plan = builder.finish()
        if plan.redacted > 0 {
            let requests = plan.redacted == 1 ? "1 request is" : "\(groupedDigits(plan.redacted)) requests are"
            say(
                "\(requests) sent as redaction left \(plan.redacted == 1 ? "it" : "them") in the recording: with «redacted», or nothing, in place of hidden values"
            )
        }
        return (plan, redactions, sequence.isDamaged)
    }

    /// Ensures that every connection goes to an allowed server.
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
            "nothing was sent: the recording goes to \(names), which may not be contacted; give another server with --target URL, or allow the recorded servers with --allow-target PATTERN"
        )
    }

    private func schedulerOptions(_ limits: TransportLimits) -> Scheduler.Options {
        var options = Scheduler.Options()
        options.schedule = arguments.rate.map { .rate($0.perSecond) } ?? .recorded(arguments.timing.value)
        if case .scaled(let speed) = arguments.timing.value { options.speed = speed }
        options.waitsForServer = arguments.timing.value != .recorded
        options.concurrency = min(arguments.concurrency ?? .max, limits.maximumDescriptors ?? .max)
        options.rounds = arguments.duration == nil ? arguments.rounds : .max
        options.duration = arguments.duration?.nanoseconds
        options.responseTimeout = arguments.responseTimeout.nanoseconds
        return options
    }

    private func makeRecorder(_ redaction: RecordingRedaction?) throws -> FlowRecorder? {
        guard let path = arguments.write else { return nil }
        if let identity = FileIdentity(path: path.path),
            try archiveSources(arguments.files).contains(where: { $0.identity == identity })
        {
            throw ToolError("\(path) is the recording itself; name another file with -w")
        }
        if path.isStandard { throw ToolError("results go to standard output; name a file with -w") }
        var options = RecordingFiles.Options(pattern: path.path) { [log] in log.log($0) }
        options.truncates = arguments.truncate
        options.disk.whenFull = .stop
        options.archive.redactionRules = redaction?.rules ?? []
        try options.encrypt(arguments.encryption)
        let files = try RecordingFiles(options, now: clock.now())
        var recording = RecordingOptions(notice: { [log] in log.log($0) }, now: { [clock] in clock.now() })
        recording.failed = { Signals.askToEnd() }
        return FlowRecorder(files: files, options: recording)
    }

    private func transportLimits(_ descriptors: DescriptorLimit) throws -> TransportLimits {
        var limits = TransportLimits()
        limits.connectTimeout = .nanoseconds(arguments.connectTimeout.nanoseconds)
        limits.descriptorsPerClient = 1
        // Further connections begin later, and the replay reports how much.
        _ = try descriptors.bound(&limits, listeners: 0)
        return limits
    }

    private func makeServer(_ comparer: ResponseComparer, _ limits: TransportLimits, loops: Int) -> ProxyServer {
        let level = coreLevel
        return ProxyServer(
            loops: loops, limits: limits, sink: comparer, clock: clock,
            certificates: { _ in .failure(CertificateError("a replay has no clients that need certificates")) },
            log: { [log] in if $0.level >= level { log.log($0) } })
    }

    /// The lowest level of lines about connections. The comparison reports flows.
    private var coreLevel: LogLine.Level { arguments.logging.verbose ? .debug : .error }

    /// - Returns: the signal that arrived before everything was sent.
    private func waitForEnd(
        of scheduler: Scheduler, _ comparer: ResponseComparer, _ signals: [Int32], flows: Int, _ scheduled: Int64?
    ) -> Int32? {
        defer { ProgressLine.clear() }
        let start = clock.now()
        while !scheduler.isDone {
            if let signal = Signals.wait(for: signals, seconds: 0.05) {
                comparer.stop()
                scheduler.stop()
                return signal
            }
            let (ended, failed) = comparer.counts
            let progress = ReplayProgress(
                done: UInt64(ended), total: UInt64(flows), elapsed: clock.now() - start, scheduled: scheduled)
            progressLine.show([progress.sending(failed: failed)])
        }
        // What the end of the time cuts tells nothing about the server.
        if scheduler.isOver { comparer.stop() }
        return nil
    }
}

/// Notes the places of flows while the reader visits them.
private final class PlaceNotes: FlowPredicate {
    private let filter: FlowFilter?
    /// Of flows that were let through and have not been taken yet.
    private let places = Mutex<[FlowID: FlowPlace]>([:])
    private let canBeReadAgain = Mutex(false)

    init(filter: FlowFilter?) { self.filter = filter }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        if let filter, try !filter.matches(flow) { return false }
        if let view = flow as? RecordView, let place = view.flowPlace { places.withLock { $0[view.id] = place } }
        return true
    }

    func mayMatch(_ group: some BlockSummary) -> Bool { filter?.mayMatch(group) ?? true }

    /// - Returns: nil if the source cannot be read again.
    func take(_ flow: FlowID) -> FlowPlace? {
        let place = places.withLock { $0.removeValue(forKey: flow) }
        return canBeReadAgain.withLock { $0 } ? place : nil
    }

    /// Flows of another source follow. The first of them may have been let through already.
    func begin(canBeReadAgain: Bool) { self.canBeReadAgain.withLock { $0 = canBeReadAgain } }
}

/// The servers to send to instead of the recorded ones.
struct Targets {
    var http: (protocol: ReverseProtocol, endpoint: Endpoint)?
    var bytes: (protocol: ReverseProtocol, endpoint: Endpoint)?

    /// - Throws: ``ToolError``.
    init(_ texts: [String]) throws {
        for text in texts {
            guard case .reverse(let server, let endpoint)? = (try? ModeSpecification("reverse:" + text))?.mode else {
                throw ToolError(
                    "--target '\(text)' is not a server; write http://, https://, h2c://, tcp:// or tls://host[:port], without a path"
                )
            }
            let isBytes = server == .tcp || server == .tls
            guard (isBytes ? bytes : http) == nil else {
                throw ToolError("--target '\(text)': give at most one for HTTP and one for streams of bytes")
            }
            if isBytes { bytes = (server, endpoint) } else { http = (server, endpoint) }
        }
    }

    /// The server for a connection; nil: the recorded one.
    func mode(for connection: ReplayPlan.Connection) -> (protocol: ReverseProtocol, endpoint: Endpoint)? {
        connection.wireProtocol == .bytes ? bytes : http
    }
}

/// The settings that sessions to one server share.
struct ServerSettings: Sendable {
    private let serverTLS: TLSServerContext
    private let clientTLS: TLSClientContext
    private let authority: CertificateAuthority
    private let timeouts: SessionTimeouts
    private let own = OwnAddresses()
    private let stages: FlowEventStages
    private let lowestLogLevel: LogLine.Level

    init(
        _ arguments: MitmReplay, _ redaction: RecordingRedaction?, _ lowestLogLevel: LogLine.Level, now: Timestamp
    ) throws {
        stages = FlowEventStages(redaction.map { [$0.maker] } ?? [])
        self.lowestLogLevel = lowestLogLevel
        (serverTLS, clientTLS) = try tlsContexts(TLSServerOptions(), arguments.tls.options)
        do throws(CertificateError) {
            // No client sees it, but a session needs one.
            authority = try CertificateAuthority.generate(now: now.nanoseconds / 1_000_000_000)
        } catch {
            throw ToolError("cannot make a certificate authority: \(error.message)")
        }
        var timeouts = SessionTimeouts()
        timeouts.idle = arguments.idleTimeout.nanoseconds
        self.timeouts = timeouts
    }

    func configuration(_ connection: ReplayPlan.Connection, _ targets: Targets) -> ProxyConfiguration {
        let target = targets.mode(for: connection) ?? Self.recorded(connection)
        return ProxyConfiguration(
            mode: .reverse(target.protocol, target.endpoint), modeText: "replay:\(target.protocol.rawValue)://\(target.endpoint)",
            strategy: .lazy, keepsHostHeader: targets.http == nil, serverTLS: serverTLS, clientTLS: clientTLS, authority: authority,
            validation: .lenient, allowsHTTP2: connection.wireProtocol == .http2, http2Validation: .lenient, webSocketPings: .relay,
            blocksGlobal: false, timeouts: timeouts, ownAddresses: own, recordStages: stages,
            lowestLogLevel: lowestLogLevel)
    }

    private static func recorded(_ connection: ReplayPlan.Connection) -> (protocol: ReverseProtocol, endpoint: Endpoint) {
        let target = connection.target
        let server: ReverseProtocol
        switch target.scheme {
        case "https": server = .https
        case "tls": server = .tls
        case "tcp": server = .tcp
        default: server = connection.wireProtocol == .http2 && connection.isHTTP2Server ? .h2c : .http
        }
        return (server, Endpoint(host: target.host, port: target.port))
    }
}
