// Prints flows in the chosen format. The level of detail depends on whether there is one flow or more, so the first one waits for the second.

import FlowArchive
import FlowModel
import FlowPrinter
import ForeignArchives
import NIOCore
import ToolSupport

struct Printer {
    private let detail: Int?
    private let format: MitmDump.Format
    private let json: FlowJSONPrinter
    /// Writes a file of another program.
    private var foreign: (any ForeignWriter)?
    private var leftOut = 0
    private let style: TextStyle
    private let warn: (String) -> Void
    private var sink = OutputSink()
    private var first: Flow?
    private var count = 0
    /// Flows are printed as they arrive: the first one does not wait for the second, and messages do not wait for the end of their flow.
    var follows = false
    /// The number of messages that were printed of each open flow. The others are printed as they arrive.
    private var printed: [FlowID: Int] = [:]
    /// Content of a flow could not be read.
    private(set) var isDamaged = false

    init(detail: Int?, format: MitmDump.Format, rawBody: Bool, style: TextStyle, warn: @escaping (String) -> Void) {
        self.detail = detail
        self.format = format
        self.json = FlowJSONPrinter(rawBody: rawBody)
        if case .foreign(let format) = format { foreign = format.writer(version: toolVersion) }
        self.style = style
        self.warn = warn
    }

    mutating func print(_ flow: Flow) throws {
        count += 1
        if follows, format == .text, flow.isConversation {
            try printMessages(of: flow, after: printed.removeValue(forKey: flow.id) ?? 0)
        }
        guard !follows, detail == nil, format == .text else { return try write(flow, detail ?? 1) }
        if count == 1 {
            first = flow
            return
        }
        if let first {
            self.first = nil
            try write(first, 1)
        }
        try write(flow, 1)
    }

    /// Prints new messages of an open conversation.
    /// - Parameter flow: its pieces are the messages received so far.
    mutating func printNews(_ flow: Flow, where predicate: some FlowPredicate) throws {
        guard format == .text, flow.isConversation, try printed[flow.id] != nil || predicate.matches(flow) else { return }
        try printMessages(of: flow, after: 0)
        printed[flow.id, default: 0] += flow.pieces.count
    }

    private mutating func printMessages(of flow: Flow, after printed: Int) throws {
        var out = ByteBuffer()
        let printer = textPrinter(detail ?? 1)
        do {
            try printer.printMessages(of: flow, after: printed, into: &out) { part in try self.put(&part) }
        } catch let error as ArchiveError where error.kind == .damagedContent {
            isDamaged = true
            warn("flow \(flow.id): \(error)")
        }
        try put(&out)
    }

    /// No flow follows.
    mutating func finish() throws {
        if let first { try write(first, 3) }
        first = nil
        try sink.write { foreign?.finish(into: &$0) }
        try sink.flush()
        if leftOut > 0 {
            warn(
                "\(leftOut == 1 ? "1 flow was" : "\(leftOut) flows were") left out, since a file of \(format) has no place for them"
            )
        }
    }

    mutating func flush() throws { try sink.flush() }

    private mutating func write(_ flow: Flow, _ detail: Int) throws {
        do {
            try render(flow, detail)
        } catch let error as ArchiveError where error.kind == .damagedContent {
            isDamaged = true
            warn("flow \(flow.id): \(error)")
            // Its facts are whole.
            var bare = flow
            bare.pieces = PiecesInMemory()
            try render(bare, min(detail, 2))
        }
    }

    private mutating func render(_ flow: Flow, _ detail: Int) throws {
        var out = ByteBuffer()
        switch format {
        case .text:
            let printer = textPrinter(detail)
            try printer.print(flow, withMessages: !follows, into: &out) { part in try self.put(&part) }
        case .json:
            let printer = json
            try printer.print(flow, into: &out) { part in try self.put(&part) }
        case .foreign: if try foreign?.write(flow, into: &out) == false { leftOut += 1 }
        }
        try put(&out)
    }

    private func textPrinter(_ detail: Int) -> FlowTextPrinter {
        var style = style
        style.detail = detail
        return FlowTextPrinter(style)
    }

    private mutating func put(_ printed: inout ByteBuffer) throws {
        try sink.write { $0.writeBuffer(&printed) }
        printed.clear()
    }
}
