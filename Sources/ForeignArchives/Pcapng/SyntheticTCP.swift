// A TCP connection as packets: handshake, data in segments, acknowledgements, close (RFC 9293). The recording has the data and its times; the
// rest is made so that it is consistent: analysers find no gap, no retransmission, and no full window.

import FlowModel
import HTTPSemantics
import NIOCore

/// One end of a connection.
struct SyntheticEnd: Hashable, Sendable {
    var address: IPAddress
    var port: UInt16
}

/// Writes the packets of one connection.
struct SyntheticTCP: Sendable {
    /// Segments are as large as those that a network card hands over after it has joined them.
    static let maximumSegment = 32 * 1024
    /// Bytes after which the receiver acknowledges without data of its own.
    private static let unacknowledgedLimit: UInt32 = 256 * 1024
    private static let maximumSegmentSize: UInt16 = 32 * 1024
    private static let windowShift: UInt8 = 8

    private struct Flags: OptionSet {
        let rawValue: UInt16
        static let fin = Flags(rawValue: 1)
        static let syn = Flags(rawValue: 2)
        static let rst = Flags(rawValue: 4)
        static let psh = Flags(rawValue: 8)
        static let ack = Flags(rawValue: 16)
    }

    /// The state of one end.
    private struct Sender: Sendable {
        var end: SyntheticEnd
        /// The sequence number of its next byte.
        var next: UInt32
        /// The number up to which the other end has acknowledged.
        var acknowledged: UInt32
    }

    private let interface: UInt32
    private var client: Sender
    private var server: Sender
    /// The sum of the parts of the pseudo-header that all packets have: both addresses and the protocol.
    private let addressSum: InternetChecksum

    /// - Parameters:
    ///   - interface: the place of its block in the file.
    ///   - seed: chooses the first sequence numbers.
    init(client: SyntheticEnd, server: SyntheticEnd, interface: UInt32, seed: UInt64) {
        var (client, server) = (client, server)
        client.address = client.address.matching(server.address)
        server.address = server.address.matching(client.address)
        self.interface = interface
        // A multiplier that mixes all bits into the upper half: connections of the same ends must differ.
        let first = UInt32(truncatingIfNeeded: (seed &* 0x9E37_79B9_7F4A_7C15) >> 32)
        self.client = Sender(end: client, next: first, acknowledged: first)
        self.server = Sender(end: server, next: ~first, acknowledged: ~first)
        var sum = client.address.checksum
        sum.add(server.address.checksum)
        sum.add(UInt16(6))
        addressSum = sum
    }

    /// The three packets of the handshake.
    mutating func open(requested: Timestamp, accepted: Timestamp, comments: [String], into out: inout ByteBuffer) {
        packet(from: .client, at: requested, [.syn], comments: comments, into: &out)
        packet(from: .server, at: accepted, [.syn, .ack], into: &out)
        packet(from: .client, at: accepted, [.ack], into: &out)
    }

    /// Data of one side.
    /// - Parameter comments: on its first packet.
    mutating func send(_ data: ByteBuffer, from side: Side, at: Timestamp, comments: [String] = [], into out: inout ByteBuffer) {
        var rest = data
        var comments = comments
        while rest.readableBytes > 0, let segment = rest.readSlice(length: min(Self.maximumSegment, rest.readableBytes)) {
            let flags: Flags = rest.readableBytes == 0 ? [.psh, .ack] : [.ack]
            packet(from: side, at: at, flags, segment, comments: comments, into: &out)
            comments = []
            if unacknowledged(of: side) >= Self.unacknowledgedLimit { packet(from: side.opposite, at: at, [.ack], into: &out) }
        }
    }

    /// FIN of one side, then of the other; or RST.
    mutating func close(by side: Side, isReset: Bool, at: Timestamp, into out: inout ByteBuffer) {
        guard !isReset else { return packet(from: side, at: at, [.rst, .ack], into: &out) }
        packet(from: side, at: at, [.fin, .ack], into: &out)
        packet(from: side.opposite, at: at, [.fin, .ack], into: &out)
        packet(from: side, at: at, [.ack], into: &out)
    }

    private func unacknowledged(of side: Side) -> UInt32 {
        side == .client ? client.next &- client.acknowledged : server.next &- server.acknowledged
    }

    private mutating func packet(
        from side: Side, at: Timestamp, _ flags: Flags, _ data: ByteBuffer = ByteBuffer(), comments: [String] = [],
        into out: inout ByteBuffer
    ) {
        let (sender, receiver) = side == .client ? (client, server) : (server, client)
        let isSYN = flags.contains(.syn)
        let size = (isSYN ? 28 : 20) + data.readableBytes
        let isIPv6 = sender.end.address.isIPv6
        let whole = (isIPv6 ? 40 : 20) + size
        out.reserveCapacity(minimumWritableBytes: whole + 64)
        PcapngBlocks.beginPacket(interface: interface, at: at, size: whole, comments: comments, into: &out)
        if isIPv6 {
            out.writeMultipleIntegers(UInt32(6) << 28, UInt16(size), UInt8(6), UInt8(64))
        } else {
            // Its parts are the version and length, the total length, and "do not fragment", TTL 64, TCP.
            var sum = sender.end.address.checksum
            sum.add(receiver.end.address.checksum)
            sum.add(UInt16(0x4500))
            sum.add(UInt16(whole))
            sum.add(UInt16(0x4000))
            sum.add(UInt16(0x4006))
            out.writeMultipleIntegers(
                UInt16(0x4500), UInt16(whole), UInt16(0), UInt16(0x4000), UInt16(0x4006), sum.field)
        }
        out.writeBytes(sender.end.address.bytes)
        out.writeBytes(receiver.end.address.bytes)
        header(sender, receiver, flags, data, size: size, into: &out)
        out.writeImmutableBuffer(data)
        PcapngBlocks.endPacket(size: whole, comments: comments, into: &out)
        let sent = UInt32(data.readableBytes) &+ (isSYN || flags.contains(.fin) ? 1 : 0)
        if side == .client { client.next &+= sent } else { server.next &+= sent }
        guard flags.contains(.ack) else { return }
        if side == .client { server.acknowledged = receiver.next } else { client.acknowledged = receiver.next }
    }

    private func header(
        _ sender: Sender, _ receiver: Sender, _ flags: Flags, _ data: ByteBuffer, size: Int, into out: inout ByteBuffer
    ) {
        let isSYN = flags.contains(.syn)
        let acknowledgement = flags.contains(.ack) ? receiver.next : 0
        let offsetAndFlags = UInt16(isSYN ? 7 : 5) << 12 | flags.rawValue
        let options: (UInt32, UInt32) = (
            0x0204_0000 | UInt32(Self.maximumSegmentSize), 0x0103_0300 | UInt32(Self.windowShift)
        )
        var sum = addressSum
        sum.add(UInt32(size))
        sum.add(sender.end.port)
        sum.add(receiver.end.port)
        sum.add(sender.next)
        sum.add(acknowledgement)
        sum.add(offsetAndFlags)
        sum.add(UInt16.max)
        if isSYN {
            sum.add(options.0)
            sum.add(options.1)
        }
        sum.add(data)
        out.writeMultipleIntegers(
            sender.end.port, receiver.end.port, sender.next, acknowledgement, offsetAndFlags, UInt16.max, sum.field, UInt16(0))
        if isSYN { out.writeMultipleIntegers(options.0, options.1) }
    }
}
