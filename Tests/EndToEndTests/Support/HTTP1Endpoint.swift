// One end of an HTTP/1.1 connection, as a test plays it: it sends and reads whole messages, and tells how each was framed.

import Foundation

/// A message as both versions of HTTP can say it, so that both ends of a translation can be compared.
struct PlainMessage: Equatable, Sendable, CustomStringConvertible {
    /// `GET /path`, or a status.
    var start: String
    /// Names in lower case; without those of framing and of one connection.
    var fields: [HTTP2Field] = []
    var body = HTTP2Body()
    var trailers: [HTTP2Field] = []
    /// Interim responses before it: status and fields.
    var interims: [String] = []
    var isComplete = true

    /// Fields that a translation generates, or whose place in the message differs. Content-Length is not one of them.
    private static let ofVersions: Set<String> = [
        "transfer-encoding", "connection", "keep-alive", "te", "trailer", "date", "host", "via", "user-agent",
    ]

    init(start: String, fields: [HTTP2Field] = [], body: HTTP2Body = HTTP2Body(), trailers: [HTTP2Field] = []) {
        self.start = start
        self.fields = fields.filter { !$0.name.hasPrefix(":") && !Self.ofVersions.contains($0.name) }
        self.body = body
        self.trailers = trailers
    }

    /// What came on a stream.
    init(_ stream: HTTP2Endpoint.Stream) {
        func isInterim(_ section: [HTTP2Field]) -> Bool {
            section.first { $0.name == ":status" }.map { $0.value.hasPrefix("1") && $0.value.count == 3 } ?? false
        }
        let sections = stream.sections.drop(while: isInterim)
        let head = sections.first ?? []
        func value(_ name: String) -> String? { head.first { $0.name == name }?.value }
        let start = value(":status") ?? "\(value(":method") ?? "") \(value(":path") ?? "")"
        self.init(
            start: start, fields: head, body: stream.body,
            trailers: sections.count > 1 ? sections[sections.index(after: sections.startIndex)] : [])
        interims = stream.sections.prefix(while: isInterim).map(Self.interim)
        isComplete = stream.ended
    }

    static func interim(_ fields: [HTTP2Field]) -> String {
        fields.filter { $0.name != "date" }.map { $0.name == ":status" ? $0.value : $0.description }.joined(separator: " ")
    }

    var description: String {
        let fields = (fields + trailers).map { "\($0.name): \($0.value.prefix(60))" }.joined(separator: ", ")
        return "\(interims) \(start) [\(fields)] \(body.size) octets\(isComplete ? "" : ", cut")"
    }
}

final class HTTP1Endpoint {
    enum Framing: Equatable { case none, length, chunked, close }

    let connection: RawConnection
    private(set) var isClosed = false
    /// How the last message that was read was framed.
    private(set) var framing = Framing.none
    /// Octets of the content that is being read.
    private(set) var body = HTTP2Body()
    private var received: ArraySlice<UInt8> = []

    init(_ connection: RawConnection) { self.connection = connection }

    /// The next message, without its content.
    func readHead(_ limit: Duration) -> (start: String, fields: [HTTP2Field])? {
        guard let lines = readSection(limit), let first = lines.first else { return nil }
        let parts = first.split(separator: " ")
        let start = first.hasPrefix("HTTP/") ? String(parts[1]) : parts.prefix(2).joined(separator: " ")
        return (start, Self.fields(lines.dropFirst()))
    }

    /// The rest of a message whose head has been read. What came of its content is in ``body`` meanwhile.
    /// - Parameter hasContent: false for what answers HEAD.
    func readRest(
        of head: (start: String, fields: [HTTP2Field]), hasContent: Bool = true, _ limit: Duration = .seconds(30),
        progress: (HTTP2Body) -> Void = { _ in }
    ) -> PlainMessage {
        body = HTTP2Body()
        var message = PlainMessage(start: head.start, fields: head.fields)
        func value(_ name: String) -> String? { head.fields.first { $0.name == name }?.value }
        let isResponse = !head.start.contains(" ")
        if !hasContent || ["204", "304"].contains(head.start) {
            framing = .none
        } else if value("transfer-encoding") != nil {
            framing = .chunked
            guard let trailers = readChunks(limit, progress) else {
                message.isComplete = false
                message.body = body
                return message
            }
            message.trailers = trailers
        } else if let length = value("content-length").flatMap({ Int($0) }) {
            framing = .length
            message.isComplete = take(length, limit, progress)
        } else if isResponse {
            framing = .close
            message.isComplete = take(.max, limit, progress) || isClosed
        } else {
            framing = .none
        }
        message.body = body
        return message
    }

    // MARK: Private

    private func read(_ limit: Duration) -> Bool {
        guard !isClosed else { return false }
        switch connection.receive(before: .now + limit) {
        case .bytes(let bytes): received += bytes
        case .end: isClosed = true
        case .nothing: return false
        }
        return !isClosed
    }

    private func readLine(_ limit: Duration) -> String? {
        var searched = 0
        while true {
            if let end = received.dropFirst(searched).firstIndex(of: 0x0A) {
                let line = received[received.startIndex..<end]
                received = received[(end + 1)...]
                return String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
            }
            searched = received.count
            guard read(limit) else { return nil }
        }
    }

    private func readSection(_ limit: Duration) -> [String]? {
        var lines: [String] = []
        while let line = readLine(limit) {
            if line.isEmpty { return lines }
            lines.append(line)
        }
        return nil
    }

    private static func fields(_ lines: ArraySlice<String>) -> [HTTP2Field] {
        lines.map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            let value = line[colon...].dropFirst().drop { $0 == " " }
            return HTTP2Field(name: line[..<colon].lowercased(), value: String(value))
        }
    }

    private func readChunks(_ limit: Duration, _ progress: (HTTP2Body) -> Void) -> [HTTP2Field]? {
        while let line = readLine(limit), let size = Int(line.prefix { $0.isHexDigit }, radix: 16) {
            if size == 0 { return readSection(limit).map { Self.fields($0[...]) } }
            guard take(size, limit, progress), readLine(limit) == "" else { return nil }
        }
        return nil
    }

    private func take(_ size: Int, _ limit: Duration, _ progress: (HTTP2Body) -> Void) -> Bool {
        var left = size
        while left > 0 {
            if received.isEmpty, !read(limit) { return false }
            let piece = received.prefix(left)
            body.append(Array(piece))
            left -= piece.count
            received = received.dropFirst(piece.count)
            progress(body)
        }
        return true
    }
}
