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
        usage: "mitm-record [OPTION]… [FILTER]",
        discussion: """
            Clients use it as their proxy (mode regular), or it stands in front of a server (mode reverse). TLS is intercepted with \
            certificates of an authority that is made on first use in the configuration directory; clients must trust it: \
            http://mitm.it offers the certificate to clients of the proxy, with the steps for each platform.

            FILTER limits what is recorded, never what is forwarded; filters check the first mebibyte of a body.

            Examples:
              mitm-record -w capture.mflow
              mitm-record -w 'capture-%Y%m%d-%H.mflow' --mode reverse:https://api.example@8443
              mitm-record -w - '~d api.example' | mitm-dump

            Both sides use HTTP/1 or HTTP/2, as client and server negotiate; messages are translated where they differ. \
            WebSocket conversations are recorded message by message.

            SIGHUP reloads the configuration file and applies its hosts (tcp, ignore-hosts, allow-hosts) to new connections; when \
            the terminal is closed the recorder ends (unless started by nohup). SIGUSR1 begins the next flow file: the one that the pattern \
            of -w names now, or the same name again if the file was renamed. On a terminal the keys O, then T, ask for a TCP host.

            Options can also be set by their long names in the section 'record' of config.yaml in the configuration directory.

            Exit status: 0 the recorder was ended by a signal, and everything is in the file; 2 an error.
            """,
        version: versionText(of: "mitm-record", libraries: proxyLibraries))

    @Option(
        name: .output,
        help: ArgumentHelp(
            "Flow file to write; strftime patterns rotate, - is stdout, none forwards without recording.", valueName: "file"))
    var write = FilePath("capture-%Y%m%d-%H%M%S.mflow")

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

    @Option(help: ArgumentHelp("Maximum time before recorded data is written to the file.", valueName: "time"))
    var flushInterval = TimeSpan(seconds: 1)

    @Option(help: ArgumentHelp("When to fsync: none, interval (with each flush), always.", valueName: "when"))
    var sync = ArchiveSync.none

    @Option(
        help: ArgumentHelp(
            """
            When the disk is full: pause (traffic waits), stop (the recorder ends with status 2), pass (traffic continues, unrecorded \
            until there is room).
            """, valueName: "policy"))
    var onDiskFull = DiskFullPolicy.pause

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

    @Argument(help: "Record only flows that match, the same as -f (see --help-filter).")
    var filter: [String] = []

    static func main() { launch() }

    func validate() throws {
        if !(0...2).contains(detail) {
            throw ValidationError("--detail is a number from 0 to 2; mitm-dump --detail \(detail) FILE prints content")
        }
        if let expression = selection.filter, !filter.isEmpty {
            throw ValidationError("the filter is given twice: -f '\(expression)' and '\(filter.joined(separator: " "))'")
        }
    }

    /// The filter.
    var expression: String? { selection.filter ?? (filter.isEmpty ? nil : filter.joined(separator: " ")) }

    func work() throws -> ToolStatus {
        return try Recorder(self).run()
    }
}

extension ConnectionStrategy: ExpressibleByArgument {}
extension WebSocketPings: ExpressibleByArgument {}
extension AltSvcPolicy: ExpressibleByArgument {}
extension ArchiveSync: ExpressibleByArgument {}
extension DiskFullPolicy: ExpressibleByArgument {}

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
