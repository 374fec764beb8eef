// Why no recording answers a request: the nearest one, and where it differs, in words.

import FlowModel
import HTTPSemantics
import NIOCore

extension RecordingIndex {
    /// Candidates of which the texts are looked at when hashes do not tell them apart.
    private static let maximumExamined = 64

    /// One sentence on the recording that comes nearest.
    package mutating func explain(_ question: Question, host: String) -> String {
        guard count > 0 else { return "the recordings hold no HTTP request" }
        var best: [Entry] = []
        var bestScore = -1
        forEachKey { entry, key in
            // A host or a path that is right says more than a method that is.
            let score =
                (key.path == question.key.path ? 8 : 0) + (key.host == question.key.host ? 4 : 0)
                + (key.method == question.key.method ? 2 : 0) + (key.query == question.key.query ? 1 : 0)
            if score > bestScore {
                bestScore = score
                best = [entry]
            } else if score == bestScore, best.count < Self.maximumExamined {
                best.append(entry)
            }
        }
        var nearest: (likeness: Int, flow: Flow)?
        for entry in best {
            guard let flow = try? flow(entry), let head = flow.request?.head else { continue }
            let likeness = question.head.target.commonPrefix(with: head.target)
            if likeness > nearest?.likeness ?? -1 { nearest = (likeness, flow) }
        }
        guard let flow = nearest?.flow, let head = flow.request?.head else { return "the nearest recording cannot be read" }
        let differences = differences(question, host, flow, head)
        let name = "\(String(buffer: head.method)) \(flow.displayURL.map { String(buffer: $0) } ?? "")"
        return "the nearest recording is \(name.short), which differs in \(differences.joined(separator: "; "))"
    }

    private func differences(_ question: Question, _ host: String, _ flow: Flow, _ head: RequestHead) -> [String] {
        var found: [String] = []
        func compare(_ what: String, _ asked: String, _ recorded: String) {
            if asked != recorded { found.append("the \(what): asked for '\(asked.short)', recorded '\(recorded.short)'") }
        }
        // An extended CONNECT (RFC 8441) asks for what GET with Upgrade asks for in HTTP/1.
        func method(_ head: RequestHead) -> String { head.isMethod("CONNECT") ? "GET" : String(buffer: head.method) }
        compare("method", method(question.head), method(head))
        let asks = question.key.method == 0
        if asks != flow.hasSwitched {
            found.append(
                "the protocol: " + (asks ? "asked for another one, recorded without" : "asked for no other one, recorded with one"))
        }
        if !rules.ignore.host { compare("host", host.lowercased(), String(buffer: flow.displayHost).lowercased()) }
        let (askedPath, askedQuery) = question.head.target.pathAndQuery
        let (path, query) = head.target.pathAndQuery
        compare("path", String(buffer: askedPath), String(buffer: path))
        found += queryDifferences(askedQuery, query)
        for name in rules.headers {
            let asked = question.head.value(of: name).map { String(buffer: $0) } ?? ""
            compare("field \(name)", asked, head.value(of: name).map { String(buffer: $0) } ?? "")
        }
        if found.isEmpty { found.append(contentDifference(question, flow, head)) }
        return found
    }

    private func queryDifferences(_ asked: ByteBuffer, _ recorded: ByteBuffer) -> [String] {
        func parameters(_ query: ByteBuffer) -> [String: [String]] {
            var pairs: [String: [String]] = [:]
            query.forEachParameter { name, whole in
                let text = String(buffer: name).removingPercentEncodingOfNames
                let isIgnored = rules.ignore.query || rules.ignore.queryNames.contains(text) || rules.volatile.contains(text)
                if !isIgnored { pairs[text, default: []].append(String(buffer: whole)) }
            }
            return pairs.mapValues { $0.sorted() }
        }
        let (asked, recorded) = (parameters(asked), parameters(recorded))
        return Set(asked.keys).union(recorded.keys).sorted().compactMap { name in
            let (one, other) = (asked[name]?.joined(separator: "&"), recorded[name]?.joined(separator: "&"))
            guard one != other else { return nil }
            guard let one else { return "the query: '\(name.short)' is missing" }
            guard let other else { return "the query: '\(one.short)' is not in the recording" }
            return "the query: asked for '\(one.short)', recorded '\(other.short)'"
        }
    }

    private func contentDifference(_ question: Question, _ flow: Flow, _ head: RequestHead) -> String {
        guard let recorded = try? flow.pieces.content(from: .client) else { return "the body, which cannot be read" }
        let one = RequestContent.comparable(question.content, question.head.fields, rules)
        let other = RequestContent.comparable(recorded, head.fields, rules)
        let at = one.commonPrefix(with: other)
        func near(_ bytes: ByteBuffer) -> String {
            let start = max(0, at - 16)
            return String(buffer: bytes.slice(ByteRange(start, min(bytes.readableBytes, at + 32)))).short
        }
        return
            "the body, from byte \(at) on: asked with '\(near(one))' (\(question.content.readableBytes) bytes), recorded '\(near(other))' (\(recorded.readableBytes) bytes)"
    }
}

extension String {
    /// Enough of it to know it again; nothing that a terminal would obey.
    package var short: String {
        let text = String(decoding: utf8.prefix(120).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
        return utf8.count > 120 ? text + "…" : text
    }
}

extension ByteBuffer {
    /// How many bytes both begin with.
    func commonPrefix(with other: ByteBuffer) -> Int {
        let (one, two) = (readableBytesUInt8Span, other.readableBytesUInt8Span)
        var index = 0
        while index < min(one.count, two.count), one[index] == two[index] { index += 1 }
        return index
    }
}
