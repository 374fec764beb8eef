// Compares the responses of a server with recorded ones: status, header fields, trailers, content by meaning, messages, and the
// end. Values that differ every time by nature are ignored, but fewer than for matching requests: here a difference is worth
// reporting.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// A comparison, and the parts that it ignores.
package struct FlowComparison: Sendable {
    /// The usual limit of compared content, in bytes.
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
    private let maximum: Int
    private let maximumContent: Int

    /// - Parameters:
    ///   - maximum: the number of differences of a flow that are described; the others are counted.
    ///   - maximumContent: bytes of each content, and of each side of a stream, that are compared.
    package init(
        ignoring ignored: IgnoreRules = IgnoreRules(), maximumDifferences maximum: Int = 20,
        maximumContent: Int = Self.maximumContent
    ) {
        self.ignored = ignored
        self.maximum = maximum
        self.maximumContent = maximumContent
    }

    /// All differences, in the order of the answer.
    /// - Parameter redactions: the rules by which the recorded flow may have been redacted. The new one is compared as it would have been
    ///   stored by those that leave the fewest differences: others would make some.
    /// - Throws: if content cannot be read.
    package func differences(recorded: Flow, new: Flow, redactions: [RecordedRedaction] = []) throws -> FlowDifferences {
        var fewest: FlowDifferences?
        func take(_ found: FlowDifferences) {
            let known = fewest.map { ($0.count, $0.madeByRedaction) } ?? (.max, .max)
            if (found.count, found.madeByRedaction) < known { fewest = found }
        }
        for redaction in redactions {
            let found = try differences(recorded, redaction.stored(new))
            if found.isEmpty { return found }
            take(found)
        }
        // A flow that redaction changed was not recorded without it.
        if let fewest, recorded.redaction != nil { return fewest }
        let found = try differences(recorded, new)
        take(found)
        return fewest ?? found
    }

    private func differences(_ recorded: Flow, _ new: Flow) throws -> FlowDifferences {
        var found = FlowDifferences(maximum: maximum)
        if recorded.kind == .tcp {
            try compareStreams(recorded, new, &found)
        } else {
            try compareResponses(recorded, new, &found)
        }
        compareEnds(recorded, new, &found)
        return found
    }

    // MARK: Responses

    private func compareResponses(_ recorded: Flow, _ new: Flow, _ found: inout FlowDifferences) throws {
        guard let was = recorded.response else {
            if let now = new.response { found.add(Self.response(.none, .number(now.head.status))) }
            return
        }
        guard let now = new.response else {
            found.add(Self.response(.number(was.head.status), .none, new.error?.message ?? "there was no answer"))
            return
        }
        if was.head.status != now.head.status {
            found.add(
                FlowDifference(
                    path: "status", place: "status", recorded: .number(was.head.status), now: .number(now.head.status)))
        }
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
        } else if !ignored.body {
            try compareContents(recorded, was, new, now, &found)
        }
        compareFields(
            self.fields(was.trailers ?? FieldSection(), of: recorded, hasContent: true),
            self.fields(now.trailers ?? FieldSection(), of: new, hasContent: true), "trailer", &found)
    }

    private static func response(
        _ recorded: FlowDifference.Value, _ now: FlowDifference.Value, _ remark: String? = nil
    ) -> FlowDifference {
        FlowDifference(path: "response", place: "response", recorded: recorded, now: now, remark: remark)
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
        _ was: [(name: String, value: String)], _ now: [(name: String, value: String)], _ what: String,
        _ found: inout FlowDifferences
    ) {
        let (before, after) = (
            Dictionary(was, uniquingKeysWith: { a, _ in a }), Dictionary(now, uniquingKeysWith: { a, _ in a })
        )
        // Lines that cannot be joined are listed in one sentence.
        func shown(_ value: String?) -> FlowDifference.Value { value.map { .text($0.replacing("\n", with: " and ")) } ?? .none }
        for name in Set(before.keys).union(after.keys).sorted() {
            // Swift strings are equal if they are canonically equivalent; values are equal if their bytes are.
            if let a = before[name], let b = after[name], a.utf8.elementsEqual(b.utf8) { continue }
            found.add(
                FlowDifference(
                    path: "\(what):\(name)", place: "\(what) \(name)", recorded: shown(before[name]), now: shown(after[name])))
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

    private func compareContents(
        _ recorded: Flow, _ was: Message<ResponseHead>, _ new: Flow, _ now: Message<ResponseHead>,
        _ found: inout FlowDifferences
    ) throws {
        // Redaction did not store it, so it may have been any.
        if recorded.redaction?.omission(of: .server) != nil { return }
        var before = try recorded.pieces.content(from: .server, maximum: maximumContent)
        var after = try new.pieces.content(from: .server, maximum: maximumContent)
        let (a, b) = (was.storedCodings, now.storedCodings)
        // Content that is not in the recording is not compared.
        let isCut = !was.hasAllContent || was.size > UInt64(maximumContent) || recorded.wasCutByUs
        if before != after, !(a.isEmpty && b.isEmpty) {
            let decoded = (
                decodeContent(before, codings: a, maximum: maximumContent),
                decodeContent(after, codings: b, maximum: maximumContent)
            )
            // Content that is cut ends before its coding does.
            func problem(_ decoded: DecodedContent) -> String? { isCut && decoded.outcome == .truncated ? nil : decoded.problem }
            switch (problem(decoded.0), problem(decoded.1)) {
            case (nil, nil): (before, after) = (decoded.0.content, decoded.1.content)
            case (nil, let error?): return found.add(ContentPlace.body.difference(.text("decoded"), .text(error)))
            case (let error?, nil): return found.add(ContentPlace.body.difference(.text(error), .text("decoded")))
            // If neither can be decoded, they are compared as they were sent.
            case (.some, .some): break
            }
        }
        if isCut {
            let count = min(before.readableBytes, after.readableBytes)
            before = before.slice(ByteRange(0, count))
            after = after.slice(ByteRange(0, count))
            if was.size != now.size, !recorded.wasCutByUs, a == b {
                return found.add(ContentPlace.body.difference(.text("\(was.size) bytes"), .text("\(now.size) bytes")))
            }
        }
        let comparison = ContentComparison(ignoredPaths: ignored.jsonPaths, place: .body)
        if let cut = recorded.cut(of: .server), a == b {
            return comparison.compare(
                before, cut, with: try new.pieces.content(from: .server, maximum: maximumContent), &found)
        }
        comparison.compare(before, after, isJSON: was.head.isJSON || now.head.isJSON, &found)
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

    private func compareMessages(_ recorded: Flow, _ new: Flow, _ found: inout FlowDifferences) throws {
        // A conversation may be larger than memory.
        var (was, now) = (ServerMessages(recorded), ServerMessages(new))
        while let a = try was.next(), let b = try now.next() {
            let place = ContentPlace(path: "message \(was.count)", text: "message \(was.count) of the server")
            if a.kind != b.kind {
                found.add(place.difference(.text("\(a.kind)"), .text("\(b.kind)")))
            } else if !ignored.body {
                let comparison = ContentComparison(ignoredPaths: ignored.jsonPaths, place: place)
                if let cut = a.cut?.value {
                    comparison.compare(a.content, cut, with: b.content, &found)
                } else {
                    comparison.compare(a.content, b.content, isJSON: false, &found)
                }
            }
        }
        while try was.next() != nil {}
        while try now.next() != nil {}
        if was.count != now.count {
            found.add(
                ContentPlace(path: "messages", text: "messages of the server").difference(.number(was.count), .number(now.count)))
        }
    }

    private func compareStreams(_ recorded: Flow, _ new: Flow, _ found: inout FlowDifferences) throws {
        if new.state == .failed, recorded.state != .failed {
            return found.add(
                FlowDifference(
                    path: "stream", place: "stream", recorded: .text("\(recorded.state)"), now: .text("failed"),
                    remark: new.error?.message))
        }
        guard !ignored.body else { return }
        let was = try recorded.pieces.content(from: .server, maximum: maximumContent)
        let now = try new.pieces.content(from: .server, maximum: maximumContent)
        let place = ContentPlace(path: "data", text: "data of the server")
        let comparison = ContentComparison(ignoredPaths: ignored.jsonPaths, place: place)
        if let cut = recorded.cut(of: .server) { return comparison.compare(was, cut, with: now, &found) }
        comparison.compare(was, now, isJSON: false, &found)
    }

    // MARK: Ends

    /// A response that was complete and is cut now, or the reverse. A cut by our own side tells nothing about the server.
    private func compareEnds(_ recorded: Flow, _ new: Flow, _ found: inout FlowDifferences) {
        func end(_ was: String, _ now: String, _ remark: String? = nil) -> FlowDifference {
            FlowDifference(path: "end", place: "end", recorded: .text(was), now: .text(now), remark: remark)
        }
        if recorded.kind == .http {
            guard let was = recorded.response, let now = new.response, was.head.status != 101, !recorded.asksForWebSocket else {
                return
            }
            let (a, b) = (was.ended != nil, now.ended != nil)
            if a, !b { found.add(end("complete", "cut", new.error?.message ?? "incomplete")) }
            if !a, b, recorded.error?.side == .server { found.add(end("cut", "complete")) }
            return
        }
        guard recorded.closedBy == .server, new.closedBy == .server, recorded.isReset != new.isReset else { return }
        found.add(end("the server \(recorded.isReset ? "reset" : "closed")", new.isReset ? "reset" : "closed"))
    }
}

extension Flow {
    /// The client or the recorder ended the response.
    fileprivate var wasCutByUs: Bool { response?.ended == nil && error?.side != .server }
}

/// The text and binary messages of a server, and its close frame, one at a time.
private struct ServerMessages {
    private var cursor: any FlowPieceCursor
    /// Messages so far.
    private(set) var count = 0

    init(_ flow: Flow) { cursor = flow.pieces.cursor() }

    /// - Throws: errors of fetching a piece.
    mutating func next() throws -> FlowPiece? {
        while let (_, piece) = try cursor.next() {
            guard piece.from == .server, piece.kind == .text || piece.kind == .binary || piece.kind == .close else { continue }
            count += 1
            return piece
        }
        return nil
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
