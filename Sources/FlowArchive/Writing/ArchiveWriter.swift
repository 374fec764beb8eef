// Writes a recording: gathers what flows say until a block is full or it is time to flush, and appends the block. Taking events cannot
// fail; only passing blocks to the storage can, and what it did not take is kept and offered again.

import FlowModel
import HTTPSemantics
import NIOCore

/// When written blocks are made to survive a loss of power.
package enum ArchiveSync: String, Sendable, CaseIterable {
    /// The system writes them when it likes; a crash of the recorder loses nothing all the same.
    case none
    /// With each flush.
    case interval
    /// With each block, and a block is written for each batch of events.
    case always
}

/// How a recording is laid out.
package struct ArchiveOptions: Sendable {
    /// Bytes of records, details and content, before compression, after which a block is written. At most 8 MiB.
    package var blockTarget = 512 * 1024
    package var compression = ArchiveCompression.fast
    package var sync = ArchiveSync.none

    package init() {}
}

/// Writes one segment of a flow file. Owned by one thread.
package final class ArchiveWriter {
    /// Pending bytes of one flow from which on it is written in parts.
    private static let maximumPending = 64 * 1024
    /// A piece is divided where it is larger than this, so that a block stays within its limits.
    static let maximumPiece = 8 * 1024 * 1024
    /// Parts that are kept for the flows to come.
    private static let maximumSpare = 256

    private let storage: any ArchiveStorage
    private let options: ArchiveOptions
    private let block: BlockBuilder
    private var open: [FlowID: FlowPart] = [:]
    /// The flow of the event before, since events of one flow often come in a row.
    private var current: FlowPart?
    private var spare: [FlowPart] = []
    /// Flows with something that is in no block, in the order in which it was said. Some have been written meanwhile.
    private var pending: [FlowPart] = []
    private var pendingBytes = 0
    /// What the storage has still to take.
    private var unwritten = ScatteredBytes()
    private var hasEnded = false

    /// The time of the oldest event that may not be in the file; nil when all are. The owner flushes when this is longer ago than the
    /// flush interval.
    package private(set) var unflushedSince: Timestamp?

    /// Begins a segment: appends its header.
    /// - Parameter storage: stands at the end of what it holds.
    package init(storage: any ArchiveStorage, options: ArchiveOptions = ArchiveOptions(), now: Timestamp) throws(ArchiveError) {
        self.storage = storage
        self.options = options
        block = BlockBuilder(segment: now, compression: options.compression)
        var header = ByteBuffer()
        SegmentHeader(created: now).write(into: &header)
        block.begin(at: header.readableBytes)
        unwritten.append(header)
        try drain()
    }

    /// Flows that have begun and not ended.
    package var openFlows: Int { open.count }

    /// Whether a flow has begun here and not ended.
    package func holds(_ flow: FlowID) -> Bool { open[flow] != nil }

    /// Bytes that the storage has not taken yet: more than 0 only after an error.
    package var unwrittenBytes: Int { unwritten.count }

    /// Takes one event; a full block is written. The event is taken whatever is thrown: what the storage refused is offered again with the
    /// next call, so nothing is lost as long as the owner goes on.
    package func append(_ event: FlowEvent) throws(ArchiveError) {
        unsafe withUnsafePointer(to: event) { unsafe take($0) }
        if !unwritten.isEmpty { try drain() }
    }

    /// Takes many events, all of them, whatever is thrown.
    package func append(contentsOf events: [FlowEvent]) throws(ArchiveError) {
        var failure: ArchiveError?
        unsafe events.withUnsafeBufferPointer { events in
            for index in events.indices {
                guard let first = events.baseAddress else { return }
                unsafe take(first + index)
                guard !unwritten.isEmpty, failure == nil else { continue }
                do throws(ArchiveError) { try drain() } catch { failure = error }
            }
        }
        if let failure { throw failure }
        if options.sync == .always { try flush() }
    }

    /// Copies a flow from the block in which it is stored. Without all of its content it is written as an incomplete flow.
    /// - Throws: what fetching details and content throws; as ``append(_:)`` what the storage throws.
    package func append(_ flow: StoredFlow) throws {
        precondition(!hasEnded, "nothing is recorded after the end")
        guard let content = try flow.content() else {
            return try flow.flow().forEachEvent { try append($0) }
        }
        if unflushedSince == nil { unflushedSince = flow.started }
        block.write(flow, content: content)
        if block.size >= options.blockTarget { cut() }
        if !unwritten.isEmpty { try drain() }
    }

    /// Forgets an open flow: readers will not see it. Events of it that still come are passed over, as are those of any flow that is not
    /// open.
    package func discard(_ flow: FlowID) {
        guard let part = open[flow] else { return }
        if part.number > 0 { block.writeTombstone(flow) }
        release(part)
    }

    /// Ends all open flows in the same way: events of them that still come are passed over. Nothing is written yet.
    package func endOpenFlows(_ ending: FlowEnding, at: Timestamp) {
        for flow in open.keys.sorted() {
            let event = FlowEvent(flow: flow, at: at, what: .ended(ending))
            unsafe withUnsafePointer(to: event) { unsafe take($0) }
        }
    }

    /// Writes everything that was said, also of flows that go on.
    package func flush() throws(ArchiveError) {
        writePending()
        cut()
        unflushedSince = nil
        try drain()
        if options.sync != .none { try storage.sync() }
    }

    /// Writes what is left, the index and the footer, and closes the storage. Flows that are open stay incomplete. After an error it may be
    /// called again.
    package func close() throws(ArchiveError) {
        if !hasEnded {
            writePending()
            cut()
            block.writeEnd(into: &unwritten)
            hasEnded = true
            unflushedSince = nil
        }
        try drain()
        if options.sync != .none { try storage.sync() }
        try storage.close()
    }

    // MARK: Events

    // SAFETY: the caller lends the event. It is looked at where it is: copying it would retain everything that it holds.
    private func take(_ event: UnsafePointer<FlowEvent>) {
        precondition(!hasEnded, "nothing is recorded after the end")
        guard let part = unsafe part(of: event) else { return }
        if unflushedSince == nil { unflushedSince = unsafe event.pointee.at }
        let before = part.pendingBytes
        unsafe take(event, part)
        pendingBytes += part.pendingBytes - before
        if part.hasEnded {
            write(part, isRest: false)
            release(part)
        } else {
            if part.isPending, !part.isListed {
                part.isListed = true
                pending.append(part)
            }
            if part.pendingBytes > Self.maximumPending { write(part, isRest: true) }
        }
        if block.size >= options.blockTarget { cut() }
        if pendingBytes > options.blockTarget { writePending() }
    }

    /// The flow that an event belongs to; nil when it is not open.
    @inline(__always) private func part(of event: UnsafePointer<FlowEvent>) -> FlowPart? {
        let flow = unsafe event.pointee.flow
        if let current, current.isOpen, current.id == flow { return current }
        if let known = open[flow] {
            current = known
            return known
        }
        guard case .opened = unsafe event.pointee.what else { return nil }
        let part = spare.popLast() ?? FlowPart()
        open[flow] = part
        current = part
        return part
    }

    @inline(__always) private func take(_ event: UnsafePointer<FlowEvent>, _ part: FlowPart) {
        let at = unsafe event.pointee.at
        switch unsafe event.pointee.what {
        case .opened(let opening):
            part.open(unsafe event.pointee.flow, opening, at: at)
        case .server(let server):
            part.touch(at)
            part.server = server
        case .client(let client):
            part.touch(at)
            part.client = client
        case .request(let head):
            part.request(head, at: at)
        case .interim(let head):
            part.response(ItemTag.interim, head, at: at)
        case .response(let head):
            part.response(ItemTag.response, head, at: at)
        case .piece(let piece):
            take(piece, at: at, part)
        case .trailers(let side, let fields):
            part.trailers(side, fields, at: at)
        case .finished(let side):
            part.finished(side, at: at)
        case .note(let note):
            part.note(note, at: at)
        case .malformed(let side, let bytes):
            part.malformed(side, bytes, at: at)
        case .localReply(let reply):
            part.localReply(reply, at: at)
        case .ended(let ending):
            part.ended(ending, at: at)
        }
    }

    private func take(_ piece: FlowPiece, at: Timestamp, _ part: FlowPart) {
        let size = piece.content.readableBytes
        if part.contentLength + size <= Self.maximumPending {
            part.piece(piece, size: size, continues: false, at: at)
            part.append(content: piece.content)
            return
        }
        // Large content goes into the block at once: what the flow has so far becomes a record with it.
        var rest = piece.content
        repeat {
            let bytes = rest.readSlice(length: min(rest.readableBytes, Self.maximumPiece)) ?? ByteBuffer()
            part.piece(piece, size: bytes.readableBytes, continues: rest.readableBytes > 0, at: at)
            block.write(part, followedBy: bytes)
            part.goOn()
            if block.size >= options.blockTarget { cut() }
        } while rest.readableBytes > 0
    }

    private func release(_ part: FlowPart) {
        pendingBytes -= part.pendingBytes
        open[part.id] = nil
        part.end()
        if current === part { current = nil }
        // One that is listed would be flushed for the flow that it serves next, which does no harm.
        if spare.count < Self.maximumSpare { spare.append(part) }
    }

    // MARK: Blocks

    /// Puts what a flow has pending into the block as a record.
    /// - Parameter isRest: the flow goes on.
    private func write(_ part: FlowPart, isRest: Bool) {
        let bytes = part.pendingBytes
        block.write(part, followedBy: ByteBuffer())
        guard isRest else { return }
        part.goOn()
        pendingBytes -= bytes
    }

    /// Puts what all open flows have pending into blocks.
    private func writePending() {
        for part in pending {
            part.isListed = false
            guard part.isOpen, part.isPending else { continue }
            write(part, isRest: true)
            if block.size >= options.blockTarget { cut() }
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// Ends the block and begins the next.
    private func cut() {
        guard !block.isEmpty else { return }
        block.end(into: &unwritten)
        for part in pending where !(part.isOpen && part.isPending) { part.isListed = false }
        pending.removeAll { !$0.isListed }
        if pending.isEmpty { unflushedSince = nil }
    }

    /// Passes on what is to be written.
    private func drain() throws(ArchiveError) {
        while !unwritten.isEmpty {
            let taken = try storage.append(unwritten)
            precondition(taken > 0 && taken <= unwritten.count, "a storage takes something or throws")
            unwritten.removeFirst(taken)
        }
        if options.sync == .always { try storage.sync() }
    }
}
