// The table of recorded requests: one column for each fact, one element for each entry. A flow that is whole in its block costs
// some fifty bytes here; its heads and content stay in the file. Entries with the same key are linked in the order of the
// recording.

import FlowArchive
import FlowModel
import HTTPSemantics

/// The number of a recorded request, in the order of the recording.
package typealias Entry = UInt32

/// The number of a source of recordings, in the order in which sources were added.
package typealias RecordingSource = UInt32

extension Entry {
    /// The end of a chain.
    static let none = Entry.max
}

/// Entries that are linked with each other.
struct EntryChain {
    var first: Entry
    var last: Entry

    /// Appends an entry to a chain, which may be empty.
    /// - Parameter links: the entry that follows each.
    static func append(_ entry: Entry, to chain: inout EntryChain?, _ links: inout [Entry]) {
        guard let known = chain else {
            chain = EntryChain(first: entry, last: entry)
            return
        }
        links[Int(known.last)] = entry
        chain = EntryChain(first: known.first, last: entry)
    }
}

/// Facts about a recorded request.
struct EntryFlags: OptionSet {
    var rawValue: UInt8

    static let isComplete = EntryFlags(rawValue: 1)
    static let hasContent = EntryFlags(rawValue: 2)
    /// The flow was added again after it had ended: another entry represents it.
    static let isReplaced = EntryFlags(rawValue: 4)
    /// Whether the exchange is duplex has been determined.
    static let isDuplexKnown = EntryFlags(rawValue: 8)
    /// The response began before the request was complete.
    static let isDuplex = EntryFlags(rawValue: 16)
    /// A 206 or 304: useful only to clients that sent a range or condition.
    static let isPartial = EntryFlags(rawValue: 32)
}

/// Where the flow of an entry is kept.
struct EntryLocation {
    private static let memory = UInt32.max
    /// Of the block in its file; of a flow in memory its index.
    private let block: UInt64
    private let record: UInt32
    /// The number of its source.
    let source: RecordingSource

    init(in source: RecordingSource, _ place: FlowPlace) {
        precondition(place.record != Self.memory, "no block has records of 4 GiB")
        (block, record, self.source) = (place.block, place.record, source)
    }

    init(inMemory index: Int, from source: RecordingSource) { (block, record, self.source) = (UInt64(index), Self.memory, source) }

    /// The index of a flow in memory; nil: it is in a file.
    var index: Int? { record == Self.memory ? Int(block) : nil }
    /// The place in the file of the source.
    var place: FlowPlace { FlowPlace(block: block, record: record) }
}

/// The columns.
struct EntryTable {
    private var keys: [RequestKey] = []
    private var links: [Entry] = []
    private var locations: [EntryLocation] = []
    private var flags: [EntryFlags] = []
    /// Nanoseconds since 1970.
    private var starts: [Int64] = []
    /// By the combined key.
    private var chains: [UInt64: EntryChain] = [:]
    private var replacedCount = 0
    /// Entries of flows that had not ended when they were added.
    private var openEntries: [FlowID: Entry] = [:]
    /// All hosts, in the order of the recording; nil until they are needed.
    private var hosts: [UInt32]?
    /// Some entries are partial.
    private(set) var holdsPartials = false
    /// When the earliest request began, in nanoseconds since 1970.
    private(set) var firstStart: Int64?

    /// Entries, replaced ones included. Every entry is below this number.
    var capacity: Int { keys.count }
    var count: Int { keys.count - replacedCount }

    // MARK: Columns

    func has(_ entry: Entry, _ flag: EntryFlags) -> Bool { flags[Int(entry)].contains(flag) }
    mutating func set(_ entry: Entry, _ flag: EntryFlags) { flags[Int(entry)].insert(flag) }
    func location(of entry: Entry) -> EntryLocation { locations[Int(entry)] }
    func start(of entry: Entry) -> Int64 { starts[Int(entry)] }
    /// The next entry with the same key, or ``Entry/none``.
    func next(after entry: Entry) -> Entry { links[Int(entry)] }

    // MARK: Keys

    /// The entries with a key.
    func chain(_ key: RequestKey) -> EntryChain? {
        guard let chain = chains[key.combined], keys[Int(chain.first)] == key else { return nil }
        return chain
    }

    /// The other hosts for which one of the keys is recorded, in the order of the recording.
    /// - Parameter keys: of one host.
    mutating func otherHosts(than asked: [RequestKey]) -> [UInt32] {
        if hosts == nil {
            var known: Set<UInt32> = []
            hosts = keys.compactMap { known.insert($0.host).inserted ? $0.host : nil }
        }
        return (hosts ?? []).filter { host in
            asked.contains { key in
                guard host != key.host else { return false }
                var other = key
                other.host = host
                return chains[other.combined] != nil
            }
        }
    }

    /// Visits every entry that is not replaced.
    @inline(__always) func forEachKey(_ body: (Entry, RequestKey) -> Void) {
        for index in keys.indices where !has(Entry(index), .isReplaced) { body(Entry(index), keys[index]) }
    }

    /// The entries with the key of an entry, from that entry on.
    func entries(from entry: Entry, atMost count: Int) -> [Entry] {
        var found: [Entry] = []
        var next = entry
        while next != .none, found.count < count {
            if !has(next, .isReplaced) { found.append(next) }
            next = links[Int(next)]
        }
        return found
    }

    // MARK: Filling

    /// Appends an entry. If the same flow was added while it was open, its old entry is replaced.
    /// - Parameter isOpen: the flow has not ended, so it may be added again.
    /// - Returns: the entry, and the one that it replaces.
    mutating func insert(
        _ id: FlowID, _ key: RequestKey, _ location: EntryLocation, _ flags: EntryFlags, started: Timestamp, isOpen: Bool = false
    ) -> (entry: Entry, replaced: Entry?) {
        let entry = Entry(keys.count)
        let replaced = openEntries.removeValue(forKey: id)
        if let replaced {
            set(replaced, .isReplaced)
            replacedCount += 1
        }
        keys.append(key)
        links.append(.none)
        locations.append(location)
        self.flags.append(flags)
        starts.append(started.nanoseconds)
        if flags.contains(.isPartial) { holdsPartials = true }
        firstStart = min(firstStart ?? started.nanoseconds, started.nanoseconds)
        if hosts?.contains(key.host) == false { hosts?.append(key.host) }
        EntryChain.append(entry, to: &chains[key.combined], &links)
        if isOpen { openEntries[id] = entry }
        return (entry, replaced)
    }
}
