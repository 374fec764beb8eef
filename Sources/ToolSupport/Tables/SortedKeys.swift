// Keys of flows in their order: all of them, in bounded memory, or the first ones.

import FlowArchive
import FlowTable
import NIOCore
import Synchronization

/// Sorts keys of 16 bytes, and texts after them. What does not fit into memory is sorted in parts (runs), which are merged at the end.
struct SortedKeys {
    private struct Entry {
        var prefix: UInt64
        /// The flow's place; for a text, where its place and the text are in `texts`.
        var reference: UInt64
    }

    /// A part that was written.
    private struct Run {
        var offset: UInt64
        var end: UInt64
    }

    private static let minimumMemory: UInt64 = 4 * 1024

    private let isDescending: Bool
    private let memory: Int
    private var entries: [Entry] = []
    /// For each text: place (u64), length (u32), bytes.
    private var texts = ByteBuffer()
    private var hasTexts = false
    private var spool: Spool?
    private var runs: [Run] = []

    init(isDescending: Bool, memory: UInt64) throws {
        self.isDescending = isDescending
        self.memory = Int(clamping: max(memory, Self.minimumMemory))
    }

    mutating func add(_ key: SortKey, _ place: UInt64) throws {
        if let text = key.text {
            entries.append(Entry(prefix: key.prefix, reference: UInt64(texts.writerIndex)))
            texts.writeInteger(place)
            texts.writeInteger(UInt32(text.readableBytes))
            texts.writeImmutableBuffer(text)
            hasTexts = true
        } else {
            entries.append(Entry(prefix: key.prefix, reference: place))
        }
        if entries.count * MemoryLayout<Entry>.size + texts.readableBytes >= memory { try writeRun() }
    }

    /// Goes through the places in the order of their keys.
    mutating func forEach(_ body: (UInt64) throws -> Bool) throws {
        guard !runs.isEmpty else {
            sort()
            for entry in entries { guard try body(stored(entry).place) else { return } }
            return
        }
        try writeRun()
        guard let spool else { return }
        var readers = try runs.map { try RunReader(spool, $0.offset, $0.end, isDescending: isDescending) }
        while true {
            // Of equal keys, that of the earlier run comes first.
            var best: Int?
            for index in readers.indices {
                guard let key = readers[index].current?.key else { continue }
                if let other = best.flatMap({ readers[$0].current?.key }) { if key < other { best = index } } else { best = index }
            }
            guard let best, let place = readers[best].current?.place else { return }
            guard try body(place) else { return }
            try readers[best].advance()
        }
    }

    private func stored(_ entry: Entry) -> (key: SortKey, place: UInt64) {
        // A key without a value has no text.
        guard hasTexts, entry.prefix < .max else {
            return (SortKey(prefix: entry.prefix, text: nil, isDescending: isDescending), entry.reference)
        }
        let at = Int(entry.reference)
        let place: UInt64 = texts.getInteger(at: at) ?? 0
        let length: UInt32 = texts.getInteger(at: at + 8) ?? 0
        let text = texts.getSlice(at: at + 12, length: Int(length))
        return (SortKey(prefix: entry.prefix, text: text, isDescending: isDescending), place)
    }

    private mutating func sort() {
        guard hasTexts else {
            entries.sort { ($0.prefix, $0.reference) < ($1.prefix, $1.reference) }
            return
        }
        let all = self
        entries.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            let (first, second) = (all.stored(a), all.stored(b))
            return first.key == second.key ? first.place < second.place : first.key < second.key
        }
    }

    private mutating func writeRun() throws {
        sort()
        if spool == nil { spool = try Spool() }
        let offset = spool?.length ?? 0
        var bytes = ByteBuffer()
        for entry in entries {
            let (key, place) = stored(entry)
            bytes.writeInteger(key.prefix)
            bytes.writeInteger(place)
            // 0 without a text, otherwise its length plus one.
            bytes.writeInteger(key.text.map { UInt32($0.readableBytes + 1) } ?? 0)
            if let text = key.text { bytes.writeImmutableBuffer(text) }
            guard bytes.readableBytes >= 1 << 18 else { continue }
            _ = try spool?.append(bytes)
            bytes.clear()
        }
        _ = try spool?.append(bytes)
        runs.append(Run(offset: offset, end: spool?.length ?? offset))
        entries.removeAll(keepingCapacity: true)
        texts.clear()
    }
}

/// Reads a run from its beginning.
private struct RunReader {
    private static let step = 64 * 1024
    private static let head = 20

    private let spool: Spool
    private var offset: UInt64
    private let end: UInt64
    private let isDescending: Bool
    private var window = ByteBuffer()
    private(set) var current: (key: SortKey, place: UInt64)?

    init(_ spool: Spool, _ offset: UInt64, _ end: UInt64, isDescending: Bool) throws {
        self.spool = spool
        self.offset = offset
        self.end = end
        self.isDescending = isDescending
        try advance()
    }

    mutating func advance() throws {
        current = nil
        guard try fill(Self.head), let prefix: UInt64 = window.readInteger(), let place: UInt64 = window.readInteger(),
            let length: UInt32 = window.readInteger()
        else { return }
        var text: ByteBuffer?
        if length > 0 {
            guard try fill(Int(length) - 1) else { return }
            text = window.readSlice(length: Int(length) - 1)
        }
        current = (SortKey(prefix: prefix, text: text, isDescending: isDescending), place)
    }

    private mutating func fill(_ count: Int) throws -> Bool {
        while window.readableBytes < count, offset < end {
            let more = try spool.read(at: offset, count: Int(min(UInt64(max(Self.step, count)), end - offset)))
            guard more.readableBytes > 0 else { return false }
            offset += UInt64(more.readableBytes)
            var joined = ByteBuffer()
            joined.writeImmutableBuffer(window)
            joined.writeImmutableBuffer(more)
            window = joined
        }
        return window.readableBytes >= count
    }
}

/// The first keys of an order: a heap whose top is the last one of them.
struct FirstKeys {
    private let limit: Int
    private var heap: [(key: SortKey, place: UInt64)] = []

    init(_ limit: Int) { self.limit = limit }

    /// The last of the keys, when there are as many as there may be.
    var lastKey: SortKey? { heap.count == limit ? heap[0].key : nil }

    /// Whether a key that comes after all others in the recording is among the first ones.
    func admits(_ key: SortKey) -> Bool { lastKey.map { key < $0 } ?? (limit > 0) }

    /// Adds a key that is admitted.
    mutating func insert(_ key: SortKey, _ place: UInt64) {
        guard heap.count < limit else {
            heap[0] = (key, place)
            return sink()
        }
        heap.append((key, place))
        var index = heap.count - 1
        while index > 0, isAfter(heap[index], heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func sink() {
        var index = 0
        while true {
            var largest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && isAfter(heap[child], heap[largest]) {
                largest = child
            }
            guard largest != index else { return }
            heap.swapAt(index, largest)
            index = largest
        }
    }

    private func isAfter(_ a: (key: SortKey, place: UInt64), _ b: (key: SortKey, place: UInt64)) -> Bool {
        a.key == b.key ? a.place > b.place : b.key < a.key
    }

    /// The places, in the order of their keys.
    var sorted: [UInt64] { heap.sorted { isAfter($1, $0) }.map(\.place) }
}

/// The key from which on no flow is returned, as far as it is known. Threads that search read it.
final class SortCutoff: Sendable {
    /// The last of the keys that were added, when there are as many as there may be. Flows that are evaluated later come later in the
    /// recording, so those with an equal key come after it.
    private let last = Mutex<SortKey?>(nil)
    /// No key with a larger prefix is admitted.
    private let largest = Atomic<UInt64>(.max)

    /// Whether a flow with this key may be among the first ones.
    func admits(_ key: SortKey) -> Bool {
        guard key.prefix <= largest.load(ordering: .relaxed) else { return false }
        return last.withLock { last in last.map { key < $0 } ?? true }
    }

    /// The last one of the keys that were added.
    func note(_ key: SortKey) {
        last.withLock { $0 = key }
        largest.store(key.prefix, ordering: .relaxed)
    }
}
