// The flows of one connection, as one TCP stream: in the order of their times, and for HTTP/1 in the order of the exchanges. The reasons are
// in docs/decisions/0009-pcapng.md.

import FlowModel
import HTTPSemantics
import NIOCore

/// A connection, its flows that are not written yet, and the state of its stream of bytes.
struct PcapngConversation: Sendable {
    /// The connection: that of the client, or that to the server.
    let side: Side
    private var packets: SyntheticTCP
    /// What is reported on the first packet.
    private var openingComments: [String]
    private var opened: Timestamp
    private var isOpen = false
    private var isHTTP2 = false
    private var lastServerStream: UInt32 = 0
    /// Flows that have not begun; those that came since the last writing are in the order in which they came.
    private var waiting: [Flow] = []
    private var isSorted = true
    /// Flows that have begun, and bytes of theirs that were not written. Those of HTTP/1 are in order; of the others the first is the next one.
    private var exchanges: [FlowBytes] = []
    private var streams = EarliestFirst()
    private var closing: (by: Side, isReset: Bool, at: Timestamp)?
    private var last = Timestamp(nanoseconds: 0)

    init(_ ends: PcapngEnds, side: Side, seed: FlowID) {
        self.side = side
        opened = ends.opened
        openingComments = ends.comment.map { [$0] } ?? []
        packets = SyntheticTCP(
            client: ends.client, server: ends.server, interface: ends.interface,
            seed: seed.high &* 31 ^ seed.low ^ UInt64(side.rawValue))
    }

    mutating func add(_ flow: Flow) {
        waiting.append(flow)
        isSorted = false
    }

    /// No flow waits, and none is in progress.
    var isIdle: Bool { waiting.isEmpty && exchanges.isEmpty && streams.isEmpty }

    /// Writes the bytes up to a moment.
    /// - Throws: errors of fetching a piece; errors of `drain`.
    mutating func write(until limit: Timestamp, into out: inout ByteBuffer, drain: PcapngWriter.Drain) throws {
        // The last one is the next.
        if !isSorted { waiting.sort { ($1.started, $1.stream.value) < ($0.started, $0.stream.value) } }
        isSorted = true
        while true {
            let exchange = nextExchange
            let time = [exchange.flatMap { exchanges[$0].next?.at }, streams.time].compactMap { $0 }.min()
            if let started = nextStart, started <= time ?? started, started <= limit, mayBegin(waiting[waiting.count - 1]) {
                try begin(waiting.removeLast())
                continue
            }
            guard let time, time <= limit else { return }
            if let exchange, exchanges[exchange].next?.at == time {
                // Moved, not copied.
                var flow = exchanges.remove(at: exchange)
                try writeNext(of: &flow, into: &out)
                if flow.isUpgraded { streams.insert(flow) } else { exchanges.insert(flow, at: exchange) }
                while !exchanges.isEmpty, exchanges[0].next == nil { exchanges.removeFirst() }
            } else if var stream = streams.popFirst() {
                try writeNext(of: &stream, into: &out)
                if stream.next != nil { streams.insert(stream) }
            }
            if out.readableBytes >= PcapngWriter.drainedSize { try drain(&out) }
        }
    }

    /// Ends the stream as the last flow did.
    /// - Returns: false if it is not recorded that the connection was closed.
    mutating func close(into out: inout ByteBuffer) -> Bool {
        guard let closing, isOpen else { return false }
        packets.close(by: closing.by, isReset: closing.isReset, at: max(closing.at, last), into: &out)
        return true
    }

    // MARK: Order

    /// The exchange of HTTP/1 with the next bytes: requests and responses are both in the order of the exchanges.
    private var nextExchange: Int? {
        guard exchanges.count > 1 else { return exchanges.isEmpty ? nil : 0 }
        let newest = exchanges.count - 1
        guard exchanges[newest].next?.from == .client, let time = exchanges[newest].next?.at else { return 0 }
        // Only the newest one has bytes of the client left, and only the first one may send those of the server.
        guard let first = exchanges[0].next?.at, first <= time else { return newest }
        return 0
    }

    /// When the next flow that waits began.
    private var nextStart: Timestamp? { waiting.isEmpty ? nil : waiting[waiting.count - 1].started }

    private func mayBegin(_ flow: Flow) -> Bool {
        switch flow.form(on: side) {
        case .http1, .stream: exchanges.isEmpty || exchanges[exchanges.count - 1].isClientDone
        case .http2: true
        }
    }

    private mutating func begin(_ flow: Flow) throws {
        closing = flow.closing(of: side) ?? (closing.flatMap { $0.at > flow.started ? $0 : nil })
        let form = flow.form(on: side)
        var stream = flow.stream.value
        if side == .server, form == .http2 || flow.isUpgradedToHTTP2(on: side) {
            // The identifier on the connection to the server is not recorded.
            stream = lastServerStream == 0 ? 1 : lastServerStream + 2
            lastServerStream = stream
        }
        let bytes = try FlowBytes(flow, on: side, stream: stream)
        guard bytes.next != nil else { return }
        if form == .http2 { streams.insert(bytes) } else { exchanges.append(bytes) }
    }

    // MARK: Bytes

    private mutating func writeNext(of flow: inout FlowBytes, into out: inout ByteBuffer) throws {
        guard let chunk = flow.next else { return }
        open(at: chunk.at, into: &out)
        if chunk.form == .http2, !isHTTP2 { beginHTTP2(at: chunk.at, flow, into: &out) }
        let comments = flow.hasBegun ? [] : [flow.id.description]
        flow.hasBegun = true
        packets.send(chunk.bytes, from: chunk.from, at: chunk.at, comments: comments, into: &out)
        last = max(last, chunk.at)
        try flow.advance()
    }

    private mutating func open(at time: Timestamp, into out: inout ByteBuffer) {
        guard !isOpen else { return }
        isOpen = true
        let requested = opened.nanoseconds > 0 && opened < time ? opened : time
        packets.open(requested: requested, accepted: requested, comments: openingComments, into: &out)
    }

    private mutating func beginHTTP2(at time: Timestamp, _ flow: FlowBytes, into out: inout ByteBuffer) {
        isHTTP2 = true
        if flow.isUpgraded, !flow.hasRecordedSwitch {
            let head = ByteBuffer(string: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            packets.send(head, from: .server, at: time, into: &out)
        }
        for side in [Side.client, .server] {
            var preface = ByteBuffer()
            HTTP2Bytes.writePreface(from: side, flow.settings(of: side), into: &preface)
            packets.send(preface, from: side, at: time, into: &out)
        }
        for side in [Side.client, .server] {
            var acknowledgement = ByteBuffer()
            HTTP2Bytes.writeSettingsAcknowledgement(into: &acknowledgement)
            packets.send(acknowledgement, from: side, at: time, into: &out)
        }
    }
}

extension Flow {
    /// How the connection of a side ended with the flow; nil if it is not recorded that it did.
    func closing(of connection: Side) -> (by: Side, isReset: Bool, at: Timestamp)? {
        guard let ended else { return nil }
        if form(on: connection) == .http2 || isUpgradedToHTTP2(on: connection) { return nil }
        if kind == .tcp || isSwitched { return (closedBy ?? .client, isReset, ended) }
        if state != .complete { return (closedBy ?? error?.side ?? .server, isReset, ended) }
        guard let request, let response else { return nil }
        // RFC 9112 section 9.3, and a response that ends with its connection.
        let isLast = request.head.fields.closesConnection || response.head.fields.closesConnection
        let isOld = response.head.version == .http1_0 && !response.head.fields.list("connection", contains: "keep-alive")
        let hasEnd = response.head.fields.contains("content-length") || response.head.fields.contains("transfer-encoding")
        let hasContent = !request.head.isMethod("HEAD") && response.head.status != 204 && response.head.status != 304
        let endsWithConnection = hasContent && !hasEnd && response.head.version.major < 2
        return isLast || isOld || endsWithConnection ? (.server, false, ended) : nil
    }
}

extension FieldSection {
    fileprivate var closesConnection: Bool { list("connection", contains: "close") }
}

/// Flows in the order of their next bytes: a binary heap.
private struct EarliestFirst: Sendable {
    private var flows: [FlowBytes] = []

    var isEmpty: Bool { flows.isEmpty }
    /// When its first bytes were sent.
    var time: Timestamp? { flows.isEmpty ? nil : flows[0].next?.at }

    mutating func insert(_ flow: FlowBytes) {
        flows.append(flow)
        var place = flows.count - 1
        while place > 0, isBefore(place, (place - 1) / 2) {
            flows.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func popFirst() -> FlowBytes? {
        guard !flows.isEmpty else { return nil }
        flows.swapAt(0, flows.count - 1)
        let first = flows.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < flows.count && isBefore(child, least) { least = child }
            guard least != place else { return first }
            flows.swapAt(place, least)
            place = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (flows[a].next?.at ?? .distantPast, flows[a].stream) < (flows[b].next?.at ?? .distantPast, flows[b].stream)
    }
}

extension Timestamp {
    fileprivate static let distantPast = Timestamp(nanoseconds: .min)
}
