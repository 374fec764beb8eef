// What blocks of one segment share: certificates, which are written once in a segment, and the facts of connections, which each block repeats.

import FlowModel
import FlowRecords
import NIOCore

/// A flow can be evaluated only by the reader that has read the segment's certificates.
struct CertificatesUnknown: Error {}

/// The connections and certificates of a segment. Used by one thread.
final class SegmentConnections {
    /// Connections that are kept. A recorder has rarely more open at once.
    private static let maximumKept = 1024

    private var certificates = CertificateTable()
    /// Whether it has the certificates of the blocks before the current one.
    let knowsCertificates: Bool
    /// By the bytes of their records. Blocks that repeat a record share its facts, so a copy of their flows writes it once.
    private var clients: [ByteBuffer: Shared<ClientConnection>] = [:]
    private var servers: [ByteBuffer: Shared<ServerConnection>] = [:]

    init(knowsCertificates: Bool = true) { self.knowsCertificates = knowsCertificates }

    /// - Parameter record: the content of a certificate's record.
    func addCertificate(_ record: ByteBuffer) throws(MalformedRecord) {
        var reader = RecordReader(record)
        let number = try reader.number(UInt32.self)
        certificates.add(number, reader.bytes)
    }

    /// The facts in a connection's record; nil when the record is not valid.
    func client(_ record: ByteBuffer) -> Shared<ClientConnection>? {
        if let known = clients[record] { return known }
        guard let facts = try? ConnectionRecord.client(record, { certificates[$0] }) else { return nil }
        if clients.count >= Self.maximumKept { clients.removeAll(keepingCapacity: true) }
        let shared = Shared(facts)
        clients[record.detached] = shared
        return shared
    }

    func server(_ record: ByteBuffer) -> Shared<ServerConnection>? {
        if let known = servers[record] { return known }
        guard let facts = try? ConnectionRecord.server(record, { certificates[$0] }) else { return nil }
        if servers.count >= Self.maximumKept { servers.removeAll(keepingCapacity: true) }
        let shared = Shared(facts)
        servers[record.detached] = shared
        return shared
    }
}

/// The certificates of a segment, by number: those that a writer may still refer to.
private struct CertificateTable {
    private var ders: [UInt32: ByteBuffer] = [:]
    private var bytes = 0

    subscript(number: UInt32) -> ByteBuffer? { ders[number] }

    mutating func add(_ number: UInt32, _ der: ByteBuffer) {
        guard der.readableBytes <= ArchiveFormat.maximumCertificate else { return }
        // Twice the number that a writer refers back to, so that nothing is dropped here before the writer drops it.
        if ders.count >= 2 * ArchiveFormat.maximumCertificates || bytes > 2 * ArchiveFormat.maximumCertificateBytes {
            let oldest = number &- UInt32(ArchiveFormat.maximumCertificates)
            ders = ders.filter { $0.key &- oldest < UInt32(ArchiveFormat.maximumCertificates) }
            bytes = ders.values.reduce(0) { $0 + $1.readableBytes }
            if bytes > 2 * ArchiveFormat.maximumCertificateBytes {
                ders.removeAll()
                bytes = 0
            }
        }
        bytes += der.readableBytes
        ders[number] = der.detached
    }
}
