// What a tool follows of its reading: what it costs, how far it is, and signals that end it.

import FlowArchive

/// Follows the reading of sources: shows progress, and lets a signal end it with what was found so far. Used by one thread.
package final class ReadingObserver {
    /// Receives what reading costs.
    package let meter: ReadingMeter
    /// The signal that ended the reading; nil without one.
    package private(set) var signal: Int32?
    private let line: ProgressLine
    private let work: String
    private var progress: ReadingProgress?
    private var nextSignal: (() -> Int32?)?

    /// - Parameters:
    ///   - work: what is done, such as "reading".
    ///   - nextSignal: a signal that was received, for a tool that has blocked signals itself. Otherwise SIGINT and SIGTERM end the reading,
    ///     unless a source is a pipe: it may be waited for, and its writer receives the keys of the terminal too
    ///     (``Signals/leaveInterruptToWriter()``).
    package init(
        _ work: String, on line: ProgressLine, meter: ReadingMeter = ReadingMeter(), nextSignal: (() -> Int32?)? = nil
    ) {
        self.work = work
        self.line = line
        self.meter = meter
        self.nextSignal = nextSignal
    }

    /// All sources, before the first of them is read.
    package func begin(_ sources: [ArchiveSource]) {
        if line.isShown { progress = ReadingProgress(sources, work, on: line) }
        guard nextSignal == nil, !sources.contains(where: \.isLive) else { return }
        let interruption = Interruption()
        nextSignal = { interruption.signal }
    }

    /// A source is read from now on.
    package func begin(_ source: ArchiveSource) { progress?.begin(source) }

    /// Called before each block, or each flow of another program's file.
    /// - Parameters:
    ///   - offset: bytes of the current source that were read.
    ///   - flows: flows that were read of all sources; nil are those that the meter has counted.
    /// - Returns: false to end the reading.
    package func mayContinue(at offset: UInt64, flows: UInt64? = nil) -> Bool {
        if let progress { progress.update(offset: offset, flows: flows ?? meter.statistics.records) }
        if signal == nil { signal = nextSignal?() }
        return signal == nil
    }

    /// Everything was read, or the reading was ended.
    package func end() { ProgressLine.clear() }
}
