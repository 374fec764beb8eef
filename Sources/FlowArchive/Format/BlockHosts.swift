// The hosts of a block's flows, listed in its header: any regular expression for hosts is evaluated for the whole block without decompressing
// it.

import Glibc
import NIOCore

/// Distinct hosts as written: all of them, or none when there are too many.
struct BlockHosts: Equatable {
    /// Each host: `u8` length, bytes. nil when there are more than fit, or the header has no list.
    private(set) var list: ByteBuffer? = ByteBuffer()
    /// Hash and place of each host while the list is written, so that few hosts are compared.
    private var places: [Place] = []

    private struct Place: Equatable {
        var hash: UInt32
        var offset: Int
        var length: Int
    }

    /// After the content chunks a header has the `u16` length of the list and the list. A missing list has length 0xFFFF.
    static let absent = UInt16.max

    init() {}

    /// Reads the list after the content chunks.
    /// - Parameter payload: the header's payload between its content chunks and its checksum.
    init(reading payload: ByteBuffer) {
        var payload = payload
        list = nil
        guard let length: UInt16 = payload.readInteger(endianness: .little), length != Self.absent,
            let bytes = payload.readSlice(length: Int(length))
        else { return }
        list = bytes
        if names == nil { list = nil }
    }

    static func == (a: BlockHosts, b: BlockHosts) -> Bool { a.list == b.list }

    var encodedLength: Int { 2 + (list?.readableBytes ?? 0) }

    func write(into out: inout ByteBuffer) {
        out.writeInteger(list.map { UInt16($0.readableBytes) } ?? Self.absent, endianness: .little)
        if let list { out.writeImmutableBuffer(list) }
    }

    /// The hosts; nil when they are not known.
    var names: [ByteBuffer]? {
        guard var list else { return nil }
        var names: [ByteBuffer] = []
        while let length: UInt8 = list.readInteger() {
            guard let name = list.readSlice(length: Int(length)) else { return nil }
            names.append(name)
        }
        return names
    }

    /// Adds a host unless the list has it.
    mutating func note(_ host: UnsafeRawBufferPointer) {
        guard let written = list?.readableBytes else { return }
        // Most flows have the host that was new last.
        if let last = places.last, unsafe holds(host, at: last) { return }
        let hash = unsafe Self.hash(host)
        for place in places where place.hash == hash { if unsafe holds(host, at: place) { return } }
        guard host.count <= Int(UInt8.max), written + 1 + host.count <= ArchiveFormat.maximumHosts else {
            list = nil
            places = []
            return
        }
        list?.writeInteger(UInt8(host.count))
        unsafe list?.writeBytes(host)
        places.append(Place(hash: hash, offset: written + 1, length: host.count))
    }

    private func holds(_ host: UnsafeRawBufferPointer, at place: Place) -> Bool {
        guard place.length == host.count, let list else { return false }
        return unsafe list.withUnsafeReadableBytes { bytes in
            guard let first = host.baseAddress, let base = bytes.baseAddress else { return place.length == 0 }
            return unsafe memcmp(base + place.offset, first, host.count) == 0
        }
    }

    /// FNV-1a, 32 bits.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for index in bytes.indices { hash = unsafe (hash ^ UInt32(bytes[index])) &* 0x0100_0193 }
        return hash
    }
}
