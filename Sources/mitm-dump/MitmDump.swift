// mitm-dump: prints recorded flows.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import Foundation
import Glibc
import NIOCore
import ToolSupport

@main
struct MitmDump: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-dump",
        abstract: "Prints recorded flows.",
        usage: "mitm-dump [options] [<file> …] [<filter>]",
        discussion: """
            Reads flow files, directories of them, or stdin, and prints each flow: a line, its heads, its content, or one JSON object. \
            Files of mitmproxy and GoReplay, HAR and WARC are read too.

            Examples:
              mitm-dump capture.mflow
              mitm-dump --detail 3 capture.mflow '~d example.org & ~c 5xx'
              mitm-dump --format json capture.mflow | jq .request.url
              mitm-dump --format curl capture.mflow '~u /login'
              mitm-dump --summary capture.mflow
              mitm-dump --sort duration:desc -m 10 capture.mflow
              mitm-dump --group-by host,status capture.mflow
              mitm-dump --follow capture.mflow
              mitm-dump --verify captures/

            Flows from a pipe are printed as they arrive, a line for each unless --detail is given.

            The filter is the value of -f, or an argument that contains an operator (~c) and names no existing file, before or after the \
            files. The file of -o receives its name when it is complete; until then, and on an error or a signal, an existing file of that \
            name stays unchanged. A flow file replaces only a flow file, and other formats replace none.

            Ctrl-C ends the work after the flows so far, except for a file of -o, which stays unchanged; a second one ends it at once.

            Exit status: 0 done; 2 an error, or an input could not be read (the others are printed); 3 the input was damaged or torn, \
            and what could be read was printed, or --strict found a loss; 130 interrupted by Ctrl-C.
            """,
        version: versionText(of: "mitm-dump"))

    @OptionGroup
    var selection: FilterArguments

    @OptionGroup
    var times: TimeArguments

    @Option(name: .output, help: ArgumentHelp("Write to a file; - is stdout.", valueName: "file"))
    var output: FilePath?

    @Option(
        help: """
            0 nothing, 1 a line for each flow, 2 heads, 3 content up to 512 lines, 4 everything. (default: 1; 3 for a file with one flow, \
            and with --content-view)
            """
    )
    var detail: DetailLevel?

    @Option(help: "\(OutputFormat.help) (default: text)")
    var format: OutputFormat?

    @Flag(help: "Short for --format json.")
    var json = false

    @Flag(help: "With json: bodies as sent, in base64, instead of decoded.")
    var rawBody = false

    @Flag(
        help: """
            Follow files and directories as they grow (like tail -F), with files that appear later; with text, print WebSocket and TCP \
            messages as they arrive.
            """)
    var follow = false

    @Flag(
        help: """
            Print the file's structure instead of its flows: frames, offsets, sizes; with --json an object for each file (sealed, flows, \
            bytes, earliest, latest).
            """)
    var structure = false

    @Flag(help: "Check every byte of the file instead of printing its flows.")
    var verify = false

    @Flag(
        help: """
            Print a summary instead of the flows: their number, times, hosts, statuses, methods, durations, the slowest and largest ones, \
            errors.
            """)
    var summary = false

    @Option(name: .short("m"), help: ArgumentHelp("Stop after this number of flows.", valueName: "number"))
    var maxCount: Int?

    @Option(
        name: .short("j"),
        help: ArgumentHelp(
            "Threads that read flow files for --summary, --group-by and --sort. (default: one for each core)", valueName: "number"))
    var jobs: Int?

    @Flag(name: .shortAndLong, help: "No notes and warnings: only errors are reported. The exit status tells of damage.")
    var quiet = false

    @OptionGroup(title: "Tables")
    var table: TableArguments

    @OptionGroup(title: "Groups")
    var groups: GroupArguments

    @OptionGroup(title: "Redaction")
    var redaction: RedactionArguments

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

    @Argument(help: "Flow files, directories of them, - for stdin, and the filter.")
    var arguments: [String] = []

    static func main() { launch() }

    func validate() throws {
        try messages.check(json ? .json : format ?? .text)
        try losses.check(json ? .json : format ?? .text, output: output)
        try foreign.check(json ? .json : format ?? .text)
        if summary || follow, groups.isGiven {
            throw ValidationError(
                "--\(summary ? "summary" : "follow") cannot be combined with groups (--group-by, --stats, --bucket)")
        }
        if structure || verify, summary || groups.isGiven || table.isGiven || maxCount != nil {
            throw ValidationError(
                "--\(verify ? "verify" : "structure") describes the file, so it cannot be combined with options for flows")
        }
        if follow, let format, format.hasEnd {
            throw ValidationError("--format \(format) writes one file with an end, which --follow does not reach")
        }
    }

    func work() throws -> ToolStatus {
        let asked = try FilterAndFiles(selection, arguments: arguments, types: types, secrets: secrets, identities: identities)
        do {
            if structure || verify { return try describe(asked) }
            let status: ToolStatus
            if let filter = try times.limiting(asked.filter, selection.environment) {
                status = try print(asked, where: filter, named: times.describing(asked.expression))
            } else {
                status = try print(asked, where: EveryFlow(), named: nil)
            }
            if let sentence = UnsearchedContent.sentence { warn(sentence) }
            return status
        } catch is ReaderGone {
            return .done
        }
    }

    private func fail(_ text: String) { printError(text, as: "mitm-dump") }

    private func warn(_ text: String) {
        if !quiet { fail(text) }
    }

    private var threads: Int { jobs ?? ProcessInfo.processInfo.activeProcessorCount }

    private func print(_ asked: FilterAndFiles, where predicate: some FlowPredicate, named filter: String?) throws -> ToolStatus {
        let query = try groups.query()
        let format = try table.format(json ? .json : format, otherwise: .text)
        let sources = try asked.sources()
        let file = OutputFile(output?.path, format: format, encryption: try encryption.encryption())
        try file.check(sources)
        try losses.check(sources)
        let redaction = try redaction.redaction(settings.confdir, selection.environment(asked.secretRules))
        guard summary || query != nil else {
            let status = try printFlows(sources, asked, where: predicate, format, file, redaction)
            if let redaction { warn(redaction.summary) }
            return status
        }
        let question = query.map { FlowReport.Question.groups($0, top: groups.top) } ?? .summary
        let report = try FlowReport(question, format: format, file: file, style: text.style(for: output), redaction: redaction)
        if sources.contains(where: \.isStandardInput) { Signals.leaveInterruptToWriter() }
        let observer = ReadingObserver("reading", on: ProgressLine(isQuiet: quiet))
        let result = try report.print(
            sources, where: predicate, filter: filter, jobs: threads, limit: maxCount, isQuiet: quiet, observer, report: fail)
        if let sentence = result.emptiness { warn(sentence) }
        if let redaction { warn(redaction.summary) }
        try endInterrupted(observer)
        return result.hasFailed ? .failed : result.isDamaged ? .damaged : .done
    }

    // MARK: Flows

    private func printFlows(
        _ sources: [ArchiveSource], _ asked: FilterAndFiles, where predicate: some FlowPredicate, _ format: OutputFormat,
        _ file: OutputFile, _ redaction: RecordingRedaction?
    ) throws -> ToolStatus {
        let columns = format.rows == nil ? [] : try table.keys(for: format)
        let isLive = follow || sources.contains { $0.isLive }
        var printer = Printer(
            FlowOutput(
                file, format: format, rawBody: rawBody, columns: columns, arrow: try table.arrow(for: format),
                messages: try messages.options(), foreign: foreign.options(output: output, filter: asked.expression),
                style: views.style(text.style(for: output)), schema: asked.schema,
                redaction: redaction),
            detail: format == .text ? detail?.rawValue ?? views.detail ?? (isLive ? 1 : nil) : 1,
            follows: follow && format == .text,
            limit: maxCount)
        let sorter = try table.sorter(limit: maxCount, redaction: redaction, rows: printer.output.rows)
        if follow, sources.map(\.place) != [.standardInput] {
            return try followFiles(asked, where: predicate, redaction, &printer)
        }
        if sources.contains(where: \.isStandardInput) { Signals.leaveInterruptToWriter() }
        let isSorted = sorter != nil
        let observer = ReadingObserver(
            "reading", on: ProgressLine(isQuiet: quiet, besides: isSorted ? nil : output ?? .standard))
        if let sorter {
            let result = try sorter.forEach(
                of: sources, where: predicate, jobs: threads, isQuiet: quiet, observer, begin: { try printer.output.begin() },
                namedRules: { [output = printer.output] in output.add(redactionRules: $0) }, report: fail
            ) {
                switch $0 {
                case .flow(let flow): _ = try printer.print(flow)
                case .row(let row): try printer.output.take(row: row)
                }
            }
            if !isDropped(observer), let sentence = try printer.finish() { warn(sentence) }
            try endInterrupted(observer)
            return try losses.status(
                result.hasFailed ? .failed : result.isDamaged ? .damaged : .done, of: printer.output)
        }
        var sequence = ArchiveSequence(
            sources, where: predicate, delivery: printer.output.delivery, skipsUnreadable: true, isQuiet: quiet)
        sequence.observer = observer
        sequence.redaction = redaction
        sequence.namedRules = { [output = printer.output] in output.add(redactionRules: $0) }
        sequence.beforeWaiting = { try printer.output.flush() }
        if follow { sequence.news = { try printer.printNews($0, where: predicate) } }
        sequence.record = { try printer.take($0) }
        sequence.stored = { try printer.take($0) }
        try sequence.forEach(begin: { source, _ in try printer.output.begin(source) }, damage: fail) { try printer.print($0) }
        if sequence.sourcesRead > 0, !isDropped(observer), let sentence = try printer.finish() { warn(sentence) }
        try endInterrupted(observer)
        return try losses.status(
            sequence.hasFailed ? .failed : sequence.isDamaged ? .damaged : .done, of: printer.output)
    }

    /// Prints existing flows, then new ones; WebSocket and TCP messages while their flows are open. Ends with a signal, or with the last pipe
    /// if there are only pipes.
    private func followFiles(
        _ asked: FilterAndFiles, where predicate: some FlowPredicate, _ redaction: RecordingRedaction?, _ printer: inout Printer
    ) throws -> ToolStatus {
        let ending = [SIGINT, SIGTERM]
        Signals.block(ending)
        var followed = FollowedFiles(asked.files, asked.keys, where: predicate, redaction, warn: warn, fail: fail)
        try followed.find()
        guard followed.isPromising else { return .failed }
        try printer.output.begin()
        var isInterrupted = false
        while followed.isPromising, !isInterrupted || followed.hasOpenPipe {
            try followed.printNew(&printer)
            try printer.output.flush()
            if printer.isFull { break }
            switch Signals.wait(for: ending, seconds: 0.1) {
            // The keys of a terminal reach the writer of a pipe too: its last output is still read.
            case SIGINT where followed.hasOpenPipe && !isInterrupted: isInterrupted = true
            case .some: return try end(followed, &printer)
            case nil: try followed.find()
            }
        }
        return try end(followed, &printer)
    }

    private func end(_ followed: FollowedFiles<some FlowPredicate>, _ printer: inout Printer) throws -> ToolStatus {
        if let sentence = try printer.finish() { warn(sentence) }
        return try losses.status(followed.hasFailed ? .failed : .done, of: printer.output)
    }

    /// A signal ended the reading, so a file of -o stays as it was.
    private func isDropped(_ observer: ReadingObserver) -> Bool { observer.signal != nil && output?.isStandard == false }

    /// - Throws: the exit status, if a signal ended the reading.
    private func endInterrupted(_ observer: ReadingObserver) throws {
        guard let signal = observer.signal else { return }
        warn("interrupted: only a part of the input was read" + (isDropped(observer) ? "; \(output!) was not written" : ""))
        throw ExitCode(128 + signal)
    }

    // MARK: Structure

    private func describe(_ asked: FilterAndFiles) throws -> ToolStatus {
        if asked.filter != nil || times.isGiven {
            let other = asked.filter == nil ? "--since and --until" : "a filter"
            throw ToolError("--\(verify ? "verify" : "structure") describes the file, so it cannot be combined with \(other)")
        }
        let sources = try asked.sources()
        let file = OutputFile(output?.path, format: .text, encryption: try encryption.encryption())
        try file.check(sources)
        var isDamaged = false
        var hasFailed = false
        let line = ProgressLine(isQuiet: quiet, besides: structure ? output ?? .standard : nil)
        let observer = ReadingObserver(verify ? "verifying" : "reading", on: line)
        observer.begin(sources)
        var flows: UInt64 = 0
        for source in sources {
            do {
                observer.begin(source)
                let walk = try walk(source, file) { observer.mayContinue(at: $0.offset, flows: flows + $0.flows) }
                flows += walk.flows
                guard observer.signal == nil else { break }
                for damage in walk.damage { warn("\(source.name): \(damage)") }
                isDamaged = isDamaged || !walk.damage.isEmpty
                if summarisesStructure { try write(walk.summary, of: source, to: file) }
                guard verify, !summarisesStructure else { continue }
                let verdict = walk.damage.isEmpty ? "verified" : "damaged"
                let counts = "\(counted(walk.blocks, "block")), \(counted(Int(walk.flows), "flow"))"
                try file.write { out, _ in out.writeBytes(FileName.bytes("\(source.name): \(counts): \(verdict)\n")) }
            } catch let error as ArchiveError {
                hasFailed = true
                fail("\(error)")
            }
        }
        observer.end()
        if !isDropped(observer) { try file.close() }
        try endInterrupted(observer)
        return hasFailed ? .failed : isDamaged ? .damaged : .done
    }

    /// - Parameter proceed: called before each frame; returns false to end.
    private func walk(
        _ source: ArchiveSource, _ file: OutputFile, _ proceed: (ArchiveStructure) -> Bool
    ) throws -> ArchiveStructure {
        var walk = try source.structure(verifies: verify, counts: summarisesStructure)
        while proceed(walk), let line = try walk.next() {
            guard structure, !summarisesStructure else { continue }
            try file.write { out, _ in out.writeString("\(line.offset)\t\(line.text)\n") }
        }
        return walk
    }

    private var summarisesStructure: Bool { structure && json }

    private func write(_ summary: ArchiveSummary, of source: ArchiveSource, to file: OutputFile) throws {
        try file.write { out, _ in
            var object = JSONWriter()
            object.beginObject()
            object.key("file")
            object.string(source.name)
            object.key("sealed")
            object.bool(summary.isSealed)
            object.key("flows")
            object.number(summary.flows)
            object.key("bytes")
            object.number(summary.bytes)
            if let times = summary.times {
                object.key("earliest")
                object.time(times.lowerBound)
                object.key("latest")
                object.time(times.upperBound)
            }
            object.endObject()
            object.write(into: &out)
            out.writeString("\n")
        }
    }

    private func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
