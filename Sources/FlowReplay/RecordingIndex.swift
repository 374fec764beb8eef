// Recorded exchanges by the requests that they answer. For a flow that stands whole in its block the index keeps a hash and a place, some
// fifty bytes; its heads and content stay in the file. Flows with parts in several blocks keep their heads in memory.

import FlowArchive
import FlowModel
import HTTPSemantics
import NIOCore

/// Which of several recordings of one request answers.
package enum ReplayOrder: String, Sendable, CaseIterable {
    /// As recorded, the last one repeats.
    case sequence
    case last
    /// As recorded, and from the beginning again.
    case cycle
    /// The latest that is not further from the beginning of the recording than now is from the start.
    case time
}

/// Where recorded flows are kept.
package struct RecordingIndex {
    /// A number of a recording.
    package typealias Entry = UInt32
    private static let none = Entry.max

    private struct Flags {
        static let isComplete: UInt8 = 1
        static let hasContent: UInt8 = 2
        static let isWebSocket: UInt8 = 4
    }

    package let rules: MatchRules
    private let order: ReplayOrder
    /// Exhaustion is a miss.
    private let isOnce: Bool
    private var files: [ArchiveLookup] = []

    // One element for each entry, in the order of the recording.
    private var keys: [RequestKey] = []
    private var following: [Entry] = []
    private var places: [FlowPlace] = []
    private var origins: [UInt16] = []
    private var flags: [UInt8] = []
    private var starts: [Int64] = []
    /// The first and the last entry of each key.
    private var chains: [UInt64: (first: Entry, last: Entry)] = [:]
    /// Flows that are kept as they are: `places` holds their index here.
    private var kept: [Flow] = []
    private static let keptOrigin = UInt16.max

    /// TCP flows, in the order of the recording.
    package private(set) var streams: [Flow] = []
    /// Digests of content that was looked at.
    private var digests: [Entry: UInt64] = [:]
    /// How far each group of equal requests has come.
    private var positions: [Group: Position] = [:]
    private var recent = RecentFlows()
    /// The first host of each method, path and query; filled when it is asked for.
    private var anyHost: [UInt64: UInt32]?

    /// Requests that have one key, one content, and the same values in the fields that must be equal.
    private struct Group: Hashable {
        var key: UInt64
        var content: UInt64
        var fields: UInt64
    }

    private struct Position {
        var entry: Entry
        var served = 0
        /// Complete recordings come before truncated ones; it is the last of them that repeats.
        var lastComplete: Entry?
        var isOver = false
    }

    package init(rules: MatchRules, order: ReplayOrder = .sequence, isOnce: Bool = false) {
        self.rules = rules
        self.order = order
        self.isOnce = isOnce
    }

    package var count: Int { keys.count }
    package var firstStart: Int64? { starts.first }

    // MARK: Filling

    /// Makes a file known whose flows will be added by their places.
    /// - Returns: what stands for it in ``add(_:from:)``.
    package mutating func addFile(_ file: ArchiveLookup) -> UInt16 {
        files.append(file)
        return UInt16(files.count - 1)
    }

    /// Adds an HTTP flow that stands whole in its block.
    package mutating func add(_ view: RecordView, from file: UInt16) {
        guard let place = view.flowPlace, let key = Self.key(view, rules) else { return }
        append(
            key, place, file, isComplete: view.state == .complete, hasContent: view.requestContentSize > 0,
            isWebSocket: view.isWebSocket, start: view.started)
    }

    /// Adds a flow that stays in memory, its pieces where they are. TCP flows too.
    package mutating func add(_ flow: Flow) {
        if flow.kind == .tcp, flow.passthrough == nil { return streams.append(flow) }
        guard let key = Self.key(flow, rules) else { return }
        kept.append(flow)
        append(
            key, FlowPlace(block: UInt64(kept.count - 1), record: 0), Self.keptOrigin, isComplete: flow.state == .complete,
            hasContent: (flow.request?.size ?? 0) > 0, isWebSocket: flow.isWebSocket, start: flow.started)
    }

    private mutating func append(
        _ key: RequestKey, _ place: FlowPlace, _ origin: UInt16, isComplete: Bool, hasContent: Bool, isWebSocket: Bool,
        start: Timestamp
    ) {
        let entry = Entry(keys.count)
        keys.append(key)
        following.append(Self.none)
        places.append(place)
        origins.append(origin)
        starts.append(start.nanoseconds)
        flags.append(
            (isComplete ? Flags.isComplete : 0) | (hasContent ? Flags.hasContent : 0) | (isWebSocket ? Flags.isWebSocket : 0))
        if anyHost?[key.combinedWithoutHost] == nil { anyHost?[key.combinedWithoutHost] = key.host }
        let combined = key.combined
        if let chain = chains[combined] {
            following[Int(chain.last)] = entry
            chains[combined] = (chain.first, entry)
        } else {
            chains[combined] = (entry, entry)
        }
    }

    /// The key of a recorded request; nil for a flow that answers none: no HTTP, no request, CONNECT.
    private static func key(_ flow: some FlowQuestions, _ rules: MatchRules) -> RequestKey? {
        guard flow.kind == .http, let method = flow.method, let target = flow.requestTarget else { return nil }
        let isConnect = method.equals(ByteRange(0, method.readableBytes), "CONNECT")
        // An extended CONNECT (RFC 8441) asks for what GET with Upgrade asks for in HTTP/1.
        guard !isConnect || flow.isWebSocket else { return nil }
        return RequestKey(
            method: isConnect ? ByteBuffer(string: "GET") : method, host: flow.displayHost, target: target, rules)
    }

    // MARK: Finding

    /// A request that wants an answer.
    package struct Question {
        package var key: RequestKey
        package var head: RequestHead
        package var content: ByteBuffer

        package init(key: RequestKey, head: RequestHead, content: ByteBuffer) {
            self.key = key
            self.head = head
            self.content = content
        }
    }

    package enum Answer {
        case flow(Flow, Entry)
        /// The recordings of this request were served, each once.
        case exhausted(Entry)
        case none
    }

    /// The same request to the host that a recording has of it; unchanged when there is none.
    package mutating func withRecordedHost(_ key: RequestKey) -> RequestKey {
        guard chains[key.combined] == nil else { return key }
        if anyHost == nil {
            var found: [UInt64: UInt32] = [:]
            for key in keys where found[key.combinedWithoutHost] == nil { found[key.combinedWithoutHost] = key.host }
            anyHost = found
        }
        var key = key
        if let host = anyHost?[key.combinedWithoutHost] { key.host = host }
        return key
    }

    /// Finds the recording whose turn it is to answer.
    /// - Parameter elapsed: nanoseconds since the start, for ``ReplayOrder/time``.
    /// - Throws: when the recording cannot be read.
    package mutating func answer(_ question: Question, elapsed: Int64) throws -> Answer {
        guard let chain = chains[question.key.combined], keys[Int(chain.first)] == question.key else { return .none }
        let content = RequestContent.digest(question.content, question.head.fields, rules)
        let fields = rules.headers.map { question.head.value(of: $0) }
        var values = ByteHash()
        for field in fields { values.add(field.map { ByteHash.of($0) } ?? 0) }
        let group = Group(key: question.key.combined, content: content, fields: values.value)
        func next(_ entry: Entry, _ index: inout RecordingIndex) throws -> Entry? {
            var entry = entry
            while entry != Self.none {
                if try index.matches(entry, content, fields) { return entry }
                entry = index.following[Int(entry)]
            }
            return nil
        }
        var position: Position
        if let known = positions[group] {
            position = known
        } else {
            guard let first = try best(from: chain.first, next) else { return .none }
            position = Position(entry: first)
        }
        /// The next in turn: the complete ones, then the truncated ones.
        func successor(of entry: Entry, _ index: inout RecordingIndex) throws -> Entry? {
            let isComplete = index.has(entry, Flags.isComplete)
            var candidate = try next(index.following[Int(entry)], &index)
            while let found = candidate, index.has(found, Flags.isComplete) != isComplete {
                candidate = try next(index.following[Int(found)], &index)
            }
            guard candidate == nil, isComplete else { return candidate }
            candidate = try next(chain.first, &index)
            while let found = candidate, index.has(found, Flags.isComplete) {
                candidate = try next(index.following[Int(found)], &index)
            }
            return candidate
        }
        func advance(to entry: Entry, _ index: RecordingIndex) {
            if index.has(position.entry, Flags.isComplete) { position.lastComplete = position.entry }
            position.entry = entry
        }
        switch order {
        case .sequence, .cycle:
            if position.served > 0, !position.isOver {
                if let found = try successor(of: position.entry, &self) {
                    advance(to: found, self)
                } else if isOnce {
                    return .exhausted(position.entry)
                } else if order == .cycle, let first = try best(from: chain.first, next) {
                    position.entry = first
                } else {
                    advance(to: position.lastComplete ?? position.entry, self)
                    position.isOver = true
                }
            }
        case .last:
            if isOnce, position.served > 0 { return .exhausted(position.entry) }
            while let found = try successor(of: position.entry, &self),
                has(found, Flags.isComplete) || !has(position.entry, Flags.isComplete)
            {
                position.entry = found
            }
        case .time:
            let limit = (starts.first ?? 0) + elapsed
            while let found = try next(following[Int(position.entry)], &self), starts[Int(found)] <= limit {
                position.entry = found
            }
            if isOnce, position.served > 0, positions[group]?.entry == position.entry { return .exhausted(position.entry) }
        }
        position.served += 1
        positions[group] = position
        return .flow(try flow(position.entry), position.entry)
    }

    /// Finds a recording in which the response began before the request was complete. Its content is not known yet, so it is not compared:
    /// they answer one after the other.
    /// - Returns: nil when no recording with the key is one.
    /// - Throws: when the recording cannot be read.
    package mutating func duplexAnswer(_ key: RequestKey) throws -> Flow? {
        guard let chain = chains[key.combined], keys[Int(chain.first)] == key else { return nil }
        let group = Group(key: key.combined, content: 0, fields: .max)
        var entry = positions[group].map { following[Int($0.entry)] } ?? chain.first
        var last: Flow?
        var steps = 0
        while steps < 2 {
            while entry != Self.none {
                if has(entry, Flags.hasContent), case let flow = try flow(entry), flow.isDuplex {
                    positions[group] = Position(entry: entry)
                    return flow
                }
                entry = following[Int(entry)]
            }
            // None is left: the last one repeats, or, with --once, none does.
            guard let known = positions[group], !isOnce else { break }
            last = order == .cycle ? nil : try flow(known.entry)
            if last != nil { break }
            entry = chain.first
            steps += 1
        }
        return last
    }

    /// The first match that is complete, otherwise the first match.
    private mutating func best(
        from entry: Entry, _ next: (Entry, inout RecordingIndex) throws -> Entry?
    ) throws -> Entry? {
        guard let first = try next(entry, &self) else { return nil }
        var candidate: Entry? = first
        while let found = candidate, !has(found, Flags.isComplete) { candidate = try next(following[Int(found)], &self) }
        return candidate ?? first
    }

    private func has(_ entry: Entry, _ flag: UInt8) -> Bool { flags[Int(entry)] & flag != 0 }

    private mutating func matches(_ entry: Entry, _ content: UInt64, _ fields: [ByteBuffer?]) throws -> Bool {
        if rules.body != .none, !rules.ignore.body {
            if !has(entry, Flags.hasContent) {
                guard content == 0 else { return false }
            } else if try digest(entry) != content {
                return false
            }
        }
        guard !fields.isEmpty else { return true }
        guard let head = try flow(entry).request?.head else { return false }
        return zip(rules.headers, fields).allSatisfy { head.value(of: $0) == $1 }
    }

    private mutating func digest(_ entry: Entry) throws -> UInt64 {
        if let known = digests[entry] { return known }
        let flow = try flow(entry)
        let digest = RequestContent.digest(
            try flow.pieces.content(from: .client), flow.request?.head.fields ?? FieldSection(), rules)
        digests[entry] = digest
        return digest
    }

    /// The flow of an entry.
    /// - Throws: when it cannot be read.
    package mutating func flow(_ entry: Entry) throws -> Flow {
        let place = places[Int(entry)]
        let origin = origins[Int(entry)]
        if origin == Self.keptOrigin { return kept[Int(place.block)] }
        if let known = recent[entry] { return known }
        let flow = try files[Int(origin)].flow(at: place)
        recent.remember(flow, for: entry)
        return flow
    }

    /// The response of a flow as it answers a request. Within a second the plain case is the same each time, and is kept.
    package mutating func response(of entry: Entry, _ flow: Flow, for occasion: ResponseOccasion) -> EditedResponse? {
        let isPlain =
            !flow.isWebSocket && !occasion.request.isMethod("HEAD") && !occasion.request.fields.contains("range")
        guard isPlain, let recorded = flow.response?.started else { return flow.response(for: occasion) }
        let shift = occasion.keepsDates ? 0 : (occasion.now - recorded) / 1_000_000_000
        if let known = recent.response(of: entry, shiftedBy: shift) { return known }
        let response = flow.response(for: occasion)
        if let response { recent.remember(response, for: entry, shiftedBy: shift) }
        return response
    }

    /// Goes through the keys of all entries.
    func forEachKey(_ body: (Entry, RequestKey) -> Void) {
        for index in keys.indices { body(Entry(index), keys[index]) }
    }
}

extension RequestHead {
    /// The value of the first field with a name in lower case that is not known before.
    func value(of name: String) -> ByteBuffer? {
        for line in fields.lines where String(buffer: fields.slice(line.name)).lowercased() == name {
            return fields.slice(line.value)
        }
        return nil
    }
}

/// The flows that were asked for last, with what they have decompressed of their blocks.
private struct RecentFlows {
    /// A flow holds its block's details and one part of its content, at most some hundreds of KiB.
    private static let capacity = 64

    private struct Recent {
        var flow: Flow
        var used: UInt64
        /// The plain response, and by how many seconds its dates are moved.
        var response: (shift: Int64, given: EditedResponse)?
    }

    private var flows: [RecordingIndex.Entry: Recent] = [:]
    private var clock: UInt64 = 0

    subscript(entry: RecordingIndex.Entry) -> Flow? {
        mutating get {
            clock += 1
            guard let index = flows.index(forKey: entry) else { return nil }
            flows.values[index].used = clock
            return flows.values[index].flow
        }
    }

    func response(of entry: RecordingIndex.Entry, shiftedBy shift: Int64) -> EditedResponse? {
        guard let known = flows[entry]?.response, known.shift == shift else { return nil }
        return known.given
    }

    mutating func remember(_ response: EditedResponse, for entry: RecordingIndex.Entry, shiftedBy shift: Int64) {
        flows[entry]?.response = (shift, response)
    }

    mutating func remember(_ flow: Flow, for entry: RecordingIndex.Entry) {
        if flows.count >= Self.capacity, let oldest = flows.min(by: { $0.value.used < $1.value.used })?.key { flows[oldest] = nil }
        clock += 1
        flows[entry] = Recent(flow: flow, used: clock)
    }
}
