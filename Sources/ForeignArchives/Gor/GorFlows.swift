// Flows from the records of a file of GoReplay. The messages of an exchange have the same identifier. Many files have requests only.

import FlowModel
import HTTPSemantics
import NIOCore

/// Joins records to flows.
package struct GorFlows {
    /// Requests that wait for their response, and bytes of them. Slow responses come many records later.
    private static let maximumWaiting = 4096
    private static let maximumBytes = 64 << 20

    private struct Waiting {
        var request: GorRecord
        /// The answer that GoReplay received itself.
        var replayed: GorRecord?
    }

    private var waiting: [ByteBuffer: Waiting] = [:]
    private var order = CircularBuffer<ByteBuffer>()
    private var bytes = 0
    private var connections = HARConnections()
    private var last = Timestamp(nanoseconds: 0)
    private var count: UInt64 = 0
    /// Records that are not flows of HTTP, by what they are.
    package private(set) var leftOut: [String: Int] = [:]

    package init() {}

    /// The flows that are complete with a record.
    package mutating func take(_ record: GorRecord) -> [Flow] {
        guard Self.isHTTP(record) else {
            leftOut["of other protocols", default: 0] += 1
            return []
        }
        switch record.kind {
        case .request:
            var flows = remove(record.id).map { [flow($0.request, $0.replayed)] } ?? []
            waiting[record.id] = Waiting(request: record)
            order.append(record.id)
            bytes += record.payload.readableBytes
            while waiting.count > Self.maximumWaiting || bytes > Self.maximumBytes, let oldest = order.popFirst() {
                if let one = remove(oldest) { flows.append(flow(one.request, one.replayed)) }
            }
            if order.count > 2 * Self.maximumWaiting { order.removeAll { waiting[$0] == nil } }
            return flows
        case .response:
            let found = remove(record.id)
            if found?.replayed != nil { leftOut["of replayed responses", default: 0] += 1 }
            return [flow(found?.request, record)]
        case .replayedResponse:
            if waiting[record.id] == nil || waiting[record.id]?.replayed != nil {
                leftOut["of replayed responses", default: 0] += 1
            } else {
                waiting[record.id]?.replayed = record
            }
            return []
        }
    }

    /// The flows whose response is not in the file.
    package mutating func finish() -> [Flow] {
        order.compactMap { id in remove(id).map { flow($0.request, $0.replayed) } }
    }

    private mutating func remove(_ id: ByteBuffer) -> Waiting? {
        guard let found = waiting.removeValue(forKey: id) else { return nil }
        bytes -= found.request.payload.readableBytes
        return found
    }

    /// Other protocols are recorded too. The first line of a message of HTTP/1 has its version.
    private static func isHTTP(_ record: GorRecord) -> Bool {
        let line = record.payload.readableBytesView.prefix { $0 != 0x0A }
        guard record.payload.endOfHead() != nil else { return false }
        guard record.kind == .request else { return line.starts(with: "HTTP/".utf8) }
        return line.split(separator: 0x20).last?.starts(with: "HTTP/".utf8) == true
    }

    // MARK: Flows

    private mutating func flow(_ request: GorRecord?, _ response: GorRecord?) -> Flow {
        let asked = request.flatMap { HTTP1Message($0.payload)?.request(isCut: $0.isTorn) }
        let location = asked.map { Self.location($0.head) } ?? Self.nowhere
        var flow = begin(request ?? response, location, until: end(of: response ?? request))
        if let request, let (head, message) = asked {
            flow.receive(.request(head), at: request.started)
            message.finish(.client, at: end(of: request), into: &flow)
        } else {
            flow.receive(.note(FlowNote(side: .client, "the file has no request")), at: last)
        }
        if let response {
            let method = asked?.head.method ?? ByteBuffer(string: "GET")
            if let (head, message) = HTTP1Message(response.payload)?.response(to: method, isCut: response.isTorn) {
                flow.receive(.response(head), at: response.started)
                if response.kind == .replayedResponse {
                    flow.receive(.note(FlowNote(side: .server, "the response came from a replay")), at: response.started)
                }
                message.finish(.server, at: end(of: response), into: &flow)
            }
        } else {
            flow.receive(.note(FlowNote(side: .server, "the file has no response")), at: last)
        }
        let (so, at) = (flow.flow, end(of: response ?? request))
        let isComplete = so.request?.isComplete == true && so.response?.isComplete == true
        flow.receive(.ended(FlowEnding(state: isComplete ? .complete : .incomplete)), at: at)
        return flow.flow
    }

    private func end(of record: GorRecord?) -> Timestamp {
        guard let record else { return last }
        return record.started.advanced(byNanoseconds: record.duration ?? 0)
    }

    private mutating func begin(_ first: GorRecord?, _ location: HARLocation, until end: Timestamp) -> FlowAssembler {
        last = first?.started ?? last
        count += 1
        let server = connections.server(location, address: "", connection: "", last)
        let client = connections.client(server, version: .http1_1, from: last, to: end)
        let random = stableHash(first?.id.readableBytesView ?? ByteBufferView(), seed: count)
        var flow = FlowAssembler(
            id: FlowID(time: last, sequence: UInt16(truncatingIfNeeded: count), random: random), at: last,
            opening: FlowOpening(kind: .http, client: client, target: location.target, stream: StreamID(1)), keepsPieces: true)
        if !location.target.host.isEmpty { flow.receive(.server(server), at: last) }
        return flow
    }

    // MARK: Targets

    private static let nowhere = HARLocation(ByteBuffer(string: "http://"))!

    /// Where a request was sent, as far as its head shows it: the URL of its first line, or the host of its Host field. A file has no scheme.
    static func location(_ head: RequestHead) -> HARLocation {
        let target = RequestTarget(head)
        let host = target.authority.readableBytes > 0 ? target.authority : head.fields.first("host") ?? ByteBuffer()
        var url = ByteBuffer(string: head.target.readableBytesView.starts(with: "https://".utf8) ? "https://" : "http://")
        url.writeImmutableBuffer(host)
        if target.path.readableBytesView.first == 0x2F { url.writeImmutableBuffer(target.path) }
        return HARLocation(url) ?? nowhere
    }
}
