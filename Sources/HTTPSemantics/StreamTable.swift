// A table by stream. The numbers of streams are small and the streams of a connection are few, so a table with linear probing finds one in
// a few instructions, where a dictionary hashes for more than a hundred.

/// Values by the streams of one connection. Lookups take time in proportion to the number of entries at the worst, which the limit of
/// concurrent streams bounds.
///
/// Everything is inlinable: without its specialised code, every lookup from another module asks the runtime for the type's metadata.
@usableFromInline package struct StreamTable<Value> {
    @usableFromInline struct Entry {
        @usableFromInline var stream: UInt32
        @usableFromInline var value: Value

        @inlinable init(stream: UInt32, value: Value) {
            self.stream = stream
            self.value = value
        }
    }

    /// A power of two, at most half full; empty until something is stored.
    @usableFromInline var slots: [Entry?] = []
    @usableFromInline package var count = 0

    @inlinable package init() {}

    @inlinable package var isEmpty: Bool { count == 0 }

    /// The values in the order of their streams.
    @inlinable package var inOrder: [Value] {
        count == 0 ? [] : slots.compactMap { $0 }.sorted { $0.stream < $1.stream }.map(\.value)
    }

    @inlinable package subscript(stream: StreamID) -> Value? {
        get {
            guard let place = place(of: stream.value) else { return nil }
            return slots[place]?.value
        }
        set {
            guard let newValue else {
                _ = remove(stream)
                return
            }
            if let place = place(of: stream.value) {
                slots[place] = Entry(stream: stream.value, value: newValue)
            } else {
                insert(Entry(stream: stream.value, value: newValue))
            }
        }
    }

    /// Removes the value of a stream.
    @inlinable package mutating func remove(_ stream: StreamID) -> Value? {
        guard var hole = place(of: stream.value) else { return nil }
        let removed = slots[hole]?.value
        slots[hole] = nil
        count -= 1
        // Entries after the hole move up, so that a search may end at the first empty place.
        var next = hole
        while true {
            next = (next &+ 1) & (slots.count &- 1)
            guard let entry = slots[next] else { return removed }
            let distance = (next &- start(entry.stream)) & (slots.count &- 1)
            guard distance >= (next &- hole) & (slots.count &- 1) else { continue }
            slots[hole] = entry
            slots[next] = nil
            hole = next
        }
    }

    @inlinable func place(of stream: UInt32) -> Int? {
        guard count > 0 else { return nil }
        var place = start(stream)
        while let entry = slots[place] {
            if entry.stream == stream { return place }
            place = (place &+ 1) & (slots.count &- 1)
        }
        return nil
    }

    @inlinable mutating func insert(_ entry: Entry) {
        if slots.count <= 2 * count {
            var old: [Entry?] = Array(repeating: nil, count: max(8, 2 * slots.count))
            swap(&old, &slots)
            for entry in old { if let entry { put(entry) } }
        }
        put(entry)
        count += 1
    }

    @inlinable mutating func put(_ entry: Entry) {
        var place = start(entry.stream)
        while slots[place] != nil { place = (place &+ 1) & (slots.count &- 1) }
        slots[place] = entry
    }

    /// The first place to search. Each peer uses every second number.
    @inlinable func start(_ stream: UInt32) -> Int { Int(truncatingIfNeeded: stream &>> 1) & (slots.count &- 1) }
}
