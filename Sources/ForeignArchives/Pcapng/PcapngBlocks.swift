// The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian: section header, interface descriptions, name resolution, packets.

import FlowModel
import NIOCore

/// Writes blocks. Each is its type, its length, its body and options padded to 32 bits, and its length again.
enum PcapngBlocks {
    private static let sectionHeader: UInt32 = 0x0A0D_0D0A
    private static let interfaceDescription: UInt32 = 1
    private static let nameResolution: UInt32 = 4
    private static let enhancedPacket: UInt32 = 6
    /// LINKTYPE_RAW: a packet begins with its IPv4 or IPv6 header.
    private static let rawIP: UInt16 = 101
    /// Bytes of a packet's block before the packet.
    static let packetHeaderSize = 28

    private enum Option {
        static let end: UInt16 = 0
        static let comment: UInt16 = 1
        static let application: UInt16 = 4
        static let interfaceName: UInt16 = 2
        static let interfaceDescription: UInt16 = 3
        static let timeResolution: UInt16 = 9
    }

    /// The block that begins a file.
    static func writeSectionHeader(application: String, into out: inout ByteBuffer) {
        block(sectionHeader, into: &out) { out in
            out.writeMultipleIntegers(UInt32(0x1A2B_3C4D), UInt16(1), UInt16(0), endianness: .little)
            // The length of the section is not known.
            out.writeInteger(Int64(-1), endianness: .little)
            option(Option.application, application, into: &out)
            endOptions(into: &out)
        }
    }

    /// The block of an interface, which the packets name by its place among such blocks. Its times are in nanoseconds.
    static func writeInterface(name: String, description: String, into out: inout ByteBuffer) {
        block(interfaceDescription, into: &out) { out in
            out.writeMultipleIntegers(rawIP, UInt16(0), UInt32(0), endianness: .little)
            option(Option.interfaceName, name, into: &out)
            option(Option.interfaceDescription, description, into: &out)
            out.writeMultipleIntegers(Option.timeResolution, UInt16(1), endianness: .little)
            out.writeInteger(UInt32(9), endianness: .little)
            endOptions(into: &out)
        }
    }

    /// The block that gives an address a host name.
    static func writeName(_ name: String, of address: IPAddress, into out: inout ByteBuffer) {
        block(nameResolution, into: &out) { out in
            let size = address.bytes.count + name.utf8.count + 1
            out.writeMultipleIntegers(UInt16(address.isIPv6 ? 2 : 1), UInt16(size), endianness: .little)
            out.writeBytes(address.bytes)
            out.writeString(name)
            out.writeInteger(UInt8(0))
            pad(size, into: &out)
            out.writeInteger(UInt32(0))
        }
    }

    /// The beginning of a packet's block; the packet's bytes follow.
    static func beginPacket(
        interface: UInt32, at: Timestamp, size: Int, comments: [String], into out: inout ByteBuffer
    ) {
        let time = UInt64(max(0, at.nanoseconds))
        out.writeMultipleIntegers(
            enhancedPacket, UInt32(packetBlockSize(size, comments)), interface, UInt32(truncatingIfNeeded: time >> 32),
            UInt32(truncatingIfNeeded: time), UInt32(size), UInt32(size), endianness: .little)
    }

    /// The end of a packet's block, after the packet's bytes.
    static func endPacket(size: Int, comments: [String], into out: inout ByteBuffer) {
        pad(size, into: &out)
        for comment in comments { option(Option.comment, comment, into: &out) }
        if !comments.isEmpty { endOptions(into: &out) }
        out.writeInteger(UInt32(packetBlockSize(size, comments)), endianness: .little)
    }

    private static func packetBlockSize(_ size: Int, _ comments: [String]) -> Int {
        let options = comments.reduce(0) { $0 + 4 + padded($1.utf8.count) }
        return packetHeaderSize + padded(size) + (comments.isEmpty ? 0 : options + 4) + 4
    }

    private static func block(_ type: UInt32, into out: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void) {
        let start = out.writerIndex
        out.writeMultipleIntegers(type, UInt32(0), endianness: .little)
        body(&out)
        let size = UInt32(out.writerIndex - start + 4)
        out.writeInteger(size, endianness: .little)
        out.setInteger(size, at: start + 4, endianness: .little)
    }

    private static func option(_ code: UInt16, _ text: String, into out: inout ByteBuffer) {
        let size = text.utf8.count
        out.writeMultipleIntegers(code, UInt16(size), endianness: .little)
        out.writeString(text)
        pad(size, into: &out)
    }

    private static func endOptions(into out: inout ByteBuffer) { out.writeInteger(UInt32(Option.end)) }

    private static func padded(_ size: Int) -> Int { (size + 3) & ~3 }

    private static func pad(_ size: Int, into out: inout ByteBuffer) {
        out.writeRepeatingByte(0, count: padded(size) - size)
    }
}
