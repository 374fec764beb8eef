// mitm-filter: searches recordings in pipelines.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowModel
import Foundation
import Secrets
import ToolSupport

@main
struct MitmFilter: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-filter",
        abstract: "Selects flows from recordings.",
        usage: "mitm-filter [options] <expression> [<file> …]",
        discussion: """
            Reads flow files, directories of them, or stdin, and writes the flows that match the expression: as a flow file to stdout, unless \
            that is a terminal, or to a file with -o. Files of mitmproxy and GoReplay, HAR and WARC are read too, and written with --format.

            Examples:
              cat a.mflow b.mflow | mitm-filter '~c 500' | mitm-dump
              mitm-filter '~d api.example & ~m POST' captures/ -o api.mflow
              mitm-filter --count '~c >=500' capture.mflow
              mitm-filter --since -15m captures/ -o recent.mflow
              mitm-filter --json '~b "out of stock"' capture.mflow | jq .request.url
              mitm-filter --format har -o api.har '~d api.example' capture.mflow
              mitm-filter --format pcapng -o api.pcapng '~d api.example' capture.mflow
              mitm-filter --sort duration:desc -m 10 --fields duration,method,url '~http' capture.mflow
              mitm-filter --group-by host,status '~d example' capture.mflow
              mitm-filter --findings '~secret' captures/ | jq .rule

            The expression is the value of -f, or the first argument, or an argument that contains an operator (~c) and names no existing file. \
            A first argument that names an existing file is a file. With --since or --until the expression may be left out; -v does not invert them.

            The file of -o receives its name when it is complete; until then, and on an error or a signal, an existing file of that name stays \
            unchanged. A flow file replaces only a flow file, and other formats replace none.

            Ctrl-C ends the search with what was found so far, except for a file of -o, which stays unchanged; a second one ends it at once.

            Exit status: 0 a flow matched (--findings: a secret was found), 1 no flow matched, 2 an error, or an input could not be read (the \
            others are searched), 3 the input is damaged or torn (the rest is searched), or --strict found a loss, 130 interrupted by Ctrl-C.
            """,
        version: versionText(of: "mitm-filter"))

    @OptionGroup
    var selection: FilterArguments

    @OptionGroup
    var times: TimeArguments

    @Option(name: .output, help: ArgumentHelp("Write to a file; - is stdout.", valueName: "file"))
    var output: FilePath?

    @Flag(help: "Append to the flow file of -o instead of replacing it.")
    var append = false

    @Option(help: "\(OutputFormat.help) (default: mflow)")
    var format: OutputFormat?

    @Flag(help: "Short for --format json: print a line with a JSON object for each flow.")
    var json = false

    @Flag(name: [.customShort("v"), .long], help: "Invert the match.")
    var invert = false

    @Option(name: .short("m"), help: ArgumentHelp("Stop after this number of matching flows.", valueName: "number"))
    var maxCount: Int?

    @Option(
        name: .short("j"), help: ArgumentHelp("Threads that search flow files. (default: one for each core)", valueName: "number"))
    var jobs: Int?

    @Flag(help: "Print the number of matching flows. Damage in heads and content is found only if the expression uses them.")
    var count = false

    @Flag(name: .shortAndLong, help: "Write nothing, and stop at the first match: the exit status tells.")
    var quiet = false

    @Flag(
        help: """
            Print a JSON object for each secret in the matching flows: rule, place, length, and no part of the secret. An expression with \
            ~secret RULE limits the rules.
            """)
    var findings = false

    @OptionGroup(title: "Tables")
    var table: TableArguments

    @OptionGroup(title: "Groups")
    var groups: GroupArguments

    @OptionGroup(title: "Parts of files")
    var parts: SplitArguments

    @OptionGroup
    var explaining: ExplainArguments

    @OptionGroup(title: "Redaction")
    var redaction: RedactionArguments

    @OptionGroup
    var bodies: BodyArguments

    @OptionGroup
    var messages: MessageArguments

    @OptionGroup
    var losses: LossArguments

    @OptionGroup
    var foreign: ForeignArguments

    @OptionGroup
    var text: TextArguments

    @OptionGroup
    var views: ContentViewArguments

    @OptionGroup
    var types: ProtobufArguments

    @OptionGroup
    var secrets: SecretArguments

    @OptionGroup
    var identities: IdentityArguments

    @OptionGroup
    var encryption: EncryptionArguments

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(help: "The expression, and flow files, directories of them, - for stdin.")
    var arguments: [String] = []

    static let optionalValues = ["color": ColorArguments.Choice.always.rawValue].merging(ExplainArguments.usual) { $1 }

    static func main() { launch() }

    func validate() throws {
        try messages.check(json ? .json : format ?? .mflow)
        try losses.check(json || findings ? .json : format ?? .mflow, output: output)
        try foreign.check(json ? .json : format ?? .mflow)
        if append, output == nil || output?.isStandard == true || json || format ?? .mflow != .mflow {
            throw ValidationError("--append needs a flow file as -o")
        }
        if views.contentView != nil, json || format != .text {
            throw ValidationError("--content-view is for text; add --format text")
        }
        if append, !encryption.encryptTo.isEmpty {
            throw ValidationError("--append cannot be combined with --encrypt-to: an encrypted file cannot be continued")
        }
        if count, output != nil { throw ValidationError("--count prints a number, so it cannot be combined with --output") }
        let isArrow = !json && (format == .arrow || format == nil && table.columns != nil)
        let takesLimit = !json && (format ?? .mflow == .mflow || isArrow && !bodies.onlyMetadata)
        if bodies.limit != nil, !takesLimit || count || quiet || groups.isGiven {
            throw ValidationError(
                "\(bodies.name) is for a flow file (--format mflow)\(bodies.onlyMetadata ? "" : " or --format arrow")")
        }
        if quiet, count || output != nil {
            throw ValidationError("--quiet writes nothing, so it cannot be combined with \(count ? "--count" : "--output")")
        }
        if quiet, table.isGiven || groups.isGiven {
            throw ValidationError("--quiet writes nothing, so it cannot be combined with columns, an order or groups")
        }
        if count || append, groups.isGiven {
            throw ValidationError("--\(count ? "count" : "append") cannot be combined with groups (--group-by, --stats, --bucket)")
        }
        if findings { try checkFindings() }
        if parts.splits != nil { try checkSplits() }
        try explaining.check(writesFlows: !count && !quiet && output?.isStandard ?? true)
    }

    private func checkSplits() throws {
        if count || quiet || findings || append || invert || maxCount != nil || table.isGiven || groups.isGiven || times.isGiven
            || selection.filter != nil || explaining.explain != nil || format ?? .text != .text
        {
            throw ValidationError("--splits prints ranges of files, and can be combined only with --json and --output")
        }
    }

    private func checkFindings() throws {
        let other = count ? "count" : quiet ? "quiet" : append ? "append" : json ? "json" : format != nil ? "format" : nil
        if let other { throw ValidationError("--findings prints JSON Lines of secrets, so it cannot be combined with --\(other)") }
        if table.isGiven || groups.isGiven {
            throw ValidationError(
                "--findings prints JSON Lines of secrets, so it cannot be combined with columns, an order or groups")
        }
        if bodies.limit != nil {
            throw ValidationError("--findings searches all content, so it cannot be combined with \(bodies.name)")
        }
    }

    func work() throws -> ToolStatus {
        let explanation = explaining.explain.map { Explanation(form: $0) }
        let asked = try FilterAndFiles(
            selection, required: arguments, mayBeAbsent: times.isGiven || parts.splits != nil, types: types, secrets: secrets,
            identities: identities)
        if let size = parts.splits { return try printSplits(size, asked) }
        let redaction = try redaction.redaction(settings.confdir, selection.environment(asked.secretRules))
        if invert, asked.filter == nil { throw ToolError("-v inverts an expression; give one") }
        let chosen = try times.limiting(invert ? asked.filter?.inverted : asked.filter, selection.environment)
        let query = try groups.query()
        let format = try table.format(json ? .json : format, otherwise: query != nil ? .text : findings ? .json : .mflow)
        let columns = format.rows == nil || query != nil ? [] : try table.keys(for: format)
        let arrow = query == nil ? try table.arrow(for: format, bodyLimit: bodies.bodyLimit) : nil
        let sources = try parts.limit(asked.sources())
        let file = OutputFile(
            output?.path, format: count ? .text : format, appends: append, encryption: try encryption.encryption())
        if !count, !quiet { try file.check(sources) }
        try losses.check(sources)
        if sources.contains(where: \.isStandardInput) { Signals.leaveInterruptToWriter() }
        let filter = explanation == nil ? chosen! : chosen!.counting()
        let style = text.style(for: output)
        explanation?.prepare(filter, sources)
        let writesAtOnce = !count && !quiet && query == nil && table.sort == nil
        let line = ProgressLine(isQuiet: quiet, besides: writesAtOnce ? output ?? .standard : nil)
        let observer = ReadingObserver("searching", on: line, meter: explanation?.meter ?? ReadingMeter())
        do {
            let result: ReadingResult
            var written: FlowOutput?
            if let query {
                let report = try FlowReport(
                    .groups(query, top: groups.top), format: format, file: file, style: style, redaction: redaction)
                let named = times.describing(invert ? "!(\(asked.expression ?? ""))" : asked.expression)
                result = try print(report, of: sources, where: filter, named: named, observer)
            } else if count || quiet {
                let number = Output.number(file, isPrinted: count && explaining.explain != .json)
                result = try choose(filter, from: sources, into: number, nil, observer)
            } else if findings {
                let rules = asked.secretRules ?? .builtIn
                let names = filter.secretRuleNames
                let scanner = SecretScanner(names.isEmpty ? rules : rules.named(anyOf: names))
                result = try find(FlowSecrets(scanner), in: filter, from: sources, into: file, redaction, observer)
            } else {
                let flows = FlowOutput(
                    file, format: format, columns: columns, arrow: arrow, messages: try messages.options(),
                    foreign: foreign.options(output: output, filter: asked.expression), style: views.style(style),
                    schema: asked.schema, redaction: redaction, limit: format == .arrow ? nil : bodies.limit)
                if let sorter = try table.sorter(limit: maxCount, redaction: redaction, rows: flows.rows) {
                    result = try sort(filter, from: sources, by: sorter, into: flows, observer)
                } else {
                    result = try choose(filter, from: sources, into: .flows(flows), redaction, observer)
                }
                written = flows
            }
            if let redaction, !count, !quiet, !findings { printError(redaction.summary, as: "mitm-filter") }
            try explanation?.print(filter, result, threads: threads, isInterrupted: observer.signal != nil)
            if !quiet, let sentence = UnsearchedContent.sentence { printError(sentence, as: "mitm-filter") }
            return try losses.status(try status(of: result, observer), of: written)
        } catch is ReaderGone {
            return .done
        } catch let error as ArchiveError {
            file.undo()
            throw error
        }
    }

    private func printSplits(_ size: ByteSize, _ asked: FilterAndFiles) throws -> ToolStatus {
        if let expression = asked.expression {
            throw ToolError("--splits prints ranges of whole files, so it takes no expression: \(expression)")
        }
        let sources = try asked.sources()
        let file = OutputFile(output?.path, format: json ? .json : .text)
        try file.check(sources)
        let isDone = try parts.print(sources, size: size, asJSON: json, to: file) { printError($0, as: "mitm-filter") }
        return isDone ? .done : .failed
    }

    /// Where the result goes.
    private enum Output {
        /// The number of matching flows.
        case number(OutputFile, isPrinted: Bool)
        case flows(FlowOutput)
    }

    private var threads: Int { jobs ?? ProcessInfo.processInfo.activeProcessorCount }
    private var writesToStandardOutput: Bool { output?.isStandard ?? true }

    /// A signal ended the reading, so a file of -o stays as it was.
    private func isDropped(_ observer: ReadingObserver) -> Bool {
        observer.signal != nil && !writesToStandardOutput && !append
    }

    private func print(
        _ report: FlowReport, of sources: [ArchiveSource], where choice: FlowFilter, named filter: String?,
        _ observer: ReadingObserver
    ) throws -> ReadingResult {
        let result = try report.print(
            sources, where: choice, filter: filter, jobs: threads, limit: maxCount, isQuiet: false, observer
        ) { printError($0, as: "mitm-filter") }
        if let sentence = result.emptiness { printError(sentence, as: "mitm-filter") }
        return result
    }

    private func sort(
        _ choice: FlowFilter, from sources: [ArchiveSource], by sorter: FlowSorter, into flows: FlowOutput,
        _ observer: ReadingObserver
    ) throws -> ReadingResult {
        let result = try sorter.forEach(
            of: sources, where: choice, jobs: threads, isQuiet: false, observer, begin: { try flows.begin() },
            namedRules: { flows.add(redactionRules: $0) }
        ) {
            printError($0, as: "mitm-filter")
        } _: {
            switch $0 {
            case .flow(let flow): try flows.take(flow, detail: views.detail ?? 1)
            case .row(let row): try flows.take(row: row)
            }
        }
        if !isDropped(observer), let sentence = try flows.finish() { printError(sentence, as: "mitm-filter") }
        return result
    }

    private func status(of result: ReadingResult, _ observer: ReadingObserver) throws -> ToolStatus {
        if quiet, result.matched > 0 { return .done }
        if let signal = observer.signal {
            let file = isDropped(observer) ? "; \(output!) was not written" : ""
            if !quiet { printError("interrupted: only a part of the input was searched\(file)", as: "mitm-filter") }
            throw ExitCode(128 + signal)
        }
        return result.hasFailed ? .failed : result.isDamaged ? .damaged : result.matched > 0 ? .done : .noMatch
    }

    private func choose(
        _ choice: FlowFilter, from sources: [ArchiveSource], into output: Output, _ redaction: RecordingRedaction?,
        _ observer: ReadingObserver
    ) throws -> ReadingResult {
        let limit = quiet ? 1 : maxCount
        let flows: FlowOutput? = if case .flows(let flows) = output { flows } else { nil }
        var sequence = ArchiveSequence(
            sources, where: choice, jobs: threads, delivery: flows?.delivery ?? (limit == nil ? .counted : .flows),
            skipsUnreadable: true, isQuiet: quiet)
        sequence.observer = observer
        sequence.redaction = redaction
        if let flows { sequence.namedRules = { flows.add(redactionRules: $0) } }
        if let flows { sequence.beforeWaiting = { try flows.flush() } }
        var matched = 0
        sequence.record = { flow in
            matched += 1
            try flows?.take(flow)
            return matched < limit ?? .max
        }
        sequence.stored = { flow in
            matched += 1
            try flows?.take(flow)
            return matched < limit ?? .max
        }
        try sequence.forEach(begin: { source, _ in try flows?.begin(source) }, damage: { printError($0, as: "mitm-filter") }) {
            flow in
            matched += 1
            try flows?.take(flow, detail: views.detail ?? 1)
            return matched < limit ?? .max
        }
        matched += sequence.counted
        let isFlows = flows != nil
        if sequence.sourcesRead > 0, !(isFlows && isDropped(observer)) { try finish(output, matched) }
        return ReadingResult(sequence, matched: matched)
    }

    /// Prints the secrets of the flows that match.
    private func find(
        _ secrets: FlowSecrets, in choice: FlowFilter, from sources: [ArchiveSource], into file: OutputFile,
        _ redaction: RecordingRedaction?, _ observer: ReadingObserver
    ) throws -> ReadingResult {
        let output = FindingOutput(file, secrets)
        var sequence = ArchiveSequence(
            sources, where: choice, jobs: threads, delivery: .flows, skipsUnreadable: true, isQuiet: false)
        sequence.observer = observer
        sequence.redaction = redaction
        sequence.beforeWaiting = { try output.flush() }
        var flows = 0
        try sequence.forEach(begin: { _, _ in try output.begin() }, damage: { printError($0, as: "mitm-filter") }) { flow in
            flows += 1
            try output.take(flow)
            return flows < maxCount ?? .max
        }
        if sequence.sourcesRead > 0, !isDropped(observer) { try output.finish() }
        return ReadingResult(sequence, matched: output.count)
    }

    private func finish(_ output: Output, _ matched: Int) throws {
        switch output {
        case .number(let file, let isPrinted):
            guard isPrinted else { return }
            try file.write { out, _ in out.writeString("\(matched)\n") }
            try file.close()
        case .flows(let flows):
            if let sentence = try flows.finish() { printError(sentence, as: "mitm-filter") }
        }
    }
}
