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

            config.yaml in the configuration directory may set options by their long names.
            """,
        version: versionText(of: "mitm-record", libraries: proxyLibraries))

    @Option(
        name: .short("w"), help: "Flow file to write; strftime patterns rotate, - is stdout, none forwards without recording.")
    var write = "capture-%Y%m%d-%H%M%S.mflow"

    @Flag(help: "Overwrite the file instead of appending to it.")
    var truncate = false

    @Option(
        help: """
            regular, socks5, transparent, reverse:http[s]|h2c|tcp|tls://host[:port], or upstream:http[s]|socks5://[user:pass@]host:port; \
            followed by @[host:]port to listen there. Repeatable.
            """)
    var mode: [String] = []

    @OptionGroup
    var listening: ListenArguments

    @OptionGroup(title: "TLS")
    var tls: TLSArguments

    @Option(help: "When to connect to the server: eager (before the client is answered) or lazy (for the first request).")
    var connectionStrategy = ConnectionStrategy.eager

    @Flag(help: "Reverse mode: forward the Host field unchanged.")
    var keepHostHeader = false

    @Flag(help: "Accept ambiguous messages (risk of request smuggling).")
    var noValidateInboundHeaders = false

    @Flag(name: .customLong("http2-priority"), help: "Forward PRIORITY and PRIORITY_UPDATE frames to the server.")
    var http2Priority = false

    @Option(help: "WebSocket pings: answer (at once, and ping the other side) or relay (from end to end).")
    var websocketPing = WebSocketPings.answer

    @Option(
        help: "Offers of HTTP/3 in Alt-Svc fields: keep, or strip (clients do not get them, so they stay with the recorder's TCP).")
    var altSvc = AltSvcPolicy.keep

    @OptionGroup(title: "Hosts and clients")
    var hosts: HostArguments

    @OptionGroup(title: "Limits")
    var limits: LimitArguments

    @Option(help: "Maximum time before recorded data is written to the file.")
    var flushInterval = TimeSpan(seconds: 1)

    @Option(help: "When to fsync: none, interval (with each flush), always.")
    var sync = ArchiveSync.none

    @Option(
        help: """
            When the disk is full: pause (traffic waits), stop (the recorder ends with status 2), pass (traffic continues, unrecorded \
            until there is room).
            """)
    var onDiskFull = DiskFullPolicy.pause

    @Option(help: "Print totals at this interval.")
    var stats: TimeSpan?

    @OptionGroup
    var logging: LogArguments

    @Option(help: "Configuration directory. (default: ~/.config/mitm)")
    var confdir: String?

    @Flag(help: "List the operators of the filter language.")
    var helpFilter = false

    @Argument(help: "Record only flows that match (see --help-filter).")
    var filter: [String] = []

    static func main() { launch() }

    func work() throws -> ToolStatus {
        if helpFilter {
            print(filterHelp(), terminator: "")
            return .done
        }
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

    @Option(help: "Lowest TLS version on both sides: 1.0, 1.1, 1.2, 1.3.")
    var tlsMinimum = "1.2"

    @Option(help: "Highest TLS version on both sides.")
    var tlsMaximum = "1.3"
}

/// Hosts that are not intercepted, and the credentials of clients.
struct HostArguments: ParsableArguments {
    @Option(
        name: [.customLong("tcp"), .customLong("tcp-hosts")],
        help:
            "Regular expression on host:port: TLS is intercepted; the content is recorded and logged as TCP, whatever it is. Repeatable."
    )
    var tcp: [String] = []

    @Option(help: "Regular expression on host:port: connections are passed through unread, TLS included. Repeatable.")
    var ignoreHosts: [String] = []

    @Option(help: "Regular expression on host:port: all other hosts are passed through unread. Repeatable.")
    var allowHosts: [String] = []

    @Flag(help: "After a client rejects our certificate for a host, pass that host through unread.")
    var passthroughOnReject = false

    @Option(help: "Require credentials in the modes regular, upstream and socks5: user:password, or @file in htpasswd -B format.")
    var proxyauth: String?
}

/// Limits for peers.
struct LimitArguments: ParsableArguments {
    @Option(help: "Maximum size of a header section. (default: 256k)")
    var maximumFieldSection: ByteSize?

    @Option(help: "Maximum length of a start-line. (default: 64k)")
    var maximumStartLine: ByteSize?

    @Option(help: "Maximum number of header fields of a message.")
    var maximumFieldCount = 1000

    @Option(help: "Maximum concurrent HTTP/2 streams on one client connection.")
    var maximumStreams: UInt32 = 1000

    @Option(help: "Maximum content of a message; a larger request is answered 413, a larger response 502. (default: none)")
    var maximumBodySize: ByteSize?

    @Option(help: "Close connections that receive nothing for this long.")
    var idleTimeout = TimeSpan(seconds: 600)

    @Option(
        help: "Maximum time for a handshake with a client, a server or an upstream proxy, and to receive a head that has begun.")
    var handshakeTimeout = TimeSpan(seconds: 60)

    @Option(help: "Maximum time to connect to a server.")
    var connectTimeout = TimeSpan(seconds: 30)

    @Option(
        help: "Maximum concurrent clients; further clients wait. The limit of open files (ulimit -n) may allow fewer.")
    var maximumConnections = 10_000

    @Option(help: "Maximum concurrent connections from one address; further ones are closed. (default: none)")
    var maximumConnectionsPerClient: Int?
}

extension TimeSpan: CustomStringConvertible {
    package var description: String {
        nanoseconds % 1_000_000_000 == 0 ? "\(nanoseconds / 1_000_000_000)s" : "\(nanoseconds / 1_000_000)ms"
    }
}
