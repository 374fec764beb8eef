// Flows from the records of a WARC file. The request and the response of an exchange are two records, in either order, which name each
// other (WARC-Concurrent-To). Records of programs that do not name them belong together if they have the same URL and time.

import FlowModel
import HTTPSemantics
import NIOCore

/// Joins records to flows.
package struct WARCFlows {
    /// Exchanges of which one half is known. Programs write the two halves one after the other, or a few records apart.
    private static let maximumWaiting = 64

    private struct Half {
        var fields: WARCFields
        var text: HTTP1Message
        var isRequest: Bool
        var isRevisit: Bool
        var url: ByteBuffer
    }

    private var waiting: [Half] = []
    private var connections = HARConnections()
    private var last = Timestamp(nanoseconds: 0)
    private var count: UInt64 = 0
    /// Records that are not exchanges of HTTP, by type or by scheme.
    package private(set) var leftOut: [String: Int] = [:]

    package init() {}

    /// The flows that are complete with a record: none, one, or more.
    /// - Throws: a sentence about a record that is not what its type says.
    package mutating func take(_ fields: WARCFields, _ block: ByteBuffer) throws(WARCRecordError) -> [Flow] {
        switch fields.type {
        case "warcinfo": return []
        case "request", "response", "revisit":
            // A response may be one of another protocol: `dns:` is text.
            guard let url = fields.url, HARLocation(url) != nil else {
                leaveOut(fields)
                return []
            }
            guard let text = HTTP1Message(block) ?? (fields.type == "revisit" ? HTTP1Message.withoutHead : nil) else {
                throw WARCRecordError("is a \(fields.type) without a head of HTTP")
            }
            let isRequest = fields.type == "request"
            return take(Half(fields: fields, text: text, isRequest: isRequest, isRevisit: fields.type == "revisit", url: url))
        case "resource":
            guard let url = fields.url, HARLocation(url) != nil else {
                leaveOut(fields)
                return []
            }
            return [resource(fields, url, block)].compactMap { $0 }
        default:
            leaveOut(fields)
            return []
        }
    }

    /// The flows of which only one half is in the file.
    package mutating func finish() -> [Flow] {
        let rest = waiting
        waiting = []
        return rest.compactMap { flow($0.isRequest ? $0 : nil, $0.isRequest ? nil : $0) }
    }

    private mutating func leaveOut(_ fields: WARCFields) {
        let type = ["request", "response", "revisit", "resource", "metadata", "conversion", "continuation"].contains(fields.type)
        leftOut[type ? fields.type : "other", default: 0] += 1
    }

    private mutating func take(_ half: Half) -> [Flow] {
        let partner = waiting.firstIndex { other in
            guard other.isRequest != half.isRequest else { return false }
            let names = half.fields.concurrent + other.fields.concurrent
            guard names.isEmpty else {
                return other.fields.id.map { half.fields.concurrent.contains($0) } ?? false
                    || half.fields.id.map { other.fields.concurrent.contains($0) } ?? false
            }
            return other.url == half.url && other.fields.date == half.fields.date
        }
        if let partner {
            let other = waiting.remove(at: partner)
            return [half.isRequest ? flow(half, other) : flow(other, half)].compactMap { $0 }
        }
        waiting.append(half)
        guard waiting.count > Self.maximumWaiting else { return [] }
        let oldest = waiting.removeFirst()
        return [oldest.isRequest ? flow(oldest, nil) : flow(nil, oldest)].compactMap { $0 }
    }

    // MARK: Flows

    private mutating func flow(_ request: Half?, _ response: Half?) -> Flow? {
        guard let main = response ?? request, let location = HARLocation(main.url) else { return nil }
        var flow = begin(main.fields, location)
        let at = flow.flow.started
        let asked = request.map { $0.text.request(isCut: $0.fields.isTruncated) }
        if let (head, message) = asked {
            flow.receive(.request(head), at: at)
            message.finish(.client, at: at, into: &flow)
        } else {
            assumeRequest(location, at, &flow)
        }
        guard let response else {
            end(&flow, error: "there was no response")
            return flow.flow
        }
        let method = asked?.head.method ?? ByteBuffer(string: "GET")
        var text = response.text
        var isCut = response.fields.isTruncated
        if text.head.readableBytes == 0 { text = HTTP1Message.found }
        if response.isRevisit {
            let isUnchanged = response.fields.profile?.contains("server-not-modified") == true
            let isStored = text.body.readableBytes > 0
            if !isUnchanged, !isStored {
                isCut = true
                let place = response.fields.referred.map { " of \($0)" } ?? ""
                flow.receive(
                    .note(FlowNote(side: .server, "the file has the content in another record\(place)")), at: at)
            }
        }
        let (head, message) = text.response(to: method, isCut: isCut)
        flow.receive(.response(head), at: at)
        message.finish(.server, at: at, into: &flow)
        end(&flow, error: nil)
        return flow.flow
    }

    /// A resource is content that was not fetched by HTTP, or of which only the content was kept.
    private mutating func resource(_ fields: WARCFields, _ url: ByteBuffer, _ block: ByteBuffer) -> Flow? {
        guard let location = HARLocation(url) else { return nil }
        var flow = begin(fields, location)
        let at = flow.flow.started
        assumeRequest(location, at, &flow)
        var message = ForeignMessage(version: .http1_1)
        if let type = fields.contentType { message.head.fields.append((ByteBuffer(string: "Content-Type"), type)) }
        message.content = fields.isTruncated ? .cut(block) : .whole(block)
        message.notes.append("the file has the content alone; the response is assumed to be 200")
        message.fit(.response(status: 200, method: ByteBuffer(string: "GET")))
        flow.receive(.response(message.head.response(version: .http1_1, status: 200, reason: ByteBuffer(string: "OK"))), at: at)
        message.finish(.server, at: at, into: &flow)
        end(&flow, error: nil)
        return flow.flow
    }

    private mutating func begin(_ fields: WARCFields, _ location: HARLocation) -> FlowAssembler {
        last = fields.date ?? last
        count += 1
        var tls: TLSDetails?
        if fields.tlsVersion != nil || fields.cipher != nil {
            var known = TLSDetails()
            (known.version, known.cipher) = (fields.tlsVersion, fields.cipher)
            tls = known
        }
        let server = connections.server(location, address: fields.address, connection: "", tls: tls, last)
        let client = connections.client(server, version: .http1_1, from: last, to: last)
        var flow = FlowAssembler(
            id: id(fields, location), at: last,
            opening: FlowOpening(kind: .http, client: client, target: location.target, stream: StreamID(1)), keepsPieces: true)
        flow.receive(.server(server), at: last)
        return flow
    }

    /// The identifier in `<urn:uuid:…>`, otherwise one that is the same each time.
    private func id(_ fields: WARCFields, _ location: HARLocation) -> FlowID {
        let text = fields.id.map { String(buffer: $0).lowercased() } ?? ""
        if let uuid = text.split(separator: ":").last, let id = FlowID(String(uuid.prefix { $0 != ">" })) { return id }
        let random = stableHash(text.utf8, seed: count) ^ stableHash(location.path.readableBytesView, seed: count)
        return FlowID(time: last, sequence: UInt16(truncatingIfNeeded: count), random: random)
    }

    private func assumeRequest(_ location: HARLocation, _ at: Timestamp, _ flow: inout FlowAssembler) {
        var head = HeadBytes()
        head.fields = [(ByteBuffer(string: "Host"), location.authority)]
        flow.receive(
            .request(
                head.request(
                    version: .http1_1, method: ByteBuffer(string: "GET"), scheme: ByteBuffer(), authority: ByteBuffer(),
                    path: location.path)), at: at)
        flow.receive(.note(FlowNote(side: .client, "the file has no request; it is assumed to be GET")), at: at)
        flow.receive(.finished(.client), at: at)
    }

    private func end(_ flow: inout FlowAssembler, error: String?) {
        let (so, at) = (flow.flow, flow.flow.started)
        let isComplete = so.request?.isComplete == true && so.response?.isComplete == true
        var ending = FlowEnding(state: so.response == nil ? .failed : isComplete ? .complete : .incomplete)
        ending.error = error.map { FlowError(side: nil, message: $0, at: at) }
        flow.receive(.ended(ending), at: at)
    }
}

/// Why a record cannot be used, after the words `the record at offset …`.
package struct WARCRecordError: Error, Equatable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

extension HTTP1Message {
    private init(head: String) { (self.head, body) = (ByteBuffer(string: head), ByteBuffer()) }

    /// Of a revisit that has no block.
    fileprivate static let withoutHead = HTTP1Message(head: "")
    fileprivate static let found = HTTP1Message(head: "HTTP/1.1 200 OK\r\n\r\n")
}
