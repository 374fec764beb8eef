// Writes events to archives in memory, reads archives back as text that can be compared, and plays a storage that fails.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Writes events to a file in memory.
/// - Parameters:
///   - flushEvery: a flush after this many events.
///   - closes: otherwise everything is flushed and the file ends without index and footer, as after a crash.
func archive(
    _ events: [FlowEvent], created: Int64 = 1, options: ArchiveOptions = ArchiveOptions(), flushEvery: Int = .max,
    closes: Bool = true
) throws -> ByteBuffer {
    let storage = ScriptedStorage()
    let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: created))
    for (index, event) in events.enumerated() {
        try writer.append(event)
        if index % flushEvery == flushEvery - 1 { try writer.flush() }
    }
    if closes { try writer.close() } else { try writer.flush() }
    return storage.bytes
}

/// Everything that a reader says of a file, flows as text.
struct Reading: Equatable {
    var flows: [String] = []
    var damage: [ArchiveDamage] = []

    /// Whether damage was reported, as such or at a flow's content.
    var tellsDamage: Bool { !damage.isEmpty || flows.contains { $0.hasSuffix(Self.damagedContent) } }

    static let damagedContent = "its content is damaged"
}

func readAll(_ reader: ArchiveReader) throws -> Reading {
    var reading = Reading()
    func take(_ item: ArchiveItem) {
        switch item {
        case .stored(let flow): Issue.record("stored without being wanted: \(flow)")
        case .flow(let flow): reading.flows.append((try? describe(flow)) ?? "\(flow.id) \(flow.state) \(Reading.damagedContent)")
        case .damage(let found): reading.damage.append(found)
        case .record: Issue.record("a record without being wanted")
        }
    }
    while let item = try reader.next() { take(item) }
    try reader.finish().forEach(take)
    reading.damage += reader.takeFoundDamage()
    return reading
}

/// Reads a file with one thread and with several, which must come to the same.
func readAll(path: String, where predicate: some FlowPredicate = EveryFlow()) throws -> Reading {
    let reading = try readAll(try ArchiveReader(path: path, where: predicate))
    let again = try readAll(ArchiveReader(try ArchiveInput(path: path), where: predicate, jobs: 3))
    if reading != again { Issue.record("one thread reads \(reading), three read \(again)") }
    return reading
}

func readAll(_ bytes: ByteBuffer, in directory: String) throws -> Reading {
    let path = directory + "/read.mflow"
    try write(bytes, to: path)
    return try readAll(path: path)
}

/// Reads bytes as they come out of a pipe.
func readFromPipe(_ bytes: ByteBuffer, where predicate: some FlowPredicate = EveryFlow()) throws -> Reading {
    try throughPipe(bytes) { try readAll(ArchiveReader(descriptor: $0, name: "a pipe", where: predicate)) }
}

/// Passes bytes through a pipe to what reads its descriptor.
func throughPipe<Result>(_ bytes: ByteBuffer, _ read: (Int32) throws -> Result) throws -> Result {
    let pipe = Pipe()
    let writing = Thread {
        pipe.fileHandleForWriting.write(Data(bytes.readableBytesView))
        try? pipe.fileHandleForWriting.close()
    }
    writing.start()
    return try read(pipe.fileHandleForReading.fileDescriptor)
}

func write(_ bytes: ByteBuffer, to path: String) throws {
    try Data(bytes.readableBytesView).write(to: URL(fileURLWithPath: path))
}

/// A flow as text in which everything that was recorded of it shows, to compare whole flows.
func describe(_ flow: Flow) throws -> String {
    var lines = ["\(flow.id) \(flow.kind) \(flow.state) \(flow.started.nanoseconds) \(flow.ended?.nanoseconds ?? 0) \(flow.stream)"]
    lines.append("target \(flow.target)")
    lines.append("client \(flow.client.map { describe($0.value) } ?? "lost")")
    lines.append("server \(flow.server.map { describe($0.value) } ?? "none")")
    if let request = flow.request {
        lines.append("request \(times(request)) \(request.head.version) \(request.head.method) \(request.head.target)")
        lines.append(text(request.head.wire) + "\(request.head.fields.pairs)")
        lines.append("trailers \(request.trailers?.description ?? "none")")
    }
    for interim in flow.interims { lines.append("interim \(interim.at.nanoseconds) \(text(interim.value.wire))") }
    if let response = flow.response {
        lines.append("response \(times(response)) \(response.head.status) \(text(response.head.reason))")
        lines.append(text(response.head.wire) + "\(response.head.fields.pairs)")
        lines.append("trailers \(response.trailers?.description ?? "none")")
    }
    for note in flow.notes {
        lines.append("note \(note.at.nanoseconds) \(String(describing: note.value.side)) \(note.value.message)")
    }
    for bytes in flow.malformed { lines.append("malformed \(bytes.at.nanoseconds) \(bytes.value.from) \(text(bytes.value.bytes))") }
    if let reply = flow.localReply {
        lines.append("local reply \(reply.at.nanoseconds) \(reply.value.head.version) \(text(reply.value.head.wire))")
        lines.append(text(reply.value.content))
    }
    lines.append("\(flow.isWebSocket) \(String(describing: flow.closedBy)) \(flow.isReset) \(String(describing: flow.passthrough))")
    lines.append("\(flow.comment ?? "-") \(flow.tags) \(String(describing: flow.error)) \(flow.pieces.count)")
    if let redaction = flow.redaction {
        lines.append("\(redaction) \([flow.request?.isStoredDecoded, flow.response?.isStoredDecoded])")
    }
    try flow.pieces.forEach { at, piece in
        lines.append("piece \(at.nanoseconds) \(piece.kind) \(piece.from) \(piece.wireSize) \(piece.frames) \(text(piece.content))")
        if let cut = piece.cut?.value { lines.append("of \(piece.size) \(text(cut.sha256))") }
        return true
    }
    for side in [Side.client, .server] {
        guard let cut = flow.cut(of: side) else { continue }
        lines.append("cut \(side) \(cut.size) \(text(cut.sha256))")
    }
    return lines.joined(separator: "\n")
}

private func describe(_ connection: ClientConnection) -> String {
    "\(connection)".replacing("ByteBuffer", with: "") + certificates(connection.tls)
}
private func describe(_ connection: ServerConnection) -> String { "\(connection)" + certificates(connection.tls) }

private func certificates(_ tls: TLSDetails?) -> String {
    (tls?.certificates ?? []).map { $0.readableBytes == 0 ? " a certificate was lost" : " \(text($0))" }.joined()
}

private func times(_ message: Message<some Any>) -> String {
    "\(message.started.nanoseconds) \(message.firstByte?.nanoseconds ?? 0) \(message.ended?.nanoseconds ?? 0) \(message.size) \(message.storedSize)"
}

private func text(_ bytes: ByteBuffer) -> String { Data(bytes.readableBytesView).base64EncodedString() }

/// The flows that events tell of, in the order in which they end, open ones last by their start.
func assemble(_ events: [FlowEvent]) -> [Flow] {
    var open: [FlowID: FlowAssembler] = [:]
    var ended: [Flow] = []
    for event in events {
        if case .opened(let opening) = event.what {
            open[event.flow] = FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: true)
        }
        open[event.flow]?.receive(event.what, at: event.at)
        if case .ended = event.what, let flow = open.removeValue(forKey: event.flow)?.flow { ended.append(flow) }
    }
    return ended + open.values.map(\.flow).sorted { ($0.started, $0.id) < ($1.started, $1.id) }
}

/// Storage in memory that fails as a script says.
final class ScriptedStorage: ArchiveStorage {
    /// Everything that was taken, and how much of it survives a loss of power.
    private(set) var bytes = ByteBuffer()
    private(set) var synced = 0
    private(set) var calls = 0
    private(set) var isClosed = false
    /// The call of append, counted from 1, that accepts only this many bytes.
    var shortCall: (call: Int, bytes: Int)?
    /// Calls of append that fail, counted from 1.
    var failingCalls: Range<Int> = 0..<0

    func append(_ scattered: ScatteredBytes) throws(ArchiveError) -> Int {
        var bytes = ByteBuffer()
        for buffer in scattered.buffers { bytes.writeImmutableBuffer(buffer) }
        calls += 1
        if failingCalls.contains(calls) { throw ArchiveError(.system(28), "no space left on device") }
        var taken = bytes.readableBytes
        if let shortCall, shortCall.call == calls { taken = min(shortCall.bytes, taken) }
        self.bytes.writeImmutableBuffer(bytes.getSlice(at: bytes.readerIndex, length: taken)!)
        return taken
    }

    func sync() throws(ArchiveError) { synced = bytes.readableBytes }
    func close() throws(ArchiveError) { isClosed = true }

    /// What a loss of power leaves.
    var survivors: ByteBuffer { bytes.getSlice(at: 0, length: synced)! }
}

/// Runs a program and waits for its end.
/// - Returns: its exit status and what it wrote to standard output.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: Data) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, data)
}
