// Responses about a list: its rows, the overview of it over time, and its groups.

import FlowModel
import FlowTable
import FlowView
import HTTPSemantics
import NIOCore

/// The columns that rows can have.
enum RowColumns {
    static let names = FlowColumn.allCases.map(\.rawValue) + ["size"]
    /// Rows in one response.
    static let maximumRows = 1000
    static let maximumColumns = 40

    /// - Throws: 422 for a column that does not exist.
    static func parse(_ text: String) throws(ViewError) -> [FlowKey] {
        let keys: [FlowKey]
        do throws(TableError) {
            keys = try FlowKey.list(text)
        } catch {
            throw ViewError(.unprocessableEntity, error.description)
        }
        guard keys.count <= maximumColumns else {
            throw ViewError(.unprocessableEntity, "a row has at most \(maximumColumns) columns")
        }
        return keys
    }
}

extension ViewAPI {
    func rows(of list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let from = try query.number("from", 0...Int(UInt32.max), otherwise: 0)
        let count = try query.number("count", 0...RowColumns.maximumRows, otherwise: 120)
        let columns = try RowColumns.parse(query["columns"] ?? "method,status,host,path")
        let ordinals = list.ordinals(from..<from + count)
        var json = JSONText()
        json.object { json in
            json.member("from", from)
            json.counts(list.status)
            json.key("rows")
            json.array(ordinals) { json, ordinal in row(ordinal, columns, &json) }
        }
        return ViewResponse(.json, json)
    }

    private func row(_ ordinal: Int, _ columns: [FlowKey], _ json: inout JSONText) {
        let facts = index.rowFacts(ordinal)
        var values: [FlowValue]?
        var id: FlowID?
        do {
            try index.withRow(ordinal) { flow in
                id = flow.id
                values = try columns.map { try $0.value(of: flow) }
            }
        } catch {
            values = nil
        }
        json.object { json in
            json.member("n", ordinal)
            if let id { json.member("id", id.description) }
            if let facts {
                json.member("kind", facts.kind.name)
                json.member("state", facts.state.description)
                if facts.isOpen { json.member("open", true) }
                if facts.isFailure { json.member("failed", true) }
                if facts.hasLocalReply { json.member("local", true) }
                json.key("t")
                let connect = index.connectTimes(ordinal)
                json.array([facts.started, facts.duration, facts.timeToFirstByte, connect.connected, connect.secured]) {
                    json, time in
                    if let time { json.number(time) } else { json.null() }
                }
            }
            guard let values else { return json.member("damaged", true) }
            json.key("cells")
            json.array(values) { json, value in
                switch value {
                case .none: json.null()
                case .text(let text): json.visible(text.prefix(bytes: 2048))
                case .number(let number): json.number(number)
                case .time(let time): json.number(time.nanoseconds / 1000)
                }
            }
        }
    }

    func timeline(of list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let buckets = try query.number("buckets", 1...4000, otherwise: 400)
        let timeline = Timeline(list, buckets: buckets)
        var json = JSONText()
        json.object { json in
            json.key("classes")
            json.array(Timeline.Class.allCases) { $0.string("\($1)") }
            guard let timeline else { return }
            json.member("from", Int(timeline.from / 1000))
            json.member("to", Int(timeline.to / 1000))
            json.key("counts")
            json.array(timeline.counts) { json, counts in json.array(counts) { $0.number($1) } }
            json.key("bytes")
            json.array(timeline.bytes) { $0.number($1) }
        }
        return ViewResponse(.json, json)
    }

    func groups(of list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let limit = try query.number("limit", 1...10_000, otherwise: 50)
        guard let key = GroupKey(rawValue: query["by"] ?? "host") else {
            throw ViewError(
                .unprocessableEntity, "groups are by \(GroupKey.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let (groups, count) = list.groups(by: key, limit: limit)
        var json = JSONText()
        json.object { json in
            json.member("by", key.rawValue)
            json.member("count", count)
            json.key("groups")
            json.array(groups) { json, group in
                json.object { json in
                    json.member("value", visible: ByteBuffer(string: group.value))
                    json.member("count", group.count)
                    json.member("failures", group.failures)
                    json.member("bytes", Int(group.bytes))
                    for (name, share) in [("p50", 0.5), ("p95", 0.95)] as [(StaticString, Double)] {
                        if let duration = group.durations.quantile(share) { json.member(name, Int(duration)) }
                    }
                }
            }
        }
        return ViewResponse(.json, json)
    }
}

extension ByteBuffer {
    /// Its first bytes; the rest is replaced by an ellipsis.
    func prefix(bytes maximum: Int) -> ByteBuffer {
        guard readableBytes > maximum else { return self }
        var cut = slice(ByteRange(0, maximum))
        cut.writeString("…")
        return cut
    }
}
