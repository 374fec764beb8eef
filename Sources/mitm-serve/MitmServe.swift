// mitm-serve: answers clients from recordings.

import ArgumentParser
import FlowFilter
import FlowReplay
import Foundation
import ToolSupport

@main
struct MitmServe: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-serve",
        abstract: "Serves recordings as if it were the servers.",
        discussion: """
            Offline: no name is looked up and no server is contacted unless --on-miss says so. A request is answered by the recording with the \
            same method, host, path, query (in any order) and body; a client that names no host but this machine is answered for any host. \
            HTTP/1, HTTP/2 (TLS, h2c), WebSocket; plain and TLS on one port, with certificates of the authority in the configuration directory. \
            Recorded errors, aborts, truncations, trailers and interim responses are given again. Recordings that grow are read on.

            Examples:
              mitm-serve capture.mflow
              mitm-serve --mode regular@8080 --timing recorded captures/
              mitm-serve --mode tcp@6379 --filter '~tcp' redis.mflow
              mitm-serve --ignore query:token --on-miss record:https://api.example -w more.mflow capture.mflow
              mitm-serve --list capture.mflow
            """,
        version: toolVersion)

    @Option(
        help: """
            origin (as the servers themselves), tcp (streams of bytes), or as a proxy: regular, socks5, transparent, reverse:http[s]://host; \
            @[host:]port behind it says where to listen. Repeatable. (default: origin)
            """)
    var mode: [String] = []

    @Option(help: "Address to listen on; * for every address.")
    var listenHost = "127.0.0.1"

    @Option(
        name: .short("p"),
        help: "Port to listen on; 0 takes a free one. Further modes without a port of their own take the next ones.")
    var listenPort: UInt16 = 8080

    @OptionGroup(title: "Matching")
    var matching: MatchingArguments

    @OptionGroup(title: "Answering")
    var answering: AnsweringArguments

    @Option(help: "Own certificate to show to clients, [name=]file.pem with its key; name may be *.domain. Repeatable.")
    var certificate: [String] = []

    @Flag(name: .customLong("no-http2"), help: "Neither offer nor accept HTTP/2.")
    var noHTTP2 = false

    @Flag(help: "Do not verify the certificates of servers that misses go to.")
    var insecure = false

    @Option(help: "Verify those servers against the certificates of this PEM file instead of the system's.")
    var caFile: String?

    @Flag(help: "Let clients in that have addresses of the open internet.")
    var noBlockGlobal = false

    @Flag(help: "Print what would be served, and end.")
    var list = false

    @Flag(name: .shortAndLong, help: "No event log.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "A more talkative event log.")
    var verbose = false

    @Option(help: "Configuration directory. (default: ~/.config/mitm)")
    var confdir: String?

    @Flag(help: "List the operators of the filter language.")
    var helpFilter = false

    @Argument(help: "Flow files, directories of them, - for stdin.")
    var files: [String] = []

    static func main() { launch() }

    func work() throws -> ToolStatus {
        if helpFilter {
            print(filterHelp(), terminator: "")
            return .done
        }
        return try RecordingServer(self).run()
    }
}

/// Options that say which recording answers a request.
struct MatchingArguments: ParsableArguments {
    @Option(
        help: """
            What does not count: host, body, query, query:NAME, form:NAME, json:PATH, as in json:$.timestamp; scheme and port never do. Repeatable.
            """)
    var ignore: [String] = []

    @Option(help: "A header field that must be equal. Repeatable.")
    var matchHeader: [String] = []

    @Option(help: "How bodies are compared: auto (JSON and forms by what they mean), exact, json, form, none.")
    var matchBody = BodyMatching.auto

    @Option(
        help:
            "Query parameters that differ each time (cache busters, utm_*, trace ids, signatures) do not count: on, off, or a file with names."
    )
    var volatile = "on"

    @Option(help: "Serve only the flows that this filter lets through (see --help-filter).")
    var filter: String?

    @Option(help: "Which of several recordings of a request answers: sequence (the last repeats), last, cycle, time.")
    var order = ReplayOrder.sequence

    @Flag(help: "Each recording answers once; then the request is a miss.")
    var once = false

    @Option(
        help:
            "When a server's message in a WebSocket or TCP dialogue is said: after the client's content, count of messages, or its time."
    )
    var websocketMatch = DialogueMatching.content
}

/// Options that say how it is answered.
struct AnsweringArguments: ParsableArguments {
    @Option(help: "none (at once), recorded, a speed as 2x or 0.5x, or a pause before each piece as 50ms.")
    var timing = "none"

    @Option(help: "A request without recording: a status, close, forward:URL, or record:URL (with --write).")
    var onMiss = "404"

    @Option(name: .short("w"), help: "Flow file for what record:URL brings. It may be one that is served, and need not be there.")
    var write: String?

    @Flag(help: "Give dates and the expiry of cookies as they were recorded, not moved to now.")
    var noRefresh = false

    @Option(help: "Answer a part of the requests with a fault instead: 2%:503, 1%:reset, 1%:close. Repeatable.")
    var fault: [String] = []
}

extension BodyMatching: ExpressibleByArgument {}
extension ReplayOrder: ExpressibleByArgument {}
extension DialogueMatching: ExpressibleByArgument {}
