// Recorded exchanges by the requests that they answer. For a flow that is whole in its block the index keeps a hash and a place; a
// flow with records in several blocks is kept in memory. The facts are in EntryTable, the flows in RecordedFlows, the turns in
// ReplayOrderState.

import FlowArchive
import FlowModel
import HTTPSemantics
import NIOCore

/// Finds recordings.
package struct RecordingIndex {
    package enum Answer {
        case flow(Flow, Entry)
        /// The recordings of this request have answered, each once.
        case exhausted(Entry)
        case none
    }

    private(set) var entries: RecordedEntries
    private var order: ReplayOrderState
    /// TCP flows, in the order of the recording.
    package private(set) var streams: [Flow] = []
    private var streamSources: [RecordingSource] = []
    /// The positions of those that had not ended when they were added.
    private var openStreams: [FlowID: Int] = [:]
    /// The rules by which recordings may have been redacted, each once.
    package private(set) var redactions: [RecordedRedaction] = []
    /// Request-targets that were read for explanations.
    var examinedTargets: [Entry: ByteBuffer] = [:]

    package init(rules: MatchRules, order: ReplayOrder = .sequence, isOnce: Bool = false) {
        entries = RecordedEntries(rules: rules)
        self.order = ReplayOrderState(order, isOnce: isOnce)
    }

    package var rules: MatchRules { entries.rules }
    package var count: Int { entries.table.count }

    // MARK: Filling

    /// Adds a source.
    /// - Parameter file: nil: flows of the source are kept in memory; otherwise those that are whole in their block are added by place.
    /// - Returns: its number.
    package mutating func addSource(_ name: String, _ file: ArchiveLookup? = nil) -> RecordingSource {
        entries.flows.addSource(name, file)
    }

    /// Some of the recordings may have been redacted by these rules.
    package mutating func add(_ redaction: RecordedRedaction) {
        if !redactions.contains(where: { $0.texts == redaction.texts }) { redactions.append(redaction) }
    }

    /// Adds an HTTP flow that is whole in its block.
    /// - Parameter source: one with a file.
    package mutating func add(_ view: RecordView, from source: RecordingSource) {
        guard let place = view.flowPlace, let (key, isSwitch) = Self.key(view, rules) else { return }
        let flags = Self.flags(view, hasContent: view.requestContentSize > 0 && !isSwitch)
        insert(view.id, key, EntryLocation(in: source, place), flags, started: view.started)
    }

    /// Adds a flow, of HTTP or TCP, that stays in memory. One that was added before it had ended is replaced.
    package mutating func add(_ flow: Flow, from source: RecordingSource = 0) {
        if flow.kind == .tcp, flow.passthrough == nil { return addStream(flow, source) }
        guard let (key, isSwitch) = Self.key(flow, rules) else { return }
        let flags = Self.flags(flow, hasContent: (flow.request?.size ?? 0) > 0 && !isSwitch)
        insert(flow.id, key, entries.flows.keep(flow, from: source), flags, started: flow.started, isOpen: flow.ended == nil)
    }

    private mutating func insert(
        _ id: FlowID, _ key: RequestKey, _ location: EntryLocation, _ flags: EntryFlags, started: Timestamp, isOpen: Bool = false
    ) {
        let (entry, replaced) = entries.table.insert(id, key, location, flags, started: started, isOpen: isOpen)
        if let replaced { order.replace(replaced, with: entry) }
    }

    private mutating func addStream(_ flow: Flow, _ source: RecordingSource) {
        let number = openStreams.removeValue(forKey: flow.id)
        if let number {
            streams[number] = flow
        } else {
            streams.append(flow)
            streamSources.append(source)
        }
        if flow.ended == nil { openStreams[flow.id] = number ?? streams.count - 1 }
    }

    private static func flags(_ flow: some FlowAttributes, hasContent: Bool) -> EntryFlags {
        var flags: EntryFlags = []
        if flow.state == .complete, !flow.isTruncated { flags.insert(.isComplete) }
        if hasContent { flags.insert(.hasContent) }
        if flow.status == 206 || flow.status == 304, flow.requestFields?.askForLess == true { flags.insert(.isPartial) }
        return flags
    }

    /// Whether a flow answers requests.
    package static func isRequest(_ flow: some FlowAttributes) -> Bool { key(flow, MatchRules()) != nil }

    /// The key of a recorded request, and whether its connection, or stream, switched to another protocol.
    /// - Returns: nil for a flow that answers no request: it is not HTTP, has no request, or is a tunnel.
    private static func key(_ flow: some FlowAttributes, _ rules: MatchRules) -> (RequestKey, isSwitch: Bool)? {
        guard flow.kind == .http, let method = flow.method, let target = flow.requestTarget else { return nil }
        // The recorder rejected the request itself: no server saw it. A server that could not be reached, or failed, is replayed as
        // it was.
        if flow.hasLocalReply, !(502...504).contains(flow.status) { return nil }
        let isSwitch: Bool
        if method.equals(ByteRange(0, method.readableBytes), "CONNECT") {
            // An extended CONNECT (RFC 8441) has a path.
            guard target.readableBytesView.first == 0x2F, flow.isWebSocket || flow.status / 100 == 2 else { return nil }
            isSwitch = true
        } else {
            isSwitch = flow.isWebSocket || flow.status == 101
        }
        return (RequestKey(method: isSwitch ? nil : method, host: flow.displayHost, target: target, rules), isSwitch)
    }

    /// The name of the source of an entry.
    package func sourceName(of entry: Entry) -> String { entries.flows.name(of: entries.table.location(of: entry).source) }

    /// The name of the source of a stream, by its position in ``streams``.
    package func sourceName(ofStream number: Int) -> String { entries.flows.name(of: streamSources[number]) }

    // MARK: Finding

    /// The different forms in which recordings may have a request. The last one is that of recordings without rules.
    func forms(of query: ReplayQuery) -> [RequestForm] {
        var forms: [RequestForm] = []
        for redaction in redactions {
            let form = RequestForm(query, redaction, rules)
            if !forms.contains(where: { $0.isSame(as: form) }) { forms.append(form) }
        }
        let sent = RequestForm(query, nil, rules)
        return forms.contains { $0.isSame(as: sent) } ? forms : forms + [sent]
    }

    /// Finds the recording that answers next.
    /// - Parameter elapsed: nanoseconds since the start, for ``ReplayOrder/time``.
    /// - Throws: if the recording cannot be read.
    package mutating func answer(_ query: ReplayQuery, elapsed: Int64) throws -> Answer {
        let forms = forms(of: query)
        guard query.isForAnyHost else { return try answer(forms, elapsed) }
        var answer = Answer.none
        var error: (any Error)?
        for isOther in [false, true] {
            for forms in isOther ? withOtherHosts(forms) : [forms] {
                do {
                    switch try self.answer(forms, elapsed) {
                    case .flow(let flow, let entry): return .flow(flow, entry)
                    case .exhausted(let entry): if case .none = answer { answer = .exhausted(entry) }
                    case .none: break
                    }
                } catch let found {
                    error = error ?? found
                }
            }
        }
        if let error { throw error }
        return answer
    }

    /// The forms with each of the other hosts for which one is recorded, in the order of the recording.
    private mutating func withOtherHosts(_ forms: [RequestForm]) -> [[RequestForm]] {
        entries.table.otherHosts(than: forms.map(\.key)).map { host in
            forms.map { form in
                var other = form
                other.key.host = host
                return other
            }
        }
    }

    private mutating func answer(_ forms: [RequestForm], _ elapsed: Int64) throws -> Answer {
        var found = forms.compactMap { form in
            (entries.first(form.key, digest: form.digest) ?? entries.first(form.key, cutFrom: form.content)).map { (form, $0) }
        }
        if found.isEmpty {
            // Content that redaction left out may have been any.
            found = forms.compactMap { form in
                form.digest == 0 ? nil : entries.first(form.key, digest: RecordedEntries.unknownDigest).map { (form, $0) }
            }
        }
        guard !found.isEmpty else { return .none }
        // Forms that differ in fields alone have the same entries.
        let matching = MatchingEntries(Set(found.map(\.1)).sorted())
        let choice = try order.choose(
            RequestGroup(found.map(\.0)), matching, fields: found.map(\.0.fields), asksForLess: forms[0].head.fields.askForLess,
            elapsed: elapsed, &entries)
        switch choice {
        case .entry(let entry): return .flow(try entries.flow(entry), entry)
        case .exhausted(let entry): return .exhausted(entry)
        case .none: return .none
        }
    }

    /// Finds a recording in which the response began before the request was complete.
    /// - Parameter query: its content is not known yet, and is not compared.
    /// - Returns: nil if there is none with the key.
    /// - Throws: if the recording cannot be read.
    package mutating func duplexAnswer(_ query: ReplayQuery) throws -> (flow: Flow, entry: Entry)? {
        let forms = forms(of: query)
        for form in forms {
            if let entry = try order.chooseDuplex(form.key, &entries) { return (try entries.flow(entry), entry) }
        }
        guard query.isForAnyHost else { return nil }
        for form in withOtherHosts(forms).joined() {
            if let entry = try order.chooseDuplex(form.key, &entries) { return (try entries.flow(entry), entry) }
        }
        return nil
    }

    /// The response of a recorded flow for a request.
    package mutating func response(of entry: Entry, _ flow: Flow, for context: ResponseContext) -> EditedResponse? {
        entries.flows.response(of: entry, flow, for: context)
    }

    /// Reads a flow that is needed once.
    /// - Throws: if it cannot be read.
    func read(_ entry: Entry) throws -> Flow { try entries.flows.read(entries.table.location(of: entry)) }
}

extension FieldSection {
    /// The request asks for a part of the content, or for all of it only if it has changed (RFC 9110 sections 13 and 14).
    fileprivate var askForLess: Bool { contains("range") || contains("if-none-match") || contains("if-modified-since") }
}
