// Groups of flows and their statistics, in one pass. Parts that were computed on different threads are merged.

import FlowModel
import HTTPSemantics
import NIOCore

/// How flows are grouped, and what is computed of each group.
package struct GroupQuery: Sendable {
    package var keys: [FlowKey]
    package var statistics: [GroupStatistic]
    /// Nanoseconds: flows are also grouped by the interval of this length, counted from 1970, in which they started. It is the first key.
    package var bucket: Int64?
    /// Identifiers in paths are replaced by `{}`.
    package var foldsIdentifiers: Bool

    package init(
        by keys: [FlowKey], _ statistics: [GroupStatistic] = GroupStatistic.defaults, bucket: Int64? = nil,
        foldsIdentifiers: Bool = false
    ) {
        self.keys = keys
        self.statistics = statistics
        self.bucket = bucket
        self.foldsIdentifiers = foldsIdentifiers
    }

    /// The keys, with that of the bucket.
    var allKeys: [FlowKey] { (bucket == nil ? [] : [.column(.started)]) + keys }
}

/// What is known of the values of a column in a group.
struct ColumnSummary: Sendable {
    var count: Int64 = 0
    var sum: Int64 = 0
    var minimum = Int64.max
    var maximum = Int64.min
    /// Empty unless a percentile is requested.
    var sketch = QuantileSketch()

    mutating func add(_ number: Int64, hasPercentiles: Bool) {
        count &+= 1
        sum = sum.addingClamped(number)
        minimum = min(minimum, number)
        maximum = max(maximum, number)
        if hasPercentiles { sketch.add(number) }
    }

    mutating func merge(_ other: ColumnSummary) {
        count &+= other.count
        sum = sum.addingClamped(other.sum)
        minimum = min(minimum, other.minimum)
        maximum = max(maximum, other.maximum)
        sketch.merge(other.sketch)
    }
}

/// The groups of flows that were added.
package struct FlowGroups: FlowAccumulator {
    private struct Group {
        var count = 0
        var errors = 0
        /// One for each column of the statistics.
        var columns: [ColumnSummary]
    }

    private struct Column {
        var key: FlowKey
        var hasPercentiles: Bool
    }

    package let query: GroupQuery
    private let columns: [Column]
    private let countsErrors: Bool
    private var table = KeyTable()
    private var groups: [Group] = []
    /// The bytes of the current flow's key, and its values: made once.
    private var key: [UInt8] = []
    private var values: [Int64?]

    package init(_ query: GroupQuery) {
        self.query = query
        var columns: [Column] = []
        for statistic in query.statistics {
            guard let key = statistic.key else { continue }
            var isPercentile = false
            if case .percentile = statistic { isPercentile = true }
            if let index = columns.firstIndex(where: { $0.key == key }) {
                columns[index].hasPercentiles = columns[index].hasPercentiles || isPercentile
            } else {
                columns.append(Column(key: key, hasPercentiles: isPercentile))
            }
        }
        self.columns = columns
        countsErrors = query.statistics.contains(.errors)
        values = Array(repeating: nil, count: columns.count)
    }

    /// Flows that were added.
    package var flows: Int { groups.reduce(0) { $0 + $1.count } }

    /// Adds a flow. A value that cannot be fetched, because the content is damaged, counts as none; the reader of the flow reports the damage.
    package mutating func add(_ flow: some FlowAttributes) {
        key.removeAll(keepingCapacity: true)
        if let bucket = query.bucket { append(.time(flow.started.bucket(bucket))) }
        for column in query.keys { append(value(column, flow)) }
        for index in columns.indices { values[index] = value(columns[index].key, flow).number }
        let number = table.number(of: key)
        if number == groups.count { groups.append(Group(columns: Array(repeating: ColumnSummary(), count: columns.count))) }
        groups[number].count &+= 1
        if countsErrors, flow.errorMessage != nil || flow.status >= 500 { groups[number].errors &+= 1 }
        for index in columns.indices {
            guard let value = values[index] else { continue }
            groups[number].columns[index].add(value, hasPercentiles: columns[index].hasPercentiles)
        }
    }

    private func value(_ key: FlowKey, _ flow: some FlowAttributes) -> FlowValue {
        guard let value = try? key.value(of: flow) else { return .none }
        if query.foldsIdentifiers, key == .column(.path), case .text(let path) = value { return .text(path.foldingIdentifiers) }
        return value
    }

    /// Adds the groups of another part of the same query.
    package mutating func merge(_ other: FlowGroups) {
        for (index, group) in other.groups.enumerated() {
            let number = table.number(of: Array(other.table.key(index)))
            if number == groups.count {
                groups.append(group)
                continue
            }
            groups[number].count += group.count
            groups[number].errors += group.errors
            for column in columns.indices { groups[number].columns[column].merge(group.columns[column]) }
        }
    }

    // MARK: Keys as bytes

    private mutating func append(_ value: FlowValue) {
        func append(_ tag: UInt8, _ number: UInt64) {
            key.append(tag)
            unsafe withUnsafeBytes(of: number.littleEndian) { unsafe key.append(contentsOf: $0) }
        }
        switch value {
        case .none: key.append(0)
        case .text(let text):
            append(1, UInt64(text.readableBytes))
            key.append(contentsOf: text.readableBytesView)
        case .number(let number): append(2, UInt64(bitPattern: number))
        case .time(let time): append(3, UInt64(bitPattern: time.nanoseconds))
        }
    }

    private static func values(_ key: ArraySlice<UInt8>) -> [FlowValue] {
        var values: [FlowValue] = []
        var rest = key
        func number() -> UInt64 {
            let bytes = rest.prefix(8)
            rest = rest.dropFirst(8)
            return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        while let tag = rest.popFirst() {
            switch tag {
            case 1:
                let count = Int(number())
                values.append(.text(ByteBuffer(bytes: rest.prefix(count))))
                rest = rest.dropFirst(count)
            case 2: values.append(.number(Int64(bitPattern: number())))
            case 3: values.append(.time(Timestamp(nanoseconds: Int64(bitPattern: number()))))
            default: values.append(.none)
            }
        }
        return values
    }

    // MARK: Results

    /// The groups as rows, in the order of the first statistic, largest first; groups with equal values by their keys. With buckets, the
    /// time is compared first.
    /// - Parameter top: keeps this number of rows, in each bucket.
    package func rows(top: Int? = nil) -> GroupRows {
        var rows = groups.enumerated().map { index, group in
            GroupRows.Row(
                keys: Self.values(table.key(index)), values: query.statistics.map { value($0, group) }, flows: group.count)
        }
        let hasBuckets = query.bucket != nil
        rows.sort { GroupRows.Row.isBefore($0, $1, hasBuckets: hasBuckets) }
        var result = GroupRows(query: query, rows: rows)
        if let top { result.keepTop(top) }
        return result
    }

    private func value(_ statistic: GroupStatistic, _ group: Group) -> StatisticValue {
        let column = statistic.key.flatMap { key in columns.firstIndex { $0.key == key } }
        let summary = column.map { group.columns[$0] } ?? ColumnSummary()
        switch statistic {
        case .count: return .number(Int64(group.count))
        case .errors: return .number(Int64(group.errors))
        case .sum: return summary.count > 0 ? .number(summary.sum) : .none
        case .minimum: return summary.count > 0 ? .number(summary.minimum) : .none
        case .maximum: return summary.count > 0 ? .number(summary.maximum) : .none
        case .average: return summary.count > 0 ? .decimal(Double(summary.sum) / Double(summary.count)) : .none
        case .percentile(let percentage, _):
            guard let quantile = summary.sketch.quantile(percentage.share) else { return .none }
            // The smallest and the largest number are known exactly.
            return .decimal(min(max(quantile, Double(summary.minimum)), Double(summary.maximum)))
        }
    }
}

/// The value of a statistic.
package enum StatisticValue: Sendable, Equatable {
    /// No flow of the group has a value.
    case none
    case number(Int64)
    case decimal(Double)

    var double: Double? {
        switch self {
        case .none: nil
        case .number(let number): Double(number)
        case .decimal(let number): number
        }
    }
}

extension Timestamp {
    /// The beginning of the interval of a length that the time is in.
    func bucket(_ length: Int64) -> Timestamp {
        let remainder = nanoseconds % length
        return Timestamp(nanoseconds: nanoseconds - (remainder < 0 ? remainder + length : remainder))
    }
}

extension Int64 {
    fileprivate func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? (other > 0 ? .max : .min) : sum
    }
}
