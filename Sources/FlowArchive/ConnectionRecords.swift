// Records of connections. Each block holds those that its flows refer to, so a block stands alone; certificates, which are large, are
// written once in a segment and referred to by number.

import FlowModel
import NIOCore

/// The type byte of a record.
enum RecordType {
    static let client: UInt8 = 1
    static let server: UInt8 = 2
    static let certificate: UInt8 = 3
    static let flow: UInt8 = 4
    static let discard: UInt8 = 5
}

enum ConnectionRecord {
    /// Writes the content of a client connection's record, behind length and type.
    static func write(_ connection: ClientConnection, certificates: [UInt32], into out: inout ByteBuffer) {
        write(connection.id, connection.opened, into: &out)
        write(connection.peer, into: &out)
        write(connection.local, into: &out)
        out.writeText(connection.mode)
        write(connection.tls, certificates, into: &out)
    }

    static func write(_ connection: ServerConnection, certificates: [UInt32], into out: inout ByteBuffer) {
        write(connection.id, connection.opened, into: &out)
        write(connection.target, into: &out)
        write(connection.peer ?? Endpoint(host: "", port: 0), into: &out)
        write(connection.local ?? Endpoint(host: "", port: 0), into: &out)
        out.writeVarint(connection.connected.map { UInt64(max(0, $0 - connection.opened)) + 1 } ?? 0)
        write(connection.tls, certificates, into: &out)
    }

    static func client(_ bytes: ByteBuffer, _ certificate: (UInt32) -> ByteBuffer?) throws(MalformedRecord) -> ClientConnection {
        var reader = RecordReader(bytes)
        let (id, opened) = try identity(&reader)
        let peer = try endpoint(&reader)
        let local = try endpoint(&reader)
        let mode = try reader.text()
        let tls = try tls(&reader, certificate)
        return ClientConnection(id: id, peer: peer, local: local, opened: opened, mode: mode, tls: tls)
    }

    static func server(_ bytes: ByteBuffer, _ certificate: (UInt32) -> ByteBuffer?) throws(MalformedRecord) -> ServerConnection {
        var reader = RecordReader(bytes)
        let (id, opened) = try identity(&reader)
        var connection = ServerConnection(id: id, target: try endpoint(&reader), opened: opened)
        let peer = try endpoint(&reader)
        let local = try endpoint(&reader)
        connection.peer = peer.host.isEmpty ? nil : peer
        connection.local = local.host.isEmpty ? nil : local
        let connected = try reader.varint()
        if connected > 0 { connection.connected = opened.advanced(byNanoseconds: Int64(clamping: connected - 1)) }
        connection.tls = try tls(&reader, certificate)
        return connection
    }

    // MARK: Parts

    private static func write(_ id: ConnectionID, _ opened: Timestamp, into out: inout ByteBuffer) {
        out.writeMultipleIntegers(id.high, id.low, opened.nanoseconds, endianness: .little)
    }

    private static func identity(_ reader: inout RecordReader) throws(MalformedRecord) -> (ConnectionID, Timestamp) {
        let high = try reader.number(UInt64.self)
        let low = try reader.number(UInt64.self)
        return (ConnectionID(high: high, low: low), Timestamp(nanoseconds: try reader.number(Int64.self)))
    }

    private static func write(_ endpoint: Endpoint, into out: inout ByteBuffer) {
        out.writeText(endpoint.host)
        out.writeInteger(endpoint.port, endianness: .little)
    }

    private static func endpoint(_ reader: inout RecordReader) throws(MalformedRecord) -> Endpoint {
        let host = try reader.text()
        return Endpoint(host: host, port: try reader.number(UInt16.self))
    }

    private static func write(_ tls: TLSDetails?, _ certificates: [UInt32], into out: inout ByteBuffer) {
        guard let tls else { return out.writeVarint(0) }
        out.writeVarint(1)
        for text in [tls.version, tls.cipher, tls.serverName, tls.alpn, tls.ja3, tls.ja4, tls.verificationError] {
            out.writeOptionalText(text)
        }
        out.writeVarint(UInt64(tls.alpnOffers.count))
        tls.alpnOffers.forEach { out.writeText($0) }
        out.writeVarint(UInt64(certificates.count))
        certificates.forEach { out.writeVarint(UInt64($0)) }
        let verified: UInt8 =
            switch tls.isVerified {
            case nil: 0
            case false?: 1
            case true?: 2
            }
        out.writeInteger(verified << 1 | (tls.isResumed ? 1 : 0))
        for time in [tls.handshakeStarted, tls.handshakeEnded] {
            out.writeVarint(time.map { UInt64(max(0, $0.nanoseconds)) + 1 } ?? 0)
        }
    }

    private static func tls(_ reader: inout RecordReader, _ certificate: (UInt32) -> ByteBuffer?) throws(MalformedRecord)
        -> TLSDetails?
    {
        guard try reader.varint() > 0 else { return nil }
        var tls = TLSDetails()
        tls.version = try reader.optionalText()
        tls.cipher = try reader.optionalText()
        tls.serverName = try reader.optionalText()
        tls.alpn = try reader.optionalText()
        tls.ja3 = try reader.optionalText()
        tls.ja4 = try reader.optionalText()
        tls.verificationError = try reader.optionalText()
        for _ in 0..<(try count(&reader)) { tls.alpnOffers.append(try reader.text()) }
        for _ in 0..<(try count(&reader)) {
            // One that was lost with its block keeps its place in the chain, empty.
            tls.certificates.append(certificate(UInt32(truncatingIfNeeded: try reader.varint())) ?? ByteBuffer())
        }
        let flags = try reader.byte()
        tls.isResumed = flags & 1 != 0
        tls.isVerified = flags >> 1 == 0 ? nil : flags >> 1 == 2
        tls.handshakeStarted = try time(&reader)
        tls.handshakeEnded = try time(&reader)
        return tls
    }

    /// A count of things that take a byte each at the least.
    private static func count(_ reader: inout RecordReader) throws(MalformedRecord) -> UInt64 {
        let count = try reader.varint()
        guard count <= UInt64(reader.bytes.readableBytes) else { throw MalformedRecord() }
        return count
    }

    private static func time(_ reader: inout RecordReader) throws(MalformedRecord) -> Timestamp? {
        let value = try reader.varint()
        return value == 0 ? nil : Timestamp(nanoseconds: Int64(clamping: value - 1))
    }
}
