// The flows of a list as a file.

import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import FlowView
import ForeignArchives
import Glibc
import HTTPSemantics
import NIOCore
import Redaction
import ToolSupport

extension ViewAPI {
    /// Formats, with the ends of their file names.
    private static let formats = [
        "mflow": "mflow", "har": "har", "mitmproxy": "mitm", "json": "jsonl", "curl": "sh", "http": "http",
    ]

    func export(_ list: FlowList, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let format = query["format"] ?? "mflow"
        guard let ending = Self.formats[format] else {
            throw ViewError(.unprocessableEntity, "formats are \(Self.formats.keys.sorted().joined(separator: ", "))")
        }
        let export = Export(list: list, index: index, redaction: try redaction(query), version: options.version)
        return ViewResponse(.download(name: "flows.\(ending)")) { send in
            list.waitUntilDone()
            try export.write(as: format, send)
        }
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

/// One export: the flows of a list, after redaction.
private struct Export: Sendable {
    /// Bytes that are gathered before they are sent.
    private static let piece = 256 * 1024

    let list: FlowList
    let index: FlowIndex
    let redaction: RecordingRedaction?
    let version: String

    func write(as format: String, _ send: (ByteBuffer) throws -> Void) throws {
        if format == "mflow" { return try writeArchive(send) }
        var out = ByteBuffer()
        func sendFull() throws {
            guard out.readableBytes > Self.piece else { return }
            try send(out)
            out.clear()
        }
        if let foreign = ForeignFormat(rawValue: format) {
            var writer = foreign.writer(version: version)
            try forEachFlow { flow in
                _ = try writer.write(flow, into: &out)
                try sendFull()
            }
            writer.finish(into: &out)
        } else if let messages = MessageFormat(rawValue: format) {
            var writer = messages.writer(MessageOptions())
            try forEachFlow { flow in
                try writer.write(flow, into: &out) { part in
                    try send(part)
                    part.clear()
                }
                try sendFull()
            }
        } else {
            let printer = FlowJSONPrinter(rawBody: false)
            try forEachFlow { flow in
                try printer.print(flow, into: &out) { part in
                    try send(part)
                    part.clear()
                }
                try sendFull()
            }
        }
        try send(out)
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

    /// Writes a flow file in the order of the recordings.
    private func writeArchive(_ send: (ByteBuffer) throws -> Void) throws {
        try withoutActuallyEscaping(send) { send in
            let storage = SentStorage(send)
            do {
                var options = ArchiveOptions()
                options.redactionRules = redaction?.rules ?? []
                let writer = try ArchiveWriter(storage: storage, options: options, now: .now)
                try copyFiles(into: writer)
                for flow in index.flowsInMemory where try list.filter?.matches(flow) ?? true {
                    try (redaction?.redact(flow) ?? flow).forEachEvent { try writer.append($0) }
                }
                try writer.close()
            } catch {
                throw storage.failure ?? error
            }
        }
    }

    /// Copies what the list's filter selects. Connections and certificates are in the files, so these are read again instead of single
    /// flows, as mitm-filter reads them.
    private func copyFiles(into writer: ArchiveWriter) throws {
        let files = index.sources.compactMap { source in source.path.map { ArchiveSource.file($0, keys: source.keys) } }
        if let filter = list.filter {
            try copy(ArchiveSequence(files, where: filter, delivery: .stored, isQuiet: true), into: writer)
        } else {
            try copy(ArchiveSequence(files, where: EveryFlow(), delivery: .stored, isQuiet: true), into: writer)
        }
    }

    private func copy<Filter>(_ files: ArchiveSequence<Filter>, into writer: ArchiveWriter) throws {
        var files = files
        files.redaction = redaction
        files.stored = { stored in
            try writer.append(stored)
            return true
        }
        files.namedRules = { if !writer.hasEnded { writer.addRedactionRules($0) } }
        try files.forEach { _ in
            // The page shows damage.
        } flow: { flow in
            try flow.forEachEvent { try writer.append($0) }
            return true
        }
    }
}

/// Passes the bytes of a flow file on.
private final class SentStorage: ArchiveStorage {
    private let send: (ByteBuffer) throws -> Void
    /// Why sending failed.
    private(set) var failure: (any Error)?

    init(_ send: @escaping (ByteBuffer) throws -> Void) { self.send = send }

    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        var joined = ByteBuffer()
        for buffer in bytes.buffers { joined.writeImmutableBuffer(buffer) }
        do { try send(joined) } catch {
            failure = error
            throw ArchiveError(.system(EPIPE), "the client has closed the connection")
        }
        return joined.readableBytes
    }

    func sync() {}
    func close() {}
}
