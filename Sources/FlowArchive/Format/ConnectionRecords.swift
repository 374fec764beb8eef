// Records of connections. Each block has those that its flows refer to, so it can be read alone. Certificates are large: they are written once
// in a segment and referred to by number.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

enum ConnectionRecord {
    /// Writes a client connection's record after its length and type.
    static func write(_ connection: ClientConnection, certificates: [UInt32], into out: ByteWriter) {
        write(connection.id, connection.opened, into: out)
        write(connection.peer, into: out)
        write(connection.local, into: out)
        out.appendText(connection.mode)
        write(connection.tls, certificates, into: out)
        write(connection.settings, into: out)
    }

    static func write(_ connection: ServerConnection, certificates: [UInt32], into out: ByteWriter) {
        write(connection.id, connection.opened, into: out)
        write(connection.target, into: out)
        // Bits: what of the rest is there.
        out.append(
            UInt8(connection.peer == nil ? 0 : 1) | (connection.local == nil ? 0 : 2) | (connection.connected == nil ? 0 : 4))
        if let peer = connection.peer { write(peer, into: out) }
        if let local = connection.local { write(local, into: out) }
        if let connected = connection.connected { out.append(connected.nanoseconds) }
        write(connection.tls, certificates, into: out)
        write(connection.settings, into: out)
    }

    /// - Parameter certificate: finds a certificate by its number; nil for a lost one, which is empty in the chain.
    static func client(_ bytes: ByteBuffer, _ certificate: (UInt32) -> ByteBuffer?) throws(MalformedRecord) -> ClientConnection {
        var reader = RecordReader(bytes)
        let (id, opened) = try identity(&reader)
        let peer = try endpoint(&reader)
        let local = try endpoint(&reader)
        let mode = try reader.text()
        let tls = try tls(&reader, certificate)
        var connection = ClientConnection(id: id, peer: peer, local: local, opened: opened, mode: mode, tls: tls)
        connection.settings = try settings(&reader)
        return connection
    }

    static func server(_ bytes: ByteBuffer, _ certificate: (UInt32) -> ByteBuffer?) throws(MalformedRecord) -> ServerConnection {
        var reader = RecordReader(bytes)
        let (id, opened) = try identity(&reader)
        var connection = ServerConnection(id: id, target: try endpoint(&reader), opened: opened)
        let bits = try reader.byte()
        if bits & 1 != 0 { connection.peer = try endpoint(&reader) }
        if bits & 2 != 0 { connection.local = try endpoint(&reader) }
        if bits & 4 != 0 { connection.connected = Timestamp(nanoseconds: try reader.number()) }
        connection.tls = try tls(&reader, certificate)
        connection.settings = try settings(&reader)
        return connection
    }

    // MARK: Parts

    private static func write(_ id: ConnectionID, _ opened: Timestamp, into out: ByteWriter) {
        out.append(id.high)
        out.append(id.low)
        out.append(opened.nanoseconds)
    }

    private static func identity(_ reader: inout RecordReader) throws(MalformedRecord) -> (ConnectionID, Timestamp) {
        let high = try reader.number(UInt64.self)
        let low = try reader.number(UInt64.self)
        return (ConnectionID(high: high, low: low), Timestamp(nanoseconds: try reader.number()))
    }

    private static func write(_ endpoint: Endpoint, into out: ByteWriter) {
        out.append(endpoint.port)
        out.appendText(endpoint.host)
    }

    private static func endpoint(_ reader: inout RecordReader) throws(MalformedRecord) -> Endpoint {
        let port = try reader.number(UInt16.self)
        return Endpoint(host: try reader.text(), port: port)
    }

    private enum TLSBit {
        static let isThere: UInt8 = 1
        static let isResumed: UInt8 = 2
        static let wasVerified: UInt8 = 4
        static let isVerified: UInt8 = 8
        static let hasStarted: UInt8 = 16
        static let hasEnded: UInt8 = 32
    }

    private static func write(_ tls: TLSDetails?, _ certificates: [UInt32], into out: ByteWriter) {
        guard let tls else { return out.append(UInt8(0)) }
        var bits = TLSBit.isThere | (tls.isResumed ? TLSBit.isResumed : 0)
        if let isVerified = tls.isVerified { bits |= TLSBit.wasVerified | (isVerified ? TLSBit.isVerified : 0) }
        bits |= (tls.handshakeStarted == nil ? 0 : TLSBit.hasStarted) | (tls.handshakeEnded == nil ? 0 : TLSBit.hasEnded)
        out.append(bits)
        if let time = tls.handshakeStarted { out.append(time.nanoseconds) }
        if let time = tls.handshakeEnded { out.append(time.nanoseconds) }
        for text in [tls.version, tls.cipher, tls.serverName, tls.alpn, tls.ja3, tls.ja4, tls.verificationError] {
            out.appendOptionalText(text)
        }
        out.appendVarint(UInt64(tls.alpnOffers.count))
        tls.alpnOffers.forEach { out.appendText($0) }
        out.appendVarint(UInt64(certificates.count))
        certificates.forEach { out.appendVarint(UInt64($0)) }
    }

    private static func tls(
        _ reader: inout RecordReader, _ certificate: (UInt32) -> ByteBuffer?
    ) throws(MalformedRecord) -> TLSDetails? {
        let bits = try reader.byte()
        guard bits & TLSBit.isThere != 0 else { return nil }
        var tls = TLSDetails()
        tls.isResumed = bits & TLSBit.isResumed != 0
        tls.isVerified = bits & TLSBit.wasVerified == 0 ? nil : bits & TLSBit.isVerified != 0
        if bits & TLSBit.hasStarted != 0 { tls.handshakeStarted = Timestamp(nanoseconds: try reader.number()) }
        if bits & TLSBit.hasEnded != 0 { tls.handshakeEnded = Timestamp(nanoseconds: try reader.number()) }
        tls.version = try reader.optionalText()
        tls.cipher = try reader.optionalText()
        tls.serverName = try reader.optionalText()
        tls.alpn = try reader.optionalText()
        tls.ja3 = try reader.optionalText()
        tls.ja4 = try reader.optionalText()
        tls.verificationError = try reader.optionalText()
        for _ in 0..<(try reader.count()) { tls.alpnOffers.append(try reader.text()) }
        for _ in 0..<(try reader.count()) {
            let number = try reader.varint()
            tls.certificates.append(UInt32(exactly: number).flatMap(certificate) ?? ByteBuffer())
        }
        return tls
    }

    /// Without SETTINGS nothing is written, as in files of the first writers.
    private static func write(_ settings: [PeerSetting]?, into out: ByteWriter) {
        guard let settings else { return }
        out.appendVarint(UInt64(settings.count) + 1)
        for setting in settings {
            out.appendVarint(UInt64(setting.id))
            out.appendVarint(UInt64(setting.value))
        }
    }

    private static func settings(_ reader: inout RecordReader) throws(MalformedRecord) -> [PeerSetting]? {
        guard !reader.isAtEnd else { return nil }
        let count = try reader.varint()
        guard count > 0 else { return nil }
        guard count - 1 <= UInt64(reader.bytes.readableBytes) else { throw MalformedRecord() }
        var settings: [PeerSetting] = []
        for _ in 1..<count {
            guard let id = UInt16(exactly: try reader.varint()), let value = UInt32(exactly: try reader.varint()) else {
                throw MalformedRecord()
            }
            settings.append(PeerSetting(id: id, value: value))
        }
        return settings
    }
}

/// The connections that flows refer to: their records, and their places in the current block.
struct ConnectionTable {
    /// A connection's facts, identified by reference. They are kept so that the reference stays theirs.
    private final class Entry {
        let facts: AnyObject
        let record: ByteWriter
        /// Offset of its record in the block's records, plus one; 0 without one.
        var place: UInt32 = 0
        var lastBlock: UInt64 = 0

        init(facts: AnyObject, record: ByteWriter) {
            self.facts = facts
            self.record = record
        }
    }

    private var entries: [ObjectIdentifier: Entry] = [:]
    /// Entries that were found last, by their address: most are found here, without a hash of many steps.
    private var recent: [Entry?] = Array(repeating: nil, count: 1 << Self.recentBits)
    private static let recentBits = 6
    private var placed: [Entry] = []
    private var certificates: [ByteBuffer: UInt32] = [:]
    private var certificateBytes = 0
    private var certificateCount: UInt32 = 0

    /// The place of a client's record in the block. The record is written when the block has none.
    mutating func place(of client: Shared<ClientConnection>?, in records: ByteWriter, _ header: inout BlockHeader) -> UInt32 {
        guard let client else { return 0 }
        let entry =
            entry(of: client)
            ?? add(client, RecordType.client, client.value.tls, in: records, &header) { certificates, out in
                ConnectionRecord.write(client.value, certificates: certificates, into: out)
            }
        return place(entry, in: records, &header)
    }

    mutating func place(of server: Shared<ServerConnection>?, in records: ByteWriter, _ header: inout BlockHeader) -> UInt32 {
        guard let server else { return 0 }
        let entry =
            entry(of: server)
            ?? add(server, RecordType.server, server.value.tls, in: records, &header) { certificates, out in
                ConnectionRecord.write(server.value, certificates: certificates, into: out)
            }
        return place(entry, in: records, &header)
    }

    /// Begins a block, which has no connections yet. Connections that two blocks did not refer to are dropped.
    mutating func beginBlock(_ sequence: UInt64) {
        for entry in placed { entry.place = 0 }
        placed.removeAll(keepingCapacity: true)
        guard entries.values.contains(where: { $0.lastBlock + 2 < sequence }) else { return }
        entries = entries.filter { $0.value.lastBlock + 2 >= sequence }
        forgetRecent()
    }

    private mutating func entry(of facts: AnyObject) -> Entry? {
        // The top bits of a product with the golden ratio differ where the addresses differ at all.
        let product = UInt64(UInt(bitPattern: ObjectIdentifier(facts))) &* 0x9E37_79B9_7F4A_7C15
        let place = Int(product &>> UInt64(64 - Self.recentBits))
        if let entry = recent[place], entry.facts === facts { return entry }
        guard let entry = entries[ObjectIdentifier(facts)] else { return nil }
        recent[place] = entry
        return entry
    }

    private mutating func forgetRecent() {
        for index in recent.indices { recent[index] = nil }
    }

    private mutating func place(_ entry: Entry, in records: ByteWriter, _ header: inout BlockHeader) -> UInt32 {
        if entry.place == 0 {
            entry.place = UInt32(records.count) + 1
            entry.lastBlock = header.sequence
            records.append(entry.record)
            header.records += 1
            placed.append(entry)
        }
        return entry.place
    }

    private mutating func add(
        _ facts: AnyObject, _ type: UInt8, _ tls: TLSDetails?, in records: ByteWriter, _ header: inout BlockHeader,
        _ write: ([UInt32], ByteWriter) -> Void
    ) -> Entry {
        let chain = tls?.certificates ?? []
        let numbers = number(chain, in: records, &header)
        let record = ByteWriter(capacity: 256)
        record.appendPrefix(type)
        write(numbers, record)
        record.set(UInt32(record.count), at: 0)
        let entry = Entry(facts: facts, record: record)
        entries[ObjectIdentifier(facts)] = entry
        return entry
    }

    /// The numbers of certificates in this segment; new ones are written.
    private mutating func number(_ chain: [ByteBuffer], in records: ByteWriter, _ header: inout BlockHeader) -> [UInt32] {
        guard !chain.isEmpty else { return [] }
        let bytes = chain.reduce(0) { $0 + $1.readableBytes }
        if certificates.count + chain.count > ArchiveFormat.maximumCertificates
            || certificateBytes + bytes > ArchiveFormat.maximumCertificateBytes
        {
            // A reader keeps no more. Certificates that are needed again are written again.
            certificates.removeAll()
            certificateBytes = 0
            entries.removeAll()
            forgetRecent()
        }
        return chain.map { der in
            if let number = certificates[der] { return number }
            let number = certificateCount
            certificateCount &+= 1
            certificates[der] = number
            certificateBytes += der.readableBytes
            let start = records.count
            records.appendPrefix(RecordType.certificate)
            records.append(number)
            // One beyond the limit is left empty in the chain.
            if der.readableBytes <= ArchiveFormat.maximumCertificate { records.append(der) }
            records.set(UInt32(records.count - start), at: start)
            header.records += 1
            header.flags |= BlockHeader.holdsCertificatesFlag
            return number
        }
    }
}

extension ByteWriter {
    /// Begins a record; its length is set when it is whole.
    func appendPrefix(_ type: UInt8) {
        append(UInt32(0))
        append(type)
        append(UInt8(0))
        append(UInt16(0))
    }
}
