// mitm-filter: searches recordings in pipelines.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import ForeignArchives
import Foundation
import NIOCore
import ToolSupport

@main
struct MitmFilter: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-filter",
        abstract: "Selects flows from recordings.",
        discussion: """
            Reads flow files, directories of them, or stdin, and writes the flows that match the expression: as a flow file to stdout, unless \
            that is a terminal, or to a file with -o. mitmproxy's flow files and HAR files are read too, and written with --format.

            Examples:
              cat a.mflow b.mflow | mitm-filter '~c 500' | mitm-dump
              mitm-filter '~d api.example & ~m POST' captures/ -o api.mflow
              mitm-filter --count '~c >=500' capture.mflow
              mitm-filter --json '~b "out of stock"' capture.mflow | jq .request.url
              mitm-filter --format har -o api.har '~d api.example' capture.mflow

            The file of -o receives its name when it is complete; until then, and on an error or a signal, an existing file of that name stays \
            unchanged.

            Exit status: 0 a flow matched, 1 no flow matched, 2 an error, or an input could not be read (the others are searched), 3 the input \
            is damaged or torn (the rest is searched).
            """,
        version: versionText(of: "mitm-filter"))

    enum Format: ExpressibleByArgument, CaseIterable, Equatable, CustomStringConvertible {
        case mflow
        case foreign(ForeignFormat)
        case text
        case json

        static let allCases: [Format] = [.mflow] + ForeignFormat.allCases.map { .foreign($0) } + [.text, .json]

        init?(argument: String) {
            guard let format = Self.allCases.first(where: { $0.description == argument }) else { return nil }
            self = format
        }

        var description: String {
            switch self {
            case .mflow: "mflow"
            case .foreign(let format): format.rawValue
            case .text: "text"
            case .json: "json"
            }
        }

        /// A terminal can show it.
        var isText: Bool {
            switch self {
            case .mflow: false
            case .foreign(let format): format.isText
            case .text, .json: true
            }
        }
    }

    @OptionGroup
    var selection: FilterArguments

    @Option(name: .output, help: ArgumentHelp("Write a flow file; - is stdout.", valueName: "file"))
    var output: FilePath?

    @Flag(help: "Append to the flow file of -o instead of replacing it.")
    var append = false

    @Option(help: "Output format: mflow, mitmproxy (its flow format 21), har, text or json. (default: mflow)")
    var format: Format?

    @Flag(name: [.customShort("v"), .long], help: "Invert the match.")
    var invert = false

    @Option(name: .short("m"), help: ArgumentHelp("Stop after this number of matching flows.", valueName: "number"))
    var maxCount: Int?

    @Option(
        name: .short("j"), help: ArgumentHelp("Threads that search flow files. (default: one for each core)", valueName: "number"))
    var jobs: Int?

    @Flag(help: "Print the number of matching flows. Damage in heads and content is found only if the expression uses them.")
    var count = false

    @Flag(help: "Print flows as JSON, one per line.")
    var json = false

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(
        help:
            "An expression of the filter language (see --help-filter), unless -f has it; flow files, directories of them, - for stdin."
    )
    var arguments: [String] = []

    /// The expression of -f, or the first argument.
    private var expression: String? { selection.filter ?? arguments.first }
    private var files: [FilePath] { (selection.filter == nil ? arguments.dropFirst() : arguments[...]).map { FilePath($0) } }

    static func main() { launch() }

    func validate() throws {
        if expression == nil { throw ValidationError("an expression is missing; '~all' matches every flow") }
        if append, output == nil || output?.isStandard == true || json || format ?? .mflow != .mflow {
            throw ValidationError("--append needs a flow file as -o")
        }
        if count, json || output != nil { throw ValidationError("--count cannot be combined with --json or -o") }
    }

    func work() throws -> ToolStatus {
        let filter = try FlowFilter(expression ?? "")
        let sources = try archiveSources(files)
        if !count { try refuseInput(asOutput: output?.path, sources) }
        let format = json ? .json : format ?? .mflow
        guard count || format.isText || output != nil || !isTerminal(1) else {
            throw ToolError("a flow file cannot be written to a terminal; use -o, pipe to mitm-dump, or use --json or --count")
        }
        if sources.contains(.standardInput) { Signals.leaveInterruptToWriter() }
        let result = Output(count: count, format: format, path: output?.path, appends: append)
        do {
            return try choose(Choice(filter: filter, isInverted: invert), from: sources, into: result)
        } catch is ReaderGone {
            return .done
        } catch let error as ArchiveError where error.kind == .system(EPIPE) {
            return .done
        }
    }

    private func choose(_ choice: Choice, from sources: [ArchiveSource], into result: Output) throws -> ToolStatus {
        let threads = jobs ?? ProcessInfo.processInfo.activeProcessorCount
        var sequence = ArchiveSequence(
            sources, where: choice, jobs: threads, delivery: result.delivery(maxCount: maxCount), skipsUnreadable: true)
        if result.isLive { sequence.beforeWaiting = { try result.flush() } }
        var matched = 0
        sequence.stored = { flow in
            matched += 1
            try result.take(flow)
            return matched < maxCount ?? .max
        }
        try sequence.forEach(begin: { _, _ in try result.begin() }, damage: { printError($0, as: "mitm-filter") }) { flow in
            matched += 1
            try result.take(flow)
            return matched < maxCount ?? .max
        }
        matched += sequence.counted
        if sequence.sourcesRead > 0 { try result.finish(matched) }
        if sequence.hasFailed { return .failed }
        return sequence.isDamaged ? .damaged : matched > 0 ? .done : .noMatch
    }
}

/// The filter, or its opposite.
private struct Choice: FlowPredicate {
    let filter: FlowFilter
    let isInverted: Bool

    func matches(_ flow: some FlowAttributes) throws -> Bool { try filter.matches(flow) != isInverted }
    func mayMatch(_ block: some BlockSummary) -> Bool { isInverted || filter.mayMatch(block) }
}
