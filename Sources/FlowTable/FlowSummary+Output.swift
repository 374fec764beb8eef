// A summary as text for 80 columns, and as JSON.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// A bin of the histogram of durations, in microseconds: limits at 1, 2 and 5 of each power of ten.
private struct DurationBin {
    var from: Int64
    var to: Int64
    var count: UInt64

    /// - Parameter sketch: of microseconds.
    static func bins(_ sketch: QuantileSketch) -> [DurationBin] {
        let limits = (0..<12).flatMap { power in [1, 2, 5].map { $0 * (0..<power).reduce(Int64(1)) { total, _ in total * 10 } } }
        var counts = Array(repeating: UInt64(0), count: limits.count + 1)
        counts[0] = sketch.zeroCount
        for bin in sketch.histogram {
            // The middle of the sketch's bin, which is at most 1 % away from each number in it.
            let middle = (bin.above + bin.upTo) / 2
            counts[limits.firstIndex { middle < Double($0) } ?? limits.count] += bin.count
        }
        guard let first = counts.firstIndex(where: { $0 > 0 }), let last = counts.lastIndex(where: { $0 > 0 }) else { return [] }
        return (first...last).map { index in
            DurationBin(
                from: index == 0 ? 0 : limits[index - 1], to: index < limits.count ? limits[index] : .max, count: counts[index])
        }
    }
}

extension FlowSummary {
    private static let percentiles: [(name: StaticString, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99),
    ]

    private func percentile(_ share: Double) -> Double? {
        durations.sketch.quantile(share).map { min(max($0, Double(durations.minimum)), Double(durations.maximum)) }
    }

    // MARK: Text

    /// Appends the summary.
    /// - Parameter columns: of the terminal; a file has 80.
    package func writeText(palette: Palette, columns: Int, into out: inout ByteBuffer) {
        let layout = SummaryLayout(palette: palette, columns: columns)
        head(&out)
        layout.groups("hosts", byHost, top: Self.hosts, into: &out)
        layout.groups("statuses", byStatus, top: Self.hosts, into: &out)
        layout.groups("methods", byMethod, top: Self.hosts, into: &out)
        histogram(layout, &out)
        layout.flows("slowest", slowest.entries, into: &out) { readableDuration($0 * 1000) }
        layout.flows("largest", largest.entries, into: &out) { readableSize(UInt64(max(0, $0))) }
        layout.groups("errors", byError, top: Self.errors, into: &out)
    }

    private func head(_ out: inout ByteBuffer) {
        func list(_ parts: [(count: Int, name: String)]) -> String {
            parts.filter { $0.count > 0 }.map { "\(groupedDigits(Int64($0.count))) \($0.name)" }.joined(separator: ", ")
        }
        let webSockets = webSockets > 0 ? " (\(groupedDigits(Int64(self.webSockets))) WebSocket)" : ""
        let kinds = list(FlowKind.allCases.map { (self.kinds[$0] ?? 0, $0.description + ($0 == .http ? webSockets : "")) })
        let states = list([FlowState.complete, .incomplete, .failed].map { (self.states[$0] ?? 0, $0.description) })
        let facts = flows > 0 ? ": \(kinds); \(states)" : ""
        out.writeString("\(groupedDigits(Int64(flows))) flow\(flows == 1 ? "" : "s")\(facts)\n")
        if let started, let ended {
            out.writeString("from ")
            LocalTime.shared.write(full: started, into: &out)
            out.writeString(" to ")
            LocalTime.shared.write(full: ended, into: &out)
            out.writeString(", \(readableSpan(ended - started))\n")
        }
        out.writeString("\(readableSize(requestBytes)) sent, \(readableSize(responseBytes)) received\n")
    }

    private func histogram(_ layout: SummaryLayout, _ out: inout ByteBuffer) {
        let bins = DurationBin.bins(durations.sketch)
        guard !bins.isEmpty else { return }
        let percentiles = Self.percentiles.map { name, share in
            "\(name) \(percentile(share).map { readableDuration(Int64($0 * 1000)) } ?? "-")"
        }
        let maximum = "max \(readableDuration(durations.maximum * 1000))"
        layout.title("duration of HTTP flows", into: &out)
        out.writeString((percentiles + [maximum]).joined(separator: ", ") + "\n")
        layout.table([("from", true), ("to", true), ("flows", true)], hasBar: true, into: &out) {
            bins.map { bin in
                [
                    .text(readableDuration(bin.from * 1000), nil),
                    .text(bin.to == .max ? "" : readableDuration(bin.to * 1000), nil),
                    .text(groupedDigits(Int64(bin.count)), nil), .bar(Double(bin.count)),
                ]
            }
        }
    }

    // MARK: JSON

    /// Appends one object.
    package func writeJSON(into out: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        json.key("flows")
        json.number(flows)
        json.key("kinds")
        json.beginObject()
        for kind in FlowKind.allCases {
            json.key(named: kind.description)
            json.number(kinds[kind] ?? 0)
        }
        json.endObject()
        json.key("states")
        json.beginObject()
        for state in [FlowState.complete, .incomplete, .failed] {
            json.key(named: state.description)
            json.number(states[state] ?? 0)
        }
        json.endObject()
        json.key("websockets")
        json.number(webSockets)
        if let started, let ended {
            json.key("started")
            json.time(started)
            json.key("ended")
            json.time(ended)
        }
        json.key("req_bytes")
        json.number(requestBytes)
        json.key("resp_bytes")
        json.number(responseBytes)
        groups("hosts", byHost, top: Self.hosts, &json)
        groups("statuses", byStatus, top: nil, &json)
        groups("methods", byMethod, top: nil, &json)
        durations(&json)
        flows("slowest", slowest.entries, "duration_us", &json)
        flows("largest", largest.entries, "size", &json)
        groups("errors", byError, top: Self.errors, &json)
        json.endObject()
        json.newLine()
        json.write(into: &out)
    }

    private func groups(_ name: StaticString, _ groups: FlowGroups, top: Int?, _ json: inout JSONWriter) {
        json.key(name)
        json.beginArray()
        groups.rows(top: top).writeObjects(into: &json)
        json.endArray()
    }

    private func durations(_ json: inout JSONWriter) {
        json.key("duration_us")
        json.beginObject()
        json.key("count")
        json.number(durations.count)
        if durations.count > 0 {
            for (name, share) in Self.percentiles {
                json.key(name)
                json.decimal(GroupRows.digits(percentile(share) ?? 0))
            }
            json.key("max")
            json.number(durations.maximum)
        }
        json.key("histogram")
        json.beginArray()
        for bin in DurationBin.bins(durations.sketch) {
            json.beginObject()
            json.key("from")
            json.number(bin.from)
            if bin.to < .max {
                json.key("to")
                json.number(bin.to)
            }
            json.key("count")
            json.number(bin.count)
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }

    private func flows(_ name: StaticString, _ entries: [LargestFlows.Entry], _ value: StaticString, _ json: inout JSONWriter) {
        json.key(name)
        json.beginArray()
        for entry in entries {
            json.beginObject()
            json.key("id")
            json.string(entry.id.description)
            json.key(value)
            json.number(entry.value)
            if let method = entry.method {
                json.key("method")
                json.string(method)
            }
            json.key(entry.method == nil ? "server" : "url")
            json.string(entry.place)
            if entry.status > 0 {
                json.key("status")
                json.number(entry.status)
            }
            json.endObject()
        }
        json.endArray()
    }
}

/// The sections of a summary.
private struct SummaryLayout {
    let palette: Palette
    let columns: Int

    func title(_ text: String, into out: inout ByteBuffer) { out.writeString("\n\(palette.text(text, .method))\n") }

    func table(
        _ headings: [(name: String, isNumeric: Bool)], hasBar: Bool, into out: inout ByteBuffer, _ rows: () -> [[TextTable.Cell]]
    ) {
        var table = TextTable(palette: palette, columns: columns)
        for heading in headings { table.addColumn(heading.name, isNumeric: heading.isNumeric) }
        if hasBar { table.addBar() }
        for row in rows() { table.addRow(row) }
        table.write(into: &out)
    }

    /// A section of groups; nothing without one.
    func groups(_ name: String, _ groups: FlowGroups, top: Int, into out: inout ByteBuffer) {
        let rows = groups.rows(top: top)
        guard !rows.rows.isEmpty else { return }
        title(name, into: &out)
        rows.writeText(palette: palette, columns: columns, into: &out)
    }

    /// A section of flows; nothing without one.
    func flows(_ name: String, _ entries: [LargestFlows.Entry], into out: inout ByteBuffer, _ text: (Int64) -> String) {
        guard !entries.isEmpty else { return }
        title(name, into: &out)
        table([("", true), ("", true), ("", false)], hasBar: false, into: &out) {
            entries.map { entry in
                var request = ByteBuffer()
                if let method = entry.method {
                    request.writeImmutableBuffer(method)
                    request.writeStaticString(" ")
                }
                request.writeImmutableBuffer(entry.place)
                let status =
                    entry.status > 0
                    ? TextTable.Cell.text("\(entry.status)", Palette.role(ofStatus: entry.status)) : .text("-", .muted)
                return [.text(text(entry.value), nil), status, .bytes(request)]
            }
        }
    }
}

/// A long time for people: `12.50 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
private func readableSpan(_ nanoseconds: Int64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    switch seconds {
    case ..<60: return readableDuration(nanoseconds)
    case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
    case ..<86400: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    default: return "\(groupedDigits(seconds / 86400)) d \(seconds / 3600 % 24) h"
    }
}
