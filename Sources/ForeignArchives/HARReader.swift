// Reads HAR 1.2 (the archive that browsers' developer tools, Charles, Fiddler and mitmproxy write). The whole file is one JSON object, so
// it is in memory as a whole; what its entries say is trusted as little as any other input.

import ContentCoding
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore

/// An entry that cannot be understood. The others are not touched by it.
package struct HAREntryError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    package var entry: Int
    package var what: String

    package var description: String { "entry \(entry) \(what)" }
}

/// Gives the flows of one file, in its order.
package struct HARReader {
    /// A file is in memory several times over while it is parsed.
    package static let maximumSize = 1 << 30

    private let entries: [Any]
    private var index = 0
    private var servers: [ServerName: Shared<ServerConnection>] = [:]
    /// Entries of URLs that are not HTTP's, by scheme.
    package private(set) var leftOut: [String: Int] = [:]

    private struct ServerName: Hashable {
        var host: String
        var port: UInt16
        var address: String
        var connection: String
    }

    /// - Parameter bytes: the whole file.
    /// - Throws: when it is no JSON, or its JSON no HAR.
    package init(_ bytes: ByteBuffer) throws(ForeignError) {
        var data = Data(bytes.readableBytesView)
        if data.starts(with: [0xEF, 0xBB, 0xBF]) { data.removeFirst(3) }
        let object: Any
        do {
            object = try JSONSerialization.jsonObject(with: Data(data))
        } catch {
            let reason = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String ?? "it does not parse"
            throw .notHAR("it is not valid JSON (\(reason))")
        }
        guard let log = (object as? [String: Any])?["log"] as? [String: Any], let entries = log["entries"] as? [Any] else {
            throw .notHAR("it has no log with entries")
        }
        self.entries = entries
    }

    /// The next flow.
    /// - Returns: nil at the end.
    /// - Throws: for an entry that is no flow; the next call goes on behind it.
    package mutating func next() throws(HAREntryError) -> Flow? {
        while index < entries.count {
            index += 1
            guard let entry = entries[index - 1] as? [String: Any] else { throw failure("is no object") }
            if let flow = try flow(entry) { return flow }
        }
        return nil
    }

    private func failure(_ what: String) -> HAREntryError { HAREntryError(entry: index, what: what) }

    private mutating func flow(_ entry: [String: Any]) throws(HAREntryError) -> Flow? {
        guard let request = entry["request"] as? [String: Any], let text = request["url"] as? String,
            let method = request["method"] as? String
        else { throw failure("has no request with a method and a URL") }
        guard let url = HARLocation(text) else {
            leftOut[String(text.prefix { $0 != ":" }.prefix(16)), default: 0] += 1
            return nil
        }
        guard let started = (entry["startedDateTime"] as? String).flatMap({ Timestamp(rfc3339: $0) }) else {
            throw failure("has no startedDateTime that can be read")
        }
        let times = HARTimes(entry, started: started)
        let hash = FlowID(high: stableHash(text, seed: UInt64(index)), low: stableHash(method, seed: UInt64(index)))
        let id =
            (entry["_id"] as? String).flatMap { FlowID($0) }
            ?? FlowID(time: started, sequence: UInt16(truncatingIfNeeded: index), random: hash.high ^ hash.low)
        var flow = FlowAssembler(
            id: id, at: started,
            opening: FlowOpening(kind: .http, client: Shared(.unknown), target: url.target, stream: StreamID(1)), keepsPieces: true)
        flow.receive(.server(server(entry, url, started)), at: started)

        var message = HARMessage(request)
        let version = message.version ?? .http1_1
        flow.receive(.request(message.requestHead(version, method: method, url)), at: times.request)
        let posted = request["postData"] as? [String: Any]
        message.content(posted, isExpected: posted != nil && posted?["text"] == nil && !isEmptyList(posted?["params"]))
        message.finish(.client, at: times.requestEnd, into: &flow)

        let response = entry["response"] as? [String: Any] ?? [:]
        let status = response["status"] as? Int ?? 0
        if status > 0 {
            var message = HARMessage(response)
            let content = response["content"] as? [String: Any]
            // RFC 9110 §6.4.1: these have no content; a browser shows what it had in its cache.
            if method != "HEAD", status != 304, status != 204, status >= 200 {
                message.content(content, isExpected: (content?["size"] as? Double ?? 0) > 0)
                message.removeCodings()
            }
            let reason = response["statusText"] as? String ?? ""
            let head = message.responseHead(version, status: status, reason: reason)
            if response["_localReply"] as? Bool == true {
                // What a recorder answered itself is no server's response.
                flow.receive(.localReply(LocalReply(head: head, content: message.body)), at: times.response)
            } else {
                flow.receive(.response(head), at: times.response)
                message.finish(.server, at: times.end, into: &flow)
            }
        }
        receiveMessages(entry, times, into: &flow)
        end(entry, response, times, into: &flow)
        return flow.flow
    }

    private func isEmptyList(_ value: Any?) -> Bool { (value as? [Any])?.isEmpty ?? true }

    private mutating func server(_ entry: [String: Any], _ url: HARLocation, _ started: Timestamp) -> Shared<ServerConnection> {
        let address = (entry["serverIPAddress"] as? String ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        let name = ServerName(
            host: url.target.host, port: url.target.port, address: address,
            connection: entry["connection"] as? String ?? "")
        if let known = servers[name] { return known }
        let text = "\(name.host):\(name.port) \(address) \(name.connection)"
        var server = ServerConnection(
            id: ConnectionID(time: started, sequence: 0, random: stableHash(text, seed: 0)),
            target: Endpoint(host: name.host, port: name.port), opened: started)
        if !address.isEmpty { server.peer = Endpoint(host: address, port: name.port) }
        let shared = Shared(server)
        servers[name] = shared
        return shared
    }

    private func receiveMessages(_ entry: [String: Any], _ times: HARTimes, into flow: inout FlowAssembler) {
        let messages = entry["_webSocketMessages"] as? [[String: Any]]
        guard messages != nil || entry["_resourceType"] as? String == "websocket" && flow.flow.response?.head.status == 101 else {
            return
        }
        var last = times.response
        for message in messages ?? [] {
            let kinds: [Int: FlowPiece.Kind] = [1: .text, 2: .binary, 8: .close, 9: .ping, 10: .pong]
            guard let kind = kinds[message["opcode"] as? Int ?? 1], let data = message["data"] as? String,
                message["type"] as? String != "error"
            else { continue }
            if let seconds = message["time"] as? Double, abs(seconds) < 9.2e9 {
                // A binary fraction of today's seconds is right to the microsecond.
                last = Timestamp(nanoseconds: Int64((seconds * 1e6).rounded()) * 1000)
            }
            let content = kind == .text ? Data(data.utf8) : Data(base64Encoded: data) ?? Data(data.utf8)
            let side: Side = message["type"] as? String == "send" ? .client : .server
            flow.receive(.piece(FlowPiece(kind: kind, from: side, content: ByteBuffer(bytes: content))), at: last)
        }
        if messages?.isEmpty ?? true { flow.count(.text, from: .client, size: 0, stored: 0, at: last) }
    }

    private func end(_ entry: [String: Any], _ response: [String: Any], _ times: HARTimes, into flow: inout FlowAssembler) {
        let so = flow.flow
        var end = max(times.end, times.request)
        try? so.pieces.forEach { at, _ in
            end = max(end, at)
            return true
        }
        var words = [entry["_error"], response["_error"]].compactMap { $0 as? String }.first { !$0.isEmpty }
        if so.response == nil, words == nil { words = "there was no response" }
        let isComplete = so.request?.isComplete == true && so.response?.isComplete == true
        var ending = FlowEnding(state: so.response == nil ? .failed : isComplete && words == nil ? .complete : .incomplete)
        ending.error = words.map { FlowError(side: nil, message: $0, at: end) }
        ending.comment = (entry["comment"] as? String).flatMap { $0.isEmpty ? nil : $0 }
        flow.receive(.ended(ending), at: end)
    }
}

/// FNV-1a: the same for the same text on every machine.
private func stableHash(_ text: String, seed: UInt64) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325 ^ seed &* 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
