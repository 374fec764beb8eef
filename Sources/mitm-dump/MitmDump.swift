// mitm-dump: prints recorded flows.

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
struct MitmDump: Tool {
    static let configuration = CommandConfiguration(
        commandName: "mitm-dump",
        abstract: "Prints recorded flows.",
        discussion: """
            Reads flow files, directories of them, or stdin, and prints each flow: a line, its heads, its content, or one JSON object. \
            mitmproxy's flow files and HAR files are read too.

            Examples:
              mitm-dump capture.mflow
              mitm-dump --detail 3 --filter '~d example.org & ~c 5xx' capture.mflow
              mitm-dump --format json capture.mflow | jq .request.url
              mitm-dump --follow capture.mflow
              mitm-dump --verify captures/

            Flows from a pipe are printed as they arrive, a line for each unless --detail is given.

            Exit status: 0 done; 2 an error, or an input could not be read (the others are printed); 3 the input was damaged or torn, \
            and what could be read was printed.
            """,
        version: versionText(of: "mitm-dump"))

    enum Format: ExpressibleByArgument, CaseIterable, Equatable, CustomStringConvertible {
        case text
        case json
        /// A format of another program that is text.
        case foreign(ForeignFormat)

        static let allCases: [Format] = [.text, .json] + ForeignFormat.allCases.filter(\.isText).map { .foreign($0) }

        init?(argument: String) {
            guard let format = Self.allCases.first(where: { $0.description == argument }) else { return nil }
            self = format
        }

        var description: String {
            switch self {
            case .text: "text"
            case .json: "json"
            case .foreign(let format): format.rawValue
            }
        }
    }

    @OptionGroup
    var selection: FilterArguments

    @Option(
        help: """
            0 nothing, 1 a line for each flow, 2 heads, 3 content up to 512 lines, 4 everything. (default: 1; 3 for a file with one flow)
            """
    )
    var detail: DetailLevel?

    @Option(help: "text, json (a line with a JSON object for each flow) or har (one HAR 1.2 archive).")
    var format = Format.text

    @Flag(help: "With json: bodies as sent, in base64, instead of decoded.")
    var rawBody = false

    @Flag(
        help:
            "Follow files and directories as they grow (like tail -f); with text, print WebSocket and TCP messages as they arrive.")
    var follow = false

    @Flag(help: "Print the file's structure instead of its flows: frames, offsets, sizes.")
    var structure = false

    @Flag(help: "Check every byte of the file instead of printing its flows.")
    var verify = false

    @OptionGroup
    var colours: ColorArguments

    @OptionGroup(title: "Configuration")
    var settings: ConfigurationArguments

    @Argument(help: "Flow files, directories of them, - for stdin.")
    var files: [FilePath] = []

    static func main() { launch() }

    func validate() throws {
        if follow, files.count > 1, files.contains(where: \.isStandard) {
            throw ValidationError("--follow takes files, or standard input alone")
        }
        if follow, case .foreign(let format) = format, format.hasEnd {
            throw ValidationError("--format \(format.rawValue) writes one file with an end, which --follow does not reach")
        }
    }

    func work() throws -> ToolStatus {
        do {
            if structure || verify { return try describe() }
            if let filter = selection.filter { return try printFlows(where: try FlowFilter(filter)) }
            return try printFlows(where: EveryFlow())
        } catch is ReaderGone {
            return .done
        }
    }

    private func warn(_ text: String) { printError(text, as: "mitm-dump") }

    // MARK: Flows

    private func printFlows(where predicate: some FlowPredicate) throws -> ToolStatus {
        let sources = try archiveSources(files)
        try refuseInput(asOutput: nil, sources)
        let isLive = sources.contains { $0.isLive }
        var printer = Printer(
            detail: detail?.rawValue ?? (isLive ? 1 : nil), format: format, rawBody: rawBody, isColoured: colours.isColoured(),
            warn: warn)
        if follow, sources != [.standardInput] { return try followFiles(where: predicate, &printer) }
        if sources.contains(.standardInput) { Signals.leaveInterruptToWriter() }
        printer.follows = follow
        var sequence = ArchiveSequence(sources, where: predicate, skipsUnreadable: true)
        sequence.beforeWaiting = { try printer.flush() }
        if follow { sequence.news = { try printer.printNews($0, where: predicate) } }
        try sequence.forEach(damage: warn) { flow in
            try printer.print(flow)
            return true
        }
        if sequence.sourcesRead > 0 { try printer.finish() }
        return sequence.hasFailed ? .failed : sequence.isDamaged || printer.isDamaged ? .damaged : .done
    }

    /// Prints existing flows, then new ones; WebSocket and TCP messages while their flows are open. Ends with a signal.
    private func followFiles(where predicate: some FlowPredicate, _ printer: inout Printer) throws -> ToolStatus {
        printer.follows = true
        let ending = [SIGINT, SIGTERM]
        Signals.block(ending)
        var followed = FollowedFiles(files, where: predicate, warn: warn)
        try followed.find()
        guard followed.isAnyOpen || files.contains(where: { isDirectory($0.path) }) else { return .failed }
        while true {
            try followed.printNew(&printer)
            try printer.flush()
            if Signals.wait(for: ending, seconds: 0.1) != nil { return followed.hasFailed ? .failed : .done }
            try followed.find()
        }
    }

    // MARK: Structure

    private func describe() throws -> ToolStatus {
        var sink = OutputSink()
        var isDamaged = false
        var hasFailed = false
        for source in try archiveSources(files) {
            do {
                let walk = try walk(source, &sink)
                for damage in walk.damage { warn("\(source.name): \(damage)") }
                isDamaged = isDamaged || !walk.damage.isEmpty
                guard verify else { continue }
                let verdict = walk.damage.isEmpty ? "verified" : "damaged"
                let counts = "\(counted(walk.blocks, "block")), \(counted(Int(walk.flows), "flow"))"
                try sink.write { $0.writeBytes(FileName.bytes("\(source.name): \(counts): \(verdict)\n")) }
            } catch let error as ArchiveError {
                hasFailed = true
                warn("\(error)")
            }
        }
        try sink.flush()
        return hasFailed ? .failed : isDamaged ? .damaged : .done
    }

    private func walk(_ source: ArchiveSource, _ sink: inout OutputSink) throws -> ArchiveStructure {
        var walk = try source.structure(verifies: verify)
        while let line = try walk.next() {
            guard structure else { continue }
            try sink.write { $0.writeString("\(line.offset)\t\(line.text)\n") }
        }
        return walk
    }

    private func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
