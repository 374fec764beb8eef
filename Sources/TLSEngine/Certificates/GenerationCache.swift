// A bounded map that evicts values that were not used recently, in constant time: two generations of half the capacity. A value that is
// used moves to the young generation; when that is full, it becomes the old one, and the old one is dropped.

struct GenerationCache<Key: Hashable, Value> {
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]
    private let generationCapacity: Int

    /// Holds at most `capacity` values, and at least the most recently used half of that number.
    init(capacity: Int) {
        precondition(capacity >= 2, "a cache holds at least one value in each generation")
        generationCapacity = capacity / 2
    }

    var count: Int { young.count + old.count }

    /// The value for a key; it counts as used.
    mutating func value(for key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old.removeValue(forKey: key) else { return nil }
        insert(value, for: key)
        return value
    }

    mutating func insert(_ value: Value, for key: Key) {
        old.removeValue(forKey: key)
        if young[key] == nil, young.count >= generationCapacity {
            old = young
            young = [:]
        }
        young[key] = value
    }

    mutating func remove(_ key: Key) {
        young.removeValue(forKey: key)
        old.removeValue(forKey: key)
    }
}
