// mitm-serve: answers clients from recordings.

import ArgumentParser
import FlowFilter
import FlowReplay
import Foundation
import ProxyToolSupport
import ToolSupport

@main
struct MitmServe: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-serve",
        abstract: "Serves recordings in place of the recorded servers.",
        usage: "mitm-serve [OPTION]… [FILE]…",
        discussion: """
            Works offline: it looks up no name and contacts no server, except for --on-miss. A recording answers a request with the same method, \
            host, path, query (in any order) and body. A client that uses this machine's own name gets the recordings of every host. \
            HTTP/1, HTTP/2 (TLS, h2c) and WebSocket; plain and TLS on one port, with certificates of the authority in the configuration \
            directory. Recorded errors, aborts, truncations, trailers and interim responses are reproduced. Changed files, and new files of \
            a directory, are read while it runs; SIGHUP reads all of them again.

            Examples:
              mitm-serve capture.mflow
              mitm-serve --mode regular@8080 --timing recorded captures/
              mitm-serve --mode tcp@6379 --filter '~tcp' redis.mflow
              mitm-serve --ignore query:token --on-miss record:https://api.example -w more.mflow capture.mflow
              mitm-serve --list capture.mflow

            Exit status: 0 it was ended by a signal (with --list: there is something to serve); 1 with --list, there is nothing to serve; \
            2 an error; 3 a recording was damaged, and its readable part was served.
            """,
        version: versionText(of: "mitm-serve", libraries: proxyLibraries))

    @Option(
        help: """
            origin (as the servers themselves), tcp (streams of bytes), or as a proxy: regular, socks5, transparent, reverse:http[s]://host; \
            append @[host:]port to set the listening address. Repeatable. (default: origin)
            """,
        completion: .list(["origin", "tcp", "regular", "socks5", "transparent", "reverse:"]))
    var mode: [String] = []

    @OptionGroup
    var listening: ListenArguments

    @OptionGroup(title: "Matching")
    var matching: MatchingArguments

    @OptionGroup(title: "Answering")
    var answering: AnsweringArguments

    @OptionGroup
    var identities: IdentityArguments

    @OptionGroup
    var clientTLS: ClientTLSArguments

    @OptionGroup(title: "Servers of --on-miss")
    var serverTLS: ServerTLSArguments

    @OptionGroup(title: "Redaction of the file of --on-miss record")
    var redaction: RedactionArguments

    @OptionGroup
    var secrets: SecretArguments

    @Flag(help: "Print the flows that would be served, and exit.")
    var list = false

    @Option(help: ArgumentHelp("Output of --list: text, or json (one object a recording).", valueName: "format"))
    var format: ListFormat?

    @Flag(help: "Short for --format json.")
    var json = false

    @OptionGroup
    var viewing: ViewArguments

    @OptionGroup
    var logging: LogArguments

    @Option(help: ArgumentHelp("Append a line of JSON for each request, answered or missed, to this file.", valueName: "file"))
    var journal: FilePath?

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(help: "Flow files, directories of them, - for stdin.")
    var files: [FilePath] = []

    static func main() { launch() }

    static let optionalValues = ["color": "always", "view": ViewArguments.anyPort]

    func work() throws -> ToolStatus {
        return try RecordingServer(self).run()
    }
}

/// Options for matching requests with recordings.
struct MatchingArguments: ParsableArguments {
    @Option(
        help: """
            Ignore when matching: host, body, query, query:NAME, form:NAME, json:PATH, as in json:$.timestamp. Scheme and port are always \
            ignored. Repeatable.
            """)
    var ignore: [String] = []

    @Option(help: ArgumentHelp("Header field that must be equal. Repeatable.", valueName: "name"))
    var matchHeader: [String] = []

    @Option(
        help: ArgumentHelp("How to compare bodies: auto (JSON and forms by meaning), exact, json, form, none.", valueName: "how"))
    var matchBody = BodyMatching.auto

    @Option(
        help: ArgumentHelp(
            "Ignore query parameters that differ each time (cache busters, utm_*, trace ids, signatures): on, off, or a file with names.",
            valueName: "names"))
    var volatile = "on"

    @OptionGroup
    var selection: FilterArguments

    @Option(help: "Which of several recordings of a request answers: sequence (the last one repeats), last, cycle, time.")
    var order = ReplayOrder.sequence

    @Flag(help: "Use each recording once; then the request is a miss.")
    var once = false

    @Option(
        help: ArgumentHelp(
            "When to send a server message of a WebSocket or TCP dialogue: after the client's content, after its count of messages, or at its time.",
            valueName: "when"))
    var websocketMatch = DialogueMatching.content
}

/// Options for answering.
struct AnsweringArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "none (no pauses), recorded, a speed such as 2x or 0.5x, or the time until each answer begins, such as 50ms.",
            valueName: "timing"))
    var timing = "none"

    @Option(
        help: ArgumentHelp(
            """
            Answer to a request without a recording: a status, close, forward:URL, or record:URL (with --write). A proxy may leave out \
            :URL, and sends the request to its own server.
            """, valueName: "answer"))
    var onMiss = "404"

    @Option(
        name: .output,
        help: ArgumentHelp(
            """
            Flow file for the answers of record:URL, which need not exist. It may be one of the served files, and is the served one \
            where no file is named.
            """, valueName: "file"))
    var write: FilePath?

    @OptionGroup
    var encryption: EncryptionArguments

    @Flag(help: "Send dates and the expiry of cookies as recorded, not moved to the present.")
    var noRefresh = false

    @Option(help: "Answer some of the requests with a fault: 2%:503, 1%:reset, 1%:close. Repeatable.")
    var fault: [String] = []
}

extension BodyMatching: ExpressibleByArgument {}
extension ReplayOrder: ExpressibleByArgument {}
extension DialogueMatching: ExpressibleByArgument {}
