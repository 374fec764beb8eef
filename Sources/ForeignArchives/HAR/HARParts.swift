// The parts of an entry of a HAR file: its times, its two messages and their content.

import ContentCoding
import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// The times of an exchange. HAR has durations in milliseconds; -1 means that one does not apply.
struct HARTimes {
    var request: Timestamp
    var requestEnd: Timestamp
    var response: Timestamp
    var end: Timestamp

    init(_ entry: JSONTree, started: Timestamp) {
        let timings = entry["timings"]
        func length(_ name: JSONString) -> Int64 { Self.nanoseconds(timings?[name]) }
        // `ssl` is a part of `connect`.
        request = started.advanced(byNanoseconds: length("blocked") + length("dns") + length("connect"))
        requestEnd = request.advanced(byNanoseconds: length("send"))
        response = requestEnd.advanced(byNanoseconds: length("wait"))
        end = response.advanced(byNanoseconds: length("receive"))
        if timings?.isEmptyObject ?? true {
            end = started.advanced(byNanoseconds: Self.nanoseconds(entry["time"]))
            response = end
        }
    }

    private static func nanoseconds(_ value: JSONTree?) -> Int64 {
        guard let milliseconds = value?.quantity, milliseconds > 0, milliseconds < 1e11 else { return 0 }
        return Int64((milliseconds * 1e6).rounded())
    }
}

extension JSONTree {
    /// A number, which may be written as a string.
    var quantity: Double? { number ?? string.flatMap { Double($0.text) } }

    fileprivate var isEmptyObject: Bool { self == .object([]) || !isObject }
}

extension ForeignMessage {
    /// A request or response of an entry, without its content.
    /// - Parameter other: the version if the message does not have it.
    init(_ message: JSONTree, or other: HTTPVersion) {
        self.init(version: other)
        var hasPseudoFields = false
        for (name, value) in Self.fields(message["headers"]) {
            guard name.readableBytesView.first == 0x3A else {
                head.fields.append((name, value))
                continue
            }
            hasPseudoFields = true
            if authority == nil, name.isName(":authority") { authority = value }
        }
        if let list = message["_trailers"] { trailers = HeadBytes(fields: Self.fields(list)).section }
        version = HTTPVersion(foreign: message.text("httpVersion") ?? "") ?? (hasPseudoFields ? .http2 : other)
    }

    /// The lines of a list of fields. A value may have several lines.
    private static func fields(_ list: JSONTree?) -> [(name: ByteBuffer, value: ByteBuffer)] {
        (list?.elements ?? []).flatMap { header -> [(name: ByteBuffer, value: ByteBuffer)] in
            // Most programs write objects, some write pairs.
            let pair = header.elements ?? []
            guard let name = header.bytes("name", exact: "_nameBase64") ?? pair.first?.string?.unescapedBytes,
                name.readableBytes > 0
            else { return [] }
            if let exact = header["_valueBase64"]?.string.flatMap({ decodeBase64($0.bytes) }) { return [(name, exact)] }
            return (header["value"] ?? pair.dropFirst().first ?? .null).fieldValues.map { (name, $0) }
        }
    }

    /// - Parameter method: without line ends.
    func requestHead(_ method: ByteBuffer, _ url: HARLocation, target: ByteBuffer?) -> RequestHead {
        let isConnect = method == ByteBuffer(string: "CONNECT")
        let named = version.major >= 2 || isConnect ? authority ?? url.authority : ByteBuffer()
        return head.request(
            version: version, method: method, scheme: ByteBuffer(string: url.target.scheme), authority: named,
            path: target ?? url.path)
    }

    /// Writes a host name of another alphabet in Host and `:authority` as in the target of the request.
    mutating func normaliseHost(_ url: HARLocation) {
        if url.isNormalised { notes.append("the file has a URL with characters that a request cannot have") }
        guard let foreign = url.foreignAuthority else { return }
        if authority == foreign { authority = url.authority }
        for i in head.fields.indices where head.fields[i].name.isName("host") && head.fields[i].value == foreign {
            head.fields[i].value = url.authority
        }
    }

    // MARK: Content

    /// Reads `postData`.
    mutating func takePosted(_ posted: JSONTree?, isCut: Bool) {
        let type = values("content-type").first
        if let bytes = text(of: posted, contentType: type) {
            content = isCut ? .cut(bytes) : .whole(bytes)
        } else if let parameters = posted?["params"]?.elements, !parameters.isEmpty {
            let form = HARForm(parameters, type: type ?? posted?.bytes("mimeType", exact: "_mimeTypeBase64") ?? ByteBuffer())
            guard let bytes = form.content(length: announcedLength) else {
                content = .missing
                return
            }
            content = isCut ? .cut(bytes) : .whole(bytes)
            notes.append("the content was built from the parameters of a form")
        } else if announcedLength ?? 0 > 0 || isCut {
            content = .missing
        }
    }

    /// Reads `content`.
    mutating func takeContent(of response: JSONTree, status: Int, isCut: Bool) {
        let stored = response["content"]
        let size = stored?["size"]?.quantity ?? -1
        let type = values("content-type").first ?? stored?.bytes("mimeType", exact: "_mimeTypeBase64")
        if let bytes = text(of: stored, contentType: type), bytes.readableBytes > 0 || size <= 0 {
            content = isCut ? .cut(bytes) : .whole(bytes)
            // `_decoded` is false if the content is as it was sent, because it cannot be decoded.
            if stored?["_decoded"]?.bool != false { removeContentCodings() }
        } else if !isKnownEmpty(size: size, bodySize: response["bodySize"]?.quantity, status: status) || isCut {
            content = .missing
        }
    }

    /// Whether content without text was empty: browsers do not keep the content of redirections, and leave out content that they
    /// could not keep.
    private func isKnownEmpty(size: Double, bodySize: Double?, status: Int) -> Bool {
        if size > 0 { return false }
        if (300..<400).contains(status) { return true }
        if let length = announcedLength { return length == 0 }
        return size == 0 || bodySize == 0
    }

    /// The bytes of `text`, in the encoding of the media type; nil if there is no text.
    private mutating func text(of content: JSONTree?, contentType: ByteBuffer?) -> ByteBuffer? {
        guard let text = content?["text"]?.string else { return nil }
        if content?.text("encoding")?.lowercased() == "base64" {
            if let bytes = decodeBase64(text.bytes) { return bytes }
            notes.append("the file has content that is marked as base64 but is not valid base64")
        }
        let bytes = text.unescapedBytes
        guard let charset = contentType.flatMap({ mediaTypeParameter("charset", of: $0) }), charset.lowercased() != "utf-8",
            bytes.readableBytesView.contains(where: { $0 >= 0x80 })
        else { return bytes }
        // Some programs keep the bytes and ignore the charset.
        if values("content-encoding").isEmpty, announcedLength == UInt64(bytes.readableBytes) { return bytes }
        guard let encoded = encodeText(bytes, charset: charset) else {
            notes.append("the content is in UTF-8, because it cannot be written in \(charset)")
            return bytes
        }
        return encoded
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
        let days = CivilDate(year: year, month: month, day: day).daysSince1970
        self.init(nanoseconds: (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000_000 + fraction)
    }
}
