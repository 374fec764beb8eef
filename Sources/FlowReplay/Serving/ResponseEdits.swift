// Changes to a recorded response before it is sent again: dates move to the present, HEAD gets the head of the response to GET, a
// range is cut from whole content, a WebSocket handshake answers the present key.

import FlowModel
import HTTPSemantics
import NIOCore

/// The response to send, made from a recorded one.
package struct EditedResponse: Sendable {
    package var head: ResponseHead
    /// The part of the content that is sent.
    package var range: Range<UInt64>?
    package var hasContent: Bool
}

/// What the response depends on: the request, and the present.
package struct ResponseContext: Sendable {
    package var request: RequestHead
    package var now: Timestamp
    /// Dates stay as they were recorded.
    package var keepsDates: Bool
    /// Sec-WebSocket-Accept for the key of the request; nil if it has no key, as in HTTP/2.
    package var accept: String?

    package init(request: RequestHead, now: Timestamp, keepsDates: Bool, accept: String?) {
        self.request = request
        self.now = now
        self.keepsDates = keepsDates
        self.accept = accept
    }
}

extension Flow {
    /// The recorded response for a request; nil if none was recorded.
    package func response(for context: ResponseContext) -> EditedResponse? {
        // Of content that is not all recorded only the head is sent, to HEAD: it describes the whole.
        guard let response = (cut(of: .server) == nil ? asStored : self).response else { return nil }
        var edits = HeadEdits(response.head)
        if !context.keepsDates { edits.shiftDates(bySeconds: (context.now - response.started) / 1_000_000_000) }
        if opensWebSocket {
            edits.renewHandshake(context.accept)
        } else if !hasSwitched {
            edits.frame(framing(of: response))
        }
        let isHead = context.request.isMethod("HEAD")
        var range: Range<UInt64>?
        if !isHead, let asked = context.request.fields.first("range"), let part = part(asked, of: response, context) {
            switch part {
            case .some(let part):
                range = part
                edits.becomePartial(part, of: response.size)
            case nil:
                edits.becomeUnsatisfiable(response.size)
                return EditedResponse(head: edits.head, range: 0..<0, hasContent: false)
            }
        }
        return EditedResponse(head: edits.head, range: range, hasContent: !isHead)
    }

    /// How the content of the response is framed when it is sent: as its head says, if that fits the content.
    private func framing(of response: Message<ResponseHead>) -> ContentFraming {
        // RFC 9112 section 6.3: these describe content that is not sent.
        let isBodiless = request?.head.isMethod("HEAD") == true || response.head.status == 204 || response.head.status == 304
        return DeclaredFraming(response.head.fields).framing(
            ofResponse: isBodiless ? nil : response.size, isWhole: response.ended != nil, response.head.version)
    }

    /// The range that a request asks for (RFC 9110 section 14.2). The content must be whole.
    /// - Returns: nil if all of it is sent; a nil range if it cannot be satisfied.
    private func part(
        _ asked: ByteBuffer, of response: Message<ResponseHead>, _ context: ResponseContext
    ) -> Range<UInt64>?? {
        guard response.head.status == 200, response.isComplete, context.request.isMethod("GET") else { return nil }
        // A server that was asked for a range and sent the whole content does so again.
        guard request?.head.fields.contains("range") != true else { return nil }
        if let condition = context.request.fields.first("if-range") {
            // RFC 9110 section 13.1.5: a strong comparison, in which a weak validator equals nothing.
            let fields = response.head.fields
            guard condition == fields.first("etag") || condition == fields.first("last-modified"),
                !condition.readableBytesView.starts(with: "W/".utf8)
            else { return nil }
        }
        let text = String(buffer: asked)
        guard text.lowercased().hasPrefix("bytes=") else { return nil }
        let bounds = text.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard bounds.count == 2, bounds.allSatisfy({ $0.utf8.allSatisfy { $0 &- 0x30 < 10 } }) else { return nil }
        let size = response.size
        if bounds[0].isEmpty {
            guard let suffix = UInt64(bounds[1]) else { return nil }
            return .some(suffix == 0 || size == 0 ? nil : (size - min(suffix, size))..<size)
        }
        guard let first = UInt64(bounds[0]) else { return nil }
        let last = bounds[1].isEmpty ? UInt64.max : UInt64(bounds[1])
        guard let last, last >= first else { return nil }
        return .some(first >= size ? nil : first..<min(last == .max ? size : last + 1, size))
    }
}

/// Changes to the lines of a response's head.
private struct HeadEdits {
    private let original: ResponseHead
    private var version: HTTPVersion
    private var status: Int
    /// Each character of a name is one byte.
    private var lines: [(name: String, value: ByteBuffer)]
    private var isChanged = false

    init(_ head: ResponseHead) {
        original = head
        version = head.version
        status = head.status
        lines = head.fields.lines.map { (head.fields.slice($0.name).byteText, head.fields.slice($0.value)) }
    }

    private mutating func replace(_ name: String, _ change: (String) -> String?) {
        for index in lines.indices where lines[index].name.lowercased() == name {
            if let value = change(lines[index].value.byteText) {
                lines[index].value = ByteBuffer(byteText: value)
                isChanged = true
            }
        }
    }

    private mutating func set(_ name: String, _ value: String) {
        lines.removeAll { $0.name.lowercased() == name.lowercased() }
        lines.append((version.major >= 2 ? name.lowercased() : name, ByteBuffer(string: value)))
        isChanged = true
    }

    private mutating func remove(_ name: String) {
        let before = lines.count
        lines.removeAll { $0.name.lowercased() == name }
        if lines.count != before { isChanged = true }
    }

    mutating func shiftDates(bySeconds shift: Int64) {
        guard shift != 0 else { return }
        func shifted(_ text: String) -> String? {
            HTTPDate(text).flatMap { HTTPDate(seconds: $0.seconds + shift).text }
        }
        for name in ["date", "expires", "last-modified"] { replace(name, shifted) }
        replace("set-cookie") { cookie in
            let parts = cookie.split(separator: ";", omittingEmptySubsequences: false)
            var isShifted = false
            let moved = parts.map { part -> String in
                let trimmed = part.drop { $0 == " " }
                guard trimmed.lowercased().hasPrefix("expires="), let date = shifted(String(trimmed.dropFirst(8))) else {
                    return String(part)
                }
                isShifted = true
                return part.prefix(part.count - trimmed.count) + trimmed.prefix(8) + date
            }
            return isShifted ? moved.joined(separator: ";") : nil
        }
    }

    /// Gives the content one framing. Fields that already have exactly this framing stay as they are.
    mutating func frame(_ framing: ContentFraming) {
        guard !DeclaredFraming(original.fields).declares(framing) else { return }
        let names = ["content-length", "transfer-encoding"]
        let place = lines.firstIndex { names.contains($0.name.lowercased()) } ?? lines.endIndex
        lines.removeAll { names.contains($0.name.lowercased()) }
        if let (name, value) = framing.field {
            lines.insert((name, ByteBuffer(string: value)), at: place)
        }
        isChanged = true
    }

    /// Writes the handshake for the client's version of HTTP, whatever version was recorded. Extensions are left out: every peer
    /// understands uncompressed messages.
    mutating func renewHandshake(_ accept: String?) {
        remove("sec-websocket-extensions")
        if let accept {
            if status != 101 {
                version = .http1_1
                for name in ["content-length", "transfer-encoding"] { remove(name) }
                set("Upgrade", "websocket")
                set("Connection", "Upgrade")
            }
            status = 101
            set("Sec-WebSocket-Accept", accept)
        } else {
            // RFC 8441 section 5.
            for name in ["sec-websocket-accept", "upgrade", "connection", "content-length", "transfer-encoding"] { remove(name) }
            version = .http2
            status = 200
        }
    }

    mutating func becomePartial(_ range: Range<UInt64>, of size: UInt64) {
        status = 206
        remove("transfer-encoding")
        set("Content-Length", "\(range.count)")
        set("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)")
    }

    mutating func becomeUnsatisfiable(_ size: UInt64) {
        status = 416
        remove("transfer-encoding")
        set("Content-Length", "0")
        set("Content-Range", "bytes */\(size)")
    }

    /// The head with the changes; the recorded bytes if there are none.
    var head: ResponseHead {
        guard isChanged || status != original.status || version != original.version else { return original }
        var wire = ByteBuffer()
        if version.major >= 2 {
            wire.writeString(":status: \(status)\r\n")
        } else {
            wire.writeString("\(version) \(status) ")
            wire.writeImmutableBuffer(reason)
            wire.writeString("\r\n")
        }
        for (name, value) in lines {
            wire.writeImmutableBuffer(ByteBuffer(byteText: version.major >= 2 ? name.lowercased() : name))
            wire.writeString(": ")
            wire.writeImmutableBuffer(value)
            wire.writeString("\r\n")
        }
        wire.writeString("\r\n")
        return ResponseHead(parsing: wire, version: version)
    }

    private var reason: ByteBuffer {
        switch status {
        case original.status: original.reason
        case 101: ByteBuffer(string: "Switching Protocols")
        case 206: ByteBuffer(string: "Partial Content")
        default: ByteBuffer(string: "Range Not Satisfiable")
        }
    }
}

extension ByteBuffer {
    /// Text with one character for each byte, so that bytes that are not UTF-8 survive.
    fileprivate var byteText: String { String(String.UnicodeScalarView(readableBytesView.map { Unicode.Scalar($0) })) }

    fileprivate init(byteText: String) { self.init(bytes: byteText.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }) }
}
