// --explain: gathers the estimate before the query and the facts after it.

import FlowArchive
import FlowFilter
import ToolSupport

/// The explanation of one query. Used by one thread.
final class Explanation {
    private let form: ExplainArguments.Form
    let meter = ReadingMeter(clock: monotonicNanoseconds)
    private let start = monotonicNanoseconds()
    private var prepared: Int64 = 0
    private var estimate: QueryEstimate?
    private var sources: [ArchiveSource] = []

    init(form: ExplainArguments.Form) { self.form = form }

    /// Estimates what the query will read. Called before the inputs are opened.
    func prepare(_ filter: FlowFilter, _ sources: [ArchiveSource]) {
        self.sources = sources
        estimate = Self.estimate(filter.notCounting, sources)
        prepared = monotonicNanoseconds() - start
    }

    /// - Returns: nil if an input has no index, or cannot be read, which reading it reports.
    private static func estimate(_ filter: FlowFilter, _ sources: [ArchiveSource]) -> QueryEstimate? {
        var estimate = QueryEstimate()
        for source in sources {
            guard source.path != nil, (try? estimate.add(source.input(), where: filter, in: source.range)) == true else {
                return nil
            }
        }
        return estimate
    }

    /// - Throws: if it cannot be written.
    func print(_ filter: FlowFilter, _ result: ReadingResult, threads: Int, isInterrupted: Bool) throws {
        let sizes = sources.map(\.size)
        // Of a limited or sorted result the expression may have matched more flows than were printed.
        let found = filter.explanation(empty: emptyBlockSummary())
        var explanation = QueryExplanation(
            filter: found, reading: meter.statistics, estimate: estimate, inputs: sources.count,
            size: sizes.contains(nil) ? nil : sizes.reduce(0) { $0 + ($1 ?? 0) }, matched: Int(found.matched), threads: threads,
            prepared: prepared, elapsed: monotonicNanoseconds() - start)
        explanation.isDamaged = result.isDamaged
        explanation.isInterrupted = isInterrupted
        switch form {
        case .text: writeToStandardError(explanation.text)
        case .json:
            var sink = OutputSink()
            try sink.write { explanation.write(into: &$0) }
            try sink.flush()
        }
    }
}
