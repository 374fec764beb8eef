// The flows of a list as a file, in each format that the tools write, and what they lose in it.

import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import FlowTable
import FlowView
import ForeignArchives
import Glibc
import HTTPSemantics
import NIOCore
import Protobuf
import Redaction
import ToolSupport

extension ViewAPI {
    func export(_ list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let export = try exported(list, query)
        return ViewResponse(.download(name: "flows.\(export.format.fileEnding)")) { send in try export.write(send) }
    }

    /// What an export changes, loses and leaves out. The flows are converted, and nothing of them is sent.
    func loss(_ list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let export = try exported(list, query)
        guard export.format.reportsLosses else {
            throw ViewError(
                .unprocessableEntity, "what is lost is counted for \(Self.names { $0.reportsLosses }), not for \(export.format)")
        }
        return ViewResponse(.json) { send in
            // Nothing to send: this checks that the client still waits.
            guard let report = try export.write({ _ in try send(ByteBuffer()) }) else { return }
            var json = JSONText()
            json.object { json in
                report.writeMembers(into: &json.writer)
                json.key("sentence")
                if let sentence = report.sentence { json.string(sentence) } else { json.null() }
            }
            try send(json.bytes)
        }
    }

    /// The formats, for a page that offers them.
    func formats(_ json: inout JSONText) {
        json.array(OutputFormat.allCases) { json, format in
            json.object { json in
                json.member("name", format.description)
                json.member("summary", format.summary)
                json.member("ending", format.fileEnding)
                json.member("losses", format.reportsLosses)
            }
        }
    }

    private static func names(where isNamed: (OutputFormat) -> Bool = { _ in true }) -> String {
        OutputFormat.allCases.filter(isNamed).map(\.description).sorted().joined(separator: ", ")
    }

    /// The export that a request asks for.
    /// - Throws: 422 for a format, a column or a rule that does not exist.
    private func exported(_ list: FlowList, _ query: ViewQuery) throws(ViewError) -> FlowExport {
        guard let format = OutputFormat(argument: query["format"] ?? "mflow") else {
            throw ViewError(.unprocessableEntity, "formats are \(Self.names())")
        }
        var export = FlowExport(
            list: list, index: index, format: format, schema: options.environment.schema ?? .builtIn,
            redaction: try redaction(query))
        if let columns = query["columns"] {
            guard format == .arrow || format.rows != nil else {
                throw ViewError(.unprocessableEntity, "the format \(format) has no columns")
            }
            do throws(TableError) {
                if format == .arrow {
                    export.arrowColumns = try ArrowColumn.list(columns)
                } else {
                    export.columns = try FlowKey.list(columns)
                }
            } catch {
                throw ViewError(.unprocessableEntity, error.description)
            }
        }
        return export
    }

    /// The redaction that a request asks for with `redact=RULE`, which may be repeated; nil without it.
    /// - Throws: 422 for a rule that is not valid.
    func redaction(_ query: ViewQuery) throws(ViewError) -> RecordingRedaction? {
        let rules = query.all("redact")
        guard !rules.isEmpty else { return nil }
        var environment = options.environment
        environment.now = Timestamp.now
        do {
            return try RecordingRedaction(rules, configuration: options.configuration, environment)
        } catch let error as RedactionError {
            throw ViewError(.unprocessableEntity, error.description)
        } catch {
            throw ViewError(.internalServerError, "\(error)")
        }
    }
}

/// One export: the flows of a list, after redaction, as mitm-filter writes them.
private struct FlowExport: Sendable {
    let list: FlowList
    let index: FlowIndex
    let format: OutputFormat
    let schema: ProtobufSchema
    let redaction: RecordingRedaction?
    /// Of a format of rows.
    var columns = TableRows.defaultKeys
    /// Of an Arrow stream.
    var arrowColumns = ArrowColumn.defaults

    /// Writes the file, when the list is done.
    /// - Returns: what the flows lost; nil for a format without a report.
    @discardableResult
    func write(_ send: (ByteBuffer) throws -> Void) throws -> ConversionReport? {
        guard list.waitUntilDone() else { throw ViewError.closed }
        return try withoutActuallyEscaping(send) { send in
            let storage = SentStorage(send)
            do {
                let output = output(to: storage)
                try output.begin()
                if format == .mflow { try writeArchive(output) } else { try forEachFlow { try output.take($0) } }
                _ = try output.finish()
                return output.report
            } catch {
                throw storage.failure ?? error
            }
        }
    }

    private func output(to storage: SentStorage) -> FlowOutput {
        var foreign = ForeignOptions()
        foreign.warc.filter = list.filter?.canonical
        return FlowOutput(
            OutputFile(storage, format: format), format: format, columns: columns,
            arrow: format == .arrow ? ArrowRows(arrowColumns) : nil, foreign: foreign,
            style: TextStyle(detail: 1, isColoured: false), schema: schema, redaction: redaction)
    }

    /// Calls back with the flows of the list in its order.
    private func forEachFlow(_ body: (Flow) throws -> Void) throws {
        var from = 0
        while true {
            let ordinals = list.ordinals(from..<from + 256)
            guard !ordinals.isEmpty else { return }
            for ordinal in ordinals {
                guard let flow = try index.flowWithCertificates(ordinal) else { continue }
                try body(try redaction?.redact(flow) ?? flow)
            }
            from += ordinals.count
        }
    }

    /// Writes a flow file in the order of the recordings. Connections and certificates are in the files, so these are read again instead of
    /// single flows, as mitm-filter reads them.
    private func writeArchive(_ output: FlowOutput) throws {
        let files = index.sources.compactMap { source in source.path.map { ArchiveSource.file($0, keys: source.keys) } }
        if let filter = list.filter {
            try copy(ArchiveSequence(files, where: filter, delivery: output.delivery, isQuiet: true), into: output)
        } else {
            try copy(ArchiveSequence(files, where: EveryFlow(), delivery: output.delivery, isQuiet: true), into: output)
        }
        for flow in index.flowsInMemory where try list.filter?.matches(flow) ?? true {
            try output.take(redaction?.redact(flow) ?? flow)
        }
    }

    private func copy<Filter>(_ files: ArchiveSequence<Filter>, into output: FlowOutput) throws {
        var files = files
        files.redaction = redaction
        files.namedRules = { output.add(redactionRules: $0) }
        files.stored = { stored in
            try output.take(stored)
            return true
        }
        try files.forEach { _ in
            // The page shows damage.
        } flow: { flow in
            try output.take(flow)
            return true
        }
    }
}

/// Passes the bytes of a file on.
private final class SentStorage: ArchiveStorage {
    private let send: (ByteBuffer) throws -> Void
    /// Why sending failed.
    private(set) var failure: (any Error)?

    init(_ send: @escaping (ByteBuffer) throws -> Void) { self.send = send }

    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        var joined = bytes.buffers.first ?? ByteBuffer()
        for buffer in bytes.buffers.dropFirst() { joined.writeImmutableBuffer(buffer) }
        do { try send(joined) } catch {
            failure = error
            throw ArchiveError(.system(EPIPE), "the client has closed the connection")
        }
        return joined.readableBytes
    }

    func sync() {}
    func close() {}
}
