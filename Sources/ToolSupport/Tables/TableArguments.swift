// Options for tables of flows: which columns, and in which order.

import ArgumentParser
import FlowTable

/// `--fields`, `--columns`, `--sort` and `--sort-memory`.
package struct TableArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Print these columns, separated by tabs, or as --format csv: for example started,method,url,status,duration.",
            valueName: "columns"))
    package var fields: String?

    @Option(
        help: ArgumentHelp(
            """
            Write these columns as an Arrow stream (--format arrow), for example started,host,status. Heads, bodies and messages are read only \
            if they are named: req_headers, resp_headers, req_body, resp_body, messages.
            """, valueName: "columns"))
    package var columns: String?

    @Option(
        help: ArgumentHelp(
            "Print flows in the order of a column: started, duration, ttfb, size, status, host or another one; with :desc the largest first.",
            valueName: "column[:desc]"))
    package var sort: String?

    @Option(
        help: ArgumentHelp(
            "Memory for the keys of --sort; more are sorted in a temporary file. (default: 256m)", valueName: "size"))
    package var sortMemory: ByteSize?

    package init() {}

    /// Columns or an order are requested.
    package var isGiven: Bool { fields != nil || columns != nil || sort != nil }

    /// The format that is written.
    /// - Parameters:
    ///   - requested: the value of --format or --json.
    ///   - standard: the format without one.
    /// - Throws: ``ToolError`` when the format has no columns.
    package func format(_ requested: OutputFormat?, otherwise standard: OutputFormat) throws(ToolError) -> OutputFormat {
        if columns != nil {
            guard fields == nil else { throw ToolError("--columns is for an Arrow stream and --fields for text; give one of them") }
            guard requested ?? .arrow == .arrow else {
                throw ToolError("--columns names the columns of an Arrow stream; use --format arrow, or --fields for text and csv")
            }
            return .arrow
        }
        guard fields != nil else { return requested ?? standard }
        guard requested != .arrow else { throw ToolError("--fields names columns of text; use --columns with --format arrow") }
        let format = requested ?? .fields
        guard format.rows != nil else {
            throw ToolError("--fields names columns, and the format \(format) has none; use fields or csv")
        }
        return format
    }

    /// - Throws: ``ToolError`` for a column that does not exist, or none.
    package func keys(for format: OutputFormat) throws(ToolError) -> [FlowKey] {
        guard let fields else {
            guard format != .fields else {
                throw ToolError("--format fields needs --fields, for example --fields started,method,url,status")
            }
            return TableRows.defaultKeys
        }
        do { return try FlowKey.list(fields) } catch { throw ToolError("--fields: \(error)") }
    }

    /// The rows of an Arrow stream; nil for another format.
    /// - Parameter bodyLimit: the most bytes of each body and message; nil is the default.
    /// - Throws: ``ToolError`` for a column that does not exist, and for a limit that is too large.
    package func arrow(for format: OutputFormat, bodyLimit: ByteSize? = nil) throws(ToolError) -> ArrowRows? {
        guard format == .arrow else { return nil }
        let limit = bodyLimit?.bytes ?? ArrowRows.defaultBodyLimit
        guard limit <= ArrowRows.maximumBodyLimit else { throw ToolError("--body-limit of an Arrow stream is at most 1g") }
        guard let columns else { return ArrowRows(ArrowColumn.defaults, bodyLimit: limit) }
        do { return ArrowRows(try ArrowColumn.list(columns), bodyLimit: limit) } catch { throw ToolError("--columns: \(error)") }
    }

    /// - Parameters:
    ///   - limit: the number of flows; nil is all.
    ///   - rows: the rows of a format that has them.
    /// - Returns: nil unless flows are sorted.
    /// - Throws: ``ToolError`` for a column that does not exist.
    package func sorter(limit: Int?, redaction: RecordingRedaction?, rows: TableRows?) throws -> FlowSorter? {
        guard let sort else {
            guard sortMemory == nil else { throw ToolError("--sort-memory has an effect only with --sort") }
            return nil
        }
        let order: SortOrder
        do { order = try SortOrder(sort) } catch { throw ToolError("--sort: \(error)") }
        return try FlowSorter(
            order, limit: limit, redaction: redaction, rows: rows, memory: sortMemory?.bytes ?? 256 << 20)
    }
}

/// `--group-by` and its companions.
package struct GroupArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Print groups of flows instead of flows: by columns, for example host,status, or header:user-agent.",
            valueName: "columns"))
    package var groupBy: String?

    @Option(
        help: ArgumentHelp(
            """
            What is computed of each group: count, errors, sum(resp_bytes), avg(duration), p95(duration) …; the first one decides the order. \
            (default: count,errors,sum(resp_bytes),p50(duration),p95(duration),max(duration))
            """, valueName: "list"))
    package var stats: String?

    @Option(help: ArgumentHelp("Group also by the time of start, in intervals of this length.", valueName: "time"))
    package var bucket: TimeSpan?

    @Option(help: ArgumentHelp("Print only this number of groups, the first ones (of each interval).", valueName: "number"))
    package var top: Int?

    @Flag(help: "With the column path: numbers, UUIDs and other identifiers in paths are {}.")
    package var foldIds = false

    package init() {}

    /// Groups are requested.
    package var isGiven: Bool { groupBy != nil || stats != nil || bucket != nil }

    /// - Returns: nil unless groups are requested.
    /// - Throws: ``ToolError`` for a column or statistic that does not exist, and for options without effect.
    package func query() throws(ToolError) -> GroupQuery? {
        guard isGiven else {
            guard top == nil, !foldIds else {
                throw ToolError("--\(top == nil ? "fold-ids" : "top") has an effect only with --group-by")
            }
            return nil
        }
        var keys: [FlowKey] = []
        var statistics = GroupStatistic.defaults
        do { keys = try groupBy.map { text throws(TableError) in try FlowKey.list(text) } ?? [] } catch {
            throw ToolError("--group-by: \(error)")
        }
        do { statistics = try stats.map { text throws(TableError) in try GroupStatistic.list(text) } ?? statistics } catch {
            throw ToolError("--stats: \(error)")
        }
        if foldIds, !keys.contains(.column(.path)) {
            throw ToolError("--fold-ids changes the column path, which is not in --group-by")
        }
        if let bucket, bucket.nanoseconds < 1000 { throw ToolError("--bucket \(bucket) is too short; use 1us or more") }
        return GroupQuery(by: keys, statistics, bucket: bucket?.nanoseconds, foldsIdentifiers: foldIds)
    }
}
