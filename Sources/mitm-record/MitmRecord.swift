// mitm-record: runs the proxy and records what passes.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowRecording
import Foundation
import ProxyCore
import TLSEngine
import ToolSupport

@main
struct MitmRecord: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-record",
        abstract: "Runs a proxy and records every session to a flow file.",
        discussion: """
            Clients use it as their proxy (mode regular), or it stands in front of a server (mode reverse). TLS is intercepted with \
            certificates of an authority that is made on first use in the configuration directory; clients must trust it: \
            http://mitm.it, asked for through the proxy, hands it out.

            FILTER limits what is recorded, never what is forwarded; a body is looked at up to its first mebibyte.

            Examples:
              mitm-record -w capture.mflow
              mitm-record -w 'capture-%Y%m%d-%H.mflow' --mode reverse:https://api.example@8443
              mitm-record -w - '~d api.example' | mitm-dump

            HTTP/1 and HTTP/2 are spoken on both sides, as client and server agree, and translated where they differ. \
            WebSocket conversations are recorded message by message.

            SIGHUP reads the configuration file again and applies its hosts (tcp, ignore-hosts, allow-hosts) to new connections; \
            when the terminal is closed the recorder ends (unless started by nohup). On a terminal the keys O, then T, ask for a TCP host.

            Options may stand in config.yaml in the configuration directory, under their long names.
            """,
        version: toolVersion)

    @Option(
        name: .short("w"), help: "Flow file to write; strftime patterns rotate, - is stdout, none forwards without recording.")
    var write = "capture-%Y%m%d-%H%M%S.mflow"

    @Flag(help: "Begin the file anew instead of going on behind what it holds.")
    var truncate = false

    @Option(
        help: """
            regular, socks5, transparent, reverse:http[s]|h2c|tcp|tls://host[:port], or upstream:http[s]|socks5://[user:pass@]host:port; \
            @[host:]port behind it says where to listen. Repeatable.
            """)
    var mode: [String] = []

    @Option(help: "Address to listen on; * for every address.")
    var listenHost = "127.0.0.1"

    @Option(
        name: .short("p"),
        help: "Port to listen on; 0 takes a free one. Further modes without a port of their own take the next ones.")
    var listenPort: UInt16 = 8080

    @OptionGroup(title: "TLS")
    var tls: TLSArguments

    @Option(help: "eager contacts the server before the client is answered, lazy when a request goes there.")
    var connectionStrategy = Strategy.eager

    @Flag(help: "Reverse mode: leave the Host field as the client wrote it.")
    var keepHostHeader = false

    @Flag(help: "Accept requests that are ambiguous or not valid; they are sent on with one framing.")
    var noValidateInboundHeaders = false

    @Flag(name: .customLong("no-http2"), help: "Neither offer nor accept HTTP/2.")
    var noHTTP2 = false

    @Flag(name: .customLong("http2-priority"), help: "Pass PRIORITY and PRIORITY_UPDATE frames on to the server.")
    var http2Priority = false

    @Option(help: "WebSocket pings: answer (at once, and ping the other side), relay (from end to end).")
    var websocketPing = Pings.answer

    @OptionGroup(title: "Hosts and clients")
    var hosts: HostArguments

    @OptionGroup(title: "Limits")
    var limits: LimitArguments

    @Option(help: "What was seen reaches the file within this time.")
    var flushInterval = TimeSpan(seconds: 1)

    @Option(help: "When the file is made to survive a loss of power: none, interval (with each flush), always.")
    var sync = Sync.none

    @Option(
        help: """
            What happens when the disk is full: pause (traffic waits), stop (the recorder ends with status 2), pass (traffic continues, \
            unrecorded until there is room).
            """)
    var onDiskFull = WhenFull.pause

    @Option(help: "Print totals in this interval.")
    var stats: TimeSpan?

    @Flag(name: .shortAndLong, help: "No event log.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "A more talkative event log, with the pings and pongs of WebSocket.")
    var verbose = false

    @Option(help: "Configuration directory. (default: ~/.config/mitm)")
    var confdir: String?

    @Flag(help: "List the operators of the filter language.")
    var helpFilter = false

    @Argument(help: "Record only flows that this filter lets through (see --help-filter).")
    var filter: [String] = []

    enum Strategy: String, ExpressibleByArgument, CaseIterable {
        case eager
        case lazy
    }

    enum Sync: String, ExpressibleByArgument, CaseIterable {
        case none
        case interval
        case always
    }

    enum Pings: String, ExpressibleByArgument, CaseIterable {
        case answer
        case relay
    }

    enum WhenFull: String, ExpressibleByArgument, CaseIterable {
        case pause
        case stop
        case pass
    }

    static func main() { launch() }

    func work() throws -> ToolStatus {
        if helpFilter {
            print(filterHelp(), terminator: "")
            return .done
        }
        return try Recorder(self).run()
    }
}

/// Options that concern TLS.
struct TLSArguments: ParsableArguments {
    @Flag(help: "Do not verify the certificates of servers; what verification says is recorded.")
    var insecure = false

    @Option(help: "Verify servers against the certificates of this PEM file instead of the system's.")
    var caFile: String?

    @Option(help: "PEM file with a certificate and key to show to servers that ask for one.")
    var clientCertificate: String?

    @Option(help: "Own certificate to show to clients, [name=]file.pem with its key; name may be *.domain. Repeatable.")
    var certificate: [String] = []

    @Option(help: "Lowest version of TLS on both sides: 1.0, 1.1, 1.2, 1.3.")
    var tlsMinimum = "1.2"

    @Option(help: "Highest version of TLS on both sides.")
    var tlsMaximum = "1.3"
}

/// Options that say which hosts are treated otherwise, and who may use the recorder.
struct HostArguments: ParsableArguments {
    @Option(
        name: [.customLong("tcp"), .customLong("tcp-hosts")],
        help:
            "Regular expression on host:port: TLS is intercepted, what is inside is recorded as TCP and told in the event log. Repeatable."
    )
    var tcp: [String] = []

    @Option(help: "Regular expression on host:port: bytes pass unread, TLS included. Repeatable.")
    var ignoreHosts: [String] = []

    @Option(help: "Regular expression on host:port: all other hosts pass unread. Repeatable.")
    var allowHosts: [String] = []

    @Flag(help: "Pass a host unread from the next attempt on when a client does not accept our certificate for it.")
    var passthroughOnReject = false

    @Option(help: "Who may use the modes regular, upstream and socks5: user:password, or @file as htpasswd -B writes it.")
    var proxyauth: String?

    @Flag(help: "Let clients in that have addresses of the open internet.")
    var noBlockGlobal = false
}

/// Options that limit what peers may do.
struct LimitArguments: ParsableArguments {
    @Option(help: "Largest header section. (default: 256k)")
    var maximumFieldSection: ByteSize?

    @Option(help: "Longest start-line. (default: 64k)")
    var maximumStartLine: ByteSize?

    @Option(help: "Most header fields of a message.")
    var maximumFieldCount = 1000

    @Option(help: "HTTP/2 streams that a client may have open at a time on one connection.")
    var maximumStreams: UInt32 = 1000

    @Option(help: "Largest content of a message; requests beyond it are answered 413, responses 502. (default: none)")
    var maximumBodySize: ByteSize?

    @Option(help: "Connections on which nothing is received for so long are closed.")
    var idleTimeout = TimeSpan(seconds: 600)

    @Option(help: "Time for a handshake with a client, a server or an upstream proxy, and for a head that has begun.")
    var handshakeTimeout = TimeSpan(seconds: 60)

    @Option(help: "Time for connecting to a server.")
    var connectTimeout = TimeSpan(seconds: 30)

    @Option(
        help: "Maximum concurrent clients; further clients wait. The limit of open files (ulimit -n) may allow fewer.")
    var maximumConnections = 10_000

    @Option(help: "Connections at a time from one address; more are closed. (default: none)")
    var maximumConnectionsPerClient: Int?
}

extension TimeSpan: CustomStringConvertible {
    package var description: String {
        nanoseconds % 1_000_000_000 == 0 ? "\(nanoseconds / 1_000_000_000)s" : "\(nanoseconds / 1_000_000)ms"
    }
}
