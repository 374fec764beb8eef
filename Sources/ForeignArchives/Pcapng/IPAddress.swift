// Addresses of the packets, and the checksum of their headers (RFC 1071).

import FlowModel
import NIOCore

/// An IPv4 or IPv6 address as it is in a packet.
struct IPAddress: Hashable, Sendable {
    /// 4 or 16 bytes.
    let bytes: [UInt8]

    var isIPv6: Bool { bytes.count == 16 }

    /// For connections whose addresses are not in the recording: a client and a server of TEST-NET-1 (RFC 5737).
    static let unknownClient = IPAddress(bytes: [192, 0, 2, 1])
    static let unknownServer = IPAddress(bytes: [192, 0, 2, 2])

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Parameter text: an address, with or without a zone (RFC 4007); nil if it is something else.
    init?(_ text: String) {
        let bare = text.prefix { $0 != "%" }
        guard let address = try? SocketAddress(ipAddress: String(bare), port: 0) else { return nil }
        switch address {
        // SAFETY: the bytes of a C struct without padding, read while it is in memory.
        case .v4(let address): bytes = unsafe withUnsafeBytes(of: address.address.sin_addr) { unsafe [UInt8]($0) }
        case .v6(let address): bytes = unsafe withUnsafeBytes(of: address.address.sin6_addr) { unsafe [UInt8]($0) }
        case .unixDomainSocket: return nil
        }
    }

    /// The address in the family of another: an IPv4 address as an IPv4-mapped one (RFC 4291 section 2.5.5.2).
    func matching(_ other: IPAddress) -> IPAddress {
        guard other.isIPv6, !isIPv6 else { return self }
        return IPAddress(bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + bytes)
    }

    /// The sum of its words.
    var checksum: InternetChecksum {
        var sum = InternetChecksum()
        for index in stride(from: 0, to: bytes.count, by: 2) { sum.add(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1])) }
        return sum
    }
}

/// The one's complement sum of 16-bit words (RFC 1071).
struct InternetChecksum: Sendable {
    private var sum: UInt64 = 0

    mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

    mutating func add(_ words: UInt32) { sum &+= UInt64(words >> 16) &+ UInt64(words & 0xFFFF) }

    mutating func add(_ other: InternetChecksum) { sum &+= UInt64(other.folded) }

    /// Adds bytes that begin at an even offset of the data.
    mutating func add(_ bytes: ByteBuffer) {
        // SAFETY: each load lies within the bytes.
        let swapped = unsafe bytes.withUnsafeReadableBytes { bytes in
            var sum: UInt64 = 0
            var offset = 0
            // Words of 32 bits: their sum in 64 bits does not overflow for any buffer, and the sum of their halves is the same. The sum of
            // words in the order of the machine is the sum in network order with its bytes swapped (RFC 1071 section 2 B).
            while offset &+ 4 <= bytes.count {
                sum &+= UInt64(UInt32(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
                offset &+= 4
            }
            var shift: UInt64 = 0
            while offset < bytes.count {
                sum &+= UInt64(unsafe bytes[offset]) << shift
                (offset, shift) = (offset &+ 1, shift &+ 8)
            }
            return sum
        }
        sum &+= UInt64(Self.fold(swapped).byteSwapped)
    }

    private var folded: UInt16 { Self.fold(sum) }

    /// The value of the field.
    var field: UInt16 { ~folded }

    private static func fold(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum > 0xFFFF { sum = (sum >> 16) &+ (sum & 0xFFFF) }
        return UInt16(sum)
    }
}
