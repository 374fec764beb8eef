// A block whose records are decompressed, and the connections that its flows refer to.

import FlowModel
import HTTPSemantics
import NIOCore

/// Goes through the records of a block.
struct RecordWalk {
    /// A record's type, offset in the records and length.
    struct Entry: Sendable {
        var type: UInt8
        var start: UInt32
        var length: UInt32
    }

    private let records: ByteBuffer
    private var position = 0

    init(_ records: ByteBuffer) { self.records = records }

    /// The next record; nil at the end.
    /// - Throws: when its length is not valid; the rest of the block cannot be read then.
    mutating func next() throws(MalformedRecord) -> Entry? {
        let start = position
        guard start < records.readableBytes else { return nil }
        guard
            let (size, type) = records.getMultipleIntegers(
                at: records.readerIndex + start, endianness: .little, as: (UInt32, UInt8).self),
            size >= RecordType.prefix, Int(size) <= records.readableBytes - start
        else {
            position = records.readableBytes
            throw MalformedRecord()
        }
        position += Int(size)
        return Entry(type: type, start: UInt32(start), length: size)
    }
}

/// One block while it is being read. Used by one thread.
final class DecodedBlock {
    let header: BlockHeader
    let offset: UInt64
    let source: BlockSource
    let records: ByteBuffer
    private let connections: SegmentConnections
    private var clients: [UInt32: Shared<ClientConnection>] = [:]
    private var servers: [UInt32: Shared<ServerConnection>] = [:]
    private var addresses: [UInt32: ByteBuffer] = [:]

    init(header: BlockHeader, offset: UInt64, records: ByteBuffer, source: BlockSource, connections: SegmentConnections) {
        self.header = header
        self.offset = offset
        self.records = records
        self.source = source
        self.connections = connections
    }

    convenience init(_ fetched: FetchedBlock, records: ByteBuffer, connections: SegmentConnections) {
        self.init(
            header: fetched.header, offset: fetched.offset, records: records, source: fetched.source, connections: connections)
    }

    /// The connection whose record begins at an offset, which is counted from 1; nil for 0 and for anything but such a record.
    func client(_ reference: UInt32) -> Shared<ClientConnection>? {
        if let known = clients[reference] { return known }
        guard let shared = record(reference, RecordType.client).flatMap({ connections.client($0) }) else { return nil }
        clients[reference] = shared
        return shared
    }

    func server(_ reference: UInt32) -> Shared<ServerConnection>? {
        if let known = servers[reference] { return known }
        guard let shared = record(reference, RecordType.server).flatMap({ connections.server($0) }) else { return nil }
        servers[reference] = shared
        return shared
    }

    /// `ip:port` of a client, made once for a block.
    func clientAddress(_ reference: UInt32) -> ByteBuffer? {
        address(reference) { client(reference)?.value.peer }
    }

    /// `host:port` of a server as it was requested.
    func serverAddress(_ reference: UInt32) -> ByteBuffer? {
        address(reference) { server(reference)?.value.target }
    }

    private func address(_ reference: UInt32, _ endpoint: () -> Endpoint?) -> ByteBuffer? {
        if let known = addresses[reference] { return known }
        guard let endpoint = endpoint() else { return nil }
        let address = ByteBuffer(string: endpoint.description)
        addresses[reference] = address
        return address
    }

    /// The record at an offset, counted from 1, without its length and type.
    private func record(_ reference: UInt32, _ type: UInt8) -> ByteBuffer? {
        let start = Int(reference) - 1
        guard start >= 0, start + RecordType.prefix <= records.readableBytes,
            let (length, found) = records.getMultipleIntegers(
                at: records.readerIndex + start, endianness: .little, as: (UInt32, UInt8).self),
            found == type, length >= RecordType.prefix, Int(length) <= records.readableBytes - start
        else { return nil }
        return content(start, Int(length))
    }

    /// A record without its length and type.
    func content(_ entry: RecordWalk.Entry) -> ByteBuffer { content(Int(entry.start), Int(entry.length)) }

    private func content(_ start: Int, _ length: Int) -> ByteBuffer {
        records.slice(start + RecordType.prefix, length - RecordType.prefix)
    }

    /// The opening of a record's flow.
    func opening(_ view: RecordView) -> FlowOpening {
        let target = FlowTarget(
            scheme: String(buffer: view.targetScheme), host: String(buffer: view.targetHost), port: view.targetPort)
        return FlowOpening(
            kind: view.kind, client: client(view.clientReference) ?? Shared(.unknown), target: target, stream: view.stream)
    }

    /// Turns the items of a record into events.
    /// - Parameters:
    ///   - event: receives every event except pieces.
    ///   - piece: receives the descriptions of pieces; their content is fetched later.
    func events(
        of view: RecordView, in details: ByteBuffer, _ event: (FlowEvent.What, Timestamp) -> Void,
        piece: (PiecePlace, Timestamp) -> Void
    ) throws(MalformedRecord) {
        var items = ItemReader(details, from: view.started)
        while let item = try items.next() {
            if item.tag == ItemTag.piece {
                piece(try PiecePlace(item.content), item.at)
            } else if let what = try Self.what(item.tag, item.content, item.at, view) {
                event(what, item.at)
            }
        }
    }

    /// - Returns: nil for an unknown tag, which a later version wrote.
    private static func what(
        _ tag: UInt8, _ content: ByteBuffer, _ at: Timestamp, _ view: RecordView
    ) throws(MalformedRecord) -> FlowEvent.What? {
        var reader = RecordReader(content)
        switch tag {
        case ItemTag.request:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            return .request(RequestHead(parsing: reader.bytes, version: version))
        case ItemTag.interim, ItemTag.response:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            let head = ResponseHead(parsing: reader.bytes, version: version)
            return tag == ItemTag.interim ? .interim(head) : .response(head)
        case ItemTag.trailers:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .trailers(from: side, FieldSection(parsing: reader.bytes))
        case ItemTag.finished:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .finished(side)
        case ItemTag.ended:
            return .ended(try ending(&reader, at, view))
        case ItemTag.note:
            let side = try reader.byte()
            return .note(FlowNote(side: side == 0 ? nil : Side(rawValue: side - 1), String(buffer: reader.bytes)))
        case ItemTag.malformed:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .malformed(from: side, reader.bytes)
        case ItemTag.localReply:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            let head = ResponseHead(parsing: try reader.slice(UInt64(try reader.number(UInt32.self))), version: version)
            return .localReply(LocalReply(head: head, content: reader.bytes))
        default:
            return nil
        }
    }

    private static func ending(_ reader: inout RecordReader, _ at: Timestamp, _ view: RecordView) throws(MalformedRecord)
        -> FlowEnding
    {
        guard let state = FlowState(rawValue: try reader.byte()) else { throw MalformedRecord() }
        var ending = FlowEnding(state: state)
        let bits = try reader.byte()
        func side(_ isThere: UInt8, _ isServer: UInt8) -> Side? {
            bits & isThere == 0 ? nil : bits & isServer == 0 ? .client : .server
        }
        ending.isReset = bits & EndedFlag.isReset != 0
        ending.closedBy = side(EndedFlag.hasCloser, EndedFlag.closedByServer)
        if bits & EndedFlag.isPassthrough != 0 {
            let fromClient = try reader.varint()
            ending.passthrough = PassthroughSizes(fromClient: fromClient, fromServer: try reader.varint())
        }
        let errorTime = at.advanced(byNanoseconds: try reader.zigzag())
        if let message = view.errorMessage {
            let side = side(EndedFlag.hasBlame, EndedFlag.blamesServer)
            ending.error = FlowError(side: side, message: String(buffer: message), at: errorTime)
        }
        ending.comment = view.commentText.map { String(buffer: $0) }
        for _ in 0..<(try reader.count()) { ending.tags.append(try reader.text()) }
        return ending
    }
}
