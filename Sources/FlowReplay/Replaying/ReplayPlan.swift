// The flows of a recording that a replay sends, and their connections: flows of one client connection stay together and in order.
// Flows that cannot be sent are counted by reason. For a flow that is whole in its block only the times and the place are kept,
// some forty bytes, and it is read again when it is due; flows with records in several blocks stay in memory.

import FlowArchive
import FlowModel
import HTTPSemantics
import NIOCore

/// The connections of a replay.
package struct ReplayPlan: Sendable {
    package struct Connection: Sendable {
        package var wireProtocol: ReplayProtocol
        /// The recorded server.
        package var target: FlowTarget
        /// The server spoke HTTP/2 in the recording.
        package var isHTTP2Server = false
        /// Numbers of flows, in order.
        package var flows: [Int]
        package var started: Timestamp
        /// nil: it was open until the end of the recording.
        package var ended: Timestamp?
    }

    package struct Options: Sendable {
        /// GET, HEAD and OPTIONS only.
        package var onlySafeMethods = false
        /// Flows of one client connection go to one server, whatever their recorded servers were.
        package var hasHTTPTarget = false
        package var hasTCPTarget = false
        package init() {}
    }

    /// Flows by number, in the order of their start.
    private var flows: [Planned]
    /// Connections in the order of their first flow.
    private var lines: [Line]
    /// Numbers of flows, those of one connection together.
    private var members: [UInt32]
    private let targets: [FlowTarget]
    private let files: [ArchiveLookup]
    private let kept: [Flow]
    /// The number of flows that are not sent, by reason.
    package let leftOut: [String: Int]
    /// The number of flows that are sent without values that redaction hid.
    package let redacted: Int

    /// A flow that has not been read again yet.
    fileprivate struct Planned {
        static let open = Int64.max
        static let kept = UInt16.max
        var started: Int64
        var ended: Int64
        /// The offset of its block; of a flow in memory its index.
        var block: UInt64
        var record: UInt32
        var stream: UInt32
        /// The index of its connection.
        var line: UInt32
        var file: UInt16
    }

    /// A connection.
    fileprivate struct Line {
        var wireProtocol: ReplayProtocol
        var isHTTP2Server: Bool
        var target: UInt32
        /// The range of its flows in `members`.
        var first: UInt32 = 0
        var count: UInt32 = 0
        var started: Int64
        var ended: Int64
    }

    package var flowCount: Int { flows.count }
    package var connectionCount: Int { lines.count }

    package var connections: some RandomAccessCollection<Connection> { lines.indices.lazy.map { connection($0) } }

    package func connection(_ index: Int) -> Connection {
        let line = lines[index]
        let numbers = members[Int(line.first)..<Int(line.first + line.count)].map { Int($0) }
        return Connection(
            wireProtocol: line.wireProtocol, target: targets[Int(line.target)], isHTTP2Server: line.isHTTP2Server, flows: numbers,
            started: Timestamp(nanoseconds: line.started), ended: Self.ended(line.ended))
    }

    /// When a connection began and ended.
    package func times(ofConnection index: Int) -> (started: Timestamp, ended: Timestamp?) {
        (Timestamp(nanoseconds: lines[index].started), Self.ended(lines[index].ended))
    }

    package func times(of number: Int) -> (started: Timestamp, ended: Timestamp?) {
        (Timestamp(nanoseconds: flows[number].started), Self.ended(flows[number].ended))
    }

    private static func ended(_ nanoseconds: Int64) -> Timestamp? {
        nanoseconds == Planned.open ? nil : Timestamp(nanoseconds: nanoseconds)
    }

    /// Reads a flow.
    /// - Throws: if it cannot be read.
    package func flow(_ number: Int) throws -> Flow {
        let planned = flows[number]
        if planned.file == Planned.kept { return kept[Int(planned.block)] }
        return try files[Int(planned.file)].flow(at: FlowPlace(block: planned.block, record: planned.record))
    }

    // MARK: Gathering

    fileprivate struct Key: Hashable {
        var client: ConnectionID
        var wireProtocol: ReplayProtocol
        var target: UInt32?
    }

    /// Gathers the flows of a recording, in any order.
    package struct Builder {
        private let options: Options
        private var flows: [Planned] = []
        private var lines: [Line] = []
        private var places: [Key: UInt32] = [:]
        private var targets: [FlowTarget] = []
        private var targetPlaces: [FlowTarget: UInt32] = [:]
        private var files: [ArchiveLookup] = []
        private var kept: [Flow] = []
        private var leftOut: [String: Int] = [:]
        private var redacted = 0

        package init(_ options: Options) { self.options = options }

        /// Adds a file. Its flows are added by their places.
        package mutating func addFile(_ file: ArchiveLookup) { files.append(file) }

        /// - Parameter place: in the last added file; nil: the flow stays in memory.
        /// - Returns: why the flow is left out; nil if it will be sent.
        @discardableResult
        package mutating func add(_ flow: Flow, at place: FlowPlace?) -> String? {
            if let reason = ReplayPlan.obstacle(flow, options) {
                leftOut[reason, default: 0] += 1
                return reason
            }
            if flow.redaction?.changesClient == true { redacted += 1 }
            var planned = Planned(
                started: flow.started.nanoseconds, ended: flow.ended?.nanoseconds ?? Planned.open, block: UInt64(kept.count),
                record: 0,
                stream: flow.stream.value, line: line(of: flow), file: Planned.kept)
            if let place, !files.isEmpty, files.count < Int(Planned.kept) {
                (planned.block, planned.record, planned.file) = (place.block, place.record, UInt16(files.count - 1))
            } else {
                kept.append(flow)
            }
            flows.append(planned)
            return nil
        }

        /// The connection of a flow, extended to its times.
        private mutating func line(of flow: Flow) -> UInt32 {
            let target = targetPlaces[flow.target] ?? UInt32(targets.count)
            if target == targets.count {
                targets.append(flow.target)
                targetPlaces[flow.target] = target
            }
            let isHTTP2Server = flow.response.map { $0.head.version.major >= 2 } ?? false
            let (started, ended) = (flow.started.nanoseconds, flow.ended?.nanoseconds ?? Planned.open)
            let key = ReplayPlan.key(flow, target, options)
            if let key, let known = places[key] {
                // The first flow decides the server.
                if started < lines[Int(known)].started { lines[Int(known)].target = target }
                lines[Int(known)].started = min(lines[Int(known)].started, started)
                lines[Int(known)].ended = max(lines[Int(known)].ended, ended)
                lines[Int(known)].isHTTP2Server = lines[Int(known)].isHTTP2Server || isHTTP2Server
                return known
            }
            let line = UInt32(lines.count)
            if let key { places[key] = line }
            lines.append(
                Line(
                    wireProtocol: key?.wireProtocol ?? .bytes, isHTTP2Server: isHTTP2Server, target: target, started: started,
                    ended: ended))
            return line
        }

        /// - Returns: the plan; the builder is empty then.
        package consuming func finish() -> ReplayPlan {
            places = [:]
            targetPlaces = [:]
            // Requests that were read at once have equal times.
            flows.sort { a, b in
                (a.started, a.stream, a.file, a.block, a.record) < (b.started, b.stream, b.file, b.block, b.record)
            }
            return ReplayPlan(flows, lines, targets: targets, files: files, kept: kept, leftOut: leftOut, redacted: redacted)
        }
    }

    fileprivate init(
        _ flows: [Planned], _ lines: [Line], targets: [FlowTarget], files: [ArchiveLookup], kept: [Flow], leftOut: [String: Int],
        redacted: Int
    ) {
        (self.flows, self.targets, self.files, self.kept, self.leftOut) = (flows, targets, files, kept, leftOut)
        self.redacted = redacted
        // Sorts connections by their first flow.
        var places = [UInt32](repeating: .max, count: lines.count)
        self.lines = []
        self.lines.reserveCapacity(lines.count)
        for index in flows.indices {
            let known = Int(flows[index].line)
            if places[known] == .max {
                places[known] = UInt32(self.lines.count)
                self.lines.append(lines[known])
            }
            self.flows[index].line = places[known]
            self.lines[Int(places[known])].count += 1
        }
        var next: UInt32 = 0
        for index in self.lines.indices {
            self.lines[index].first = next
            next += self.lines[index].count
            self.lines[index].count = 0
        }
        members = [UInt32](repeating: 0, count: flows.count)
        for index in flows.indices {
            let line = Int(self.flows[index].line)
            members[Int(self.lines[line].first + self.lines[line].count)] = UInt32(index)
            self.lines[line].count += 1
        }
    }

    /// The key that flows of one connection share; nil: a stream of bytes has a connection of its own.
    fileprivate static func key(_ flow: Flow, _ target: UInt32, _ options: Options) -> Key? {
        guard flow.kind == .http, let head = flow.request?.head else { return nil }
        return Key(
            client: flow.client?.value.id ?? flow.id, wireProtocol: head.version.major >= 2 ? .http2 : .http1,
            target: options.hasHTTPTarget ? nil : target)
    }

    // MARK: Flows that cannot be sent

    /// The reason why a flow is not sent; nil if it is.
    fileprivate static func obstacle(_ flow: Flow, _ options: Options) -> String? {
        switch flow.kind {
        case .tls: return "the TLS handshake failed"
        case .tcp: return obstacleOfBytes(flow, options)
        case .http: break
        }
        guard let request = flow.request else { return "there is no request" }
        if flow.state == .failed, flow.error?.side == .client { return "the request was rejected as malformed" }
        if options.hasTCPTarget, !options.hasHTTPTarget { return "it is HTTP, and the target is not" }
        if !options.hasHTTPTarget, flow.target.host.isEmpty { return "its server is not known" }
        let head = request.head
        if head.isMethod("CONNECT"), !flow.asksForWebSocket { return "CONNECT is not sent again" }
        if options.onlySafeMethods, !head.isMethod("GET") && !head.isMethod("HEAD") && !head.isMethod("OPTIONS") {
            return "the method is not safe (--safe-methods)"
        }
        if flow.asksForWebSocket {
            if options.onlySafeMethods { return "WebSocket messages are not safe (--safe-methods)" }
            let isReadable = request.size == 0 && flow.response.map { $0.head.status != 101 || $0.size == 0 } ?? true
            if !isReadable { return "a WebSocket conversation was recorded as bytes" }
            let isCut = (try? flow.pieces.sizes())?.client.isCut == true
            return isCut ? "a message of the client is not whole in the recording" : nil
        }
        if flow.response?.head.status == 101 { return "a protocol other than WebSocket follows" }
        guard request.hasAllContent else { return "the request's content is not whole in the recording" }
        return obstacleOfContent(request.asStored)
    }

    private static func obstacleOfBytes(_ flow: Flow, _ options: Options) -> String? {
        if flow.passthrough != nil { return "it was passed through unread" }
        if flow.cut(of: .client) != nil { return "the client's data is not whole in the recording" }
        if options.onlySafeMethods { return "a stream of bytes is not safe (--safe-methods)" }
        if options.hasHTTPTarget, !options.hasTCPTarget { return "it is a stream of bytes, and the target is not" }
        if !options.hasTCPTarget, flow.target.host.isEmpty { return "its server is not known" }
        if flow.target.scheme == "tcp", flow.client?.value.tls != nil { return "TLS began in the middle of the stream" }
        return nil
    }

    private static func obstacleOfContent(_ request: Message<RequestHead>) -> String? {
        let declared = DeclaredFraming(request.head.fields)
        if request.ended == nil {
            // Without declared content, the head is the whole request.
            let isBare = request.head.version.major < 2 && (declared.isAbsent || declared.codings.isEmpty && declared.length == 0)
            guard isBare else { return "the request is incomplete" }
        }
        // Content that is longer than its declared length, or has none, is complete and is framed by its size.
        let isByLength = request.head.version.major >= 2 || declared.effectiveCodings.isEmpty
        if isByLength, let length = declared.length, length > request.size {
            return "the request's content is shorter than its Content-Length"
        }
        return nil
    }
}

extension FlowRedaction {
    /// It may have changed what the client sends.
    fileprivate var changesClient: Bool {
        changes.contains { [.request, .requestBody, .messages].contains($0.place) }
            || omissions.contains { [.requestBody, .messages].contains($0.place) }
    }
}

/// When the flows of a plan are due.
package enum ReplaySchedule: Sendable, Equatable {
    /// At recorded times. With ``ReplayTiming/none``, once the flows that had ended before it in the recording have ended.
    case recorded(ReplayTiming)
    /// Requests per second, over all connections.
    case rate(Double)

    /// Nanoseconds after the start of the replay; nil: not by the clock.
    /// - Parameters:
    ///   - number: of the flow, in the order of their start.
    ///   - recorded: nanoseconds after the first flow of the recording.
    package func offset(of number: Int, recorded: Int64) -> Int64? {
        switch self {
        case .recorded(.none): nil
        case .recorded(let timing): timing.pause(recorded)
        case .rate(let rate): ReplayTiming.nanoseconds(Double(number) / rate * 1e9)
        }
    }
}

/// A pattern for servers that a replay may contact: `host` or `host:port`, where `*` matches any text. The whole name must match;
/// case does not matter.
package struct TargetPattern: Sendable, Equatable {
    private let text: String

    package init(_ text: String) { self.text = text.lowercased() }

    package func matches(host: String, port: UInt16) -> Bool {
        let host = host.lowercased()
        let pattern = Array(text.utf8)
        let bracketed = host.utf8.contains(0x3A) ? "[\(host)]" : host
        return [host, bracketed, "\(bracketed):\(port)"].contains { Self.matches(pattern[...], Array($0.utf8)[...]) }
    }

    /// Tries each star at its shortest first. Only the last star is extended, so the time is at most the product of the lengths.
    private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (p, t) = (pattern.startIndex, text.startIndex)
        var star: (pattern: Int, text: Int)?
        while t < text.endIndex {
            if p < pattern.endIndex, pattern[p] == 0x2A {
                star = (p, t)
                p += 1
            } else if p < pattern.endIndex, pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                p = last.pattern + 1
                t = last.text + 1
                star = (last.pattern, t)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == 0x2A }
    }
}
