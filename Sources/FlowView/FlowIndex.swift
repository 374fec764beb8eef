// The index of recordings: facts of all flows, and where each flow is. A reader adds to it; lists, rows and details ask it. A flow that is whole
// in its block stays in the file and is read again when it is shown. Flows with parts in several blocks, those of pipes and of other
// programs' files are kept, their content in the file where possible.

import FlowArchive
import FlowModel
import HTTPSemantics
import NIOCore
import Synchronization

/// The flows of all recordings that are shown. Shared by threads.
package final class FlowIndex: Sendable {
    /// A source and what is known of it.
    struct Source: Sendable {
        var name: String
        /// Fetches flows again; nil: all flows are kept.
        var lookup: ArchiveLookup?
        /// Decrypt the file.
        var keys = ArchiveKeys()
        var status = SourceStatus()
        /// The numbers of its blocks, in the order of their offsets.
        var blocks: [UInt32] = []
    }

    /// A block that has flows.
    struct Block: Sendable {
        var source: Int
        var offset: UInt64
        /// The ordinal of its first flow. The others follow, and so may kept flows of the same source.
        var first: Int
    }

    /// A flow in memory.
    struct Kept: Sendable {
        var flow: Flow
        var ordinal: Int
        /// A flow file has it.
        var isInFile: Bool
        /// The number of its last change.
        var change: Int
    }

    struct State: Sendable {
        var facts = FactsTable()
        var hosts = InternedTexts()
        var clients = InternedTexts()
        /// Media types of responses.
        var types = InternedTexts()
        var blocks: [Block] = []
        var kept: [Kept] = []
        /// Kept flows in the order of their changes. One that changed again is in it several times; its last change counts.
        var changes: [(number: Int, kept: Int)] = []
        var lastChange = 0
        /// Kept flows that have not ended.
        var open: [FlowID: Int] = [:]
        var sources: [Source] = []
        var isComplete = false
    }

    let state = Mutex(State())

    package init() {}

    /// Flows so far.
    package var count: Int { state.withLock { $0.facts.count } }

    // MARK: Adding

    /// Adds a source.
    /// - Parameters:
    ///   - lookup: nil for one whose flows are all kept.
    ///   - keys: decrypt the file.
    /// - Returns: its number.
    package func addSource(_ name: String, _ lookup: ArchiveLookup? = nil, keys: ArchiveKeys = ArchiveKeys()) -> Int {
        state.withLock { state in
            state.sources.append(Source(name: name, lookup: lookup, keys: keys))
            return state.sources.count - 1
        }
    }

    package func update(_ source: Int, _ change: (inout SourceStatus) -> Void) {
        state.withLock { change(&$0.sources[source].status) }
    }

    /// All sources were read to their current ends.
    package func noteComplete() { state.withLock { $0.isComplete = true } }

    /// Adds a flow that is in memory, or replaces it when it was added before it had ended.
    func add(_ flow: Flow, isOpen: Bool) { state.withLock { $0.add(flow, isOpen: isOpen, isInFile: true) } }

    /// Adds a flow of a source that is not a flow file.
    package func add(_ flow: Flow) { state.withLock { $0.add(flow, isOpen: false, isInFile: false) } }

    // MARK: Asking

    /// The kept flows that were added or changed after a change.
    func changes(after number: Int) -> (flows: [(ordinal: Int, flow: Flow)], last: Int) {
        state.withLock { state in
            guard number < state.lastChange else { return ([], number) }
            let start = state.changes.partition(after: number)
            var found: [(ordinal: Int, flow: Flow)] = []
            for change in state.changes[start...] {
                let kept = state.kept[change.kept]
                if kept.change == change.number { found.append((kept.ordinal, kept.flow)) }
            }
            return (found, state.lastChange)
        }
    }

    /// The facts of all flows, and the kept flows whose facts have changed after a change, which becomes the last one.
    func facts(changedAfter number: inout Int) -> (facts: FactsTable, changed: [Int]) {
        state.withLock { state in
            let start = state.changes.partition(after: number)
            number = state.lastChange
            return (state.facts, state.changes[start...].map { state.kept[$0.kept].ordinal })
        }
    }

    /// A flow by its ordinal.
    /// - Throws: when its block cannot be read any more.
    package func flow(_ ordinal: Int) throws -> Flow? {
        switch place(of: ordinal) {
        case .kept(let flow)?: flow
        case .stored(let lookup, let place)?: try lookup.flow(at: place)
        case nil: nil
        }
    }

    /// A flow with the certificates of its connections, which stand elsewhere in the file.
    /// - Throws: when its block cannot be read any more.
    package func flowWithCertificates(_ ordinal: Int) throws -> Flow? {
        guard let flow = try flow(ordinal) else { return nil }
        let tls = [flow.client?.value.tls, flow.server?.value.tls]
        guard tls.contains(where: { $0?.certificates.isEmpty == false }), let source = source(of: ordinal),
            let path = source.lookup?.path, let input = try? ArchiveInput(path: path, keys: source.keys)
        else { return flow }
        let reader = ArchiveReader(input, where: OneFlow(flow))
        // Blocks without certificates and outside of its time are skipped.
        while let item = try reader.next() {
            if case .flow(let found) = item { return found }
        }
        return flow
    }

    /// The ordinal of a flow.
    package func ordinal(of id: FlowID) -> Int? {
        let facts = state.withLock { $0.facts }
        let identity = FlowFacts.identity(id)
        var candidates: [Int] = []
        facts.forEach(0..<facts.count) { ordinal, facts in if facts.identity == identity { candidates.append(ordinal) } }
        return candidates.last { (try? withAttributes(of: $0) { $0.id == id }) == true }
    }

    /// Calls back with the attributes of a flow, without making it where it is stored.
    /// - Returns: nil if there is no such flow.
    /// - Throws: when its block cannot be read any more; what the body throws.
    func withAttributes<Result>(of ordinal: Int, _ body: (any FlowAttributes) throws -> Result) throws -> Result? {
        switch place(of: ordinal) {
        case .kept(let flow)?: try body(flow)
        case .stored(let lookup, let place)?: try lookup.withRecord(at: place, body)
        case nil: nil
        }
    }

    /// The file of a flow that is whole in its block.
    private func source(of ordinal: Int) -> Source? {
        state.withLock { state in
            let facts = state.facts[ordinal]
            return facts.isKept ? nil : state.sources[state.blocks[Int(facts.block)].source]
        }
    }

    private enum Place {
        case kept(Flow)
        case stored(ArchiveLookup, FlowPlace)
    }

    private func place(of ordinal: Int) -> Place? {
        state.withLock { state in
            guard ordinal >= 0, ordinal < state.facts.count else { return nil }
            let facts = state.facts[ordinal]
            if facts.isKept { return .kept(state.kept[Int(facts.record)].flow) }
            let block = state.blocks[Int(facts.block)]
            guard let lookup = state.sources[block.source].lookup else { return nil }
            return .stored(lookup, FlowPlace(block: block.offset, record: facts.record))
        }
    }
}

/// Selects a flow by its identifier.
private struct OneFlow: FlowPredicate {
    private let id: FlowID
    private let started: Timestamp

    init(_ flow: Flow) { (id, started) = (flow.id, flow.started) }

    func matches(_ flow: some FlowAttributes) -> Bool { flow.id == id }
    func mayMatch(_ block: some BlockSummary) -> Bool { block.times?.contains(started) ?? false }
}

extension FlowIndex.State {
    /// Adds the record of a flow that is whole in its block.
    mutating func add(_ view: RecordView, _ place: FlowPlace, from source: Int) {
        var facts = facts(of: view)
        if blocks.last?.offset != place.block || blocks.last?.source != source {
            sources[source].blocks.append(UInt32(blocks.count))
            blocks.append(FlowIndex.Block(source: source, offset: place.block, first: self.facts.count))
        }
        facts.block = UInt32(blocks.count - 1)
        facts.record = place.record
        self.facts.append(facts)
    }

    mutating func add(_ flow: Flow, isOpen: Bool, isInFile: Bool) {
        var facts = facts(of: flow)
        if flow.isBeingRecorded { facts.insert(.isBeingRecorded) }
        if isOpen { facts.insert(.mayChange) }
        lastChange += 1
        let known = open[flow.id]
        let number = known ?? kept.count
        facts.record = UInt32(number)
        if let known {
            kept[known].flow = flow
            kept[known].change = lastChange
            self.facts[kept[known].ordinal] = facts
            compactChanges()
        } else {
            kept.append(FlowIndex.Kept(flow: flow, ordinal: self.facts.count, isInFile: isInFile, change: lastChange))
            self.facts.append(facts)
        }
        changes.append((lastChange, number))
        open[flow.id] = isOpen ? number : nil
    }

    private mutating func facts(of flow: some FlowAttributes) -> FlowFacts {
        let host = hosts.number(of: flow.displayHost)
        let client = clients.number(of: flow.clientAddress.map { $0.withoutPort } ?? ByteBuffer())
        let type = UInt16(clamping: types.number(of: FlowFacts.mediaType(of: flow), maximum: Int(UInt16.max)))
        return FlowFacts(flow, host: host, client: client, type: type)
    }

    private mutating func compactChanges() {
        guard changes.count > 2 * kept.count + 1024 else { return }
        changes.removeAll { kept[$0.kept].change != $0.number }
    }
}

extension [(number: Int, kept: Int)] {
    /// The index of the first change after a number.
    fileprivate func partition(after number: Int) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].number <= number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension ByteBuffer {
    /// The address of `address:port`.
    fileprivate var withoutPort: ByteBuffer {
        let bytes = readableBytesUInt8Span
        var end = bytes.count
        while end > 0, bytes[end - 1] != UInt8(ascii: ":") { end -= 1 }
        return end > 0 ? slice(ByteRange(0, end - 1)) : self
    }
}

/// What is known of a source of flows.
package struct SourceStatus: Sendable, Equatable {
    /// Bytes that were read, and of the file; nil for a pipe.
    package var offset: UInt64 = 0
    package var size: UInt64?
    /// Its recorder has closed it.
    package var isSealed = false
    /// More may follow.
    package var isGrowing = false
    /// What was wrong with it, a sentence each, up to a limit.
    package var damage: [String] = []
    package var damages = 0
    /// Why it cannot be read on.
    package var failure: String?

    static let maximumSentences = 100

    package mutating func note(damage sentence: String) {
        damages += 1
        if damage.count < Self.maximumSentences { damage.append(sentence) }
    }
}
