// How a query was answered, as text and as JSON: the output of --explain.

import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import Foundation
import NIOCore

/// The facts of one query.
package struct QueryExplanation: Sendable {
    package var filter: FilterExplanation
    package var reading: ReadingStatistics
    /// What the indexes of the files promise; nil when an input has none.
    package var estimate: QueryEstimate?
    package var inputs: Int
    /// Bytes of the inputs; nil with a pipe.
    package var size: UInt64?
    package var matched: Int
    package var threads: Int
    /// Nanoseconds from the start of the tool's work until the first input was opened, and until the end.
    package var prepared: Int64
    package var elapsed: Int64
    package var isDamaged = false
    /// A signal ended the search.
    package var isInterrupted = false

    package init(
        filter: FilterExplanation, reading: ReadingStatistics, estimate: QueryEstimate?, inputs: Int, size: UInt64?, matched: Int,
        threads: Int, prepared: Int64, elapsed: Int64
    ) {
        (self.filter, self.reading, self.estimate, self.inputs, self.size) = (filter, reading, estimate, inputs, size)
        (self.matched, self.threads, self.prepared, self.elapsed) = (matched, threads, prepared, elapsed)
    }

    private var blocks: UInt64 { reading.blocksRead + reading.blocksSkipped }
    private var planning: Int64 { prepared + reading.planning }

    // MARK: An empty answer

    /// What left the answer without a flow: the expression, the inputs, damage, a signal. nil when a flow matched.
    package var emptiedBy: String? {
        guard matched == 0 else { return nil }
        var reasons: [String] = []
        if filter.flows == 0, blocks == 0 {
            reasons.append("the input has no flows")
        } else if let emptied = filter.emptiedBy {
            reasons.append("none of \(counted(emptied.tested, "flow")) matches \(emptied.text)")
        }
        if let skipped = filter.skipped.first, reading.blocksSkipped > 0 {
            let which = reading.blocksSkipped == blocks ? "all \(groupedDigits(blocks))" : groupedDigits(reading.blocksSkipped)
            let parts = filter.skipped.count == 1 ? skipped.text : "parts of the expression, most often \(skipped.text)"
            reasons.append("\(which) blocks have no flow for \(parts), by their summaries")
        }
        if isDamaged { reasons.append("damaged parts of the input could not be searched") }
        if isInterrupted { reasons.append("the search was interrupted") }
        return reasons.isEmpty ? "no flow matches" : reasons.joined(separator: "; ")
    }

    // MARK: Text

    /// Lines, with their ends.
    package var text: String {
        var lines = [("filter", filter.expression)]
        for (index, term) in filter.terms.enumerated() {
            lines.append((index == 0 ? "order" : "", "\(index + 1). \(text(of: term))"))
        }
        if let estimate { lines.append(("estimate", text(of: estimate))) }
        lines.append(("blocks", blocksText))
        lines.append(("bytes", "\(readableSize(reading.bytesRead))\(size.map { " of \(readableSize($0))" } ?? "") read"))
        let more = filter.neededMore > 0 ? ", \(groupedDigits(filter.neededMore)) needed more than their records" : ""
        lines.append(("flows", "\(groupedDigits(filter.flows)) tested\(more), \(groupedDigits(matched)) matched"))
        if let content = contentText { lines.append(("content", content)) }
        lines.append(("time", timeText))
        if isInterrupted {
            lines.append(("note", "the search was interrupted: the numbers are those of the part that was searched"))
        }
        if let emptiedBy { lines.append(("empty", emptiedBy)) }
        return lines.map { "\($0.0.padding(toLength: 9, withPad: " ", startingAt: 0)) \($0.1)\n" }.joined()
    }

    private func text(of term: FilterExplanation.Term) -> String {
        let means = Self.means(term).joined(separator: ", then ")
        return "\(term.text): \(means); matched \(groupedDigits(term.matched)) of \(counted(term.evaluated, "flow"))"
    }

    private static func means(_ term: FilterExplanation.Term) -> [String] {
        let place =
            switch term.access {
            case .record: "records"
            case .heads: "heads"
            case .content: "content"
            }
        return (term.skipsBlocks ? ["summaries of blocks"] : []) + [place]
    }

    private func text(of estimate: QueryEstimate) -> String {
        "\(groupedDigits(estimate.blocks)) of \(counted(estimate.allBlocks, "block")), with \(groupedDigits(estimate.flows)) of "
            + "\(counted(estimate.allFlows, "flow")) and \(readableSize(estimate.content)) of \(readableSize(estimate.allContent)) of content"
    }

    private var blocksText: String {
        var parts = ["\(groupedDigits(reading.blocksRead)) read"]
        parts += filter.skipped.map { "\(groupedDigits($0.blocks)) skipped by \($0.text)" }
        let known = filter.skipped.reduce(0) { $0 + $1.blocks }
        if reading.blocksSkipped > known { parts.append("\(groupedDigits(reading.blocksSkipped - known)) skipped") }
        return "\(groupedDigits(blocks)) in \(counted(UInt64(inputs), "input")): \(parts.joined(separator: ", "))"
    }

    private var contentText: String? {
        guard reading.contentChunks.count > 0 || filter.neededContent > 0 else { return nil }
        var text = "\(readableSize(reading.contentChunks.bytes)) of \(readableSize(reading.contentSize)) decompressed"
        if filter.neededContent > 0 { text += " for \(counted(filter.neededContent, "flow"))" }
        if filter.undecodedBodies > 0 {
            text += "; \(counted(filter.undecodedBodies, "body", "bodies")) could not be decoded, searched as sent"
        }
        return text
    }

    private var timeText: String {
        let phases = [
            ("plan", planning), ("read", reading.reading), ("decompress", reading.decompressing), ("search", reading.searching),
        ]
        let text = phases.map { "\($0.0) \(readableDuration($0.1))" }.joined(separator: ", ")
        return "\(readableDuration(elapsed)) with \(counted(UInt64(threads), "thread")): \(text)"
    }

    private func counted(_ number: UInt64, _ noun: String, _ plural: String? = nil) -> String {
        "\(groupedDigits(number)) \(number == 1 ? noun : plural ?? noun + "s")"
    }
}

// MARK: JSON

extension QueryExplanation {
    /// Writes one object and the end of its line.
    package func write(into bytes: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        json.key("filter")
        json.string(filter.expression)
        writeOrder(&json)
        if let estimate { write(estimate, &json) }
        writeFacts(&json)
        writeTimes(&json)
        json.key("damaged")
        json.bool(isDamaged)
        json.key("interrupted")
        json.bool(isInterrupted)
        if let emptiedBy {
            json.key("empty_because")
            json.string(emptiedBy)
        }
        json.endObject()
        json.write(into: &bytes)
        bytes.writeStaticString("\n")
    }

    private func writeOrder(_ json: inout JSONWriter) {
        json.key("order")
        json.beginArray()
        for term in filter.terms {
            json.beginObject()
            json.key("term")
            json.string(term.text)
            json.key("summaries")
            json.bool(term.skipsBlocks)
            json.key("reads")
            json.string(term.access.rawValue)
            json.member("tested", term.evaluated)
            json.member("matched", term.matched)
            json.endObject()
        }
        json.endArray()
    }

    private func write(_ estimate: QueryEstimate, _ json: inout JSONWriter) {
        json.key("estimate")
        json.beginObject()
        json.member("blocks", estimate.blocks)
        json.member("flows", estimate.flows)
        json.member("content_bytes", estimate.content)
        json.member("all_flows", estimate.allFlows)
        json.endObject()
    }

    private func writeFacts(_ json: inout JSONWriter) {
        json.member("inputs", UInt64(inputs))
        json.key("blocks")
        json.beginObject()
        json.member("all", blocks)
        json.member("read", reading.blocksRead)
        json.member("skipped", reading.blocksSkipped)
        json.key("skipped_by")
        json.beginArray()
        for part in filter.skipped {
            json.beginObject()
            json.key("term")
            json.string(part.text)
            json.member("blocks", part.blocks)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        json.key("bytes")
        json.beginObject()
        if let size { json.member("all", size) }
        json.member("read", reading.bytesRead)
        json.endObject()
        json.key("flows")
        json.beginObject()
        json.member("tested", filter.flows)
        json.member("needed_more", filter.neededMore)
        json.member("matched", UInt64(matched))
        json.endObject()
        json.key("content")
        json.beginObject()
        json.member("flows", filter.neededContent)
        json.member("decompressed_bytes", reading.contentChunks.bytes)
        json.member("all_bytes", reading.contentSize)
        json.member("undecoded_bodies", filter.undecodedBodies)
        json.endObject()
    }

    private func writeTimes(_ json: inout JSONWriter) {
        json.member("threads", UInt64(threads))
        json.key("time_ms")
        json.beginObject()
        let times: [(StaticString, Int64)] = [
            ("elapsed", elapsed), ("plan", planning), ("read", reading.reading), ("decompress", reading.decompressing),
            ("search", reading.searching),
        ]
        for (name, time) in times {
            json.key(name)
            json.milliseconds(time)
        }
        json.endObject()
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: StaticString, _ number: UInt64) {
        key(name)
        self.number(number)
    }
}
