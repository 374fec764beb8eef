// mitm-record: runs the proxy and records its traffic.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowRecording
import Foundation
import ProxyCore
import ProxyToolSupport
import ToolSupport

@main
struct MitmRecord: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-record",
        abstract: "Runs a proxy and records every session to a flow file.",
        usage: """
            mitm-record [OPTION]… [FILTER] [-- COMMAND [ARG]…]
            mitm-record [OPTION]… --browser[=BROWSER] [URL]… [-- ARG…]
            """,
        discussion: """
            Clients use it as their proxy (mode regular), or it stands in front of a server (mode reverse). TLS is intercepted with \
            certificates of an authority that is made on first use in the configuration directory; clients must trust it: \
            http://mitm.it offers the certificate to clients of the proxy, with the steps for each platform. A command after -- and a \
            browser (--browser) are started so that they use the recorder and trust it; the recorder listens on a free port and ends with \
            them.

            FILTER limits what is recorded, never what is forwarded; filters check the first mebibyte of a body.

            Examples:
              mitm-record -w x.mflow -- curl https://example.org/
              mitm-record -w x.mflow --browser https://example.org/
              mitm-record -w capture.mflow
              mitm-record -w capture.mflow --rotate-size 1g --keep-size 20g
              mitm-record -w 'capture-%Y%m%d-%H.mflow' --mode reverse:https://api.example@8443
              mitm-record -w - '~d api.example' | mitm-dump

            Both sides use HTTP/1 or HTTP/2, as client and server negotiate; messages are translated where they differ. \
            WebSocket conversations are recorded message by message.

            The exit status is that of the command; 125 if the recorder itself fails, 126 if the command cannot be executed, 127 if there \
            is no such command, 128+n if signal n ended it. Without a command it is 0, and 2 after an error.

            SIGHUP reloads the configuration file and applies its hosts (tcp, ignore-hosts, allow-hosts) to new connections; when \
            the terminal is closed the recorder ends (unless started by nohup). SIGUSR1 begins the next flow file, with the \
            name that the pattern of -w gives now; a number is added if there is such a file (capture-00001.mflow). On a terminal the keys O, then T, ask for a TCP host.

            Options can also be set by their long names in the section 'record' of config.yaml in the configuration directory.

            Exit status: 0 the recorder was ended by a signal, and everything is in the file; 2 an error.
            """,
        version: versionText(of: "mitm-record", libraries: proxyLibraries))

    @Option(
        name: .output,
        help: ArgumentHelp(
            """
            Flow file to write; strftime patterns rotate, - is stdout, none forwards without recording. (default: a new file named \
            capture-DATE-TIME.mflow, with --encrypt-to .mflow.age)
            """, valueName: "file"))
    var write: FilePath?

    @Flag(help: "Overwrite the file instead of appending to it.")
    var truncate = false

    @Option(
        help: """
            regular, socks5, transparent, reverse:http[s]|h2c|tcp|tls://host[:port], or upstream:http[s]|socks5://[user:pass@]host:port; \
            followed by @[host:]port to listen there. Repeatable.
            """,
        completion: .list(["regular", "socks5", "transparent", "reverse:", "upstream:"]))
    var mode: [String] = []

    @OptionGroup
    var listening: ListenArguments

    @OptionGroup(title: "TLS")
    var tls: TLSArguments

    @Option(
        help: ArgumentHelp(
            "When to connect to the server: eager (before the client is answered) or lazy (for the first request).",
            valueName: "when"))
    var connectionStrategy = ConnectionStrategy.eager

    @Flag(help: "Reverse mode: forward the Host field unchanged.")
    var keepHostHeader = false

    @Flag(help: "Accept ambiguous messages (risk of request smuggling).")
    var noValidateInboundHeaders = false

    @Flag(name: .customLong("http2-priority"), help: "Forward PRIORITY and PRIORITY_UPDATE frames to the server.")
    var http2Priority = false

    @Option(
        help: ArgumentHelp(
            "WebSocket pings: answer (at once, and ping the other side) or relay (from end to end).", valueName: "how"))
    var websocketPing = WebSocketPings.answer

    @Option(
        help: "Offers of HTTP/3 in Alt-Svc fields: keep, or strip (clients do not get them and stay on TCP).")
    var altSvc = AltSvcPolicy.keep

    @OptionGroup(title: "Hosts and clients")
    var hosts: HostArguments

    @OptionGroup(title: "Limits")
    var limits: LimitArguments

    @OptionGroup
    var bodies: BodyArguments

    @OptionGroup(title: "Redaction")
    var redaction: RedactionArguments

    @OptionGroup
    var encryption: EncryptionArguments

    @Option(
        help: ArgumentHelp(
            "Maximum time before recorded data is written to the file. (default: 1s, and 10s with --encrypt-to)", valueName: "time")
    )
    var flushInterval: TimeSpan?

    @Option(help: ArgumentHelp("When to fsync: none, interval (with each flush), always.", valueName: "when"))
    var sync = ArchiveSync.none

    @OptionGroup
    var viewing: ViewArguments

    @OptionGroup(title: "Several files")
    var rotation: RotationArguments

    @OptionGroup
    var disk: DiskArguments

    @Option(help: ArgumentHelp("Print totals at this interval.", valueName: "time"))
    var stats: TimeSpan?

    @Option(help: ArgumentHelp("What the event log has of each flow: 0 nothing, 1 a line, 2 heads too.", valueName: "level"))
    var detail = 1

    @OptionGroup
    var logging: LogArguments

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @OptionGroup
    var selection: FilterArguments

    @OptionGroup
    var secrets: SecretArguments

    @Argument(help: "Record only flows that match, the same as -f (see --help-filter).")
    var filter: [String] = []

    @OptionGroup(title: "Programs to start")
    var launching: LaunchArguments

    static func main() { launch() }

    static let optionalValues = ["color": "always", "browser": Browser.anyInstalled, "view": ViewArguments.anyPort]

    static let takesCommand = true

    static func failureStatus(_ arguments: [String]) -> Int32 {
        Launch.isRequested(arguments) ? Launch.failureStatus : ToolStatus.failed.rawValue
    }

    func validate() throws {
        try rotation.check(write)
        try checkView()
        if !(0...2).contains(detail) {
            throw ValidationError("--detail is a number from 0 to 2; mitm-dump --detail \(detail) FILE prints content")
        }
        if let expression = selection.filter, launching.browser == nil, !filter.isEmpty {
            throw ValidationError("the filter is given twice: -f '\(expression)' and '\(filter.joined(separator: " "))'")
        }
    }

    /// - Throws: when there is no file that a view can read.
    private func checkView() throws {
        guard viewing.view != nil else { return }
        if let write, write.isStandard || write.text == "none" {
            throw ValidationError("-w \(write.text) makes no file for --view to show; name one, or pipe to mitm-view -")
        }
        if !encryption.encryptTo.isEmpty {
            throw ValidationError(
                "--view cannot read what --encrypt-to encrypts, since the recorder has no private key; "
                    + "start mitm-view --identity KEY FILE beside it")
        }
    }

    /// The filter. With a browser the arguments are URLs.
    var expression: String? {
        selection.filter ?? (filter.isEmpty || launching.browser != nil ? nil : filter.joined(separator: " "))
    }

    func work() throws -> ToolStatus {
        if launching.environment {
            try printEnvironment(self)
            return .done
        }
        do {
            return try Recorder(self).run()
        } catch let failure as LaunchFailure {
            printError(failure.message, as: "mitm-record")
            throw ExitCode(failure.status)
        }
    }
}

extension MitmRecord {
    /// - Throws: ``ToolError`` for a mode that is not valid.
    var modes: [ModeSpecification] {
        get throws {
            try (mode.isEmpty ? ["regular"] : mode).map { mode in
                do throws(ModeError) { return try ModeSpecification(mode) } catch { throw ToolError(error.description) }
            }
        }
    }
}

extension ConnectionStrategy: ExpressibleByArgument {}
extension WebSocketPings: ExpressibleByArgument {}
extension AltSvcPolicy: ExpressibleByArgument {}
extension ArchiveSync: ExpressibleByArgument {}

/// TLS on both sides.
struct TLSArguments: ParsableArguments {
    @OptionGroup
    var servers: ServerTLSArguments

    @OptionGroup
    var clients: ClientTLSArguments

    /// Versions by their names.
    enum Version: String, CaseIterable, ExpressibleByArgument {
        case tls10 = "1.0"
        case tls11 = "1.1"
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    @Option(help: ArgumentHelp("Lowest TLS version on both sides: 1.0, 1.1, 1.2, 1.3.", valueName: "version"))
    var tlsMinimum = Version.tls12

    @Option(help: ArgumentHelp("Highest TLS version on both sides.", valueName: "version"))
    var tlsMaximum = Version.tls13
}

/// Hosts that are not intercepted, and the credentials of clients.
struct HostArguments: ParsableArguments {
    @Option(
        name: [.customLong("tcp"), .customLong("tcp-hosts")],
        help: ArgumentHelp(
            "Regular expression on host:port: TLS is intercepted; the content is recorded and logged as TCP, whatever it is. Repeatable.",
            valueName: "regex"))
    var tcp: [String] = []

    @Option(
        help: ArgumentHelp(
            "Regular expression on host:port: connections are passed through unread, TLS included. Repeatable.", valueName: "regex")
    )
    var ignoreHosts: [String] = []

    @Option(
        help: ArgumentHelp(
            "Regular expression on host:port: all other hosts are passed through unread. Repeatable.", valueName: "regex"))
    var allowHosts: [String] = []

    @Flag(help: "After a client rejects our certificate for a host, pass that host through unread.")
    var passthroughOnReject = false

    @Option(
        help: ArgumentHelp(
            "Require credentials in the modes regular, upstream and socks5: user:password, or @file in htpasswd -B format.",
            valueName: "credentials"))
    var proxyauth: String?
}

/// Limits for peers.
struct LimitArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Maximum size of a header section.", valueName: "size"))
    var maximumFieldSection = ByteSize(bytes: 256 << 10)

    @Option(help: ArgumentHelp("Maximum length of a start-line.", valueName: "size"))
    var maximumStartLine = ByteSize(bytes: 64 << 10)

    @Option(help: ArgumentHelp("Maximum number of header fields of a message.", valueName: "number"))
    var maximumFieldCount = 1000

    @Option(help: ArgumentHelp("Maximum concurrent HTTP/2 streams on one client connection.", valueName: "number"))
    var maximumStreams: UInt32 = 1000

    @Option(
        help: ArgumentHelp(
            "Maximum content of a message; a larger request is answered 413, a larger response 502. (default: none)",
            valueName: "size"))
    var maximumBodySize: ByteSize?

    @Option(help: ArgumentHelp("Close connections that receive nothing for this long.", valueName: "time"))
    var idleTimeout = TimeSpan(seconds: 600)

    @Option(
        help: ArgumentHelp(
            "Maximum time for a handshake with a client, a server or an upstream proxy, and to receive a head that has begun.",
            valueName: "time"))
    var handshakeTimeout = TimeSpan(seconds: 60)

    @Option(help: ArgumentHelp("Maximum time to connect to a server.", valueName: "time"))
    var connectTimeout = TimeSpan(seconds: 30)

    @Option(
        help: ArgumentHelp(
            "Maximum concurrent clients; further clients wait. The limit of open files (ulimit -n) may allow fewer.",
            valueName: "number"))
    var maximumConnections = 10_000

    @Option(
        help: ArgumentHelp(
            "Maximum concurrent connections from one address; further ones are closed. (default: none)", valueName: "number"))
    var maximumConnectionsPerClient: Int?
}
