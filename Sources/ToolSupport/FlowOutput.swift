// Flows on their way to the output, in any of the formats.

import ContentLimit
import FlowArchive
import FlowModel
import FlowPrinter
import FlowTable
import ForeignArchives
import Foundation
import NIOCore
import Protobuf

/// Writes flows to an output in its format, one after the other.
package final class FlowOutput {
    private enum Encoder {
        case arrow(ArrowRows)
        case text
        case json(FlowJSONPrinter)
        case rows(TableRows)
        case archive(ArchiveWriter)
        case foreign(any ForeignWriter)
        case messages(any MessageWriter)
    }

    private let file: OutputFile
    private let format: OutputFormat
    private let rawBody: Bool
    private let isRedacted: Bool
    private let messages: MessageOptions
    private let foreign: ForeignOptions
    private let columns: [FlowKey]
    private let arrow: ArrowRows?
    /// Flows come as they are stored, so their places are known.
    private var hasPlaces = false
    /// Rules of redaction that a flow file names: those that the flows have passed, and those of the inputs.
    private var redactionRules: [String]
    /// Of a flow file: how much content is stored; nil is all.
    private let limit: ContentLimit?
    private var style: TextStyle
    /// nil until an input was opened: without one the output stays untouched.
    private var encoder: Encoder?
    /// Of a format of messages.
    private var messageReport: ConversionReport?

    /// - Parameters:
    ///   - rawBody: with JSON, bodies as they were sent.
    ///   - columns: of a format of rows.
    ///   - arrow: the rows of an Arrow stream.
    ///   - messages: choices for a format of messages.
    ///   - foreign: choices for a file of another program.
    ///   - style: of text.
    ///   - schema: the types of protobuf messages.
    ///   - redaction: what the flows have passed.
    ///   - limit: of the content in a flow file.
    package init(
        _ file: OutputFile, format: OutputFormat, rawBody: Bool = false, columns: [FlowKey] = [],
        arrow: ArrowRows? = nil, messages: MessageOptions = MessageOptions(),
        foreign: ForeignOptions = ForeignOptions(), style: TextStyle, schema: ProtobufSchema = .builtIn,
        redaction: RecordingRedaction? = nil, limit: ContentLimit? = nil
    ) {
        self.file = file
        self.format = format
        self.rawBody = rawBody
        self.messages = messages
        self.foreign = foreign
        self.columns = columns
        self.arrow = arrow
        isRedacted = redaction != nil
        redactionRules = redaction?.rules ?? []
        self.limit = limit
        self.style = style
        self.style.schema = schema
    }

    /// In which form the reader passes flows that are whole in their block.
    package var delivery: FlowDelivery {
        if let arrow, !arrow.needsFlows, !isRedacted { return .records }
        return format == .mflow && limit == nil ? .stored : .flows
    }

    /// Opens the output, when an input was opened.
    /// - Parameter source: that of the flows that follow; nil when they come from several.
    package func begin(_ source: ArchiveSource? = nil) throws {
        hasPlaces = source != nil && !isRedacted
        arrow?.file = source?.path.map { ByteBuffer(string: $0) }
        guard encoder == nil else { return }
        let storage = try file.open()
        switch format {
        case .arrow:
            guard let arrow else { break }
            encoder = .arrow(arrow)
            try file.write { out, _ in arrow.begin(into: &out) }
        case .text: encoder = .text
        case .json: encoder = .json(FlowJSONPrinter(rawBody: rawBody, schema: style.schema))
        case .fields, .csv:
            guard let rows else { break }
            encoder = .rows(rows)
            try file.write { out, _ in rows.writeHead(into: &out) }
        case .mflow:
            let now = Timestamp(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
            var options = ArchiveOptions()
            options.redactionRules = redactionRules
            encoder = .archive(try endingQuietly { try ArchiveWriter(storage: storage, options: options, now: now) })
        case .foreign(let format):
            encoder = .foreign(format.writer(version: toolVersion, foreign))
        case .messages(let messageFormat):
            encoder = .messages(messageFormat.writer(messages))
            if format.reportsLosses { messageReport = ConversionReport(format: messageFormat.rawValue) }
        }
    }

    /// Takes over the rules of redaction that an input names.
    package func add(redactionRules rules: [String]) {
        redactionRules += rules.filter { !redactionRules.contains($0) }
        if case .archive(let writer) = encoder, !writer.hasEnded { writer.addRedactionRules(rules) }
    }

    /// How rows are written; nil for a format without rows.
    package var rows: TableRows? { format.rows.map { TableRows(columns, as: $0, isForTerminal: file.isTerminal) } }

    /// Writes a row of ``rows``.
    package func take(row: ByteBuffer) throws { try file.write { out, _ in out.writeImmutableBuffer(row) } }

    /// Writes a flow. Of one whose content is damaged, which its source reports, everything else is written.
    /// - Parameters:
    ///   - detail: with text, how much of it.
    ///   - withMessages: with text, whether the messages of a conversation are printed.
    /// - Throws: ``ReaderGone``; errors of writing.
    package func take(_ flow: Flow, detail: Int = 1, withMessages: Bool = true) throws {
        do {
            try write(flow, detail, withMessages)
        } catch let error as ArchiveError where error.kind == .damagedContent {
            var bare = flow
            bare.pieces = PiecesInMemory()
            try write(bare, min(detail, 2), withMessages)
        }
    }

    private func write(_ flow: Flow, _ detail: Int, _ withMessages: Bool) throws {
        // For the flows after it, where the files cannot be searched beforehand.
        if flow.isReflectionCall { style.schema.add(try flow.recordedDescriptors()) }
        switch encoder {
        case .arrow(let rows):
            let parts = hasPlaces ? flow.storedParts : nil
            let origin = parts.map { FlowOrigin(blockOffset: $0.lastBlock, partCount: $0.count) }
            try file.write { out, _ in rows.append(flow, whole: flow, origin: origin, into: &out) }
        case .text:
            let printer = textPrinter(detail)
            try file.write { out, drain in try printer.print(flow, withMessages: withMessages, into: &out, drain: drain) }
        case .json(let printer):
            try file.write { out, drain in try printer.print(flow, into: &out, drain: drain) }
        case .rows(let rows): try file.write { out, _ in try rows.write(flow, into: &out) }
        case .archive(let writer): try endingQuietly { try append(flow, to: writer) }
        case .foreign(var writer):
            encoder = nil
            defer { encoder = .foreign(writer) }
            try file.write { out, drain in _ = try writer.write(flow, into: &out, drain: drain) }
        case .messages(var writer):
            encoder = nil
            defer { encoder = .messages(writer) }
            try file.write { out, drain in
                let omitted = try writer.write(flow, into: &out, drain: drain)
                guard case .messages(let format) = format else { return }
                try messageReport?.count(flow, omitted, of: format, messages.sides)
            }
        case nil: break
        }
    }

    private func append(_ flow: Flow, to writer: ArchiveWriter) throws {
        guard let stage = limit?.stage() else { return try flow.forEachEvent { try writer.append($0) } }
        var failure: (any Error)?
        func store(_ what: FlowEvent.What, _ at: Timestamp) {
            do { try writer.append(FlowEvent(flow: flow.id, at: at, what: what)) } catch { failure = failure ?? error }
        }
        var last = flow.started
        try flow.forEachEvent { event in
            last = event.at
            stage.receive(event.what, at: event.at, into: store)
            if let failure { throw failure }
        }
        if flow.ended == nil { stage.stop(at: last, into: store) }
        if let failure { throw failure }
    }

    private func textPrinter(_ detail: Int) -> FlowTextPrinter {
        var style = style
        style.detail = detail
        return FlowTextPrinter(style)
    }

    /// Prints messages of a conversation, as text.
    package func takeMessages(of flow: Flow, after printed: Int, detail: Int) throws {
        try begin()
        let printer = textPrinter(detail)
        do {
            try file.write { out, drain in try printer.printMessages(of: flow, after: printed, into: &out, drain: drain) }
        } catch let error as ArchiveError where error.kind == .damagedContent {
            // The source reports the damage.
        }
    }

    /// Writes a flow that can be copied as it is stored.
    package func take(_ flow: StoredFlow) throws {
        guard case .archive(let writer) = encoder else { return try take(flow.flow()) }
        try endingQuietly { try writer.append(flow) }
    }

    /// Writes a flow where it is stored, to an Arrow stream.
    package func take(_ flow: RecordView) throws {
        guard case .arrow(let rows) = encoder else { return }
        let origin = FlowOrigin(blockOffset: flow.blockOffset, partCount: 1)
        try file.write { out, _ in rows.append(flow, origin: origin, into: &out) }
    }

    /// Writes everything that came, if a reader may wait for it. A file receives its bytes in whole blocks.
    package func flush() throws {
        guard file.isLive else { return }
        if case .archive(let writer) = encoder { try endingQuietly { try writer.flush() } }
        if case .arrow(let rows) = encoder { try file.write { out, _ in rows.endBatch(into: &out) } }
        try file.flush()
    }

    /// What the flows so far lost; nil for a format without a report.
    package var report: ConversionReport? {
        if case .foreign(let writer) = encoder { return writer.report }
        return messageReport
    }

    /// No flow follows. The output receives its name.
    /// - Returns: a sentence about what was changed, lost or left out; nil when nothing was.
    package func finish() throws -> String? {
        switch encoder {
        case .arrow(let rows):
            try file.write { out, _ in rows.finish(into: &out) }
            try file.close()
        case .archive(let writer): try endingQuietly { try writer.close() }
        case .foreign(var writer):
            try file.write { out, drain in try writer.finish(into: &out, drain: drain) }
            try file.close()
            return writer.report.sentence
        case .messages(let writer):
            try file.close()
            return messageReport.map(\.sentence) ?? writer.omissions.sentence
        case .text, .json, .rows: try file.close()
        case nil: break
        }
        return nil
    }
}
