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
        /// The file told of the flow once more: another entry stands for it.
        static let isReplaced: UInt8 = 4
        /// Whether the response began before the request was complete; looked at when it is first asked.
        static let isDuplexKnown: UInt8 = 8
        static let isDuplex: UInt8 = 16
        /// A part for who asked for one, or 304 for who has the whole already: of no use to others.
        static let isPartial: UInt8 = 32
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
    private var chains: [UInt64: Chain] = [:]
    /// Entries with the same key and the same content, as far as anybody asked for such a key: content is looked at once.
    private var alikes: [UInt64: Chain] = [:]
    private var followingAlike: [Entry] = []
    /// How far the chain of a key stands in `alikes`.
    private var compared: [UInt64: Entry] = [:]
    private var replacedCount = 0
    /// Some of the recordings are parts, or 304.
    private var holdsPartials = false
    /// Flows that are kept as they are: `places` holds their index here.
    private var kept: [Flow] = []
    private static let keptOrigin = UInt16.max
    /// Flows that had not ended when they were read: the file may tell of them once more.
    private var openEntries: [FlowID: Entry] = [:]
    private var openStreams: [FlowID: Int] = [:]

    /// TCP flows, in the order of the recording.
    package private(set) var streams: [Flow] = []
    /// How far each group of equal requests has come.
    private var positions: [Group: Position] = [:]
    /// Those that answered, when each may only once.
    private var served: Set<Entry> = []
    private var recent = RecentFlows()
    /// All hosts, in the order of the recording; filled when they are asked for.
    private var hosts: [UInt32]?
    /// Request-targets that were read for explanations.
    var examinedTargets: [Entry: ByteBuffer] = [:]

    private typealias Chain = (first: Entry, last: Entry)

    /// Requests that have one key, one content, and the same values in the fields that must be equal.
    private struct Group: Hashable {
        var key: UInt64
        var content: UInt64
        var fields: UInt64
    }

    /// Complete recordings come before truncated ones.
    private struct Position {
        /// The last of each that answered.
        var complete: Entry?
        var truncated: Entry?
        /// The last of them that is of use to everybody.
        var whole: Entry?
        /// Among so many entries nothing stands behind them, and nothing that is of use to everybody.
        var searched = 0
        var searchedForWhole = 0

        /// What repeats when nothing is left.
        var last: Entry? { complete ?? truncated }
        func last(_ isWhole: Bool) -> Entry? { isWhole ? whole : last }
    }

    /// What a request must have beside its key and its content.
    private struct Wanted {
        var fields: [ByteBuffer?]
        /// It would not know what to do with a part, or with the news that nothing has changed.
        var isWhole: Bool
    }

    package init(rules: MatchRules, order: ReplayOrder = .sequence, isOnce: Bool = false) {
        self.rules = rules
        self.order = order
        self.isOnce = isOnce
    }

    package var count: Int { keys.count - replacedCount }
    /// When the first of them began, in nanoseconds since 1970.
    package private(set) var firstStart: Int64?

    // MARK: Filling

    /// Makes a file known whose flows will be added by their places.
    /// - Returns: what stands for it in ``add(_:from:)``.
    package mutating func addFile(_ file: ArchiveLookup) -> UInt16 {
        files.append(file)
        return UInt16(files.count - 1)
    }

    /// Adds an HTTP flow that stands whole in its block.
    package mutating func add(_ view: RecordView, from file: UInt16) {
        guard let place = view.flowPlace, let (key, isSwitch) = Self.key(view, rules) else { return }
        let flags = Self.flags(view, hasContent: view.requestContentSize > 0 && !isSwitch)
        insert(view.id, key, place, file, flags, view.started)
    }

    /// Adds a flow that stays in memory, its pieces where they are. TCP flows too. One that was added before it had ended is replaced.
    package mutating func add(_ flow: Flow) {
        if flow.kind == .tcp, flow.passthrough == nil { return addStream(flow) }
        guard let (key, isSwitch) = Self.key(flow, rules) else { return }
        kept.append(flow)
        let place = FlowPlace(block: UInt64(kept.count - 1), record: 0)
        let flags = Self.flags(flow, hasContent: (flow.request?.size ?? 0) > 0 && !isSwitch)
        let entry = insert(flow.id, key, place, Self.keptOrigin, flags, flow.started)
        if flow.ended == nil { openEntries[flow.id] = entry }
    }

    private mutating func addStream(_ flow: Flow) {
        if let known = openStreams.removeValue(forKey: flow.id) {
            streams[known] = flow
        } else {
            streams.append(flow)
        }
        if flow.ended == nil { openStreams[flow.id] = streams.firstIndex { $0.id == flow.id } }
    }

    private static func flags(_ flow: some FlowAttributes, hasContent: Bool) -> UInt8 {
        let isPartial = (flow.status == 206 || flow.status == 304) && flow.requestFields?.askForLess == true
        return (flow.state == .complete ? Flags.isComplete : 0) | (hasContent ? Flags.hasContent : 0)
            | (isPartial ? Flags.isPartial : 0)
    }

    @discardableResult
    private mutating func insert(
        _ id: FlowID, _ key: RequestKey, _ place: FlowPlace, _ origin: UInt16, _ flags: UInt8, _ start: Timestamp
    ) -> Entry {
        let entry = Entry(keys.count)
        if let known = openEntries.removeValue(forKey: id) {
            self.flags[Int(known)] |= Flags.isReplaced
            replacedCount += 1
            if served.contains(known) { served.insert(entry) }
        }
        keys.append(key)
        following.append(Self.none)
        places.append(place)
        origins.append(origin)
        starts.append(start.nanoseconds)
        if flags & Flags.isPartial != 0 { holdsPartials = true }
        firstStart = min(firstStart ?? start.nanoseconds, start.nanoseconds)
        self.flags.append(flags)
        if hosts?.contains(key.host) == false { hosts?.append(key.host) }
        Self.append(entry, to: &chains[key.combined], &following)
        return entry
    }

    private static func append(_ entry: Entry, to chain: inout Chain?, _ links: inout [Entry]) {
        if let known = chain { links[Int(known.last)] = entry }
        chain = (chain?.first ?? entry, entry)
    }

    /// The key of a recorded request, and whether its connection, or stream, went over to another protocol; nil for a flow that answers
    /// none: no HTTP, no request, a tunnel.
    private static func key(_ flow: some FlowAttributes, _ rules: MatchRules) -> (RequestKey, isSwitch: Bool)? {
        guard flow.kind == .http, let method = flow.method, let target = flow.requestTarget else { return nil }
        // The recorder refused the request itself: no server was asked. One that could not be reached, or failed, is played as it was.
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

    // MARK: Finding

    /// A request that wants an answer.
    package struct Question {
        package var key: RequestKey
        package var head: RequestHead
        package var content: ByteBuffer
        /// The client named this machine and no server: each recorded host may answer, the one with the same name first.
        package var isForAnyHost: Bool

        package init(key: RequestKey, head: RequestHead, content: ByteBuffer, isForAnyHost: Bool = false) {
            self.key = key
            self.head = head
            self.content = content
            self.isForAnyHost = isForAnyHost
        }
    }

    package enum Answer {
        case flow(Flow, Entry)
        /// The recordings of this request were served, each once.
        case exhausted(Entry)
        case none
    }

    /// Finds the recording whose turn it is to answer.
    /// - Parameter elapsed: nanoseconds since the start, for ``ReplayOrder/time``.
    /// - Throws: when the recording cannot be read.
    package mutating func answer(_ question: Question, elapsed: Int64) throws -> Answer {
        guard question.isForAnyHost else { return try answer(question, as: question.key, elapsed) }
        var answer = Answer.none
        var error: (any Error)?
        do {
            answer = try self.answer(question, as: question.key, elapsed)
        } catch let found {
            error = found
        }
        if case .flow = answer { return answer }
        for key in otherHosts(question.key) {
            do {
                switch try self.answer(question, as: key, elapsed) {
                case .flow(let flow, let entry): return .flow(flow, entry)
                case .exhausted(let entry): if case .none = answer { answer = .exhausted(entry) }
                case .none: break
                }
            } catch let found {
                error = error ?? found
            }
        }
        if let error { throw error }
        return answer
    }

    /// The same request to the other hosts that recordings have of it, in the order of the recording.
    private mutating func otherHosts(_ key: RequestKey) -> [RequestKey] {
        if hosts == nil {
            var known: Set<UInt32> = []
            hosts = keys.compactMap { known.insert($0.host).inserted ? $0.host : nil }
        }
        return (hosts ?? []).compactMap { host in
            guard host != key.host else { return nil }
            var other = key
            other.host = host
            return chains[other.combined] == nil ? nil : other
        }
    }

    private mutating func answer(_ question: Question, as key: RequestKey, _ elapsed: Int64) throws -> Answer {
        guard let chain = chains[key.combined], keys[Int(chain.first)] == key else { return .none }
        let content = RequestContent.digest(question.content, question.head.fields, rules)
        guard let first = firstAlike(key.combined, chain, content) else { return .none }
        let fields = rules.headers.map { question.head.fields.joined($0) }
        var values = ByteHash()
        for field in fields { values.add(field.map { ByteHash.of($0) } ?? 0) }
        let group = Group(key: key.combined, content: content, fields: values.value)
        var position = positions[group] ?? Position()
        var choice: Entry?
        let takesPartials = !holdsPartials || question.head.fields.askForLess
        if !takesPartials {
            choice = try turn(&position, first, Wanted(fields: fields, isWhole: true), elapsed)
        }
        if choice == nil, takesPartials || position.whole == nil {
            choice = try turn(&position, first, Wanted(fields: fields, isWhole: false), elapsed)
        }
        if position.last != nil || choice != nil { positions[group] = position }
        guard let choice else { return position.last.map { .exhausted($0) } ?? .none }
        if isOnce, !served.insert(choice).inserted { return .exhausted(choice) }
        return .flow(try flow(choice), choice)
    }

    /// Whose turn it is among those that fit.
    private mutating func turn(_ position: inout Position, _ first: Entry, _ wanted: Wanted, _ elapsed: Int64) throws -> Entry? {
        var choice: Entry?
        switch order {
        case .sequence:
            choice = try advance(&position, first, wanted)
            if choice == nil, !isOnce { choice = position.last(wanted.isWhole) }
        case .cycle:
            choice = try advance(&position, first, wanted)
            if choice == nil, position.last(wanted.isWhole) != nil, !isOnce {
                position = Position()
                choice = try advance(&position, first, wanted)
            }
        case .last:
            while try advance(&position, first, wanted) != nil {}
            choice = position.last(wanted.isWhole)
        case .time:
            choice = try latest(until: (firstStart ?? 0) &+ elapsed, from: first, wanted)
        }
        return choice
    }

    /// The first entry of a chain with some content.
    private mutating func firstAlike(_ key: UInt64, _ chain: Chain, _ content: UInt64) -> Entry? {
        // Most keys have one recording, and that no content.
        if chain.first == chain.last, !has(chain.first, Flags.hasContent) { return content == 0 ? chain.first : nil }
        let known = compared[key]
        if known != chain.last {
            followingAlike += repeatElement(Self.none, count: keys.count - followingAlike.count)
            var entry = known.map { following[Int($0)] } ?? chain.first
            while entry != Self.none {
                // What cannot be read answers nobody, and keeps no other from it.
                if let digest = try? digest(entry) { Self.append(entry, to: &alikes[Self.alike(key, digest)], &followingAlike) }
                entry = following[Int(entry)]
            }
            compared[key] = chain.last
        }
        return alikes[Self.alike(key, content)]?.first
    }

    private func alike(behind entry: Entry) -> Entry {
        Int(entry) < followingAlike.count ? followingAlike[Int(entry)] : Self.none
    }

    /// What stands for a key and a content.
    private static func alike(_ key: UInt64, _ content: UInt64) -> UInt64 {
        var hash = ByteHash()
        hash.add(key)
        hash.add(content)
        return hash.value
    }

    /// The next one in turn: the complete ones, then the truncated ones. With `--once` those that answered as ``duplexAnswer(_:)`` are passed.
    private mutating func advance(_ position: inout Position, _ first: Entry, _ wanted: Wanted) throws -> Entry? {
        guard max(position.searched, wanted.isWhole ? position.searchedForWhole : 0) < keys.count else { return nil }
        while let found = try next(position.complete.map { alike(behind: $0) } ?? first, isComplete: true, wanted) {
            position.complete = found
            if !has(found, Flags.isPartial) { position.whole = found }
            if order == .last || !served.contains(found) { return found }
        }
        while let found = try next(position.truncated.map { alike(behind: $0) } ?? first, isComplete: false, wanted) {
            position.truncated = found
            let isBest = position.whole.map { !has($0, Flags.isComplete) } ?? true
            if isBest, !has(found, Flags.isPartial) { position.whole = found }
            if order == .last || !served.contains(found) { return found }
        }
        if wanted.isWhole { position.searchedForWhole = keys.count } else { position.searched = keys.count }
        return nil
    }

    private mutating func next(_ first: Entry, isComplete: Bool, _ wanted: Wanted) throws -> Entry? {
        var entry = first
        while entry != Self.none {
            if has(entry, Flags.isComplete) == isComplete, try matches(entry, wanted) { return entry }
            entry = alike(behind: entry)
        }
        return nil
    }

    /// The one that began last before a moment of the recording; when none did, the first of all.
    private mutating func latest(until limit: Int64, from first: Entry, _ wanted: Wanted) throws -> Entry? {
        var best: Entry?
        var entry = first
        while entry != Self.none {
            defer { entry = alike(behind: entry) }
            guard try matches(entry, wanted) else { continue }
            guard let known = best else {
                best = entry
                continue
            }
            let (one, other) = (starts[Int(entry)], starts[Int(known)])
            if one <= limit ? (one >= other || other > limit) : one < other { best = entry }
        }
        return best
    }

    /// Finds a recording in which the response began before the request was complete. Its content is not known yet, so it is not compared:
    /// they answer one after the other.
    /// - Parameter isForAnyHost: the host does not count.
    /// - Returns: nil when no recording with the key is one.
    /// - Throws: when the recording cannot be read.
    package mutating func duplexAnswer(_ key: RequestKey, isForAnyHost: Bool = false) throws -> Flow? {
        if let flow = try duplexAnswer(as: key) { return flow }
        guard isForAnyHost else { return nil }
        for other in otherHosts(key) {
            if let flow = try duplexAnswer(as: other) { return flow }
        }
        return nil
    }

    private mutating func duplexAnswer(as key: RequestKey) throws -> Flow? {
        guard let chain = chains[key.combined], keys[Int(chain.first)] == key else { return nil }
        let group = Group(key: key.combined, content: 0, fields: .max)
        var position = positions[group] ?? Position()
        var choice: Entry?
        if position.searched < keys.count {
            choice = try nextDuplex(position.complete.map { following[Int($0)] } ?? chain.first)
            if choice == nil { position.searched = keys.count }
        }
        if choice == nil, !isOnce {
            choice = position.complete
            if order == .cycle, choice != nil {
                choice = try nextDuplex(chain.first)
                position.searched = 0
            }
        }
        position.complete = choice ?? position.complete
        positions[group] = position
        guard let choice else { return nil }
        if isOnce { served.insert(choice) }
        return try flow(choice)
    }

    private mutating func nextDuplex(_ first: Entry) throws -> Entry? {
        var entry = first
        while entry != Self.none {
            if has(entry, Flags.hasContent), !has(entry, Flags.isReplaced), !served.contains(entry), try isDuplex(entry) {
                return entry
            }
            entry = following[Int(entry)]
        }
        return nil
    }

    private mutating func isDuplex(_ entry: Entry) throws -> Bool {
        if !has(entry, Flags.isDuplexKnown) {
            flags[Int(entry)] |= Flags.isDuplexKnown | (try flow(entry).isDuplex ? Flags.isDuplex : 0)
        }
        return has(entry, Flags.isDuplex)
    }

    private func has(_ entry: Entry, _ flag: UInt8) -> Bool { flags[Int(entry)] & flag != 0 }

    /// Whether an entry has the values of the fields that must be equal.
    private mutating func matches(_ entry: Entry, _ wanted: Wanted) throws -> Bool {
        if has(entry, Flags.isReplaced) || wanted.isWhole && has(entry, Flags.isPartial) { return false }
        guard !wanted.fields.isEmpty else { return true }
        guard let head = try flow(entry).request?.head else { return false }
        return zip(rules.headers, wanted.fields).allSatisfy { head.fields.joined($0) == $1 }
    }

    /// What stands for the content of an entry; 0 where there is none, or it does not count.
    private mutating func digest(_ entry: Entry) throws -> UInt64 {
        guard has(entry, Flags.hasContent), rules.body != .none, !rules.ignore.body else { return 0 }
        let flow = try flow(entry)
        // Content that is damaged is no other content: digests are odd.
        guard let content = try flow.pieces.contentUnlessDamaged(from: .client) else { return 2 }
        return RequestContent.digest(
            content, flow.request?.head.fields ?? FieldSection(), rules)
    }

    /// The flow of an entry.
    /// - Throws: when it cannot be read.
    package mutating func flow(_ entry: Entry) throws -> Flow {
        if origins[Int(entry)] == Self.keptOrigin { return try read(entry) }
        if let known = recent[entry] { return known }
        let flow = try read(entry)
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
        for index in keys.indices where !has(Entry(index), Flags.isReplaced) { body(Entry(index), keys[index]) }
    }

    /// Entries with the key of an entry, from it on.
    func alike(_ entry: Entry, atMost count: Int) -> [Entry] {
        var found: [Entry] = []
        var next = entry
        while next != Self.none, found.count < count {
            if !has(next, Flags.isReplaced) { found.append(next) }
            next = following[Int(next)]
        }
        return found
    }

    /// Reads a flow without keeping it: it is needed once, and flows that clients ask for keep their place.
    func read(_ entry: Entry) throws -> Flow {
        let place = places[Int(entry)]
        let origin = origins[Int(entry)]
        return origin == Self.keptOrigin ? kept[Int(place.block)] : try files[Int(origin)].flow(at: place)
    }
}

extension FieldSection {
    /// A request's, which asks for a part, or for the whole only if it has changed (RFC 9110 §13, §14).
    fileprivate var askForLess: Bool { contains("range") || contains("if-none-match") || contains("if-modified-since") }
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
