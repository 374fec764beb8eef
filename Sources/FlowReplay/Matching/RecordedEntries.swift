// Recorded requests with their flows: which entries fit a request. Facts come from the table; heads and content are read from the
// flows when the table does not decide.

import FlowModel
import HTTPSemantics
import NIOCore

/// What an entry must have in addition to its key and its content.
struct Criteria {
    /// The values of the fields that must be equal, in the order of the rules, for each form of the request.
    var fields: [[ByteBuffer?]]
    /// The client can use neither a 206 nor a 304.
    var needsWhole: Bool
}

/// Entries, their chains by content, and their flows.
struct RecordedEntries {
    /// The digest of content that redaction left out. Those of other content are odd, or 0.
    static let unknownDigest: UInt64 = 4

    let rules: MatchRules
    var table = EntryTable()
    var flows = RecordedFlows()
    private var contents = ContentChains()
    /// The content of a request was not all stored.
    private var holdsCutRequests = false

    init(rules: MatchRules) { self.rules = rules }

    /// The first entry with a key and some content.
    /// - Parameter digest: of the content.
    mutating func first(_ key: RequestKey, digest content: UInt64) -> Entry? {
        guard let chain = table.chain(key) else { return nil }
        // Most keys have one recording, and that one has no content.
        if chain.first == chain.last, !table.has(chain.first, .hasContent) { return content == 0 ? chain.first : nil }
        let key = key.combined
        let known = contents.lastDigested(key)
        if known != chain.last {
            var entry = known.map { table.next(after: $0) } ?? chain.first
            while entry != .none {
                // An entry that cannot be read answers no request, and does not keep the others from it.
                if let digest = try? digest(entry) { contents.add(entry, key, digest: digest) }
                entry = table.next(after: entry)
            }
            contents.setLastDigested(key, chain.last)
        }
        return contents.first(key, digest: content)
    }

    /// The first entry with a key whose content is not all stored, and has the size and the SHA-256 of a content.
    mutating func first(_ key: RequestKey, cutFrom content: ByteBuffer) -> Entry? {
        guard holdsCutRequests, content.readableBytes > 0 else { return nil }
        return first(key, digest: RequestContent.digest(ContentCut(of: content)))
    }

    /// The digest of the content of an entry; 0 if it has none or content is ignored.
    private mutating func digest(_ entry: Entry) throws -> UInt64 {
        guard table.has(entry, .hasContent), rules.body != .none, !rules.ignore.body else { return 0 }
        let flow = try flow(entry)
        if let cut = flow.cut(of: .client) {
            holdsCutRequests = true
            return RequestContent.digest(cut)
        }
        if flow.request?.hasAllContent == false { return Self.unknownDigest }
        // Damaged content equals no other: digests are odd.
        guard let content = try flow.pieces.contentUnlessDamaged(from: .client) else { return 2 }
        return RequestContent.digest(content, flow.request?.head.fields ?? FieldSection(), rules)
    }

    /// The next entry with the same key and content, or ``Entry/none``.
    func next(after entry: Entry) -> Entry { contents.next(after: entry) }

    /// The flow of an entry.
    /// - Throws: if it cannot be read.
    mutating func flow(_ entry: Entry) throws -> Flow { try flows.flow(entry, at: table.location(of: entry)) }

    mutating func matches(_ entry: Entry, _ criteria: Criteria) throws -> Bool {
        if table.has(entry, .isReplaced) || criteria.needsWhole && table.has(entry, .isPartial) { return false }
        guard !rules.headers.isEmpty else { return true }
        guard let head = try flow(entry).request?.head else { return false }
        return criteria.fields.contains(rules.headers.map { head.fields.joined($0) })
    }

    /// Whether the response began before the request was complete.
    mutating func isDuplex(_ entry: Entry) throws -> Bool {
        if !table.has(entry, .isDuplexKnown) {
            let isDuplex = try flow(entry).isDuplex
            table.set(entry, isDuplex ? [.isDuplexKnown, .isDuplex] : .isDuplexKnown)
        }
        return table.has(entry, .isDuplex)
    }
}
