// A block whose metadata is decompressed: its records, and the connections that they refer to.

import FlowModel
import HTTPSemantics
import NIOCore

/// One block while it is being read. Used by one reader.
final class DecodedBlock {
    let header: BlockHeader
    let offset: UInt64
    let content: BlockContent
    private let metadata: ByteBuffer
    private var position = 0
    private let certificate: (UInt32) -> ByteBuffer?
    private var clients: [UInt32: Shared<ClientConnection>] = [:]
    private var servers: [UInt32: Shared<ServerConnection>] = [:]

    /// - Parameter certificate: finds a certificate of the segment by its number.
    init(
        header: BlockHeader, offset: UInt64, metadata: ByteBuffer, content: BlockContent,
        certificate: @escaping (UInt32) -> ByteBuffer?
    ) {
        self.header = header
        self.offset = offset
        self.metadata = metadata
        self.content = content
        self.certificate = certificate
    }

    /// The next record: type and all its bytes; nil at the end.
    /// - Throws: when its length is not right; the rest of the block cannot be read then.
    func nextRecord() throws(MalformedRecord) -> (type: UInt8, record: ByteBuffer)? {
        guard position < metadata.readableBytes else { return nil }
        guard let length: UInt32 = metadata.getInteger(at: metadata.readerIndex + position, endianness: .little), length >= 8,
            position + Int(length) <= metadata.readableBytes
        else {
            position = metadata.readableBytes
            throw MalformedRecord()
        }
        let record = metadata.slice(position, Int(length))
        position += Int(length)
        return (record.getInteger(at: 4)!, record)
    }

    /// The connection whose record stands at a position, counted plus one; nil for 0 and for what is no such record.
    func client(_ reference: UInt32) -> Shared<ClientConnection>? {
        if let known = clients[reference] { return known }
        guard let bytes = record(reference, RecordType.client), let facts = try? ConnectionRecord.client(bytes, certificate) else {
            return nil
        }
        let shared = Shared(facts)
        clients[reference] = shared
        return shared
    }

    func server(_ reference: UInt32) -> Shared<ServerConnection>? {
        if let known = servers[reference] { return known }
        guard let bytes = record(reference, RecordType.server), let facts = try? ConnectionRecord.server(bytes, certificate) else {
            return nil
        }
        let shared = Shared(facts)
        servers[reference] = shared
        return shared
    }

    /// The content of a record behind its length and type.
    private func record(_ reference: UInt32, _ type: UInt8) -> ByteBuffer? {
        let start = Int(reference) - 1
        guard start >= 0, start + 8 <= metadata.readableBytes,
            let length: UInt32 = metadata.getInteger(at: metadata.readerIndex + start, endianness: .little),
            metadata.getInteger(at: metadata.readerIndex + start + 4) == type, length >= 8,
            start + Int(length) <= metadata.readableBytes
        else { return nil }
        return metadata.slice(start + 8, Int(length) - 8)
    }

    /// Says the items of a flow's record as events. Pieces are told by size only.
    /// - Parameters:
    ///   - event: an event that is no piece.
    ///   - piece: a piece's place; its content is fetched later.
    func events(
        of view: RecordView, _ event: (FlowEvent.What, Timestamp) -> Void, piece: (PiecePlace, Timestamp) -> Void
    ) throws(MalformedRecord) {
        var items = ItemReader(view.items, from: view.started)
        while let item = try items.next() {
            if item.tag == ItemTag.piece {
                piece(try PiecePlace(item.content), item.at)
            } else if let what = try what(item.tag, item.content, item.at) {
                event(what, item.at)
            }
        }
    }

    /// nil for a tag that is not known: a later version wrote it.
    private func what(_ tag: UInt8, _ content: ByteBuffer, _ at: Timestamp) throws(MalformedRecord) -> FlowEvent.What? {
        var reader = RecordReader(content)
        switch tag {
        case ItemTag.opened:
            guard let kind = FlowKind(rawValue: try reader.byte()) else { throw MalformedRecord() }
            let client = client(try reader.number(UInt32.self)) ?? Shared(.unknown)
            let stream = StreamID(try reader.number(UInt32.self))
            let port = try reader.number(UInt16.self)
            let scheme = try reader.text()
            let target = FlowTarget(scheme: scheme, host: try reader.text(), port: port)
            return .opened(FlowOpening(kind: kind, client: client, target: target, stream: stream))
        case ItemTag.server:
            return server(try reader.number(UInt32.self)).map { .server($0) }
        case ItemTag.client:
            return client(try reader.number(UInt32.self)).map { .client($0) }
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
            return .ended(try ending(&reader, at))
        default:
            return nil
        }
    }

    private func ending(_ reader: inout RecordReader, _ at: Timestamp) throws(MalformedRecord) -> FlowEnding {
        guard let state = FlowState(rawValue: try reader.byte()) else { throw MalformedRecord() }
        var ending = FlowEnding(state: state)
        let closedBy = try reader.byte()
        ending.closedBy = closedBy == 0 ? nil : Side(rawValue: closedBy - 1)
        ending.isReset = try reader.byte() == 1
        let fromClient = try reader.varint()
        let fromServer = try reader.varint()
        if fromClient > 0 { ending.passthrough = PassthroughSizes(fromClient: fromClient - 1, fromServer: fromServer) }
        let blame = try reader.byte()
        let time = at.advanced(byNanoseconds: try reader.zigzag())
        if blame > 0 {
            ending.error = FlowError(side: blame == 1 ? nil : Side(rawValue: blame - 2), message: try reader.text(), at: time)
        }
        ending.comment = try reader.optionalText()
        let tags = try reader.varint()
        guard tags <= UInt64(reader.bytes.readableBytes) else { throw MalformedRecord() }
        for _ in 0..<tags { ending.tags.append(try reader.text()) }
        return ending
    }
}
