// What a conversion wrote, changed, lost and left out: counted flow by flow from what the flows contain and what the format does with it.

import FlowModel
import FlowPrinter
import NIOCore

/// The counts of one output.
package struct ConversionReport: Sendable, Equatable {
    /// Flows named as examples of each class.
    private static let maximumExamples = 3

    /// The name of the format.
    package let format: String
    package private(set) var flows = 0
    package private(set) var written = 0
    /// Flows that were not written, by the class that prevented it.
    package private(set) var leftOut: [LossClass: Int] = [:]
    package private(set) var changed: [LossClass: Int] = [:]
    package private(set) var lost: [LossClass: Int] = [:]
    package private(set) var examples: [LossClass: [FlowID]] = [:]

    package init(format: String) { self.format = format }

    /// Something that was sent was left out or lost. Details do not count (``LossClass/isDetail``).
    package var hasLosses: Bool { !leftOut.isEmpty || lost.keys.contains { !$0.isDetail } }

    /// Counts a flow that is not written.
    package mutating func leaveOut(_ flow: Flow, _ reason: LossClass) {
        flows += 1
        leftOut[reason, default: 0] += 1
        give(flow, asExampleOf: reason)
    }

    /// Counts a flow that is written.
    /// - Parameters:
    ///   - found: counts of classes that the writer found; they replace the ones that the flow has.
    ///   - fate: what the format does with a class.
    /// - Throws: errors of fetching a piece.
    package mutating func write(
        _ flow: Flow, found: [LossClass: Int] = [:], by fate: (LossClass) -> LossFate
    ) throws {
        count(flow, try flow.lossClasses().merging(found) { $1 }, by: fate)
    }

    /// Counts a flow that is written, and these classes in it.
    mutating func count(_ flow: Flow, _ classes: [LossClass: Int], by fate: (LossClass) -> LossFate) {
        flows += 1
        written += 1
        for (loss, count) in classes where count > 0 {
            switch fate(loss) {
            case .changed: changed[loss, default: 0] += count
            case .lost: lost[loss, default: 0] += count
            case .kept, .leftOut, .outside: continue
            }
            give(flow, asExampleOf: loss)
        }
    }

    private mutating func give(_ flow: Flow, asExampleOf loss: LossClass) {
        if examples[loss]?.count ?? 0 < Self.maximumExamples { examples[loss, default: []].append(flow.id) }
    }

    // MARK: Texts

    /// One line for stderr, without details; nil when everything was written as it was.
    package var sentence: String? {
        let clauses = [("left out", leftOut), ("changed", changed), ("lost", lost)].compactMap { title, counts in
            let named = LossClass.allCases.compactMap { loss in loss.isDetail ? nil : counts[loss].map { loss.counted($0) } }
            return named.isEmpty ? nil : "\(title): \(named.joined(separator: ", "))"
        }
        guard !clauses.isEmpty else { return nil }
        let head = "\(format): \(groupedDigits(written)) of \(groupedDigits(flows)) flow\(flows == 1 ? "" : "s") written"
        return ([head] + clauses).joined(separator: "; ")
    }

    /// The report as a JSON object and a line end.
    package func write(into out: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        writeMembers(into: &json)
        json.endObject()
        json.write(into: &out)
        out.writeStaticString("\n")
    }

    /// The members of the object.
    package func writeMembers(into json: inout JSONWriter) {
        json.key("format")
        json.string(format)
        json.key("flows")
        json.number(flows)
        json.key("written")
        json.number(written)
        for (key, counts) in [("left_out", leftOut), ("changed", changed), ("lost", lost)] as [(StaticString, [LossClass: Int])] {
            json.key(key)
            json.beginObject()
            for loss in LossClass.allCases {
                guard let count = counts[loss] else { continue }
                json.key(named: loss.rawValue)
                json.number(count)
            }
            json.endObject()
        }
        json.key("examples")
        json.beginObject()
        for loss in LossClass.allCases {
            guard let flows = examples[loss] else { continue }
            json.key(named: loss.rawValue)
            json.beginArray()
            for flow in flows { json.string(flow.description) }
            json.endArray()
        }
        json.endObject()
    }
}
