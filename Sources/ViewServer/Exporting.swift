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
        let (index, version) = (index, options.version)
        return ViewResponse(.download(name: "flows.\(ending)")) { send in
            list.waitUntilDone()
            try write(list, as: format, from: index, version: version, send)
        }
    }
}

/// Bytes that are gathered before they are sent.
private let exportedPiece = 256 * 1024

private func write(
    _ list: FlowList, as format: String, from index: FlowIndex, version: String, _ send: (ByteBuffer) throws -> Void
) throws {
    if format == "mflow" { return try writeArchive(list, from: index, send) }
    var out = ByteBuffer()
    func sendFull() throws {
        guard out.readableBytes > exportedPiece else { return }
        try send(out)
        out.clear()
    }
    if let foreign = ForeignFormat(rawValue: format) {
        var writer = foreign.writer(version: version)
        try forEachFlow(of: list, in: index) { flow in
            _ = try writer.write(flow, into: &out) { part in
                try send(part)
                part.clear()
            }
            try sendFull()
        }
        try writer.finish(into: &out) { part in
            try send(part)
            part.clear()
        }
    } else if let messages = MessageFormat(rawValue: format) {
        var writer = messages.writer(MessageOptions())
        try forEachFlow(of: list, in: index) { flow in
            try writer.write(flow, into: &out) { part in
                try send(part)
                part.clear()
            }
            try sendFull()
        }
    } else {
        let printer = FlowJSONPrinter(rawBody: false)
        try forEachFlow(of: list, in: index) { flow in
            try printer.print(flow, into: &out) { part in
                try send(part)
                part.clear()
            }
            try sendFull()
        }
    }
    try send(out)
}

/// Calls back with the flows of a list in its order.
private func forEachFlow(of list: FlowList, in index: FlowIndex, _ body: (Flow) throws -> Void) throws {
    var from = 0
    while true {
        let ordinals = list.ordinals(from..<from + 256)
        guard !ordinals.isEmpty else { return }
        for ordinal in ordinals { if let flow = try index.flowWithCertificates(ordinal) { try body(flow) } }
        from += ordinals.count
    }
}

/// Writes a flow file in the order of the recordings.
private func writeArchive(_ list: FlowList, from index: FlowIndex, _ send: (ByteBuffer) throws -> Void) throws {
    try withoutActuallyEscaping(send) { send in
        let storage = SentStorage(send)
        do {
            let writer = try ArchiveWriter(storage: storage, now: .now)
            // Connections and certificates are in the files, so these are read again instead of single flows.
            for source in index.sources {
                guard let path = source.path else { continue }
                try copy(path, source.keys, list.filter, into: writer)
            }
            for flow in index.flowsInMemory where try list.filter?.matches(flow) ?? true {
                try flow.forEachEvent { try writer.append($0) }
            }
            try writer.close()
        } catch {
            throw storage.failure ?? error
        }
    }
}

private func copy(_ path: String, _ keys: ArchiveKeys, _ filter: FlowFilter?, into writer: ArchiveWriter) throws {
    let input = try ArchiveInput(path: path, keys: keys)
    let reader =
        filter.map { ArchiveReader(input, where: $0, delivery: .stored) } ?? ArchiveReader(input, delivery: .stored)
    func take(_ item: ArchiveItem) throws {
        switch item {
        case .stored(let flow): try writer.append(flow)
        case .flow(let flow): try flow.forEachEvent { try writer.append($0) }
        case .damage: break
        }
    }
    while let item = try reader.next() { try take(item) }
    for item in try reader.finish() { try take(item) }
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
