// Builds the recorder from its arguments, runs it, and ends it in order: listeners first, then sessions, then the recording.

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
    private static let name = "mitm-record"
    private let arguments: MitmRecord
    private let clock = RecorderClock()

    init(_ arguments: MitmRecord) { self.arguments = arguments }

    private func printLine(_ text: String) { printError(text, as: Self.name) }

    func run() throws -> ToolStatus {
        let ending = [SIGINT, SIGTERM, SIGHUP]
        Signals.block(ending)
        let terminal = ControllingTerminal()
        let descriptors = prepareProcess()
        let modes = try (arguments.mode.isEmpty ? ["regular"] : arguments.mode).map { mode in
            do throws(ModeError) { return try ModeSpecification(mode) } catch { throw ToolError(error.description) }
        }
        let filter = try arguments.filter.isEmpty ? nil : FlowFilter(arguments.filter.joined(separator: " "))
        let now = clock.now()
        let authority = try Authority.load(from: configurationDirectory(arguments.confdir), now: now.nanoseconds / 1_000_000_000)
        let certificates = try certificateCache(authority)
        let keyLog = try ProcessInfo.processInfo.environment["SSLKEYLOGFILE"].flatMap { $0.isEmpty ? nil : try KeyLog(path: $0) }
        let sessions = try SessionSettings(arguments, keyLog)
        let ready = try arguments.listening.readyFile.map { try ReadyFile(path: $0) }
        defer { ready?.remove() }
        let recorder = FlowRecorder(files: try recordingFiles(now), options: recordingOptions(filter))
        let clock = clock
        let limits: TransportLimits
        do {
            limits = try transportLimits(descriptors, listeners: modes.count)
        } catch {
            recorder.finish()
            throw error
        }
        let server = ProxyServer(
            loops: descriptors.loops, limits: limits,
            sink: RecordingSink(queue: recorder.queue), clock: clock,
            certificates: certificates.maker(clock), log: log)
        do {
            try listen(server, modes, sessions, authority, ready)
        } catch {
            recorder.finish()
            throw error
        }
        let keys =
            arguments.logging.quiet
            ? nil : TerminalKeys { try sessions.hosts.addTCP(HostArguments.patterns([$0], of: "TCP host")[0]) }
        keys?.start()
        waitForEnd(ending, terminal, recorder, sessions)
        keys?.end()
        // After a failure of the recording nothing more is forwarded.
        let grace: TimeAmount = recorder.failure == nil ? .seconds(2) : .zero
        wait { await server.shutDown(grace: grace) }
        recorder.finish()
        if !arguments.logging.quiet { printLine(recorder.totals.summary) }
        for (reason, count) in recorder.totals.reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(10)
        where !arguments.logging.quiet {
            printLine("\(count) × \(reason)")
        }
        if let failure = recorder.failure { throw ToolError(failure) }
        return .done
    }

    // MARK: Parts

    private func recordingFiles(_ now: Timestamp) throws -> RecordingFiles? {
        guard arguments.write != "none" else { return nil }
        if arguments.write == "-", isTerminal(1) {
            throw ToolError("a flow file is not for a terminal; name a file with -w, or pipe to mitm-dump")
        }
        var options = RecordingFiles.Options(pattern: expandingTilde(arguments.write)) {
            printError($0, as: Self.name)
        }
        options.truncates = arguments.truncate
        options.flushInterval = arguments.flushInterval.nanoseconds
        options.archive.sync = arguments.sync
        options.whenFull = arguments.onDiskFull
        let files = try RecordingFiles(options, now: now)
        if !arguments.logging.quiet { printLine("recording to \(files.path == "-" ? "standard output" : files.path)") }
        return files
    }

    private func recordingOptions(_ filter: FlowFilter?) -> RecordingOptions {
        var options = RecordingOptions(notice: { printError($0, as: Self.name) }, now: { [clock] in clock.now() })
        options.filter = filter
        options.failed = { Signals.askToEnd() }
        if !arguments.logging.quiet { options.flowLine = { writeToStandardError($0) } }
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
        limits.flushInterval = .nanoseconds(arguments.flushInterval.nanoseconds)
        if let notice = try descriptors.bound(&limits, listeners: listeners), !arguments.logging.quiet { printLine(notice) }
        return limits
    }

    private var log: @Sendable (LogLine) -> Void {
        let lowest = arguments.logging.lowest(otherwise: .notice)
        return { line in
            if line.level >= lowest { printError(line.text, as: Self.name) }
        }
    }

    private func listen(
        _ server: ProxyServer, _ modes: [ModeSpecification], _ sessions: SessionSettings, _ authority: CertificateAuthority,
        _ ready: ReadyFile?
    ) throws {
        let own = OwnAddresses()
        var addresses: [Endpoint] = []
        for (mode, address) in zip(modes, arguments.listening.addresses(of: modes)) {
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
            addresses.append(bound)
            if !arguments.logging.quiet { printLine("listening on \(bound) (\(mode.text))") }
        }
        try ready?.write(addresses)
    }

    /// Waits for a signal or a failure of the recording; prints totals meanwhile if requested. SIGHUP reloads the configuration, unless
    /// it was sent because the terminal was closed.
    private func waitForEnd(
        _ signals: [Int32], _ terminal: ControllingTerminal, _ recorder: FlowRecorder, _ sessions: SessionSettings
    ) {
        let interval = arguments.stats?.seconds ?? 1
        while recorder.failure == nil {
            if let signal = Signals.wait(for: signals, seconds: max(interval, 0.1)) {
                guard signal == SIGHUP, !terminal.isGone else { return }
                reload(sessions)
                continue
            }
            if arguments.stats != nil { printLine(recorder.totals.summary) }
        }
    }

    /// Applies changed host rules to new connections while the recorder runs.
    private func reload(_ sessions: SessionSettings) {
        do {
            sessions.hosts.change(try MitmRecord.parseAgain().hosts.rules)
            if !arguments.logging.quiet { printLine("the configuration was read again; its hosts hold for new connections") }
        } catch {
            printLine("the configuration was not read again: \(error)")
        }
    }
}

/// Settings that the sessions of all modes share.
private struct SessionSettings {
    private let arguments: MitmRecord
    private let serverTLS: TLSServerContext
    private let clientTLS: TLSClientContext
    private let credentials: Credentials?
    /// Holds for all modes and may change.
    let hosts: HostPolicy

    init(_ arguments: MitmRecord, _ keyLog: KeyLog?) throws {
        self.arguments = arguments
        credentials = try arguments.hosts.proxyauth.map { try Credentials($0) }
        hosts = HostPolicy(try arguments.hosts.rules)
        var log: (@Sendable (String) -> Void)?
        if let keyLog { log = { keyLog.append($0) } }
        guard let minimum = TLSVersion(arguments.tls.tlsMinimum), let maximum = TLSVersion(arguments.tls.tlsMaximum),
            minimum <= maximum
        else {
            throw ToolError("--tls-minimum and --tls-maximum are versions of TLS, 1.0 to 1.3, the minimum not above the maximum")
        }
        var server = TLSServerOptions()
        var client = try arguments.tls.servers.options
        (server.minimumVersion, server.maximumVersion, server.keyLog) = (minimum, maximum, log)
        (client.minimumVersion, client.maximumVersion, client.keyLog) = (minimum, maximum, log)
        (serverTLS, clientTLS) = try tlsContexts(server, client)
    }

    func configuration(_ mode: ModeSpecification, _ authority: CertificateAuthority, _ own: OwnAddresses) -> ProxyConfiguration {
        var limits = HTTP1Limits()
        if let size = arguments.limits.maximumFieldSection { limits.maximumFieldSectionSize = Int(clamping: size.bytes) }
        if let size = arguments.limits.maximumStartLine { limits.maximumStartLine = Int(clamping: size.bytes) }
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
            hosts: hosts, credentials: check,
            blocksGlobal: !arguments.listening.noBlockGlobal,
            maximumBodySize: arguments.limits.maximumBodySize?.bytes,
            timeouts: timeouts, ownAddresses: own)
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
