// What of a recording is sent again, and on which connections: flows of one client connection stay together and in their order. What cannot be
// sent again is left out and counted, with the reason.

import FlowModel
import HTTPSemantics
import NIOCore

/// The connections that a replay will make.
package struct ReplayPlan: Sendable {
    package enum Speech: Sendable, Hashable {
        case http1
        case http2
        case bytes
    }

    package struct Connection: Sendable {
        package var speech: Speech
        /// The recorded server.
        package var target: FlowTarget
        /// The server spoke HTTP/2 in the recording.
        package var isHTTP2Server = false
        /// Indexes into ``ReplayPlan/flows``, in order.
        package var flows: [Int]
        package var started: Timestamp
        /// nil: it was open to the end of the recording.
        package var ended: Timestamp?
    }

    package struct Options: Sendable {
        /// GET, HEAD and OPTIONS only.
        package var onlySafeMethods = false
        /// Flows of one client connection go to one server, whatever they went to.
        package var hasHTTPTarget = false
        package var hasTCPTarget = false
        package init() {}
    }

    /// What is sent, in the order of time.
    package private(set) var flows: [Flow]
    /// In the order of their first flow.
    package private(set) var connections: [Connection] = []
    /// How many flows are not sent, by reason.
    package private(set) var leftOut: [String: Int] = [:]

    private struct Key: Hashable {
        var client: ConnectionID
        var speech: Speech
        var target: FlowTarget?
        /// A stream of bytes has a connection of its own, and so has a WebSocket conversation of HTTP/1.
        var flow: FlowID?
    }

    package init(_ recorded: [Flow], options: Options) {
        flows = []
        // Requests that were read at once have one time.
        for flow in recorded.sorted(by: { ($0.started, $0.stream.value, $0.id) < ($1.started, $1.stream.value, $1.id) }) {
            if let reason = Self.obstacle(flow, options) { leftOut[reason, default: 0] += 1 } else { flows.append(flow) }
        }
        var places: [Key: Int] = [:]
        for (index, flow) in flows.enumerated() {
            let key = Self.key(flow, options)
            if let place = places[key] {
                add(index, to: place)
            } else {
                places[key] = connections.count
                var connection = Connection(speech: key.speech, target: flow.target, flows: [index], started: flow.started)
                connection.ended = flow.ended
                connection.isHTTP2Server = flow.response.map { $0.head.version.major >= 2 } ?? false
                connections.append(connection)
            }
        }
    }

    private mutating func add(_ index: Int, to place: Int) {
        connections[place].flows.append(index)
        connections[place].ended = connections[place].ended.flatMap { ended in flows[index].ended.map { max($0, ended) } }
        if let response = flows[index].response, response.head.version.major >= 2 { connections[place].isHTTP2Server = true }
    }

    private static func key(_ flow: Flow, _ options: Options) -> Key {
        let client = flow.client?.value.id ?? flow.id
        guard flow.kind == .http, let head = flow.request?.head else {
            return Key(client: client, speech: .bytes, target: flow.target, flow: flow.id)
        }
        return Key(
            client: client, speech: head.version.major >= 2 ? .http2 : .http1, target: options.hasHTTPTarget ? nil : flow.target)
    }

    // MARK: What cannot be sent again

    /// Why a flow is not sent; nil when it is.
    private static func obstacle(_ flow: Flow, _ options: Options) -> String? {
        switch flow.kind {
        case .tls: return "the TLS handshake failed"
        case .tcp: return obstacleOfBytes(flow, options)
        case .http: break
        }
        guard let request = flow.request else { return "there is no request" }
        if flow.state == .failed, flow.error?.side == .client { return "the request was refused as malformed" }
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
            return isReadable ? nil : "a WebSocket conversation was recorded as bytes"
        }
        if flow.response?.head.status == 101 { return "a protocol other than WebSocket follows" }
        return obstacleOfContent(request)
    }

    private static func obstacleOfBytes(_ flow: Flow, _ options: Options) -> String? {
        if flow.passthrough != nil { return "it was passed through unread" }
        if options.onlySafeMethods { return "a stream of bytes is not safe (--safe-methods)" }
        if options.hasHTTPTarget, !options.hasTCPTarget { return "it is a stream of bytes, and the target is not" }
        if !options.hasTCPTarget, flow.target.host.isEmpty { return "its server is not known" }
        if flow.target.scheme == "tcp", flow.client?.value.tls != nil { return "TLS began in the middle of the stream" }
        return nil
    }

    private static func obstacleOfContent(_ request: Message<RequestHead>) -> String? {
        let fields = request.head.fields
        let length = fields.first("content-length").flatMap { UInt64(String(buffer: $0)) }
        guard request.storedSize == request.size else { return "the request's content is not whole in the recording" }
        if request.ended == nil {
            // Where no content was announced, the head was all of it.
            let isBare = request.head.version.major < 2 && length ?? 0 == 0 && !fields.contains("transfer-encoding")
            guard isBare else { return "the request is incomplete" }
        }
        if let length, length != request.size, !fields.contains("transfer-encoding") {
            return "the request's content is not as long as its Content-Length says"
        }
        return nil
    }
}

/// When the flows of a plan are due.
package enum ReplaySchedule: Sendable, Equatable {
    /// As recorded, in some rhythm; ``ReplayTiming/none`` is as soon as those have ended that had ended before.
    case recorded(ReplayTiming)
    /// So many requests a second, over all connections.
    case rate(Double)

    /// Nanoseconds behind the start of the replay; nil: not by the clock.
    package func offset(of index: Int, in flows: [Flow]) -> Int64? {
        switch self {
        case .recorded(.none): nil
        case .recorded(let timing): timing.pause(flows[index].started - flows[0].started)
        case .rate(let rate): ReplayTiming.nanoseconds(Double(index) / rate * 1e9)
        }
    }
}

/// Which servers a replay may contact: `host` or `host:port`, where `*` stands for anything. The whole name must match; case does not matter.
package struct TargetPattern: Sendable, Equatable {
    private let text: String

    package init(_ text: String) { self.text = text.lowercased() }

    package func matches(host: String, port: UInt16) -> Bool {
        let host = host.lowercased()
        let pattern = Array(text.utf8)
        let bracketed = host.utf8.contains(0x3A) ? "[\(host)]" : host
        return [host, bracketed, "\(bracketed):\(port)"].contains { Self.matches(pattern[...], Array($0.utf8)[...]) }
    }

    /// Each star is tried at its shortest first; only the last one is ever tried again, so the time is bounded by the product of the lengths.
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
