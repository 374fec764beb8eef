// Compares the responses of a server with recorded ones: status, header fields, trailers, content by meaning, messages, and the
// end. Values that differ every time by nature are ignored, but fewer than for matching requests: here a difference is worth
// reporting.

import ContentCoding
import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// A comparison, and the parts that it ignores.
package struct FlowComparison: Sendable {
    /// The maximum size of compared content, in bytes.
    package static let maximumContent = 64 * 1024 * 1024

    /// Names, in lower case, of fields with the time, the place or an identifier of a response.
    static let volatileFields: Set<String> = [
        "date", "age", "x-request-id", "x-correlation-id", "request-id", "x-trace-id", "traceparent", "tracestate", "traceresponse",
        "x-b3-traceid", "x-b3-spanid", "x-amzn-trace-id", "x-amzn-requestid", "x-amz-request-id", "x-amz-id-2", "x-amz-cf-id",
        "x-amz-cf-pop", "x-cloud-trace-context", "x-ms-request-id", "x-github-request-id", "x-vercel-id", "fly-request-id",
        "cf-ray",
        "x-guploader-uploadid", "x-runtime", "x-response-time", "x-envoy-upstream-service-time", "x-timer", "server-timing",
        // Different for each handshake; extensions are not negotiated again.
        "sec-websocket-accept", "sec-websocket-extensions",
    ]
    /// Fields of one connection, and of the framing of content.
    static let connectionFields: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "trailer", "te", "upgrade", "alt-svc",
    ]

    private let ignored: IgnoreRules

    package init(ignoring ignored: IgnoreRules = IgnoreRules()) { self.ignored = ignored }

    /// The differences, one line each.
    /// - Throws: if content cannot be read.
    package func differences(recorded: Flow, new: Flow) throws -> [String] {
        var found: [String] = []
        if recorded.kind == .tcp {
            if let difference = try differenceOfStreams(recorded, new) { found.append(difference) }
        } else {
            try compareResponses(recorded, new, &found)
        }
        if let difference = differenceOfEnds(recorded, new) { found.append(difference) }
        return found
    }

    // MARK: Responses

    private func compareResponses(_ recorded: Flow, _ new: Flow, _ found: inout [String]) throws {
        guard let was = recorded.response else {
            if let now = new.response { found.append("response: none → \(now.head.status)") }
            return
        }
        guard let now = new.response else {
            found.append("response: \(was.head.status) → none: \(Self.visible(new.error?.message ?? "there was no answer"))")
            return
        }
        if was.head.status != now.head.status { found.append("status: \(was.head.status) → \(now.head.status)") }
        let hasContent = !(recorded.request?.head.isMethod("HEAD") ?? false) && was.head.status != 304
        let moved = Self.movedDates(was.head.fields, now.head.fields)
        // A file with decoded content does not tell how it was encoded.
        let wasDecoded = recorded.notes.contains { $0.value.saysThatContentWasDecoded }
        func fields(_ message: Message<ResponseHead>, _ flow: Flow) -> [(name: String, value: String)] {
            self.fields(message.head.fields, of: flow, hasContent: hasContent).filter {
                !moved.contains($0.name) && (!wasDecoded || $0.name != "content-encoding")
            }
        }
        compareFields(fields(was, recorded), fields(now, new), "header", &found)
        if recorded.asksForWebSocket, was.head.status == now.head.status, recorded.isWebSocket || new.isWebSocket {
            try compareMessages(recorded, new, &found)
        } else if !ignored.body, let difference = try differenceOfContent(recorded, was, new, now) {
            found.append("body: \(difference)")
        }
        compareFields(
            self.fields(was.trailers ?? FieldSection(), of: recorded, hasContent: true),
            self.fields(now.trailers ?? FieldSection(), of: new, hasContent: true), "trailer", &found)
    }

    /// Fields whose time is as far from the Date of the response as in the recording, to a second: servers count it from the
    /// present.
    private static func movedDates(_ was: FieldSection, _ now: FieldSection) -> Set<String> {
        func age(_ section: FieldSection, _ name: StaticString) -> Int64? {
            guard let value = section.first(name).flatMap({ HTTPDate(String(buffer: $0)) }),
                let date = section.first("date").flatMap({ HTTPDate(String(buffer: $0)) })
            else { return nil }
            return value.seconds - date.seconds
        }
        let names: [StaticString] = ["expires", "last-modified"]
        let moved = names.filter { name in
            guard let a = age(was, name), let b = age(now, name) else { return false }
            return abs(a - b) <= 1
        }
        return Set(moved.map { "\($0)" })
    }

    /// The compared fields, sorted by name; the values of one name are joined.
    private func fields(_ section: FieldSection, of flow: Flow, hasContent: Bool) -> [(name: String, value: String)] {
        var values: [String: [String]] = [:]
        for (name, value) in section.pairs {
            let name = name.lowercased()
            if Self.volatileFields.contains(name) || Self.connectionFields.contains(name) || ignored.headers.contains(name) {
                continue
            }
            // The content itself is compared.
            if name == "content-length", hasContent { continue }
            var value = value
            if name == "set-cookie" { value = Self.withoutExpiry(value) }
            if name == "location" || name == "content-location" { value = withoutOwnHost(value, flow) }
            values[name, default: []].append(value)
        }
        return values.map { ($0.key, $0.value.joined(separator: FieldSection.separator(of: $0.key))) }.sorted { $0.0 < $1.0 }
    }

    private func compareFields(
        _ was: [(name: String, value: String)], _ now: [(name: String, value: String)], _ what: String, _ found: inout [String]
    ) {
        let (before, after) = (
            Dictionary(was, uniquingKeysWith: { a, _ in a }), Dictionary(now, uniquingKeysWith: { a, _ in a })
        )
        // Lines that cannot be joined are listed in one sentence.
        func shown(_ value: String?) -> String { value.map { Self.visible($0.replacing("\n", with: " and ")) } ?? "none" }
        for name in Set(before.keys).union(after.keys).sorted() {
            // Swift strings are equal if they are canonically equivalent; values are equal if their bytes are.
            if let a = before[name], let b = after[name], a.utf8.elementsEqual(b.utf8) { continue }
            found.append("\(what) \(Self.visible(name)): \(shown(before[name])) → \(shown(after[name]))")
        }
    }

    /// RFC 6265 section 5.2.1: Expires is a date, which moves with the clock; Max-Age does not.
    private static func withoutExpiry(_ cookie: String) -> String {
        cookie.split(separator: ";", omittingEmptySubsequences: false).filter { attribute in
            let name = attribute.drop { $0 == " " }.lowercased()
            return !name.hasPrefix("expires=")
        }.joined(separator: ";")
    }

    /// A server that refers to itself by the name in the request sends the same under another name.
    private func withoutOwnHost(_ location: String, _ flow: Flow) -> String {
        guard let scheme = location.range(of: "://") else { return location }
        let rest = location[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let head = flow.request?.head
        let named = (flow.requestAuthority ?? head?.fields.first("host")).map { String(buffer: $0) }
        guard ignored.host || authority.lowercased() == named?.lowercased() else { return location }
        return String(rest.dropFirst(authority.count))
    }

    // MARK: Content

    private func differenceOfContent(
        _ recorded: Flow, _ was: Message<ResponseHead>, _ new: Flow, _ now: Message<ResponseHead>
    ) throws -> String? {
        var before = try recorded.pieces.content(from: .server, maximum: Self.maximumContent)
        var after = try new.pieces.content(from: .server, maximum: Self.maximumContent)
        let (a, b) = (was.head.fields.contentCodings, now.head.fields.contentCodings)
        // Content that is not in the recording is not compared.
        let isCut = was.storedSize < was.size || was.size > UInt64(Self.maximumContent) || recorded.wasCutByUs
        if before != after, !(a.isEmpty && b.isEmpty) {
            let decoded = (
                decodeContent(before, codings: a, maximum: Self.maximumContent),
                decodeContent(after, codings: b, maximum: Self.maximumContent)
            )
            // Content that is cut ends before its coding does.
            func problem(_ decoded: DecodedContent) -> String? { isCut && decoded.outcome == .truncated ? nil : decoded.problem }
            switch (problem(decoded.0), problem(decoded.1)) {
            case (nil, nil): (before, after) = (decoded.0.content, decoded.1.content)
            case (nil, let error?): return "decoded → \(Self.visible(error))"
            case (let error?, nil): return "\(Self.visible(error)) → decoded"
            // If neither can be decoded, they are compared as they were sent.
            case (.some, .some): break
            }
        }
        if isCut {
            let count = min(before.readableBytes, after.readableBytes)
            before = before.slice(ByteRange(0, count))
            after = after.slice(ByteRange(0, count))
            if was.size != now.size, !recorded.wasCutByUs, a == b { return "\(was.size) bytes → \(now.size) bytes" }
        }
        return difference(before, after, isJSON: was.head.isJSON || now.head.isJSON)
    }

    /// The first difference between two contents; nil if they have the same meaning.
    func difference(_ was: ByteBuffer, _ now: ByteBuffer, isJSON: Bool) -> String? {
        if was == now { return nil }
        let first = was.readableBytesView.first
        if isJSON || first == 0x7B || first == 0x5B, var a = JSONTree(parsing: was), var b = JSONTree(parsing: now) {
            for path in ignored.jsonPaths { (a, b) = (a.removing(path), b.removing(path)) }
            return Self.difference(a.canonical, b.canonical, at: "$")
        }
        if was.readableBytes == 0 { return "empty → \(now.readableBytes) bytes" }
        if now.readableBytes == 0 { return "\(was.readableBytes) bytes → empty" }
        if let a = Self.text(was), let b = Self.text(now) { return Self.differenceOfLines(a, b) }
        var offset = 0
        for (a, b) in zip(was.readableBytesView, now.readableBytesView) {
            if a != b { return "byte \(offset): \(Self.hexadecimal(a)) → \(Self.hexadecimal(b)) (\(Self.sizes(was, now)))" }
            offset += 1
        }
        return "\(Self.sizes(was, now)), equal up to there"
    }

    private static func sizes(_ a: ByteBuffer, _ b: ByteBuffer) -> String {
        a.readableBytes == b.readableBytes ? "of \(a.readableBytes)" : "\(a.readableBytes) bytes → \(b.readableBytes) bytes"
    }

    private static func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0x0" : "0x") + String(byte, radix: 16) }

    private static func text(_ bytes: ByteBuffer) -> String? {
        guard !bytes.readableBytesView.contains(0) else { return nil }
        return String(validating: bytes.readableBytesView, as: UTF8.self)
    }

    private static func differenceOfLines(_ was: String, _ now: String) -> String {
        let a = was.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        let b = now.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        let number = zip(a, b).prefix { $0.elementsEqual($1) }.count
        func line(_ lines: [Substring.UTF8View]) -> String {
            number < lines.count ? visible(String(Substring(lines[number]))) : "none"
        }
        return a.count == 1 && b.count == 1 ? "\(line(a)) → \(line(b))" : "line \(number + 1): \(line(a)) → \(line(b))"
    }

    /// The first place where two trees differ, members in the order of their names.
    private static func difference(_ was: JSONTree, _ now: JSONTree, at path: String) -> String? {
        switch (was, now) {
        case (.object(let a), .object(let b)):
            var (i, j) = (0, 0)
            while i < a.count || j < b.count {
                if j == b.count || i < a.count && a[i].name < b[j].name {
                    return "\(member(path, a[i].name.text)): \(visible(a[i].value.text)) → none"
                } else if i == a.count || b[j].name < a[i].name {
                    return "\(member(path, b[j].name.text)): none → \(visible(b[j].value.text))"
                }
                if let found = difference(a[i].value, b[j].value, at: member(path, a[i].name.text)) { return found }
                (i, j) = (i + 1, j + 1)
            }
            return nil
        case (.array(let a), .array(let b)):
            for (index, (x, y)) in zip(a, b).enumerated() {
                if let found = difference(x, y, at: "\(path)[\(index)]") { return found }
            }
            return a.count == b.count ? nil : "\(path): \(a.count) elements → \(b.count) elements"
        default:
            return was == now ? nil : "\(path): \(visible(was.text)) → \(visible(now.text))"
        }
    }

    private static func member(_ path: String, _ name: String) -> String {
        let isPlain =
            !name.isEmpty && name.utf8.allSatisfy { $0 == 0x5F || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || $0 &- 0x30 < 10 }
        return isPlain ? "\(path).\(visible(name))" : "\(path)['\(visible(name))']"
    }

    /// One line of limited length that is safe for a terminal.
    static func visible(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars.prefix(160) {
            let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) || [0x2028, 0x2029].contains(scalar.value)
            if isControl { out += "\\u{\(String(scalar.value, radix: 16))}" } else { out.unicodeScalars.append(scalar) }
        }
        return text.unicodeScalars.count > 160 ? out + "…" : out
    }

    // MARK: Conversations

    private func compareMessages(_ recorded: Flow, _ new: Flow, _ found: inout [String]) throws {
        let (was, now) = (try recorded.serverMessages(), try new.serverMessages())
        for (index, (a, b)) in zip(was, now).enumerated() {
            if a.kind != b.kind {
                found.append("message \(index + 1) of the server: \(a.kind) → \(b.kind)")
            } else if !ignored.body, let difference = difference(a.content, b.content, isJSON: false) {
                found.append("message \(index + 1) of the server: \(difference)")
            }
        }
        if was.count != now.count { found.append("messages of the server: \(was.count) → \(now.count)") }
    }

    private func differenceOfStreams(_ recorded: Flow, _ new: Flow) throws -> String? {
        if new.state == .failed, recorded.state != .failed {
            return "stream: \(recorded.state) → failed: \(Self.visible(new.error?.message ?? ""))"
        }
        guard !ignored.body else { return nil }
        let was = try recorded.pieces.content(from: .server, maximum: Self.maximumContent)
        let now = try new.pieces.content(from: .server, maximum: Self.maximumContent)
        return difference(was, now, isJSON: false).map { "data of the server: \($0)" }
    }

    // MARK: Ends

    /// A response that was complete and is cut now, or the reverse. A cut by our own side tells nothing about the server.
    private func differenceOfEnds(_ recorded: Flow, _ new: Flow) -> String? {
        if recorded.kind == .http {
            guard let was = recorded.response, let now = new.response, was.head.status != 101, !recorded.asksForWebSocket else {
                return nil
            }
            let (a, b) = (was.ended != nil, now.ended != nil)
            if a, !b { return "end: complete → cut: \(Self.visible(new.error?.message ?? "incomplete"))" }
            if !a, b, recorded.error?.side == .server { return "end: cut → complete" }
            return nil
        }
        guard recorded.closedBy == .server, new.closedBy == .server, recorded.isReset != new.isReset else { return nil }
        return "end: the server \(recorded.isReset ? "reset" : "closed") → \(new.isReset ? "reset" : "closed")"
    }
}

extension Flow {
    /// The client or the recorder ended the response.
    fileprivate var wasCutByUs: Bool { response?.ended == nil && error?.side != .server }

    /// Text and binary messages, and the close frame.
    fileprivate func serverMessages() throws -> [FlowPiece] {
        var messages: [FlowPiece] = []
        try pieces.forEach { _, piece in
            if piece.from == .server, piece.kind == .text || piece.kind == .binary || piece.kind == .close {
                messages.append(piece)
            }
            return true
        }
        return messages
    }
}

extension ResponseHead {
    fileprivate var isJSON: Bool {
        fields.first("content-type").map { String(buffer: $0).lowercased() }.map { $0.contains("json") } ?? false
    }
}

extension String {
    /// The first occurrence of a text.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
