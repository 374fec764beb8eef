// The formats in which the tools write flows: the values of --format, the same in every tool that has the option.

import ArgumentParser
import FlowPrinter
import FlowTable
import ForeignArchives

/// A format of flows.
package enum OutputFormat: ExpressibleByArgument, CaseIterable, Equatable, Sendable, CustomStringConvertible {
    /// An Arrow IPC stream of columns.
    case arrow
    /// For people.
    case text
    /// JSON Lines.
    case json
    /// Rows of columns, separated by tabs.
    case fields
    /// Rows of columns, as comma-separated values with a head.
    case csv
    /// A flow file.
    case mflow
    /// A file of another program.
    case foreign(ForeignFormat)
    /// The messages of flows: commands, text or bytes.
    case messages(MessageFormat)

    package static let allCases: [OutputFormat] =
        [.arrow, .text, .json, .fields, .csv, .mflow] + ForeignFormat.allCases.map { .foreign($0) }
        + MessageFormat.allCases.map { .messages($0) }

    package init?(argument: String) {
        guard let format = Self.allCases.first(where: { $0.description == argument }) else { return nil }
        self = format
    }

    package var description: String {
        switch self {
        case .arrow: "arrow"
        case .text: "text"
        case .json: "json"
        case .fields: "fields"
        case .csv: "csv"
        case .mflow: "mflow"
        case .foreign(let format): format.rawValue
        case .messages(let format): format.rawValue
        }
    }

    /// What a file in the format is, for help and pages.
    package var summary: String {
        switch self {
        case .arrow: "an Arrow IPC stream of columns"
        case .text: "text for people"
        case .json: "JSON Lines: an object for each flow"
        case .fields: "columns separated by tabs"
        case .csv: "columns as comma-separated values"
        case .mflow: "a flow file, for all tools of mitm"
        case .foreign(.gor): "a file of GoReplay"
        case .foreign(.har): "one HAR 1.2 archive, for browsers and other tools"
        case .foreign(.mitmproxy): "a flow file of mitmproxy"
        case .foreign(.pcapng): "packets without TLS, for Wireshark"
        case .foreign(.warc): "WARC 1.1, for web archives"
        case .messages(.curl): "a command of curl for each request"
        case .messages(.http): "requests as text, a .http file"
        case .messages(.raw): "requests as bytes, as they were sent"
        }
    }

    /// The help of --format, without the default.
    package static let help = "Output format: " + allCases.map { "\($0) (\($0.summary))" }.joined(separator: ", ") + "."

    /// How the names of its files end, without the dot.
    package var fileEnding: String {
        switch self {
        case .arrow: "arrows"
        case .text: "txt"
        case .json: "jsonl"
        case .fields: "tsv"
        case .foreign(.mitmproxy): "mitm"
        case .messages(.curl): "sh"
        case .messages(.raw): "bin"
        case .csv, .mflow, .foreign, .messages: description
        }
    }

    /// A terminal can show it.
    package var isText: Bool {
        switch self {
        case .arrow, .mflow: false
        case .foreign(let format): format.isText
        case .messages(let format): format.isText
        case .text, .json, .fields, .csv: true
        }
    }

    /// It can be written as a gzip file.
    package var canBeCompressed: Bool { if case .foreign(let format) = self { format.canBeCompressed } else { false } }

    /// A file in the format ends, so it cannot be written while flows still come.
    package var hasEnd: Bool {
        switch self {
        case .arrow: true
        case .text, .json, .fields, .csv, .mflow, .messages: false
        case .foreign(let format): format.hasEnd
        }
    }

    /// What flows lose in the format is counted (``ConversionReport``).
    package var reportsLosses: Bool {
        switch self {
        case .arrow, .text, .json, .fields, .csv, .mflow: false
        case .foreign: true
        case .messages(let format): format.fate(of: .tcp) != nil
        }
    }

    /// How the rows of a format with columns are written; nil for a format without columns.
    package var rows: RowFormat? {
        switch self {
        case .fields: .fields
        case .csv: .csv
        default: nil
        }
    }
}
