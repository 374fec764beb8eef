// Which of several recordings of one request answers next. Requests that are equal share a position in their recordings.

import NIOCore

/// Which of several recordings of one request answers.
package enum ReplayOrder: String, Sendable, CaseIterable {
    /// In the order of the recording; the last one repeats.
    case sequence
    case last
    /// In the order of the recording, and again from its beginning.
    case cycle
    /// The latest that is not later in the recording than now is after the start.
    case time
}

/// Requests with the same key, the same content, and the same values in the fields that must be equal.
struct RequestGroup: Hashable {
    var key: UInt64
    var content: UInt64
    var fields: UInt64
}

extension RequestGroup {
    /// The group of a request that has recordings in these forms.
    init(_ forms: [RequestForm]) {
        var (keys, values) = (ByteHash(), ByteHash())
        for form in forms {
            if forms.count > 1 {
                keys.add(form.key.combined)
                keys.add(form.digest)
            }
            for field in form.fields { values.add(field.map { ByteHash.of($0) } ?? 0) }
        }
        self.init(
            key: forms.count == 1 ? forms[0].key.combined : keys.value, content: forms.count == 1 ? forms[0].digest : 0,
            fields: values.value)
    }
}

/// How far each group of equal requests has come.
struct ReplayOrderState {
    private let order: ReplayOrder
    /// Each recording answers once.
    private let isOnce: Bool
    private var positions: [RequestGroup: Position] = [:]
    /// The entries that have answered, if each may do so once.
    private var served: Set<Entry> = []

    /// Complete recordings come before truncated ones.
    private struct Position {
        /// The last complete entry that has answered, and the last truncated one.
        var complete: Entry?
        var truncated: Entry?
        /// The last of them that is useful to every client.
        var whole: Entry?
        /// The capacity of the table when no further entry was found, and no further one that is useful to every client.
        var searched = 0
        var searchedForWhole = 0

        /// The entry that repeats when none is left.
        func last(needsWhole: Bool) -> Entry? { needsWhole ? whole : complete ?? truncated }
    }

    enum Choice {
        case entry(Entry)
        /// Every recording of the request has answered; the last of them.
        case exhausted(Entry)
        case none
    }

    init(_ order: ReplayOrder, isOnce: Bool) {
        self.order = order
        self.isOnce = isOnce
    }

    /// An entry represents the same flow as one before it.
    mutating func replace(_ old: Entry, with new: Entry) {
        if served.contains(old) { served.insert(new) }
    }

    // MARK: Requests

    /// Chooses the next entry of a group.
    /// - Parameters:
    ///   - matching: the entries with the key and content of the group.
    ///   - fields: the values of the fields that must be equal, in each form of the request.
    ///   - asksForLess: the client can use a 206 or a 304.
    ///   - elapsed: nanoseconds since the start.
    /// - Throws: if a recording cannot be read.
    mutating func choose(
        _ group: RequestGroup, _ matching: MatchingEntries, fields: [[ByteBuffer?]], asksForLess: Bool, elapsed: Int64,
        _ entries: inout RecordedEntries
    ) throws -> Choice {
        var position = positions[group] ?? Position()
        var choice: Entry?
        let takesPartial = asksForLess || !entries.table.holdsPartials
        if !takesPartial {
            choice = try nextInOrder(
                &position, matching, Criteria(fields: fields, needsWhole: true), elapsed, &entries
            )
        }
        if choice == nil, takesPartial || position.whole == nil {
            choice = try nextInOrder(
                &position, matching, Criteria(fields: fields, needsWhole: false), elapsed,
                &entries)
        }
        let last = position.last(needsWhole: false)
        if last != nil || choice != nil { positions[group] = position }
        guard let choice else { return last.map { .exhausted($0) } ?? .none }
        if isOnce, !served.insert(choice).inserted { return .exhausted(choice) }
        return .entry(choice)
    }

    private func nextInOrder(
        _ position: inout Position, _ matching: MatchingEntries, _ criteria: Criteria, _ elapsed: Int64,
        _ entries: inout RecordedEntries
    ) throws -> Entry? {
        switch order {
        case .sequence:
            if let next = try advance(&position, matching, criteria, &entries) { return next }
            return isOnce ? nil : position.last(needsWhole: criteria.needsWhole)
        case .cycle:
            if let next = try advance(&position, matching, criteria, &entries) { return next }
            guard !isOnce, position.last(needsWhole: criteria.needsWhole) != nil else { return nil }
            position = Position()
            return try advance(&position, matching, criteria, &entries)
        case .last:
            while try advance(&position, matching, criteria, &entries) != nil {}
            return position.last(needsWhole: criteria.needsWhole)
        case .time:
            let limit = (entries.table.firstStart ?? 0) &+ elapsed
            return try latest(until: limit, matching, criteria, &entries)
        }
    }

    /// Moves to the next entry: complete ones first, then truncated ones. With `--once` those that have answered a duplex request
    /// are skipped.
    private func advance(
        _ position: inout Position, _ matching: MatchingEntries, _ criteria: Criteria, _ entries: inout RecordedEntries
    ) throws -> Entry? {
        let capacity = entries.table.capacity
        guard max(position.searched, criteria.needsWhole ? position.searchedForWhole : 0) < capacity else { return nil }
        for isComplete in [true, false] {
            let known = isComplete ? position.complete : position.truncated
            var entry = known.map { matching.next(after: $0, entries) } ?? matching.first
            while entry != .none {
                defer { entry = matching.next(after: entry, entries) }
                guard entries.table.has(entry, .isComplete) == isComplete, try entries.matches(entry, criteria) else { continue }
                if isComplete { position.complete = entry } else { position.truncated = entry }
                // A truncated recording does not take the place of a complete one.
                let isBest = isComplete || position.whole.map { !entries.table.has($0, .isComplete) } ?? true
                if isBest, !entries.table.has(entry, .isPartial) { position.whole = entry }
                if order == .last || !served.contains(entry) { return entry }
            }
        }
        if criteria.needsWhole { position.searchedForWhole = capacity } else { position.searched = capacity }
        return nil
    }

    /// The last entry that began before a moment of the recording; if none did, the first of all.
    private func latest(
        until limit: Int64, _ matching: MatchingEntries, _ criteria: Criteria, _ entries: inout RecordedEntries
    ) throws -> Entry? {
        var best: Entry?
        var entry = matching.first
        while entry != .none {
            defer { entry = matching.next(after: entry, entries) }
            guard try entries.matches(entry, criteria) else { continue }
            guard let known = best else {
                best = entry
                continue
            }
            let (start, bestStart) = (entries.table.start(of: entry), entries.table.start(of: known))
            if start <= limit ? (start >= bestStart || bestStart > limit) : start < bestStart { best = entry }
        }
        return best
    }

    // MARK: Duplex requests

    /// Chooses the next recording in which the response began before the request was complete. The content of the request is not
    /// known yet, so it is not compared.
    /// - Returns: nil if no recording with the key is duplex.
    /// - Throws: if a recording cannot be read.
    mutating func chooseDuplex(_ key: RequestKey, _ entries: inout RecordedEntries) throws -> Entry? {
        guard let chain = entries.table.chain(key) else { return nil }
        let group = RequestGroup(key: key.combined, content: 0, fields: .max)
        var position = positions[group] ?? Position()
        var choice: Entry?
        if position.searched < entries.table.capacity {
            let first = position.complete.map { entries.table.next(after: $0) } ?? chain.first
            choice = try nextDuplex(first, &entries)
            if choice == nil { position.searched = entries.table.capacity }
        }
        if choice == nil, !isOnce {
            choice = position.complete
            if order == .cycle, choice != nil {
                choice = try nextDuplex(chain.first, &entries)
                position.searched = 0
            }
        }
        position.complete = choice ?? position.complete
        positions[group] = position
        if isOnce, let choice { served.insert(choice) }
        return choice
    }

    private func nextDuplex(_ first: Entry, _ entries: inout RecordedEntries) throws -> Entry? {
        var entry = first
        while entry != .none {
            let isUnused = !entries.table.has(entry, .isReplaced) && !served.contains(entry)
            if isUnused, entries.table.has(entry, .hasContent), try entries.isDuplex(entry) { return entry }
            entry = entries.table.next(after: entry)
        }
        return nil
    }
}
