// Reads HAR 1.2, the format of browsers' developer tools, Charles, Fiddler and mitmproxy. The whole text of a file is in memory;
// its entries are parsed one at a time. No value is trusted.

import FlowModel
import Foundation
import HTTPSemantics
import JSONQuery
import NIOCore

/// An error in an entry, or in the file after it.
package struct HAREntryError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    package var entry: Int
    package var what: String

    package var description: String { "entry \(entry) \(what)" }
}

/// Reads the flows of one file, in its order.
package struct HARReader {
    /// The whole text of a file is in memory while it is read.
    package static let maximumSize = 1 << 30

    private var json: JSONReader
    private var index = 0
    private var isOver = false
    private var connections = HARConnections()
    private var lastTime: Timestamp?
    /// Entries whose URLs are not of HTTP, by scheme.
    package private(set) var leftOut: [String: Int] = [:]
    /// Entries without a valid time. They have the time of the entry before them.
    package private(set) var untimed = 0

    /// - Parameter bytes: the whole file.
    /// - Throws: if it is not valid JSON, or not HAR.
    package init(_ bytes: ByteBuffer) throws(ForeignError) {
        let start = bytes.readableBytesView.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        json = JSONReader(bytes, at: start)
        if json.enter("log"), json.enter("entries"), json.take(0x5B) { return }
        var whole = JSONReader(bytes, at: start)
        guard whole.skip() else { throw .notHAR("it is not valid JSON at offset \(whole.offset)") }
        throw .notHAR("it has no log with entries")
    }

    /// The next flow.
    /// - Returns: nil at the end.
    /// - Throws: for an entry that is not a valid flow; the next call continues after it. For text that is not valid JSON; the next
    ///   call returns nil.
    package mutating func next() throws(HAREntryError) -> Flow? {
        while !isOver {
            if index == 0 ? json.peek() == 0x5D : !json.take(0x2C) {
                isOver = true
                // The end of the list, the log and the file.
                if json.take(0x5D), json.leave(), json.leave(), json.peek() == nil { return nil }
                throw failure("is the last readable one: the file is not valid JSON at offset \(json.offset)")
            }
            index += 1
            guard let entry = json.value() else {
                isOver = true
                throw failure("is not valid JSON at offset \(json.offset); the rest of the file is not read")
            }
            guard entry.isObject else { throw failure("is not an object; it was left out") }
            if let flow = try flow(entry) { return flow }
        }
        return nil
    }

    private func failure(_ what: String) -> HAREntryError { HAREntryError(entry: index, what: what) }

    private mutating func flow(_ entry: JSONTree) throws(HAREntryError) -> Flow? {
        guard let request = entry["request"], let text = request["url"]?.string?.unescapedBytes,
            let method = request.bytes("method", exact: "_methodBase64"), method.readableBytes > 0
        else { throw failure("has no request with a method and a URL; it was left out") }
        guard let url = HARLocation(text) else {
            leftOut[String(buffer: text).prefix { $0 != ":" }.prefix(16).description, default: 0] += 1
            return nil
        }
        guard !url.target.host.isEmpty else { throw failure("has a URL without a valid host; it was left out") }
        let started = time(of: entry)
        let times = HARTimes(entry, started: started)
        var message = ForeignMessage(request, or: .http1_1)
        let server = connections.server(
            url, address: entry.text("serverIPAddress") ?? "", connection: entry.text("connection") ?? "", started)
        let client = connections.client(server, version: message.version, from: started, to: max(times.end, times.request))
        var flow = FlowAssembler(
            id: id(entry, text, method, started), at: started,
            opening: FlowOpening(kind: .http, client: client, target: url.target, stream: StreamID(1)), keepsPieces: true)
        flow.receive(.server(server), at: started)

        let target = request.bytes("_target", exact: "_targetBase64")
        if target == nil { message.normaliseHost(url) }
        message.takePosted(request["postData"], isCut: request["_incomplete"]?.bool ?? false)
        message.fit(.request)
        flow.receive(.request(message.requestHead(method, url, target: target)), at: times.request)
        message.finish(.client, at: times.requestEnd, into: &flow)

        if let response = entry["response"], let status = response["status"]?.quantity.flatMap({ Int(exactly: $0) }), status > 0 {
            receive(response, status: status, to: method, or: message.version, times, into: &flow)
        }
        receiveMessages(entry, times, into: &flow)
        end(entry, times, into: &flow)
        return flow.flow
    }

    private func receive(
        _ response: JSONTree, status: Int, to method: ByteBuffer, or version: HTTPVersion, _ times: HARTimes,
        into flow: inout FlowAssembler
    ) {
        var message = ForeignMessage(response, or: version)
        message.takeContent(of: response, status: status, isCut: response["_incomplete"]?.bool ?? false)
        message.fit(.response(status: status, method: method))
        let reason = response.bytes("statusText", exact: "_statusTextBase64") ?? ByteBuffer()
        let head = message.head.response(version: message.version, status: status, reason: reason)
        if response["_localReply"]?.bool == true {
            // The recorder's own answer is not a response of the server.
            flow.receive(.localReply(LocalReply(head: head, content: message.content.bytes)), at: times.response)
        } else {
            flow.receive(.response(head), at: times.response)
            message.finish(.server, at: times.end, into: &flow)
        }
    }

    // MARK: Names and times

    private func id(_ entry: JSONTree, _ url: ByteBuffer, _ method: ByteBuffer, _ started: Timestamp) -> FlowID {
        if let id = entry.text("_id").flatMap({ FlowID($0) }) { return id }
        let (high, low) = (
            stableHash(url.readableBytesView, seed: UInt64(index)), stableHash(method.readableBytesView, seed: UInt64(index))
        )
        return FlowID(time: started, sequence: UInt16(truncatingIfNeeded: index), random: high ^ low)
    }

    /// When an entry began. An entry without a valid time has the time of the entry before it, which keeps the order; at the
    /// beginning of the file it has the time of the first entry that has one.
    private mutating func time(of entry: JSONTree) -> Timestamp {
        if let time = Self.time(entry) {
            lastTime = time
            return time
        }
        untimed += 1
        if let lastTime { return lastTime }
        var ahead = json
        while ahead.take(0x2C), let entry = ahead.value() {
            guard let time = Self.time(entry) else { continue }
            lastTime = time
            return time
        }
        lastTime = Timestamp(nanoseconds: 0)
        return Timestamp(nanoseconds: 0)
    }

    private static func time(_ entry: JSONTree) -> Timestamp? {
        entry.text("startedDateTime").flatMap { Timestamp(rfc3339: $0) }
    }

    // MARK: Conversations and ends

    private func receiveMessages(_ entry: JSONTree, _ times: HARTimes, into flow: inout FlowAssembler) {
        let messages = entry["_webSocketMessages"]?.elements
        guard messages != nil || entry.text("_resourceType") == "websocket" && flow.flow.response?.head.status == 101 else {
            return
        }
        var last = times.response
        for message in messages ?? [] where message.text("type") != "error" {
            let kinds: [Int: FlowPiece.Kind] = [1: .text, 2: .binary, 8: .close, 9: .ping, 10: .pong]
            let opcode = message["opcode"]?.quantity.flatMap { Int(exactly: $0) } ?? 1
            guard let kind = kinds[opcode], let data = message["data"]?.string else { continue }
            if let seconds = message["time"]?.quantity, abs(seconds) < 9.2e9 {
                // A binary fraction of present-day seconds is exact to the microsecond.
                last = Timestamp(nanoseconds: Int64((seconds * 1e6).rounded()) * 1000)
            }
            let exact = message["_dataBase64"]?.string.flatMap { decodeBase64($0.bytes) }
            let content = exact ?? (kind == .text ? nil : decodeBase64(data.bytes)) ?? data.unescapedBytes
            let side: Side = message.text("type") == "send" ? .client : .server
            flow.receive(.piece(FlowPiece(kind: kind, from: side, content: content)), at: last)
        }
        if messages?.isEmpty ?? true { flow.count(.text, from: .client, size: 0, stored: 0, at: last) }
    }

    private func end(_ entry: JSONTree, _ times: HARTimes, into flow: inout FlowAssembler) {
        let so = flow.flow
        var end = max(times.end, times.request)
        try? so.pieces.forEach { at, _ in
            end = max(end, at)
            return true
        }
        var message = [entry.text("_error"), entry["response"]?.text("_error")].compactMap { $0 }.first { !$0.isEmpty }
        if so.response == nil, message == nil { message = "there was no response" }
        let isComplete = so.request?.isComplete == true && so.response?.isComplete == true
        var ending = FlowEnding(state: so.response == nil ? .failed : isComplete && message == nil ? .complete : .incomplete)
        ending.error = message.map { FlowError(side: nil, message: $0, at: end) }
        for note in entry["_notes"]?.elements ?? [] {
            if let text = note.string?.text { flow.receive(.note(FlowNote(har: text)), at: end) }
        }
        ending.comment = entry.text("comment").flatMap { $0.isEmpty ? nil : $0 }
        flow.receive(.ended(ending), at: end)
    }
}

extension FlowNote {
    /// As HARWriter writes it: the side, a colon, the sentence.
    fileprivate init(har text: String) {
        let side: Side? = text.hasPrefix("client: ") ? .client : text.hasPrefix("server: ") ? .server : nil
        self.init(side: side, side == nil ? text : String(text.dropFirst(8)))
    }
}

/// FNV-1a: the same on every machine.
func stableHash(_ bytes: some Sequence<UInt8>, seed: UInt64) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325 ^ seed &* 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
