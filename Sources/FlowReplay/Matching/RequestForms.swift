// A request in the forms in which recordings may have it. Redaction changed recorded requests before they were stored, so the rules of a
// recording are applied to a request before it is compared with that recording. Recordings with different rules have one request in
// different forms; all of them are asked for.

import FlowModel
import HTTPSemantics
import NIOCore

/// A request that asks for a recording.
package struct ReplayQuery: Sendable {
    /// nil for a request that switches to another protocol.
    package var method: ByteBuffer?
    /// Without port.
    package var host: ByteBuffer
    package var head: RequestHead
    package var content: ByteBuffer
    /// The client named this machine and no server: every recorded host may answer, the one with the same name first.
    package var isForAnyHost: Bool

    package init(
        method: ByteBuffer?, host: ByteBuffer, head: RequestHead, content: ByteBuffer = ByteBuffer(), isForAnyHost: Bool = false
    ) {
        (self.method, self.host, self.head, self.content, self.isForAnyHost) = (method, host, head, content, isForAnyHost)
    }
}

/// One form of a request.
struct RequestForm {
    let head: RequestHead
    let content: ByteBuffer
    /// Another one asks for recordings of another host.
    var key: RequestKey
    /// Of the content.
    let digest: UInt64
    /// The values of the fields that must be equal, in the order of the rules.
    let fields: [ByteBuffer?]

    init(_ query: ReplayQuery, _ redaction: RecordedRedaction?, _ rules: MatchRules) {
        let stored = redaction?.request(query.head, query.content) ?? (query.head, query.content)
        (head, content) = stored
        key = RequestKey(method: query.method, host: query.host, target: head.target, rules)
        digest = RequestContent.digest(content, head.fields, rules)
        let head = head
        fields = rules.headers.map { head.fields.joined($0) }
    }

    /// Both ask for the same recordings.
    func isSame(as other: RequestForm) -> Bool { key == other.key && digest == other.digest && fields == other.fields }
}

/// The entries that a request in one of its forms asks for, in the order of the recording.
struct MatchingEntries {
    /// The first entry of each form's chain.
    private let firsts: [Entry]

    /// - Parameter firsts: not empty.
    init(_ firsts: [Entry]) { self.firsts = firsts }

    var first: Entry { firsts.min() ?? .none }

    /// The next entry, or ``Entry/none``.
    func next(after entry: Entry, _ entries: RecordedEntries) -> Entry {
        if firsts.count == 1 { return entries.next(after: entry) }
        // Each entry is in one chain. Few requests have recordings in several forms.
        return firsts.map { first in
            var next = first
            while next != .none, next <= entry { next = entries.next(after: next) }
            return next
        }.min() ?? .none
    }
}
