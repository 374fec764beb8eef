// Differences as JSON, the same in reports of replays and in a view.

import FlowPrinter

extension FlowDifferences {
    /// The members `differences`, and `more_differences` when there are some that are not listed.
    package func writeMembers(into writer: inout JSONWriter) {
        writer.key("differences")
        writer.beginArray()
        for difference in first { difference.write(into: &writer) }
        writer.endArray()
        guard moreCount > 0 else { return }
        writer.key("more_differences")
        writer.number(moreCount)
    }
}

extension FlowDifference {
    /// Longer values are cut, and then are strings.
    private static let maximumValue = 1000

    fileprivate func write(into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("path")
        writer.string(path)
        let (was, now) = Self.excerpts(recorded.content ?? "", self.now.content ?? "", maximum: Self.maximumValue)
        write("recorded", recorded, was, into: &writer)
        write("now", self.now, now, into: &writer)
        if let remark {
            writer.key("reason")
            writer.string(remark)
        }
        if let sizes {
            writer.key("recorded_size")
            writer.number(sizes.recorded)
            writer.key("now_size")
            writer.number(sizes.now)
        }
        writer.endObject()
    }

    private func write(_ name: StaticString, _ value: Value, _ excerpt: String, into writer: inout JSONWriter) {
        switch value {
        case .none: return
        case .number(let number):
            writer.key(name)
            writer.number(number)
        case .json(let text) where text.utf8.count <= Self.maximumValue:
            writer.key(name)
            writer.raw(text)
        case .text, .json:
            writer.key(name)
            writer.string(excerpt)
        }
    }
}

extension FlowDifference.Value {
    fileprivate var content: String? {
        switch self {
        case .text(let text), .json(let text): text
        case .none, .number: nil
        }
    }
}
