// Numbers for distinct byte strings, in the order in which they were first seen: the groups of a query, the values of a dictionary. The strings
// are in one array.

/// Finds and adds keys. Made for millions of lookups of few keys.
package struct KeyTable: Sendable {
    /// The number of a key in each slot, or -1. The count is a power of two.
    private var slots: [Int32] = Array(repeating: -1, count: 64)
    private var hashes: [UInt64] = []
    /// The end of each key in `bytes`; a key begins where the one before it ends.
    private var ends: [Int] = []
    private var bytes: [UInt8] = []
    /// Recorded traffic chooses the keys, so their places must not be predictable.
    private let seed = UInt64.random(in: .min ... .max)

    package init() {}

    package var count: Int { ends.count }

    /// The bytes of a key.
    package func key(_ number: Int) -> ArraySlice<UInt8> { bytes[range(number)] }

    private func range(_ number: Int) -> Range<Int> { (number > 0 ? ends[number - 1] : 0)..<ends[number] }

    /// The number of a key, which is added if it is not there: then the number is the former count.
    package mutating func number(of key: [UInt8]) -> Int { unsafe key.withUnsafeBytes { unsafe number(of: $0) } }

    /// The same for bytes that lie elsewhere.
    package mutating func number(of key: UnsafeRawBufferPointer) -> Int {
        let hash = unsafe Self.hash(key, seed)
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] >= 0 {
            let number = Int(slots[slot])
            if hashes[number] == hash, unsafe isKey(number, key) { return number }
            slot = (slot &+ 1) & mask
        }
        let number = ends.count
        slots[slot] = Int32(number)
        hashes.append(hash)
        unsafe bytes.append(contentsOf: key)
        ends.append(bytes.count)
        if 2 * ends.count > slots.count { grow() }
        return number
    }

    /// Removes all keys and keeps the storage.
    package mutating func removeAll() {
        guard count > 0 else { return }
        for index in slots.indices { slots[index] = -1 }
        hashes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    private func isKey(_ number: Int, _ key: UnsafeRawBufferPointer) -> Bool {
        let range = range(number)
        guard range.count == key.count else { return false }
        return unsafe bytes.withUnsafeBytes { all in
            unsafe UnsafeRawBufferPointer(rebasing: all[range]).elementsEqual(key)
        }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: 2 * slots.count)
        let mask = slots.count - 1
        for (number, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] >= 0 { slot = (slot &+ 1) & mask }
            slots[slot] = Int32(number)
        }
    }

    /// Eight bytes at a time, mixed by a multiplication to 128 bits.
    private static func hash(_ key: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt64 {
        func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let product = a.multipliedFullWidth(by: b)
            return product.high ^ product.low
        }
        var hash = seed ^ UInt64(truncatingIfNeeded: key.count)
        var offset = 0
        while offset &+ 8 <= key.count {
            let word = unsafe key.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            hash = mix(hash ^ word, 0x9E37_79B9_7F4A_7C15)
            offset &+= 8
        }
        var rest: UInt64 = 1
        while offset < key.count {
            rest = rest << 8 | UInt64(unsafe key[offset])
            offset &+= 1
        }
        return mix(hash ^ rest, 0xD6E8_FEB8_6659_FD93)
    }
}
