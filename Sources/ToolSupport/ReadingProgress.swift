// How far a tool has read its inputs: shown on a terminal once reading has taken a second.

import FlowArchive
import FlowModel
import FlowPrinter

/// Numbers of the progress of reading, and their text.
package struct ReadingState: Sendable, Equatable {
    /// Bytes that were read or skipped, and the size of all inputs; nil if one of them is a pipe.
    package var bytes: UInt64
    package var size: UInt64?
    package var flows: UInt64
    /// Nanoseconds since reading began.
    package var elapsed: Int64

    package init(bytes: UInt64, size: UInt64?, flows: UInt64, elapsed: Int64) {
        (self.bytes, self.size, self.flows, self.elapsed) = (bytes, size, flows, elapsed)
    }

    /// Nanoseconds that are left by the rate so far; nil if unknown. The first percent is too coarse to tell.
    package var left: Int64? {
        guard let size, bytes > 0, bytes >= size / 100 else { return nil }
        guard bytes < size else { return 0 }
        let left = Double(elapsed) / Double(bytes) * Double(size - bytes)
        return left < 9e18 ? Int64(left) : nil
    }

    /// `reading: 412.0 MiB of 1.2 GiB`, `8 s left`, `34,000 flows`, `98.2 MiB/s`, the most important first.
    package func parts(_ work: String) -> [String] {
        var parts = ["\(work): \(readableSize(bytes))" + (size.map { " of \(readableSize($0))" } ?? "")]
        if let left { parts.append("\(roundedDuration(left)) left") }
        if flows > 0 { parts.append("\(groupedDigits(flows)) flows") }
        if elapsed > 0 { parts.append("\(readableSize(UInt64(Double(bytes) * 1e9 / Double(elapsed))))/s") }
        return parts
    }
}

/// Shows how much of the inputs has been read. Used by one thread.
package final class ReadingProgress {
    /// Nanoseconds until progress is shown, and between two updates.
    private static let delay: Int64 = 1_000_000_000
    private static let interval: Int64 = 100_000_000

    private let line: ProgressLine
    private let work: String
    private let start = monotonicNanoseconds()
    private var shown: Int64
    private var state: ReadingState
    /// The sizes of the inputs before the current one, and of it.
    private var before: UInt64 = 0
    private var current: UInt64 = 0

    /// - Parameters:
    ///   - sources: all inputs, in the order in which they are read.
    ///   - work: what is done, such as "reading".
    package init(_ sources: [ArchiveSource], _ work: String, on line: ProgressLine) {
        self.line = line
        self.work = work
        let sizes = line.isShown ? sources.map(\.size) : []
        shown = start + Self.delay - Self.interval
        state = ReadingState(bytes: 0, size: sizes.contains(nil) ? nil : sizes.reduce(0) { $0 + ($1 ?? 0) }, flows: 0, elapsed: 0)
    }

    /// The next input is read from now on.
    package func begin(_ source: ArchiveSource) {
        guard line.isShown else { return }
        before += current
        current = source.size ?? 0
    }

    /// - Parameters:
    ///   - offset: bytes of the current input that were read.
    ///   - flows: flows that were read of all inputs.
    package func update(offset: UInt64, flows: UInt64) {
        guard line.isShown else { return }
        let now = monotonicNanoseconds()
        guard now - shown >= Self.interval else { return }
        shown = now
        state.bytes = before + offset
        state.flows = flows
        state.elapsed = now - start
        line.show(state.parts(work))
    }
}
