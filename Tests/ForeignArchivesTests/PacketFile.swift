// A reader of pcapng, written from the specifications alone: it verifies lengths, checksums and sequence numbers of every packet.

import FlowModel
import Foundation
import NIOCore
import Testing

struct PacketFile {
    struct Packet {
        var interface: Int
        var at: Timestamp
        var from: String
        var to: String
        var flags: String
        var data: [UInt8]
        var comments: [String]

        /// `1.2.3.4:5 > 6.7.8.9:10 PA 42 comment`
        var line: String { (["\(from) > \(to) \(flags) \(data.count)"] + comments).joined(separator: " ") }
    }

    struct Damage: Error { var what: String }

    var interfaces: [String] = []
    var names: [String] = []
    var packets: [Packet] = []
    /// The bytes of each sender, in the order in which senders appear, as ISO-8859-1.
    var streams: [String] { senders.map { String(String.UnicodeScalarView((bytes[$0] ?? []).map { Unicode.Scalar($0) })) } }

    private var senders: [String] = []
    private var bytes: [String: [UInt8]] = [:]
    /// The next sequence number by sender and receiver.
    private var next: [String: UInt32] = [:]

    init(_ file: ByteBuffer) throws {
        var rest = file
        while rest.readableBytes > 0 {
            guard let (type, length) = rest.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32).self), length % 4 == 0,
                var body = rest.readSlice(length: Int(length) - 12),
                rest.readInteger(endianness: .little, as: UInt32.self) == length
            else { throw Damage(what: "a block has no end") }
            switch type {
            case 0x0A0D_0D0A: #expect(body.readInteger(endianness: .little, as: UInt32.self) == 0x1A2B_3C4D)
            case 1: try interface(&body)
            case 4: try name(&body)
            case 6: try packet(&body)
            default: throw Damage(what: "block of type \(type)")
            }
        }
    }

    private mutating func interface(_ body: inout ByteBuffer) throws {
        #expect(
            body.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, UInt32).self).map { [$0.0, $0.1] } == [101, 0])
        let options = try Self.options(&body)
        #expect(options.first { $0.code == 9 }?.value == [9])
        interfaces.append(String(decoding: options.first { $0.code == 2 }?.value ?? [], as: UTF8.self))
    }

    private mutating func name(_ body: inout ByteBuffer) throws {
        guard let (type, length) = body.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16).self),
            let value = body.readBytes(length: Int(length)), type == 1 || type == 2
        else { throw Damage(what: "name") }
        let size = type == 1 ? 4 : 16
        names.append(Self.address(value[..<size]) + " " + String(decoding: value[size...].dropLast(), as: UTF8.self))
    }

    private static func options(_ body: inout ByteBuffer) throws -> [(code: UInt16, value: [UInt8])] {
        var found: [(code: UInt16, value: [UInt8])] = []
        while let (code, length) = body.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16).self), code != 0 {
            guard let value = body.readBytes(length: Int(length)) else { throw Damage(what: "option") }
            body.moveReaderIndex(forwardBy: (4 - Int(length) % 4) % 4)
            found.append((code, value))
        }
        try verify(body.readableBytes == 0, "options")
        return found
    }

    private mutating func packet(_ body: inout ByteBuffer) throws {
        guard
            let (interface, high, low, size, sent) = body.readMultipleIntegers(
                endianness: .little, as: (UInt32, UInt32, UInt32, UInt32, UInt32).self),
            size == sent, let packet = body.readBytes(length: Int(size))
        else { throw Damage(what: "packet") }
        body.moveReaderIndex(forwardBy: (4 - Int(size) % 4) % 4)
        let comments = try Self.options(&body).map { String(decoding: $0.value, as: UTF8.self) }
        let isIPv6 = packet[0] >> 4 == 6
        let header = isIPv6 ? 40 : 20
        let (from, to) = isIPv6 ? (packet[8..<24], packet[24..<40]) : (packet[12..<16], packet[16..<20])
        let tcp = packet[header...]
        if isIPv6 {
            try Self.verify(Self.word(packet, 4) == tcp.count && packet[6] == 6, "IPv6 header")
        } else {
            let isSummed = Self.sum(packet[..<20]) == 0xFFFF
            try Self.verify(Self.word(packet, 2) == packet.count && packet[9] == 6 && isSummed, "IPv4 header")
        }
        let length = [UInt8(tcp.count >> 8), UInt8(tcp.count & 0xFF)]
        let sum = Self.sum(ArraySlice(Array(from) + Array(to) + [0, 6] + length + Array(tcp)))
        try Self.verify(sum == 0xFFFF, "TCP checksum")
        let ports = (Self.word(packet, header), Self.word(packet, header + 2))
        let flags = packet[header + 13]
        let names: [(UInt8, String)] = [(2, "S"), (1, "F"), (4, "R"), (8, "P"), (16, "A")]
        let start = header + Int(packet[header + 12] >> 4) * 4
        let found = Packet(
            interface: Int(interface), at: Timestamp(nanoseconds: Int64(UInt64(high) << 32 | UInt64(low))),
            from: Self.end(from, ports.0), to: Self.end(to, ports.1), flags: names.filter { flags & $0.0 != 0 }.map(\.1).joined(),
            data: Array(packet[start...]), comments: comments)
        try follow(found, Self.number(packet, header + 4), Self.number(packet, header + 8))
        packets.append(found)
    }

    /// Verifies the numbers of a packet, and takes its bytes.
    private mutating func follow(_ packet: Packet, _ sequence: UInt32, _ acknowledgement: UInt32) throws {
        let (there, back) = ("\(packet.from) \(packet.to)", "\(packet.to) \(packet.from)")
        if packet.flags.contains("S") { next[there] = sequence }
        let isAcknowledged = !packet.flags.contains("A") || next[back] == acknowledgement
        try Self.verify(next[there] == sequence && isAcknowledged, "the numbers of \(packet.line)")
        let isCounted = packet.flags.contains("S") || packet.flags.contains("F")
        next[there] = sequence &+ UInt32(packet.data.count) &+ (isCounted ? 1 : 0)
        if bytes[there] == nil { senders.append(there) }
        bytes[there, default: []] += packet.data
    }

    /// Cheaper than an expectation for each packet.
    private static func verify(_ isRight: Bool, _ what: @autoclosure () -> String) throws {
        if !isRight { throw Damage(what: what()) }
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> Int { Int(bytes[at]) << 8 | Int(bytes[at + 1]) }
    private static func number(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        UInt32(word(bytes, at)) << 16 | UInt32(word(bytes, at + 2))
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> Int {
        var sum = 0
        for (index, byte) in bytes.enumerated() { sum += index % 2 == 0 ? Int(byte) << 8 : Int(byte) }
        while sum > 0xFFFF { sum = sum >> 16 + sum & 0xFFFF }
        return sum
    }

    private static func address(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.count == 4
            ? bytes.map(String.init).joined(separator: ".")
            : "[" + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().drop { $0 == "0" } + "]"
    }

    private static func end(_ address: ArraySlice<UInt8>, _ port: Int) -> String { "\(Self.address(address)):\(port)" }

    // MARK: HTTP/2

    /// The frames of a connection of HTTP/2, in the order of their packets: `> HEADERS+5 1 :method=GET`.
    func frames() throws -> [String] {
        var found: [String] = []
        var isFirst = true
        let client = packets.first?.from
        for packet in packets where !packet.data.isEmpty {
            var rest = ByteBuffer(bytes: packet.data)
            if isFirst { #expect(rest.readString(length: 24) == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") }
            isFirst = false
            while let (head, flags, stream) = rest.readMultipleIntegers(as: (UInt32, UInt8, UInt32).self) {
                guard var payload = rest.readSlice(length: Int(head >> 8)) else { throw Damage(what: "frame") }
                let names = [UInt8(0): "DATA", 1: "HEADERS", 3: "RST_STREAM", 4: "SETTINGS", 9: "CONTINUATION"]
                let name = names[UInt8(head & 0xFF)] ?? "?"
                let text: String
                switch name {
                case "DATA": text = String(buffer: payload)
                case "HEADERS": text = try Self.fields(&payload)
                default: text = payload.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
                let mark = flags == 0 ? "" : "+\(flags)"
                found.append("\(packet.from == client ? ">" : "<") \(name)\(mark) \(stream)" + (text.isEmpty ? "" : " " + text))
            }
        }
        return found
    }

    /// Literals without indexing whose names and values are shorter than 127 bytes.
    private static func fields(_ block: inout ByteBuffer) throws -> String {
        var found: [String] = []
        while let kind = block.readInteger(as: UInt8.self) {
            guard kind == 0, let nameSize = block.readInteger(as: UInt8.self), nameSize < 127,
                let name = block.readString(length: Int(nameSize)), let size = block.readInteger(as: UInt8.self), size < 127,
                let value = block.readString(length: Int(size))
            else { throw Damage(what: "field") }
            found.append("\(name)=\(value)")
        }
        return found.joined(separator: " ")
    }
}
