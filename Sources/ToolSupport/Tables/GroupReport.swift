// Results of flows as a tool prints them, groups and summaries: reads the sources on all threads, and writes the result in its format.

import FlowArchive
import FlowModel
import FlowPrinter
import FlowTable
import NIOCore

/// How reading ended.
package struct ReadingResult {
    /// Flows that matched.
    package var matched: Int
    package var isDamaged: Bool
    package var hasFailed: Bool
    /// Why there is no result, in one sentence; nil when there is one.
    package var emptiness: String?

    package init(_ sequence: ArchiveSequence<some FlowPredicate>, matched: Int) {
        self.matched = matched
        isDamaged = sequence.isDamaged
        hasFailed = sequence.hasFailed
    }
}

/// Reads flows and prints what is computed of them.
package struct FlowReport {
    /// What is computed.
    package enum Question {
        case groups(GroupQuery, top: Int?)
        case summary
    }

    private let question: Question
    private let format: OutputFormat
    private let file: OutputFile
    private let style: TextStyle
    private let redaction: RecordingRedaction?

    /// - Parameters:
    ///   - format: text or json; for groups also csv or fields.
    ///   - redaction: changes the flows before they are counted.
    /// - Throws: ``ToolError`` for another format.
    package init(
        _ question: Question, format: OutputFormat, file: OutputFile, style: TextStyle, redaction: RecordingRedaction? = nil
    ) throws(ToolError) {
        switch question {
        case .groups:
            guard format == .text || format == .json || format.rows != nil else {
                throw ToolError("groups are printed as text, json, csv or fields; the format \(format) is one of flows")
            }
        case .summary:
            guard format == .text || format == .json else {
                throw ToolError("a summary is printed as text or json; the format \(format) is one of flows")
            }
        }
        self.question = question
        self.format = format
        self.file = file
        self.style = style
        self.redaction = redaction
    }

    /// Reads the sources and prints the result.
    /// - Parameters:
    ///   - filter: what limits the flows, for messages (``TimeArguments/describing(_:)``); nil if nothing does.
    ///   - limit: of the flows; nil is all.
    ///   - observer: follows the reading.
    ///   - report: receives sentences about damage and sources that cannot be read.
    package func print(
        _ sources: [ArchiveSource], where predicate: some FlowPredicate, filter: String?, jobs: Int, limit: Int?, isQuiet: Bool,
        _ observer: ReadingObserver, report: (String) -> Void
    ) throws -> ReadingResult {
        func read<Result>(_ collection: FlowCollection<Result>, write: (Result) throws -> Void) throws -> ReadingResult {
            var result =
                if limit != nil || redaction != nil {
                    // Flows that are evaluated where they are stored cannot be changed before.
                    try collect(
                        sources, where: predicate, into: collection, limit: limit ?? .max, isQuiet: isQuiet, observer,
                        report: report)
                } else {
                    try collect(sources, where: predicate, into: collection, jobs: jobs, isQuiet: isQuiet, observer, report: report)
                }
            if result.matched == 0, !result.hasFailed {
                result.emptiness = emptiness(filter, hasFlows: collection.hasSeenFlows, isDamaged: result.isDamaged)
            }
            // A file stays as it was when a signal has ended the reading.
            if observer.signal == nil || file.isStandardOutput { try write(collection.result) }
            return result
        }
        switch question {
        case .groups(let query, let top):
            return try read(FlowCollection(FlowGroups(query))) { try write($0.rows(top: top)) }
        case .summary:
            return try read(FlowCollection(FlowSummary())) { try write($0) }
        }
    }

    private func emptiness(_ filter: String?, hasFlows: Bool, isDamaged: Bool) -> String {
        if !hasFlows { return isDamaged ? "no flow could be read, because the input is damaged" : "the input has no flows" }
        return filter.map { "the input has flows, and \($0) matches none of them" }
            ?? "no flow of the input could be read"
    }

    /// Flows are added where they are found, on all threads.
    private func collect<Result>(
        _ sources: [ArchiveSource], where predicate: some FlowPredicate, into collection: FlowCollection<Result>, jobs: Int,
        isQuiet: Bool, _ observer: ReadingObserver, report: (String) -> Void
    ) throws -> ReadingResult {
        var sequence = ArchiveSequence(
            sources, where: CollectingPredicate(predicate, into: collection), jobs: jobs, delivery: .counted, skipsUnreadable: true,
            isQuiet: isQuiet)
        sequence.observer = observer
        var others = 0
        try sequence.forEach(begin: { _, _ in try file.open() }, damage: report) { _ in
            others += 1
            return true
        }
        return ReadingResult(sequence, matched: sequence.counted + others)
    }

    /// The first flows are added, in their order.
    private func collect<Result>(
        _ sources: [ArchiveSource], where predicate: some FlowPredicate, into collection: FlowCollection<Result>, limit: Int,
        isQuiet: Bool, _ observer: ReadingObserver, report: (String) -> Void
    ) throws -> ReadingResult {
        var sequence = ArchiveSequence(
            sources, where: NotingPredicate(predicate, in: collection), skipsUnreadable: true, isQuiet: isQuiet)
        sequence.observer = observer
        sequence.redaction = redaction
        var matched = 0
        try sequence.forEach(begin: { _, _ in try file.open() }, damage: report) { flow in
            collection.add(flow)
            matched += 1
            return matched < limit
        }
        return ReadingResult(sequence, matched: matched)
    }

    // MARK: Writing

    private func write(_ rows: GroupRows) throws {
        try file.write { out, _ in
            if let rowFormat = format.rows {
                rows.write(rowFormat, isForTerminal: file.isTerminal, into: &out)
            } else if format == .json {
                rows.writeJSON(into: &out)
            } else if !rows.rows.isEmpty {
                rows.writeText(palette: style.palette, columns: style.columns(), into: &out)
            }
        }
        try file.close()
    }

    private func write(_ summary: FlowSummary) throws {
        try file.write { out, _ in
            if format == .json {
                summary.writeJSON(into: &out)
            } else if summary.flows > 0 {
                summary.writeText(palette: style.palette, columns: style.columns() ?? 80, into: &out)
            }
        }
        try file.close()
    }
}
