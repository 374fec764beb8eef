// The parts of an entry of a HAR file: where its request goes, when what happened, its two messages.

import ContentCoding
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore

/// The parts of a URL that a request needs.
struct HARLocation {
    var target: FlowTarget
    var authority: String
    var path: String

    /// - Returns: nil for a URL that is not of HTTP or WebSocket.
    init?(_ url: String) {
        let parts = url.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        let schemes = ["http": "http", "https": "https", "ws": "http", "wss": "https"]
        guard parts.count == 2, let scheme = schemes[parts[0].lowercased()] else { return nil }
        let rest = parts[1].prefix { $0 != "#" }
        var authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest[authority.endIndex...]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        self.authority = String(authority)
        self.path = path.hasPrefix("/") ? String(path) : "/" + path
        var port: UInt16 = scheme == "https" ? 443 : 80
        var host = authority
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]"),
            let number = UInt16(authority[authority.index(after: colon)...])
        {
            port = number
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        target = FlowTarget(scheme: scheme, host: String(host), port: port)
    }
}

/// When the steps of an exchange were. HAR has lengths of time, in milliseconds; -1 is one that does not apply.
struct HARTimes {
    var request: Timestamp
    var requestEnd: Timestamp
    var response: Timestamp
    var end: Timestamp

    init(_ entry: [String: Any], started: Timestamp) {
        let timings = entry["timings"] as? [String: Any] ?? [:]
        func length(_ name: String) -> Int64 { Self.nanoseconds(timings[name]) }
        // `ssl` is a part of `connect`.
        request = started.advanced(byNanoseconds: length("blocked") + length("dns") + length("connect"))
        requestEnd = request.advanced(byNanoseconds: length("send"))
        response = requestEnd.advanced(byNanoseconds: length("wait"))
        end = response.advanced(byNanoseconds: length("receive"))
        if timings.isEmpty {
            end = started.advanced(byNanoseconds: Self.nanoseconds(entry["time"]))
            response = end
        }
    }

    private static func nanoseconds(_ value: Any?) -> Int64 {
        guard let milliseconds = value as? Double, milliseconds > 0, milliseconds < 1e11 else { return 0 }
        return Int64((milliseconds * 1e6).rounded())
    }
}

/// A request or response of an entry.
struct HARMessage {
    private var head = HeadBytes()
    private let isMarkedIncomplete: Bool
    private var body = ByteBuffer()
    private var isMissing = false
    /// nil when it is not told and cannot be guessed.
    let version: HTTPVersion?

    init(_ message: [String: Any]) {
        isMarkedIncomplete = message["_incomplete"] as? Bool ?? false
        var hasPseudoFields = false
        for header in message["headers"] as? [Any] ?? [] {
            // Most write objects, some pairs.
            let pair = header as? [String] ?? []
            let object = header as? [String: Any]
            guard let name = object?["name"] as? String ?? pair.first, !name.isEmpty else { continue }
            guard !name.hasPrefix(":") else {
                hasPseudoFields = true
                if name == ":authority" { authority = object?["value"] as? String ?? pair.dropFirst().first }
                continue
            }
            let value = object?["value"] as? String ?? pair.dropFirst().first ?? ""
            head.fields.append((ByteBuffer(string: name), ByteBuffer(string: value)))
        }
        version = HTTPVersion(foreign: message["httpVersion"] as? String ?? "") ?? (hasPseudoFields ? .http2 : nil)
    }

    private var authority: String?
    /// The content is as it was sent (`_decoded` is false): Content-Encoding is right.
    private var isCoded = false

    func requestHead(_ version: HTTPVersion, method: String, _ url: HARLocation) -> RequestHead {
        let isConnect = method == "CONNECT"
        let named = version.major >= 2 || isConnect ? authority ?? url.authority : ""
        return head.request(
            version: version, method: ByteBuffer(string: method), scheme: ByteBuffer(string: url.target.scheme),
            authority: ByteBuffer(string: named), path: ByteBuffer(string: url.path))
    }

    func responseHead(_ other: HTTPVersion, status: Int, reason: String) -> ResponseHead {
        head.response(version: version ?? other, status: status, reason: ByteBuffer(string: reason))
    }

    /// Takes `postData` or `content`.
    /// - Parameter isExpected: without text there was content nevertheless, which was not stored.
    mutating func content(_ content: [String: Any]?, isExpected: Bool) {
        isCoded = content?["_decoded"] as? Bool == false
        guard let text = content?["text"] as? String else {
            isMissing = isExpected
            return
        }
        if (content?["encoding"] as? String)?.lowercased() == "base64", let data = Data(base64Encoded: text) {
            body = ByteBuffer(bytes: data)
        } else if (content?["mimeType"] as? String)?.lowercased().contains("charset=iso-8859-1") == true,
            let data = text.data(using: .isoLatin1)
        {
            body = ByteBuffer(bytes: data)
        } else {
            body = ByteBuffer(string: text)
        }
    }

    /// Content in a HAR file is decoded; the fields must not say that it is not.
    mutating func removeCodings() {
        func isNamed(_ field: (name: ByteBuffer, value: ByteBuffer), _ name: StaticString) -> Bool {
            field.name.equalsIgnoringCase(ByteRange(0, field.name.readableBytes), name)
        }
        guard body.readableBytes > 0, !isCoded else { return }
        let codings = head.fields.filter { isNamed($0, "content-encoding") }.flatMap { $0.value.listElements() }
        guard !codings.isEmpty, codings.allSatisfy({ ContentCoding(String(buffer: $0)) != nil }) else { return }
        head.fields.removeAll { isNamed($0, "content-encoding") }
        for i in head.fields.indices where isNamed(head.fields[i], "content-length") {
            head.fields[i].value = ByteBuffer(string: "\(body.readableBytes)")
        }
    }

    /// The content and the end.
    func finish(_ side: Side, at: Timestamp, into flow: inout FlowAssembler) {
        if body.readableBytes > 0 { flow.receive(.piece(FlowPiece(from: side, content: body)), at: at) }
        if !isMissing, !isMarkedIncomplete { flow.receive(.finished(side), at: at) }
    }
}

extension Timestamp {
    /// `2026-11-23T10:20:30.123456789+01:00` and its variants (RFC 3339, ISO 8601); without an offset it is UTC.
    init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        func number(_ at: Int, _ count: Int) -> Int64? {
            guard at + count <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[at..<at + count] {
                guard byte &- 0x30 < 10 else { return nil }
                value = value * 10 + Int64(byte &- 0x30)
            }
            return value
        }
        guard bytes.count >= 19, let year = number(0, 4), let month = number(5, 2), let day = number(8, 2),
            let hour = number(11, 2),
            let minute = number(14, 2), let second = number(17, 2), (1700...2250).contains(year), (1...12).contains(month),
            (1...31).contains(day)
        else { return nil }
        var at = 19
        var fraction: Int64 = 0
        if at < bytes.count, bytes[at] == 0x2E || bytes[at] == 0x2C {
            at += 1
            var unit: Int64 = 100_000_000
            while at < bytes.count, bytes[at] &- 0x30 < 10 {
                fraction += Int64(bytes[at] &- 0x30) * unit
                unit /= 10
                at += 1
            }
        }
        var offset: Int64 = 0
        if at < bytes.count, bytes[at] == 0x2B || bytes[at] == 0x2D {
            let hasColon = at + 3 < bytes.count && bytes[at + 3] == 0x3A
            guard let hours = number(at + 1, 2) else { return nil }
            offset = (hours * 60 + (number(at + (hasColon ? 4 : 3), 2) ?? 0)) * (bytes[at] == 0x2D ? -60 : 60)
        }
        // Days since 1970-01-01 of a civil date, by years that begin in March.
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        self.init(nanoseconds: (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000_000 + fraction)
    }
}
