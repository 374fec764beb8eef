// A list of flows: those that a filter lets through, in an order. It fills while the recordings are read, and grows with them.

import Dispatch
import FlowArchive
import FlowFilter
import FlowModel
import FlowTable
import HTTPSemantics
import NIOCore
import Synchronization

/// What a list knows at a moment.
package struct ListStatus: Sendable, Equatable {
    /// Flows in the list, flows that were tested, and flows of the recordings.
    package var matched: Int
    package var scanned: Int
    package var total: Int
    /// All flows that are there now were tested, and put in order.
    package var isDone: Bool
    /// Counts changes of the list that are not only flows at its end.
    package var revision: Int
    /// Why the filter failed on a flow, which is not in the list.
    package var failure: String?
}

/// A list of flows. Shared by threads.
package final class FlowList: Sendable {
    package let filter: FlowFilter?
    package let order: FlowOrder?
    private let index: FlowIndex
    /// Whose flows are tested; nil: those of the recordings.
    private let base: FlowList?
    /// What flows of the base are tested with; nil lists all of them.
    private let narrowing: FlowFilter?
    private let state: Mutex<State>
    /// Reads the recordings, one round after the other.
    private let queue = DispatchQueue(label: "list")
    private let isCancelled = Atomic<Bool>(false)
    /// Groups that were asked for.
    let counted = Mutex<[GroupKey: CountedGroups]>([:])
    private let changed: @Sendable () -> Void

    fileprivate struct State: Sendable {
        /// The flows in the order of the recordings; nil: all of them.
        var found: OrdinalSet?
        /// The flows in the order of the list, when that is another one.
        var sorted: [UInt32] = []
        var sortedCount = 0
        var scanned = 0
        var isDone = false
        var revision = 0
        var failure: String?
        var isAdvancing = false
        var mustAdvance = false
        /// Threads that wait for the end of the first round.
        var waiting: [DispatchSemaphore] = []
        /// Lists of which this one is the base.
        var followers: [ObjectIdentifier: Follower] = [:]
        var isClosed = false

        struct Follower: Sendable {
            weak let list: FlowList?
        }

        /// - Returns: whom to wake, when there is nothing more to wait for.
        mutating func takeWaiting(isOver: Bool) -> [DispatchSemaphore] {
            guard isOver else { return [] }
            defer { waiting = [] }
            return waiting
        }
    }

    /// What the scanning thread owns.
    private final class Scan {
        var files: [Int: ScannedFile] = [:]
        var lastChange = 0
        /// Flows of the base.
        var tested = OrdinalBits()
        var ordered: OrderedFlows?
    }
    // SAFETY: used only on `queue`.
    nonisolated(unsafe) private let scan = Scan()

    /// Begins to fill the list.
    /// - Parameters:
    ///   - filter: nil lists all flows.
    ///   - base: the list has only flows of this one, and grows with it.
    ///   - order: nil is the order of the recordings.
    ///   - changed: called from any thread when the list has changed, often.
    package init(
        of index: FlowIndex, where filter: FlowFilter?, within base: FlowList? = nil, order: FlowOrder? = nil,
        changed: @escaping @Sendable () -> Void = {}
    ) {
        self.index = index
        self.order = order
        self.changed = changed
        narrowing = filter
        self.base = base.flatMap { $0.isCheaperThanFiles ? $0 : nil }
        let whole = base?.filter.map { base in filter.map { base.and($0) } ?? base } ?? filter
        self.filter = whole
        state = Mutex(State(found: whole == nil ? nil : OrdinalSet()))
        unsafe scan.ordered = order.map { OrderedFlows($0) }
        self.base?.state.withLock { $0.followers[ObjectIdentifier(self)] = State.Follower(list: self) }
        advance()
    }

    /// Whether reading its flows one by one costs less than reading the files again: its filter needs contents, or it has few flows.
    private var isCheaperThanFiles: Bool {
        guard let filter else { return false }
        let status = status
        return filter.needsContent || (status.isDone && status.matched < status.total / 8)
    }

    package var status: ListStatus {
        let total = index.count
        return state.withLock { state in
            let matched = state.found?.count ?? total
            return ListStatus(
                matched: matched, scanned: state.found == nil ? total : min(total, state.scanned), total: total,
                isDone: state.isDone && (order == nil || state.sorted.count == matched), revision: state.revision,
                failure: state.failure)
        }
    }

    /// The ordinals of a part of the list.
    package func ordinals(_ range: Range<Int>) -> [Int] {
        let total = index.count
        return state.withLock { state in
            if order != nil { return state.sorted[range.clamped(to: state.sorted.indices)].map { Int($0) } }
            guard let found = state.found else { return Array(range.clamped(to: 0..<total)) }
            return found.ordinals(range)
        }
    }

    /// Where a flow is in the list; nil if it is not.
    package func position(of ordinal: Int) -> Int? {
        let total = index.count
        return state.withLock { state in
            if order != nil { return state.sorted.firstIndex(of: UInt32(clamping: ordinal)) }
            guard let found = state.found else { return ordinal < total ? ordinal : nil }
            return found.position(of: ordinal)
        }
    }

    /// The flows of the list, nil for all, and the facts of all flows.
    var members: (found: OrdinalSet?, facts: FactsTable) {
        let found = state.withLock { $0.found }
        return (found, index.state.withLock { $0.facts })
    }

    /// The texts of hosts, clients or types by their numbers.
    func texts(of key: GroupKey) -> [ByteBuffer] {
        index.state.withLock { state in
            switch key {
            case .client: state.clients.texts
            case .type: state.types.texts
            default: state.hosts.texts
            }
        }
    }

    /// Ends the reading, when no other list needs it.
    package func cancel() {
        let isUnused = state.withLock { state in
            state.isClosed = true
            return state.followers.isEmpty
        }
        guard isUnused else { return }
        isCancelled.store(true, ordering: .relaxed)
        for waiting in state.withLock({ $0.takeWaiting(isOver: true) }) { waiting.signal() }
        base?.release(self)
    }

    private func release(_ follower: FlowList) {
        let isClosed = state.withLock { state in
            state.followers[ObjectIdentifier(follower)] = nil
            return state.isClosed
        }
        if isClosed { cancel() }
    }

    /// Waits until all flows that are there were tested, or the list is closed.
    /// - Returns: false if it was closed, so that flows may be missing.
    @discardableResult
    package func waitUntilDone() -> Bool {
        let done = DispatchSemaphore(value: 0)
        let mustWait = state.withLock { state in
            let mustWait = !state.isDone && !isCancelled.load(ordering: .relaxed)
            if mustWait { state.waiting.append(done) }
            return mustWait
        }
        if mustWait { done.wait() }
        return !isCancelled.load(ordering: .relaxed)
    }

    /// Continues after the index has grown or changed.
    package func advance() {
        // A base that is closed is advanced by its followers alone.
        base?.advance()
        advanceAfterBase()
    }

    private func advanceAfterBase() {
        let begins = state.withLock { state in
            state.mustAdvance = true
            defer { state.isAdvancing = true }
            return !state.isAdvancing
        }
        guard begins else { return }
        queue.async { [self] in
            while takeRequest() { unsafe scanOnce(scan) }
        }
    }

    private func takeRequest() -> Bool {
        state.withLock { state in
            let must = state.mustAdvance && !isCancelled.load(ordering: .relaxed)
            state.mustAdvance = false
            state.isAdvancing = must
            return must
        }
    }

    // MARK: Scanning

    private func scanOnce(_ scan: Scan) {
        let baseStatus = base?.status
        let (count, isComplete, sources) = index.state.withLock { ($0.facts.count, $0.isComplete, $0.sources) }
        if let filter {
            state.withLock { $0.isDone = false }
            scanKept(filter, scan)
            if let base { scanBase(base, scan) }
            for (number, source) in (base == nil ? sources : []).enumerated() {
                guard let lookup = source.lookup, !isCancelled.load(ordering: .relaxed) else { continue }
                scanFile(number, lookup.path, source.keys, filter, scan)
            }
        }
        guard !isCancelled.load(ordering: .relaxed) else { return }
        sort(scan, isLast: true)
        let waiting = state.withLock { state in
            state.scanned = baseStatus?.scanned ?? count
            state.isDone = baseStatus?.isDone ?? isComplete
            return state.takeWaiting(isOver: state.isDone)
        }
        for one in waiting { one.signal() }
        noteChanged()
    }

    private func noteChanged() {
        changed()
        for follower in state.withLock({ $0.followers.values.map(\.list) }) { follower?.advanceAfterBase() }
    }

    /// Tests flows of the base that are whole in their blocks. The index keeps the others, and they were tested.
    private func scanBase(_ base: FlowList, _ scan: Scan) {
        let facts = index.state.withLock { $0.facts }
        let candidates = base.state.withLock { $0.found }
        var found: [UInt32] = []
        candidates?.forEach { ordinal in
            guard ordinal < facts.count, !facts[ordinal].isKept, !isCancelled.load(ordering: .relaxed),
                scan.tested.insert(ordinal)
            else { return }
            do {
                let isMatch = try index.withAttributes(of: ordinal) { flow in try narrowing?.matches(flow) ?? true }
                if isMatch == true { found.append(UInt32(ordinal)) }
            } catch {
                note(failure: "\(error)")
            }
        }
        state.withLock { $0.found?.insert(contentsOf: found) }
    }

    /// Tests the flows that the index keeps.
    private func scanKept(_ filter: FlowFilter, _ scan: Scan) {
        let (flows, last) = index.changes(after: scan.lastChange)
        scan.lastChange = last
        guard !flows.isEmpty else { return }
        let answers = flows.map { (ordinal: $0.ordinal, isMatch: test($0.flow, filter)) }
        state.withLock { state in
            for answer in answers { state.change(answer.ordinal, isMatch: answer.isMatch) }
        }
    }

    private func test(_ flow: Flow, _ filter: FlowFilter) -> Bool {
        do { return try filter.matches(flow) } catch let error as ArchiveError where error.kind == .damagedContent {
            return false
        } catch {
            note(failure: "\(error)")
            return false
        }
    }

    private func note(failure: String) { state.withLock { $0.failure = $0.failure ?? failure } }

    private func scanFile(
        _ source: Int, _ path: String, _ keys: ArchiveKeys, _ filter: FlowFilter, _ scan: Scan
    ) {
        do {
            let file = try scan.files[source] ?? ScannedFile(source, path: path, keys: keys, filter)
            scan.files[source] = file
            try file.read(
                into: index, isCancelled: { [self] in isCancelled.load(ordering: .relaxed) },
                found: { [self] ordinals, scanned in
                    state.withLock { state in
                        state.found?.insert(contentsOf: ordinals)
                        state.scanned = max(state.scanned, scanned)
                    }
                    sort(scan, isLast: false)
                    noteChanged()
                })
        } catch {
            note(failure: "\(error)")
        }
    }

    // MARK: Order

    /// - Parameter isLast: otherwise the order is made again only when the list has doubled.
    private func sort(_ scan: Scan, isLast: Bool) {
        guard order != nil else { return }
        let total = index.count
        let (found, sortedCount) = state.withLock { ($0.found, $0.sortedCount) }
        let count = found?.count ?? total
        guard isLast || count > 2 * sortedCount else { return }
        let sorted = scan.ordered?.update(found, in: index) { [self] in isCancelled.load(ordering: .relaxed) }
        state.withLock { state in
            guard let sorted, state.sorted != sorted else { return }
            (state.sorted, state.sortedCount) = (sorted, count)
            state.revision += 1
        }
    }
}

extension FlowList.State {
    fileprivate mutating func change(_ ordinal: Int, isMatch: Bool) {
        guard let last = found?.last else {
            if isMatch { found?.insert(ordinal) }
            return
        }
        if isMatch {
            if ordinal < last, found?.position(of: ordinal) == nil { revision += 1 }
            found?.insert(ordinal)
        } else if found?.remove(ordinal) == true {
            revision += 1
        }
    }
}
