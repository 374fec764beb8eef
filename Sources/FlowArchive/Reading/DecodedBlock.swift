// A block whose records are decompressed, and the connections that its flows refer to.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// Goes through the records of a block.
struct RecordWalk {
    /// A record's type, offset in the records and length.
    struct Entry: Sendable {
        var type: UInt8
        /// The search of the block could not decide whether the flow matches.
        var isUndecided = false
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
        let (size, type) = Self.prefix(records.readableBytesSpan, start)
        guard size >= RecordType.prefix, Int(size) <= records.readableBytes - start else {
            position = records.readableBytes
            throw MalformedRecord()
        }
        position += Int(size)
        return Entry(type: type, start: UInt32(start), length: size)
    }

    /// The length and the type of the record at an offset; 0 when there are too few bytes for them.
    private static func prefix(_ bytes: RawSpan, _ start: Int) -> (size: UInt32, type: UInt8) {
        guard RecordType.prefix <= bytes.byteCount - start else { return (0, 0) }
        // SAFETY: any bytes are an integer, and the span checks its bounds.
        return unsafe (
            UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self)),
            bytes.unsafeLoad(fromByteOffset: start + 4, as: UInt8.self)
        )
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
    /// The texts of connections, each as many as there are kinds. The inner nil is that a connection has no such text.
    private var connectionTexts: [ByteBuffer??] = []
    /// By side and reference: where a connection's texts begin.
    private var textPlaces: [[UInt32: Int]] = [[:], [:]]
    /// Of each side the last one: a flow's texts are read one after the other.
    private var lastTexts: [(reference: UInt32, place: Int)] = [(0, 0), (0, 0)]
    private var certificateNames: [UInt32: ByteBuffer?] = [:]

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

    /// A text of the connection whose record begins at an offset, counted from 1. It is made once for a block.
    func connectionText(_ text: ConnectionText, of side: Side, _ reference: UInt32) -> ByteBuffer? {
        guard reference > 0 else { return nil }
        let place = place(ofTexts: reference, side) + Int(text.rawValue)
        if let known = connectionTexts[place] { return known }
        let made = side == .client ? client(reference)?.value.text(text) : server(reference)?.value.text(text)
        connectionTexts[place] = .some(made)
        return made
    }

    private func place(ofTexts reference: UInt32, _ side: Side) -> Int {
        let side = Int(side.rawValue)
        let last = lastTexts[side]
        if last.reference == reference { return last.place }
        var place = textPlaces[side][reference]
        if place == nil {
            place = connectionTexts.count
            textPlaces[side][reference] = place
            for _ in ConnectionText.allCases { connectionTexts.append(nil) }
        }
        lastTexts[side] = (reference, place!)
        return place!
    }

    /// The items of all its parts, decompressed once; nil when they are damaged, which the source reports.
    private(set) lazy var details: ByteBuffer? = try? source.allDetails()

    /// The names in the certificate of a server. They are made once for a block.
    /// - Throws: ``CertificatesUnknown``.
    func serverCertificateNames(_ reference: UInt32) throws(CertificatesUnknown) -> ByteBuffer? {
        guard reference > 0 else { return nil }
        if let known = certificateNames[reference] { return known }
        guard let server = server(reference)?.value, server.tls?.certificates.isEmpty == false else { return nil }
        guard connections.knowsCertificates else { throw CertificatesUnknown() }
        let made = server.certificateNames
        certificateNames[reference] = .some(made)
        return made
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
                continue
            }
            let what = try RecordItem.event(
                item.tag, item.content, item.at, error: view.errorMessage, comment: view.commentText)
            if let what { event(what, item.at) }
        }
    }
}
