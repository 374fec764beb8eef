// Builds the recorder from its arguments, runs it, and ends it in order: listeners first, then sessions, then the recording.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowModel
import FlowRecording
import Foundation
import Glibc
import HTTP1Codec
import HTTP2Codec
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Synchronization
import TLSEngine
import ToolSupport

/// One run of mitm-record.
struct Recorder {
    private let arguments: MitmRecord
    private let clock = RecorderClock()
    private let log: EventLog
    private let launch: Launch?
    private let view: RecordingView

    /// - Throws: ``ToolError``, and ``LaunchFailure`` for a command that cannot be executed.
    init(_ arguments: MitmRecord) throws {
        self.arguments = arguments
        launch = try Launch(arguments)
        let authority = configurationDirectory(arguments.settings.confdir) + "/mitm-ca-cert.pem"
        let isForwardProxy =
            arguments.mode.isEmpty || arguments.mode.contains { $0.hasPrefix("regular") || $0.hasPrefix("upstream") }
        var logging = arguments.logging
        // The terminal is the command's.
        if launch?.isCommand == true, !logging.verbose, logging.logFile == nil { logging.quiet = true }
        log = try EventLog(
            logging, of: "mitm-record", clock: clock, detail: arguments.detail,
            hints: TLSHints(authority: authority, isServedByName: isForwardProxy))
        view = RecordingView(of: "mitm-record", work: "recording", log: log)
    }

    func run() throws -> ToolStatus {
        let inherited = InheritedDescriptors()
        let ending = [SIGINT, SIGTERM, SIGHUP, SIGUSR1]
        let mask = Signals.block(launch == nil ? ending : LaunchedProgram.signals)
        let manager = ServiceManager()
        let terminal = ControllingTerminal()
        let descriptors = prepareProcess()
        let modes = try arguments.modes
        let secretRules = try arguments.secrets.secretRules()
        let filter = try arguments.expression.map { try arguments.selection.parse($0, secretRules: secretRules) }
        let now = clock.now()
        let directory = configurationDirectory(arguments.settings.confdir)
        let authority = try Authority.load(from: directory, now: now.nanoseconds / 1_000_000_000) {
            log.log(.notice, "authority", $0)
        }
        let certificates = try certificateCache(authority)
        let redaction = try arguments.redaction.redaction(
            arguments.settings.confdir, arguments.selection.environment(secretRules))
        let keyLog = try ProcessInfo.processInfo.environment["SSLKEYLOGFILE"].flatMap { path in
            path.isEmpty ? nil : try KeyLog(path: path) { [log] in log.log(.error, "key-log", $0) }
        }
        let sessions = try SessionSettings(arguments, redaction, keyLog, log.lowest)
        let ready = try arguments.listening.readyFile.map { try ReadyFile(path: $0.path) }
        defer { ready?.remove() }
        let files = try recordingFiles(now, redaction)
        let recorder = FlowRecorder(files: files, options: recordingOptions(filter))
        let clock = clock
        let server: ProxyServer
        var launched: LaunchedRun?
        // It may read the end of the recording.
        defer { view.end() }
        do {
            let own = OwnAddresses()
            try startView(files, own, inherited)
            let limits = try transportLimits(descriptors, listeners: modes.count)
            server = ProxyServer(
                loops: descriptors.loops, limits: limits,
                sink: RecordingSink(queue: recorder.queue), clock: clock,
                certificates: certificates.maker(clock), log: { [log] in log.log($0) })
            let proxy = try listen(server, modes, sessions, own, authority, ready)
            if let launch {
                inherited.keepOthers()
                launched = try descriptors.withOriginalLimit {
                    try launch.start(proxy, authority, directory: directory, mask: mask)
                }
            }
        } catch {
            recorder.finish()
            if arguments.write == nil, let path = files?.path { unsafe unlink(path) }
            throw error
        }
        manager.report(.ready)
        var status: Int32?
        if let launched {
            status = waitForEnd(of: launched, recorder)
        } else {
            waitForEnd(ending, terminal, recorder, sessions, manager)
        }
        manager.report(.stopping)
        // After a failure of the recording nothing more is forwarded.
        let grace: TimeAmount = recorder.failure == nil ? .seconds(2) : .zero
        wait { await server.shutDown(grace: grace) }
        recorder.finish()
        if let launched {
            if status == nil { status = launched.waitForEnd { 60 } }
            launched.clear()
        }
        report(recorder, files?.path, isRedacted: redaction != nil)
        // The log has the reason of a failure.
        if recorder.failure != nil, !recorder.isReaderGone {
            throw ExitCode(launch == nil ? ToolStatus.failed.rawValue : Launch.failureStatus)
        }
        if let status, status != 0 { throw ExitCode(status) }
        return .done
    }

    /// Prints what was recorded, and where if the user did not say where.
    private func report(_ recorder: FlowRecorder, _ path: String?, isRedacted: Bool) {
        log.log(recorder.totals, as: "summary")
        if isRedacted { log.log(.notice, "summary", recorder.totals.redaction.summary) }
        for (reason, count) in recorder.totals.reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(10) {
            log.log(.notice, "summary", "\(count) × \(reason)")
        }
        if launch != nil, arguments.write == nil, !arguments.logging.quiet, let path {
            printError("recorded in \(path)", as: "mitm-record")
        }
    }

    // MARK: Parts

    private func recordingFiles(_ now: Timestamp, _ redaction: RecordingRedaction?) throws -> RecordingFiles? {
        guard arguments.write?.text != "none" else { return nil }
        if arguments.write?.isStandard == true, isTerminal(1) {
            throw ToolError("a flow file is not for a terminal; name a file with -w, or pipe to mitm-dump")
        }
        var options = RecordingFiles.Options(pattern: arguments.write?.path) { [log] in log.log($0) }
        options.truncates = arguments.truncate
        try options.encrypt(arguments.encryption)
        options.flushInterval = flushInterval
        options.archive.sync = arguments.sync
        options.archive.redactionRules = redaction?.rules ?? []
        options.disk = arguments.disk.options
        arguments.rotation.apply(to: &options)
        options.began = { [view] in view.show($0) }
        let files = try RecordingFiles(options, now: now)
        log.log(.notice, "recording", "recording to \(files.path == "-" ? "standard output" : files.path)")
        return files
    }

    /// Nothing is forwarded to it.
    private func startView(_ files: RecordingFiles?, _ own: OwnAddresses, _ inherited: InheritedDescriptors) throws {
        guard let port = arguments.viewing.view, let files else { return }
        inherited.keepOthers()
        own.add(try view.start(port: port, arguments.settings.given), of: .view)
        view.show(files.path)
    }

    /// Nanoseconds after which what was recorded is in the file.
    private var flushInterval: Int64 {
        let usual = arguments.encryption.encryptTo.isEmpty ? 1_000_000_000 : EncryptionArguments.flushInterval
        return arguments.flushInterval?.nanoseconds ?? usual
    }

    private func recordingOptions(_ filter: FlowFilter?) -> RecordingOptions {
        var options = RecordingOptions(notice: { [log] in log.log($0) }, now: { [clock] in clock.now() })
        options.filter = filter
        options.failed = { Signals.askToEnd() }
        if log.isWanted(.notice) { options.flowEnded = { [log] in log.log($0) } }
        return options
    }

    private func certificateCache(_ authority: CertificateAuthority) throws -> LeafCertificateCache {
        let cache = LeafCertificateCache(authority: authority)
        try cache.register(files: arguments.tls.clients.certificate)
        return cache
    }

    private func transportLimits(_ descriptors: DescriptorLimit, listeners: Int) throws -> TransportLimits {
        var limits = TransportLimits()
        limits.maximumConnections = arguments.limits.maximumConnections
        limits.maximumConnectionsPerClient = arguments.limits.maximumConnectionsPerClient
        limits.connectTimeout = .nanoseconds(arguments.limits.connectTimeout.nanoseconds)
        limits.flushInterval = .nanoseconds(flushInterval)
        if let notice = try descriptors.bound(&limits, listeners: listeners) { log.log(.notice, "limit", notice) }
        return limits
    }

    /// - Returns: where programs on this machine reach the first forward proxy.
    private func listen(
        _ server: ProxyServer, _ modes: [ModeSpecification], _ sessions: SessionSettings, _ own: OwnAddresses,
        _ authority: CertificateAuthority, _ ready: ReadyFile?
    ) throws -> ProxyAddress? {
        var bounds: [Endpoint] = []
        var proxy: ProxyAddress?
        // A program gets any port; it is given the number.
        let addresses = arguments.listening.addresses(of: modes, port: launch == nil ? 8080 : 0)
        for (mode, address) in zip(modes, addresses) {
            let configuration = sessions.configuration(mode, authority, own)
            let seed = Mutex(UInt64.random(in: .min ... .max))
            let isTransparent = mode.mode == .transparent
            let spec = ListenerSpec(
                host: address.host, port: address.port, readsOriginalDestination: isTransparent
            ) { accepted in
                ProxySession(
                    configuration: configuration,
                    seed: seed.withLock { seed in
                        seed = UInt64.random(in: .min ... .max)
                        return seed
                    }, originalDestination: accepted.originalDestination)
            }
            let bound = try server.listenAndWait(spec)
            own.add(bound)
            bounds.append(bound)
            if mode.mode.isForwardProxy, proxy == nil { proxy = ProxyAddress(host: bound.host, port: bound.port) }
            log.log(.notice, "listening", "listening on \(bound) (\(mode.text))")
            if !bound.isLoopback, mode.mode.takesLogins, arguments.hosts.proxyauth == nil {
                log.log(
                    .warning, "open-proxy", "every client that reaches \(bound) can use this proxy; --proxyauth asks for a password"
                )
            }
        }
        try ready?.write(bounds)
        return proxy
    }

    /// Prints totals, if requested.
    private func logStats(_ recorder: FlowRecorder) {
        guard arguments.stats != nil else { return }
        let totals = recorder.totals
        log.log(totals, as: "stats")
        if !totals.redaction.isEmpty { log.log(.notice, "stats", totals.redaction.summary) }
    }

    /// When totals are printed; failures of the recording are noticed as often.
    private var statsTimer: IntervalTimer { IntervalTimer(seconds: max(arguments.stats?.seconds ?? 1, 0.1)) }

    /// Waits for the end of a program.
    /// - Returns: its exit status; nil if recording failed before: then it has been asked to end.
    private func waitForEnd(of launched: LaunchedRun, _ recorder: FlowRecorder) -> Int32? {
        var timer = statsTimer
        let status = launched.waitForEnd {
            if timer.fires() { logStats(recorder) }
            return recorder.failure == nil ? timer.secondsLeft : nil
        }
        if status == nil { launched.program.send(SIGTERM) }
        return status
    }

    /// Waits for a signal or a failure of the recording; prints totals meanwhile if requested. SIGHUP reloads the configuration, unless
    /// it was sent because the terminal was closed; SIGUSR1 begins the next file.
    private func waitForEnd(
        _ signals: [Int32], _ terminal: ControllingTerminal, _ recorder: FlowRecorder, _ sessions: SessionSettings,
        _ manager: ServiceManager
    ) {
        let keys =
            arguments.logging.quiet
            ? nil : TerminalKeys(log) { try sessions.hosts.addTCP(HostArguments.patterns([$0], of: "TCP host")[0]) }
        keys?.start()
        defer { keys?.end() }
        var timer = statsTimer
        while recorder.failure == nil {
            if timer.fires() { logStats(recorder) }
            guard let signal = Signals.wait(for: signals, seconds: timer.secondsLeft) else { continue }
            if signal == SIGUSR1 {
                recorder.rotate()
                log.reopen()
                continue
            }
            guard signal == SIGHUP, !terminal.isGone else { return }
            manager.report(.reloading)
            reload(sessions)
            manager.report(.ready)
        }
    }

    /// Applies changed host rules to new connections while the recorder runs.
    private func reload(_ sessions: SessionSettings) {
        log.reopen()
        do {
            sessions.hosts.change(try MitmRecord.parseAgain().hosts.rules)
            log.log(.notice, "reload", "the configuration was read again; its hosts hold for new connections")
        } catch {
            log.log(.error, "reload", "the configuration was not read again: \(error)")
        }
    }
}

extension Endpoint {
    /// Only this machine reaches it.
    fileprivate var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" }
}

extension ProxyMode {
    /// Its clients choose the server, and can be asked for a login.
    fileprivate var takesLogins: Bool {
        switch self {
        case .regular, .socks5, .upstream: true
        case .reverse, .transparent, .origin, .stream: false
        }
    }
}

/// Settings that the sessions of all modes share.
private struct SessionSettings {
    private let arguments: MitmRecord
    private let stages: FlowEventStages
    private let serverTLS: TLSServerContext
    private let clientTLS: TLSClientContext
    private let credentials: Credentials?
    private let lowestLogLevel: LogLine.Level
    /// Holds for all modes and may change.
    let hosts: HostPolicy

    init(
        _ arguments: MitmRecord, _ redaction: RecordingRedaction?, _ keyLog: KeyLog?, _ lowestLogLevel: LogLine.Level
    ) throws {
        self.arguments = arguments
        // What is left of a body after redaction is cut, and its digest is of that.
        stages = FlowEventStages((redaction.map { [$0.maker] } ?? []) + arguments.bodies.makers)
        self.lowestLogLevel = lowestLogLevel
        credentials = try arguments.hosts.proxyauth.map { try Credentials($0) }
        hosts = HostPolicy(try arguments.hosts.rules)
        var log: (@Sendable (String) -> Void)?
        if let keyLog { log = { keyLog.append($0) } }
        guard let minimum = TLSVersion(arguments.tls.tlsMinimum.rawValue),
            let maximum = TLSVersion(arguments.tls.tlsMaximum.rawValue),
            minimum <= maximum
        else {
            throw ToolError(
                "--tls-minimum \(arguments.tls.tlsMinimum.rawValue) is above --tls-maximum \(arguments.tls.tlsMaximum.rawValue)")
        }
        var server = TLSServerOptions()
        var client = try arguments.tls.servers.options
        (server.minimumVersion, server.maximumVersion, server.keyLog) = (minimum, maximum, log)
        (client.minimumVersion, client.maximumVersion, client.keyLog) = (minimum, maximum, log)
        (serverTLS, clientTLS) = try tlsContexts(server, client)
    }

    func configuration(_ mode: ModeSpecification, _ authority: CertificateAuthority, _ own: OwnAddresses) -> ProxyConfiguration {
        var limits = HTTP1Limits()
        limits.maximumFieldSectionSize = Int(clamping: arguments.limits.maximumFieldSection.bytes)
        limits.maximumStartLine = Int(clamping: arguments.limits.maximumStartLine.bytes)
        limits.maximumFieldCount = arguments.limits.maximumFieldCount
        var http2Limits = HTTP2Limits()
        http2Limits.maximumFieldSectionSize = limits.maximumFieldSectionSize
        http2Limits.maximumFieldCount = limits.maximumFieldCount
        http2Limits.maximumConcurrentStreams = arguments.limits.maximumStreams
        var check: CredentialCheck?
        if let credentials {
            check = CredentialCheck(
                cached: { credentials.known($0.user, $0.password) }, verify: { credentials.accept($0.user, $0.password) })
        }
        var timeouts = SessionTimeouts()
        timeouts.idle = arguments.limits.idleTimeout.nanoseconds
        timeouts.handshake = arguments.limits.handshakeTimeout.nanoseconds
        return ProxyConfiguration(
            mode: mode.mode, modeText: mode.text, strategy: arguments.connectionStrategy,
            keepsHostHeader: arguments.keepHostHeader, serverTLS: serverTLS, clientTLS: clientTLS, authority: authority,
            limits: limits,
            validation: arguments.noValidateInboundHeaders ? .lenient : .strict, allowsHTTP2: !arguments.tls.clients.noHTTP2,
            http2Limits: http2Limits, http2Validation: arguments.noValidateInboundHeaders ? .lenient : .strict,
            forwardsPriority: arguments.http2Priority, webSocketPings: arguments.websocketPing,
            altSvc: arguments.altSvc,
            hosts: hosts, credentials: check,
            blocksGlobal: !arguments.listening.noBlockGlobal,
            maximumBodySize: arguments.limits.maximumBodySize?.bytes,
            timeouts: timeouts, ownAddresses: own, recordStages: stages,
            lowestLogLevel: lowestLogLevel)
    }
}

extension HostArguments {
    /// - Throws: ``ToolError`` if an expression is not valid.
    var rules: HostRules {
        get throws {
            var rules = HostRules()
            rules.tcp = try Self.patterns(tcp, of: "--tcp")
            rules.ignored = try Self.patterns(ignoreHosts, of: "--ignore-hosts")
            rules.allowed = try Self.patterns(allowHosts, of: "--allow-hosts")
            rules.passesThroughOnReject = passthroughOnReject
            return rules
        }
    }

    static func patterns(_ texts: [String], of option: String) throws -> [HostPattern] {
        try texts.map { text in
            do throws(HostExpressionError) {
                let expression = try HostExpression(text)
                return { expression.matches($0) }
            } catch {
                throw ToolError("\(option): \(error.description)")
            }
        }
    }
}
