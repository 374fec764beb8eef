// A bounded map that forgets what was not used lately, in constant time: two generations of half the capacity. What is used moves
// to the young one; when that is full it becomes the old one, and the old one is dropped.

struct GenerationCache<Key: Hashable, Value> {
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]
    private let generationCapacity: Int

    /// Holds at most `capacity` values, and at least the last half of it that were used.
    init(capacity: Int) {
        precondition(capacity >= 2, "a cache holds at least one value in each generation")
        generationCapacity = capacity / 2
    }

    var count: Int { young.count + old.count }

    /// The value for a key; using it keeps it.
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
