// Writes pcapng: what TLS carried, as packets without TLS. Each connection is one TCP stream of made packets. A file may be larger than
// memory, so flows wait only until those that overlap with them have come; the reasons are in docs/decisions/0009-pcapng.md.

import FlowModel
import HTTPSemantics
import NIOCore

/// Choices for a file of packets.
package struct PcapngOptions: Sendable {
    /// Whose connections are written.
    package enum Sides: String, Sendable, CaseIterable {
        case client
        case server
        case both

        func includes(_ side: Side) -> Bool { self == .both || (self == .client) == (side == .client) }
    }

    /// The port of a server.
    package enum Ports: String, Sendable, CaseIterable {
        /// One by which analysers find the protocol.
        case map
        /// The recorded one.
        case keep
    }

    package var sides = Sides.client
    package var ports = Ports.map

    package init() {}
}

/// The two ends of a connection, as its packets have them.
struct PcapngEnds: Sendable {
    var client: SyntheticEnd
    var server: SyntheticEnd
    var interface: UInt32
    /// When the connection was opened; 0 if that is not known.
    var opened: Timestamp
    /// The name of the server's address.
    var name: String?
    /// What is not as it was.
    var comment: String?
}

/// Writes flows as packets.
package struct PcapngWriter: Sendable {
    /// Bytes that are gathered before they are handed over.
    static let drainedSize = 256 * 1024
    /// Flows that wait, and bytes of their content, which may be in memory.
    private static let maximumWaiting = 4096
    private static let maximumWaitingBytes: UInt64 = 32 << 20
    /// Connections without flows that wait, of which the state is kept.
    private static let maximumIdle = 65_536
    private static let maximumNames = 65_536

    private struct Key: Hashable {
        var side: Side
        var id: ConnectionID
    }

    private struct Waiting: Sendable {
        var key: Key
        var ended: Timestamp
        var size: UInt64
    }

    private let options: PcapngOptions
    private let application: String
    package private(set) var report = ConversionReport(format: "pcapng")
    private var isBegun = false
    private var conversations: [Key: PcapngConversation] = [:]
    /// Flows that wait, in the order in which they came.
    private var waiting = CircularBuffer<Waiting>()
    private var waitingBytes: UInt64 = 0
    /// Connections without flows that wait, the oldest first. One that has flows again stays in it until its turn.
    private var idle = CircularBuffer<Key>()
    private var names: Set<String> = []

    /// - Parameter version: of the program that writes.
    package init(version: String, _ options: PcapngOptions = PcapngOptions()) {
        self.options = options
        application = "mitm \(version)"
    }

    /// Appends a flow, or keeps it until those that overlap with it have come.
    /// - Returns: false if the flow has no bytes on the chosen connections.
    /// - Throws: errors of fetching a piece; errors of `drain`.
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Bool {
        begin(into: &out)
        let sides = [Side.client, .server].filter { options.sides.includes($0) && flow.hasBytes(on: $0) }
        guard !sides.isEmpty else {
            report.leaveOut(flow, flow.kind == .tls ? .tls : .noMessage)
            return false
        }
        for side in sides {
            let ends = ends(of: flow, on: side)
            let id = (side == .client ? flow.client?.value.id : flow.server?.value.id) ?? ClientConnection.unknown.id
            let key = Key(side: side, id: id == ClientConnection.unknown.id ? flow.id : id)
            if conversations[key] == nil {
                nameServer(ends, into: &out)
                conversations[key] = PcapngConversation(ends, side: side, seed: flow.id)
            }
            conversations[key]?.add(flow)
            let size = flow.contentSize
            waiting.append(Waiting(key: key, ended: flow.ended ?? flow.started, size: size))
            waitingBytes += size
        }
        try report.write(flow, found: Self.changes(of: flow, on: sides), by: Self.fate)
        guard waiting.count > Self.maximumWaiting || waitingBytes > Self.maximumWaitingBytes else { return true }
        // Half of them, because those that stay are sorted again for each time.
        while waiting.count > Self.maximumWaiting / 2 || waitingBytes > Self.maximumWaitingBytes / 2, !waiting.isEmpty {
            try writeOldest(into: &out, drain: drain)
        }
        return true
    }

    /// Ends the file.
    /// - Throws: as ``write(_:into:drain:)``.
    package mutating func finish(into out: inout ByteBuffer, drain: Drain) throws {
        begin(into: &out)
        while let next = waiting.popFirst() { try write(next.key, until: .distantFuture, into: &out, drain: drain) }
        waitingBytes = 0
    }

    // MARK: Order

    /// Writes the connection of the flow that has waited longest, up to the end of that flow: later flows that overlap with it have come.
    private mutating func writeOldest(into out: inout ByteBuffer, drain: Drain) throws {
        guard let oldest = waiting.popFirst() else { return }
        waitingBytes -= oldest.size
        try write(oldest.key, until: oldest.ended, into: &out, drain: drain)
    }

    private mutating func write(_ key: Key, until limit: Timestamp, into out: inout ByteBuffer, drain: Drain) throws {
        guard var conversation = conversations.removeValue(forKey: key), !conversation.isIdle else { return }
        try conversation.write(until: limit, into: &out, drain: drain)
        guard conversation.isIdle else {
            conversations[key] = conversation
            return
        }
        guard !conversation.close(into: &out) else { return }
        conversations[key] = conversation
        idle.append(key)
        guard idle.count > Self.maximumIdle, let oldest = idle.popFirst() else { return }
        if conversations[oldest]?.isIdle == true { conversations[oldest] = nil }
    }

    // MARK: Blocks

    private mutating func begin(into out: inout ByteBuffer) {
        guard !isBegun else { return }
        isBegun = true
        PcapngBlocks.writeSectionHeader(application: application, into: &out)
        if options.sides.includes(.client) {
            PcapngBlocks.writeInterface(name: "client", description: "client to recorder, decrypted", into: &out)
        }
        if options.sides.includes(.server) {
            PcapngBlocks.writeInterface(name: "server", description: "recorder to server, decrypted", into: &out)
        }
    }

    private mutating func nameServer(_ ends: PcapngEnds, into out: inout ByteBuffer) {
        guard let name = ends.name, IPAddress(name) == nil, !name.isEmpty, name.utf8.count < 256 else { return }
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return }
        if names.count >= Self.maximumNames { names.removeAll() }
        guard names.insert("\(ends.server.address.bytes) \(name)").inserted else { return }
        PcapngBlocks.writeName(name, of: ends.server.address, into: &out)
    }

    // MARK: Ends

    private func ends(of flow: Flow, on side: Side) -> PcapngEnds {
        let (near, far): (Endpoint?, Endpoint?)
        var ends: PcapngEnds
        let unknown = SyntheticEnd(address: .unknownClient, port: 0)
        if side == .client {
            let client = flow.client?.value
            (near, far) = (client?.peer, client?.local)
            ends = PcapngEnds(client: unknown, server: unknown, interface: 0, opened: client?.opened ?? Timestamp(nanoseconds: 0))
            // The client has connected to the address of the server.
            if client?.mode.hasPrefix("transparent") == true { ends.name = flow.target.host }
        } else {
            let server = flow.server?.value
            (near, far) = (server?.local, server?.peer)
            ends = PcapngEnds(
                client: unknown, server: unknown, interface: options.sides == .both ? 1 : 0,
                opened: server?.connected ?? server?.opened ?? Timestamp(nanoseconds: 0))
            ends.name = server?.target.host
        }
        // The ports of clients begin at 1024; those that are not known are chosen by the flow.
        let chosen = 49_152 + UInt16(truncatingIfNeeded: (flow.id.low ^ flow.id.high) & 0x3FFF)
        ends.client = SyntheticEnd(near, or: .unknownClient, port: chosen)
        ends.server = SyntheticEnd(far, or: .unknownServer, port: flow.target.port)
        guard options.ports == .map else { return ends }
        let port = flow.mappedPort(ends.server.port)
        if port != ends.server.port { ends.comment = "port \(ends.server.port) is written as \(port)" }
        ends.server.port = port
        return ends
    }
}

extension SyntheticEnd {
    fileprivate init(_ endpoint: Endpoint?, or unknown: IPAddress, port: UInt16) {
        address = endpoint.flatMap { IPAddress($0.host) } ?? unknown
        self.port = endpoint.map(\.port).flatMap { $0 == 0 ? nil : $0 } ?? port
    }
}

extension Flow {
    /// Ports that Wireshark reads as HTTP (its preference `http.tcp.port`), and where it finds the preface of HTTP/2.
    private static let portsOfHTTP: Set<UInt16> = [80, 3128, 3132, 5985, 8080, 8088, 11371, 1900, 2869, 2710]
    /// Ports of protocols over TLS, and those of the same protocols without it.
    private static let portsWithoutTLS: [UInt16: UInt16] = [
        443: 80, 465: 25, 563: 119, 636: 389, 853: 53, 990: 21, 992: 23, 993: 143, 994: 6667, 995: 110, 5061: 5060, 5671: 5672,
        6514: 514, 6697: 6667, 8883: 1883,
    ]

    /// For streams that are not HTTP, though their port is: no analyser takes bytes of this port for something else.
    private static let portOfNothing: UInt16 = 9

    /// A port by which analysers find the protocol of what TLS or a proxy's connection carried.
    fileprivate func mappedPort(_ port: UInt16) -> UInt16 {
        if kind == .http { return Self.portsOfHTTP.contains(port) ? port : 80 }
        var port = target.port == 0 ? port : target.port
        port = Self.portsWithoutTLS[port] ?? port
        return Self.portsOfHTTP.contains(port) ? Self.portOfNothing : port
    }

    /// It has bytes that were sent on a connection.
    fileprivate func hasBytes(on side: Side) -> Bool {
        if side == .server, server?.value.peer == nil { return false }
        let hasOwn = pieces.count > 0 || malformed.contains { $0.value.from == side }
        switch kind {
        case .tls: return false
        case .tcp: return hasOwn
        case .http: return hasOwn || request != nil || side == .client && localReply != nil
        }
    }

    /// Bytes of its content that may be in memory.
    fileprivate var contentSize: UInt64 {
        if kind == .http, !isSwitched { return (request?.storedSize ?? 0) &+ (response?.storedSize ?? 0) }
        let sizes = [Side.client, .server].map { (try? pieces.wireSize(from: $0)) ?? 0 }
        return sizes[0] &+ sizes[1]
    }
}

extension Timestamp {
    fileprivate static let distantFuture = Timestamp(nanoseconds: .max)
}
