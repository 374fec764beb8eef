// mitm-replay: sends the client side of a recording to a server again and compares the answers.

import ArgumentParser
import FlowFilter
import FlowReplay
import ProxyToolSupport
import ToolSupport

@main
struct MitmReplay: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-replay",
        abstract: "Sends the client side of a recording to a server again and compares the answers.",
        usage: "mitm-replay [OPTION]… [FILE]…",
        discussion: """
            Connections, their order and HTTP/2 multiplexing are as recorded; WebSocket and TCP conversations are replayed too. Only \
            hosts of --target or --allow-target are contacted; if a recording goes to other hosts, nothing is sent. A line for each \
            request and the summary go to stderr, differences to stdout; --format prints results for programs instead.

            Examples:
              mitm-replay --target http://127.0.0.1:8000 --diff capture.mflow
              mitm-replay --allow-target '*.staging.example' --safe-methods --timing max capture.mflow
              mitm-replay --target https://api.test --rate 100/s --repeat 10 -q capture.mflow
              mitm-replay --target http://127.0.0.1:8000 --diff --ignore 'json:$..timestamp' --ignore header:etag capture.mflow
              mitm-replay --target tcp://127.0.0.1:5432 --filter '~tcp' capture.mflow

            Exit status: 0 everything was sent and, with --diff, nothing differs; 1 with --diff, something differs or failed, or there was \
            nothing to send; 2 an error, or a request failed; 3 the recording was damaged, and its readable part was sent; 130 Ctrl-C.
            """,
        version: versionText(of: "mitm-replay", libraries: proxyLibraries))

    @Option(
        help: """
            Server to send to instead of the recorded ones: http://, https://, h2c://, and for streams of bytes tcp:// or \
            tls://host[:port]. May be given once for HTTP and once for streams.
            """)
    var target: [String] = []

    @Option(
        help: ArgumentHelp(
            "Recorded server that may be contacted, host or host:port; * matches any text. Repeatable.", valueName: "host"))
    var allowTarget: [String] = []

    @Flag(help: "Send GET, HEAD and OPTIONS only.")
    var safeMethods = false

    @Option(
        help: ArgumentHelp(
            "recorded, 2x (any speed), or max: start each request once the requests that had finished before it in the recording are done.",
            valueName: "speed"))
    var timing = Timing.recorded

    @Option(help: "Requests a second over all connections, as 50/s, instead of the recorded times.")
    var rate: Rate?

    @Option(help: ArgumentHelp("Maximum concurrent connections; further ones wait. (default: as recorded)", valueName: "number"))
    var concurrency: Int?

    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("Number of times to send everything, one after the other.", valueName: "number"))
    var rounds = 1

    @Option(help: ArgumentHelp("Send everything again and again for this time, instead of --repeat.", valueName: "time"))
    var duration: TimeSpan?

    @OptionGroup
    var selection: FilterArguments

    @Flag(help: "Compare each response with the recorded one and print the differences.")
    var diff = false

    @Option(help: ArgumentHelp("With --diff: ignore body, host, header:NAME, json:PATH. Repeatable.", valueName: "part"))
    var ignore: [String] = []

    @Option(
        help: ArgumentHelp("Differences of one request that are printed; the others are counted.", valueName: "number"))
    var maxDifferences = 20

    @Option(
        help: ArgumentHelp(
            "Output: text (differences), json (one object a request, and a summary), junit (a test case a request).",
            valueName: "format"))
    var format: ReportFormat?

    @Flag(help: "Short for --format json.")
    var json = false

    @Option(
        name: .output,
        help: ArgumentHelp("Flow file to record the replay to; an existing file is appended to.", valueName: "file"))
    var write: FilePath?

    @Flag(help: "Overwrite that file instead of appending to it.")
    var truncate = false

    @OptionGroup(title: "Redaction of the file of -w")
    var redaction: RedactionArguments

    @OptionGroup
    var secrets: SecretArguments

    @OptionGroup
    var encryption: EncryptionArguments

    @OptionGroup
    var identities: IdentityArguments

    @OptionGroup
    var tls: ServerTLSArguments

    @Option(help: ArgumentHelp("Maximum time for connecting to a server.", valueName: "time"))
    var connectTimeout = TimeSpan(seconds: 30)

    @Option(help: ArgumentHelp("Close connections that have received nothing for this time.", valueName: "time"))
    var idleTimeout = TimeSpan(seconds: 600)

    @Option(
        name: .customLong("patience"),
        help: ArgumentHelp(
            "Maximum time that a message waits for a server that sends less than it did in the recording.", valueName: "time"))
    var responseTimeout = TimeSpan(seconds: 10)

    @OptionGroup
    var logging: LogArguments

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(help: "Flow files, directories of them, - for stdin.")
    var files: [FilePath] = []

    static func main() { launch() }

    /// The format of stdout.
    var reportFormat: ReportFormat { json ? .json : format ?? .text }

    func work() throws -> ToolStatus {
        return try Replayer(self).run()
    }

    /// A rhythm: `recorded`, `2x`, `max`.
    struct Timing: ExpressibleByArgument, CustomStringConvertible {
        static let recorded = Timing(value: .recorded, description: "recorded")
        static let defaultCompletionKind = CompletionKind.list(["recorded", "max", "2x"])
        let value: ReplayTiming
        let description: String

        private init(value: ReplayTiming, description: String) {
            self.value = value
            self.description = description
        }

        init?(argument: String) {
            guard let value = ReplayTiming(argument) else { return nil }
            if case .fixed = value { return nil }
            self.init(value: value, description: argument)
        }
    }
}
