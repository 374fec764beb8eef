// The groups as rows: what is printed of them, in every format.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// The rows of a group query, in their order.
package struct GroupRows: Sendable {
    /// A group.
    package struct Row: Sendable, Equatable {
        package var keys: [FlowValue]
        package var values: [StatisticValue]
        package var flows: Int

        static func isBefore(_ a: Row, _ b: Row, hasBuckets: Bool) -> Bool {
            if hasBuckets, let first = a.keys.first, let other = b.keys.first, first != other { return isBefore(first, other) }
            let (first, other) = (a.values.first?.double ?? -1, b.values.first?.double ?? -1)
            if first != other { return first > other }
            for (key, other) in zip(a.keys, b.keys) where key != other { return isBefore(key, other) }
            return false
        }

        /// Numbers by size, texts by their bytes, nothing last.
        private static func isBefore(_ a: FlowValue, _ b: FlowValue) -> Bool {
            switch (a, b) {
            case (.none, _): false
            case (_, .none): true
            case (.text(let a), .text(let b)): a.readableBytesView.lexicographicallyPrecedes(b.readableBytesView)
            default: (a.number ?? .min) < (b.number ?? .min)
            }
        }
    }

    package let query: GroupQuery
    package private(set) var rows: [Row]
    /// Groups that are not among the rows, and their flows.
    package private(set) var otherGroups = 0
    package private(set) var otherFlows = 0

    init(query: GroupQuery, rows: [Row]) {
        self.query = query
        self.rows = rows
    }

    /// Keeps the first rows, in each bucket.
    mutating func keepTop(_ top: Int) {
        var kept: [Row] = []
        var inBucket = 0
        for row in rows {
            if query.bucket != nil, row.keys.first != kept.last?.keys.first { inBucket = 0 }
            inBucket += 1
            if inBucket <= top {
                kept.append(row)
            } else {
                otherGroups += 1
                otherFlows += row.flows
            }
        }
        rows = kept
    }

    // MARK: For programs

    /// Appends a JSON object for each group: a member for each key and each statistic, null where there is no value.
    package func writeJSON(into out: inout ByteBuffer) {
        var json = JSONWriter()
        for row in rows {
            write(row, into: &json)
            json.newLine()
        }
        json.write(into: &out)
    }

    /// Appends the objects as elements of an array.
    func writeObjects(into json: inout JSONWriter) {
        for row in rows { write(row, into: &json) }
    }

    private func write(_ row: Row, into json: inout JSONWriter) {
        json.beginObject()
        for (key, value) in zip(query.allKeys, row.keys) {
            json.key(named: key.name)
            switch value {
            case .none: json.raw("null")
            case .text(let text): _ = json.string(text)
            case .number(let number): json.number(number)
            case .time(let time): json.time(time)
            }
        }
        for (statistic, value) in zip(query.statistics, row.values) {
            json.key(named: statistic.name)
            switch value {
            case .none: json.raw("null")
            case _ where statistic.key?.kind == .time:
                if case .number(let time) = value { json.time(Timestamp(nanoseconds: time)) }
            case .number(let number): json.number(number)
            case .decimal(let number): json.decimal(Self.digits(number))
            }
        }
        json.endObject()
    }

    /// Appends a head and a row for each group.
    package func write(_ format: RowFormat, isForTerminal: Bool, into out: inout ByteBuffer) {
        let table = TableRows(query.allKeys, as: format, isForTerminal: isForTerminal)
        if format == .csv {
            table.write((query.allKeys.map(\.name) + query.statistics.map(\.name)).map { ByteBuffer(string: $0) }, into: &out)
        }
        for row in rows {
            let values = zip(query.statistics, row.values).map { statistic, value -> ByteBuffer in
                switch value {
                case .none: ByteBuffer()
                case .number(let number) where statistic.key?.kind == .time: FlowValue.time(Timestamp(nanoseconds: number)).bytes
                case .number(let number): ByteBuffer(string: String(number))
                case .decimal(let number): ByteBuffer(string: Self.digits(number))
                }
            }
            table.write(row.keys.map(\.bytes) + values, into: &out)
        }
    }

    /// Decimal digits, three places at most and no zeros at the end.
    static func digits(_ number: Double) -> String {
        guard number.magnitude < 9e15 else { return "\(Int64(clamping: Int(number.rounded())))" }
        let text = decimal(number, places: 3)
        let end = text.reversed().drop { $0 == "0" }
        return String((end.first == "." ? end.dropFirst() : end[...]).reversed())
    }

    // MARK: For people

    /// Appends a table: keys on the left, numbers on the right of their columns, with units.
    /// - Parameter columns: of the terminal, to which the table is cut, and which has a bar for the counts; nil: neither.
    package func writeText(palette: Palette, columns: Int?, into out: inout ByteBuffer) {
        var table = TextTable(palette: palette, columns: columns)
        for key in query.allKeys { table.addColumn(key.name, isNumeric: key.kind != .text && key.kind != .time) }
        for statistic in query.statistics {
            table.addColumn(statistic.heading, short: statistic.shortHeading, isNumeric: true)
            if statistic == .count, columns != nil { table.addBar() }
        }
        for row in rows {
            var cells = zip(query.allKeys, row.keys).map { Self.cell($1, $0, isBucket: false) }
            if query.bucket != nil, let time = row.keys.first { cells[0] = Self.cell(time, .column(.started), isBucket: true) }
            for (statistic, value) in zip(query.statistics, row.values) {
                cells.append(Self.cell(value, statistic))
                if statistic == .count, columns != nil { cells.append(.bar(value.double ?? 0)) }
            }
            table.addRow(cells)
        }
        table.write(into: &out)
        guard otherGroups > 0 else { return }
        let groups = otherGroups == 1 ? "1 more group" : "\(groupedDigits(Int64(otherGroups))) more groups"
        let flows = otherFlows == 1 ? "1 flow" : "\(groupedDigits(Int64(otherFlows))) flows"
        out.writeString(palette.text("… \(groups), \(flows)", .muted) + "\n")
    }

    private static func cell(_ value: FlowValue, _ key: FlowKey, isBucket: Bool) -> TextTable.Cell {
        switch value {
        case .none: return .text("-", .muted)
        case .text(let text): return .bytes(text)
        case .number(let number) where key == .column(.status): return .text("\(number)", Palette.role(ofStatus: Int(number)))
        case .number(let number) where key == .column(.port): return .text("\(number)", nil)
        case .number(let number): return .text(readable(Double(number), key.kind), nil)
        case .time(let time):
            let text = rfc3339(time)
            // The fraction of a bucket's beginning is 0, unless buckets are shorter than a second.
            return .text(isBucket && text.hasSuffix(".000000000Z") ? String(text.dropLast(11)) + "Z" : text, nil)
        }
    }

    private static func cell(_ value: StatisticValue, _ statistic: GroupStatistic) -> TextTable.Cell {
        guard let number = value.double else { return .text("-", .muted) }
        if statistic == .errors { return .text(groupedDigits(Int64(number)), number > 0 ? .failure : .muted) }
        return .text(readable(number, statistic.key?.kind ?? .number), nil)
    }

    private static func readable(_ number: Double, _ kind: FlowColumn.Kind) -> String {
        switch kind {
        case .size: return readableSize(UInt64(max(0, number.rounded())))
        case .duration: return readableDuration(Int64(number * 1000))
        case .time: return rfc3339(Timestamp(nanoseconds: Int64(number)))
        case .number, .text:
            return number == number.rounded() ? groupedDigits(Int64(number)) : decimal(number, places: 1)
        }
    }
}

/// A number with a comma between groups of three digits: `1,234,567`.
package func groupedDigits(_ number: Int64) -> String {
    var text = ""
    for (index, digit) in String(number.magnitude).reversed().enumerated() {
        if index > 0, index % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return (number < 0 ? "-" : "") + String(text.reversed())
}
