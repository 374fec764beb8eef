// Recorded requests with their flows: which entries fit a request. Facts come from the table; heads and content are read from the
// flows when the table does not decide.

import Digests
import FlowModel
import HTTPSemantics
import NIOCore

/// What an entry must have in addition to its key and its content.
struct Criteria {
    /// The values of the fields that must be equal, in the order of the rules, for each form of the request.
    var fields: [[ByteBuffer?]]
    /// The contents of the request in its forms, where those of the entries are not in the recording.
    var unknownContents: [UnknownContent] = []
    /// The client can use neither a 206 nor a 304.
    var needsWhole: Bool
}

/// What can be compared with content that is not in the recording.
struct UnknownContent {
    private let size: UInt64
    private let sha256: ByteBuffer

    init(_ content: ByteBuffer) {
        size = UInt64(content.readableBytes)
        sha256 = ByteBuffer(bytes: SHA256.digest(content.readableBytesUInt8Span))
    }

    /// Content that redaction left out may have been any.
    func mayBe(_ cut: ContentCut?) -> Bool {
        guard let cut else { return true }
        return cut.size == size && (cut.sha256.readableBytes == 0 || cut.sha256 == sha256)
    }
}

/// Entries, their chains by content, and their flows.
struct RecordedEntries {
    /// The digest of content that is not, or not all, in the recording. Those of other content are odd, or 0.
    static let unknownDigest: UInt64 = 4

    let rules: MatchRules
    var table = EntryTable()
    var flows = RecordedFlows()
    private var contents = ContentChains()

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

    /// The digest of the content of an entry; 0 if it has none or content is ignored.
    private mutating func digest(_ entry: Entry) throws -> UInt64 {
        guard table.has(entry, .hasContent), rules.body != .none, !rules.ignore.body else { return 0 }
        let flow = try flow(entry)
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
        guard !rules.headers.isEmpty || !criteria.unknownContents.isEmpty else { return true }
        let flow = try flow(entry)
        if !criteria.unknownContents.isEmpty {
            let cut = flow.cut(of: .client)
            guard criteria.unknownContents.contains(where: { $0.mayBe(cut) }) else { return false }
        }
        guard let head = flow.request?.head else { return false }
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
