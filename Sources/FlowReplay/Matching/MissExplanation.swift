// Why no recording answers a request: the nearest one, and how it differs. What is ignored when requests are matched is ignored
// here too.

import FlowModel
import HTTPSemantics
import NIOCore

/// Why no recording answers a request.
package struct MissExplanation: Sendable, Equatable {
    /// One sentence.
    package var text: String
    /// The nearest recording; nil if there is none, or it cannot be read.
    package var nearest: FlowID?

    package init(_ text: String, nearest: FlowID? = nil) { (self.text, self.nearest) = (text, nearest) }
}

/// A form of a request for which no recording was found.
private struct AskedForm {
    let head: RequestHead
    let content: ByteBuffer
    let key: RequestKey
    let isForAnyHost: Bool

    init(_ form: RequestForm, _ query: ReplayQuery) {
        (head, content, key, isForAnyHost) = (form.head, form.content, form.key, query.isForAnyHost)
    }
}

extension RecordingIndex {
    /// Recordings whose request is read, those with the nearest shapes. Each may be in another block of its file.
    private static let maximumExamined = 24
    /// Request-targets that are kept for the next explanation.
    private static let maximumTargets = 8192
    /// Recordings with the same key whose content is compared, and the bytes that are read for it.
    private static let maximumContents = 32
    private static let maximumContentBytes: UInt64 = 1 << 20

    /// The distance from the request. A missing segment of a path weighs 6, a different one less.
    private enum Weight {
        static let host = 10
        static let method = 4
        static let query = 1
    }

    /// Explains a miss by the nearest recording.
    package mutating func explain(_ query: ReplayQuery, host: String) -> MissExplanation {
        guard count > 0 else { return MissExplanation("the recordings contain no HTTP request") }
        var nearest: (asked: AskedForm, distance: Int, entries: [Entry])?
        for form in forms(of: query) {
            let asked = AskedForm(form, query)
            guard let (distance, entries) = nearestEntries(asked), distance < nearest?.distance ?? .max else { continue }
            nearest = (asked, distance, entries)
        }
        guard let (asked, _, found) = nearest else { return MissExplanation("the nearest recording cannot be read") }
        let sameKey = found.flatMap { entries.table.entries(from: $0, atMost: Self.maximumContents) }
        guard let flow = nearestContent(sameKey, asked), let head = flow.request?.head else {
            return MissExplanation("the nearest recording cannot be read")
        }
        let differences = differences(asked, host, flow, head)
        let name = "\(String(buffer: head.method)) \(flow.displayURL.map { String(buffer: $0) } ?? "")"
        return MissExplanation(
            "the nearest recording is \(name.short), which differs in \(differences.joined(separator: "; "))", nearest: flow.id)
    }

    // MARK: The nearest

    /// The nearest recordings, and their distance; nil if none of them can be read.
    private mutating func nearestEntries(_ query: AskedForm) -> (distance: Int, entries: [Entry])? {
        var nearest: [Entry] = []
        var least = Int.max
        for (entry, weight) in candidates(query) {
            guard let distance = distance(of: entry, weight, to: query), distance <= least else { continue }
            if distance < least { nearest = [] }
            least = distance
            nearest.append(entry)
        }
        return nearest.isEmpty ? nil : (least, nearest)
    }

    /// Entries that may be the nearest, one for each path, with the part of their distance that hashes tell.
    private func candidates(_ query: AskedForm) -> [(entry: Entry, weight: Int)] {
        let asked = query.key
        var nearest = NearestShapes(capacity: Self.maximumExamined)
        entries.table.forEachKey { entry, key in
            let isHost = query.isForAnyHost || key.host == asked.host
            let weight =
                (isHost ? 0 : Weight.host) + (key.method == asked.method ? 0 : Weight.method)
                + (key.query == asked.query ? 0 : Weight.query)
            // A missing segment changes about twice as many bits as it weighs.
            let distance = 2 * weight + (key.shape ^ asked.shape).nonzeroBitCount
            guard distance < nearest.limit else { return }
            // With the same path, each method, host and query is a candidate of its own.
            nearest.add(entry, distance, weight, place: key.path == asked.path ? key.combined : key.path)
        }
        return nearest.found.map { ($0.entry, $0.weight) }.sorted { $0.entry < $1.entry }
    }

    /// - Returns: nil if the recording cannot be read.
    private mutating func distance(of entry: Entry, _ weight: Int, to query: AskedForm) -> Int? {
        guard let target = target(of: entry) else { return nil }
        let (asked, recorded) = (query.head.target.pathAndQuery, target.pathAndQuery)
        let parameters = queryDifferences(asked.query, recorded.query).count
        return weight + PathDistance.between(asked.path, recorded.path) + min(parameters, 4)
    }

    private mutating func target(of entry: Entry) -> ByteBuffer? {
        if let known = examinedTargets[entry] { return known }
        guard let target = (try? read(entry))?.request?.head.target else { return nil }
        if examinedTargets.count >= Self.maximumTargets { examinedTargets = [:] }
        // Copied, because it would keep its whole block in memory.
        examinedTargets[entry] = ByteBuffer(bytes: target.readableBytesView)
        return target
    }

    /// Among equally near recordings, the one with the most fields that must be equal, then with the longest common beginning of
    /// the content.
    private func nearestContent(_ candidates: [Entry], _ query: AskedForm) -> Flow? {
        let content = RequestContent.comparable(query.content, query.head.fields, rules)
        var nearest: (likeness: (Int, Int), flow: Flow)?
        var bytes: UInt64 = 0
        for entry in candidates.prefix(Self.maximumContents) where bytes <= Self.maximumContentBytes {
            guard let flow = try? read(entry), let head = flow.request?.head else { continue }
            bytes += flow.request?.storedSize ?? 0
            let fields = rules.headers.count { query.head.fields.joined($0) == head.fields.joined($0) }
            let recorded = (try? flow.pieces.content(from: .client)).map { RequestContent.comparable($0, head.fields, rules) }
            let common = recorded.map { $0 == content ? Int.max : content.commonPrefix(with: $0) } ?? -1
            if nearest.map({ (fields, common) > $0.likeness }) ?? true { nearest = ((fields, common), flow) }
        }
        return nearest?.flow
    }

    // MARK: How it differs

    private func differences(_ query: AskedForm, _ host: String, _ flow: Flow, _ head: RequestHead) -> [String] {
        var found: [String] = []
        func compare(_ what: String, _ asked: String, _ recorded: String) {
            if asked != recorded { found.append("the \(what): asked for '\(asked.short)', recorded '\(recorded.short)'") }
        }
        // An extended CONNECT (RFC 8441) is the equivalent of GET with Upgrade in HTTP/1.
        func method(_ head: RequestHead) -> String { head.isMethod("CONNECT") ? "GET" : String(buffer: head.method) }
        compare("method", method(query.head), method(head))
        let asksForSwitch = query.key.method == 0
        if asksForSwitch != flow.hasSwitched {
            found.append(
                "the protocol: "
                    + (asksForSwitch ? "asked for an upgrade, recorded without" : "asked for no upgrade, recorded with one"))
        }
        if !rules.ignore.host, !query.isForAnyHost {
            compare("host", host.lowercased(), String(buffer: flow.displayHost).lowercased())
        }
        let (asked, recorded) = (query.head.target.pathAndQuery, head.target.pathAndQuery)
        compare("path", String(buffer: asked.path), String(buffer: recorded.path))
        found += queryDifferences(asked.query, recorded.query)
        for name in rules.headers {
            let asked = query.head.fields.joined(name).map { String(buffer: $0) } ?? ""
            compare("field \(name)", asked, head.fields.joined(name).map { String(buffer: $0) } ?? "")
        }
        if found.isEmpty { found.append(contentDifference(query, flow, head)) }
        return found
    }

    private func queryDifferences(_ asked: ByteBuffer, _ recorded: ByteBuffer) -> [String] {
        let (asked, recorded) = (rules.parameters(of: asked), rules.parameters(of: recorded))
        return Set(asked.keys).union(recorded.keys).sorted().compactMap { name in
            let (one, other) = (asked[name]?.joined(separator: "&"), recorded[name]?.joined(separator: "&"))
            guard one != other else { return nil }
            guard let one else { return "the query: '\(name.short)' is missing" }
            guard let other else { return "the query: '\(one.short)' is not in the recording" }
            return "the query: asked for '\(one.short)', recorded '\(other.short)'"
        }
    }

    private func contentDifference(_ query: AskedForm, _ flow: Flow, _ head: RequestHead) -> String {
        guard let recorded = try? flow.pieces.content(from: .client) else { return "the body, which cannot be read" }
        let one = RequestContent.comparable(query.content, query.head.fields, rules)
        let other = RequestContent.comparable(recorded, head.fields, rules)
        let at = one.commonPrefix(with: other)
        if let cut = flow.cut(of: .client), at == other.readableBytes {
            return
                "the body, of which only the first \(at) of \(cut.size) bytes are recorded: asked with \(one.readableBytes) bytes, whose SHA-256 is another"
        }
        func near(_ bytes: ByteBuffer) -> String {
            let start = max(0, at - 16)
            return String(buffer: bytes.slice(ByteRange(start, min(bytes.readableBytes, at + 32)))).short
        }
        return
            "the body, from byte \(at): asked with '\(near(one))' (\(query.content.readableBytes) bytes), recorded '\(near(other))' (\(recorded.readableBytes) bytes)"
    }
}

/// The entries with the nearest shapes, one for each place.
private struct NearestShapes {
    private let capacity: Int
    /// The nearest first.
    private(set) var found: [(entry: Entry, distance: Int, weight: Int, place: UInt64)] = []
    /// Entries from this distance on are not among the nearest.
    private(set) var limit = Int.max

    init(capacity: Int) { self.capacity = capacity }

    mutating func add(_ entry: Entry, _ distance: Int, _ weight: Int, place: UInt64) {
        if let known = found.firstIndex(where: { $0.place == place }) {
            guard distance < found[known].distance else { return }
            found.remove(at: known)
        }
        let index = found.firstIndex { $0.distance > distance } ?? found.count
        found.insert((entry, distance, weight, place), at: index)
        if found.count > capacity { found.removeLast() }
        if found.count == capacity { limit = found[capacity - 1].distance }
    }
}

/// The distance between two paths: segments that are missing or differ.
private enum PathDistance {
    /// Only the beginning of longer paths is compared.
    private static let maximumSegments = 32
    private static let missing = 6

    static func between(_ one: ByteBuffer, _ other: ByteBuffer) -> Int {
        if one == other { return 0 }
        let (a, b) = (segments(of: one), segments(of: other))
        // The edit distance over segments (Levenshtein), a row at a time.
        var row = [0]
        for segment in b { row.append(row[row.count - 1] + cost(of: segment)) }
        for segment in a {
            var next = [row[0] + cost(of: segment)]
            for (index, other) in b.enumerated() {
                next.append(
                    min(
                        row[index] + difference(segment, other), row[index + 1] + cost(of: segment), next[index] + cost(of: other)))
            }
            row = next
        }
        // Paths that differ in escapes, or after the compared beginning, differ too.
        return max(1, row[b.count])
    }

    private static func segments(of path: ByteBuffer) -> [ByteBufferView] {
        path.readableBytesView.dropFirst().split(separator: 0x2F, maxSplits: maximumSegments, omittingEmptySubsequences: false)
    }

    /// An empty segment, of a trailing or doubled slash, weighs little.
    private static func cost(of segment: ByteBufferView) -> Int { segment.isEmpty ? 1 : missing }

    /// 0 for equal segments, 2 for a different letter in a word, 5 for a different word.
    private static func difference(_ one: ByteBufferView, _ other: ByteBufferView) -> Int {
        let longer = max(one.count, other.count)
        guard longer > 0 else { return 0 }
        let prefix = zip(one, other).prefix { $0 == $1 }.count
        if prefix == longer { return 0 }
        let suffix = zip(one.dropFirst(prefix).reversed(), other.dropFirst(prefix).reversed()).prefix { $0 == $1 }.count
        return 1 + (4 * (longer - prefix - suffix) + longer - 1) / longer
    }
}

extension String {
    /// The beginning, without characters that a terminal would interpret.
    package var short: String {
        let text = String(decoding: utf8.prefix(120).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
        return utf8.count > 120 ? text + "…" : text
    }
}

extension ByteBuffer {
    /// The number of bytes at the beginning that are equal.
    func commonPrefix(with other: ByteBuffer) -> Int {
        let (one, two) = (readableBytesUInt8Span, other.readableBytesUInt8Span)
        var index = 0
        while index < min(one.count, two.count), one[index] == two[index] { index += 1 }
        return index
    }
}
