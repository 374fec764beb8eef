// Finds all of many keywords in one pass: the automaton of Aho and Corasick (Efficient string matching, CACM 18, 1975) as a table of
// transitions. Two bytes decide whether a keyword can begin, so most bytes do not reach the table.

/// Keywords, compiled. Letters of ASCII match in either case.
struct KeywordAutomaton: Sendable {
    /// A keyword that ends in a state.
    struct Hit: Sendable, Equatable {
        /// The index of the keyword.
        var keyword: Int
        /// Bytes.
        var length: Int
    }

    /// A keyword of one byte would be found everywhere, and the two bytes of ``pairs`` would not do for it.
    static let minimumLength = 2

    /// The column of each byte. Bytes that no keyword has share column 0.
    private let columns: [UInt8]
    /// The next state for a state and a column: its row, of which the lowest bit tells that keywords end there.
    private let transitions: [UInt32]
    /// Rows below this one are the root, or states after one byte.
    private let firstDeepRow: UInt32
    /// The keywords that end in a state, by its number; empty for most.
    private let hits: [[Hit]]
    /// The base-2 logarithm of the width of a row.
    private let shift: UInt32
    /// A bit for each two bytes, the first in the low bits: a keyword begins with them.
    private let pairs: [UInt64]

    /// - Parameter keywords: at least ``minimumLength`` bytes each.
    init(_ keywords: [[UInt8]]) {
        let folded = keywords.map { $0.map(Self.lowercased) }
        var columns = [UInt8](repeating: 0, count: 256)
        var width = 1
        for byte in Set(folded.joined()).sorted() {
            columns[Int(byte)] = UInt8(truncatingIfNeeded: width)
            width += 1
        }
        for byte in UInt8(0x41)...0x5A { columns[Int(byte)] = columns[Int(Self.lowercased(byte))] }
        var trie = Trie(width: width)
        for (index, keyword) in folded.enumerated() { trie.add(keyword.map { Int(columns[Int($0)]) }, index) }
        let order = trie.linkedBreadthFirst()
        var shift: UInt32 = 1
        while 1 << shift < width { shift += 1 }
        var rows = [UInt32](repeating: 0, count: trie.nodes.count)
        for (number, node) in order.enumerated() {
            rows[node] = UInt32(number) << shift | (trie.nodes[node].hits.isEmpty ? 0 : 1)
        }
        var transitions = [UInt32](repeating: 0, count: order.count << shift)
        for (number, node) in order.enumerated() {
            for column in 0..<width { transitions[number << Int(shift) + column] = rows[trie.nodes[node].next[column]] }
        }
        self.columns = columns
        self.transitions = transitions
        self.shift = shift
        hits = order.map { trie.nodes[$0].hits }
        firstDeepRow = UInt32(order.prefix { trie.nodes[$0].depth < Self.minimumLength }.count) << shift
        pairs = Self.pairs(of: folded)
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    private static func pairs(of keywords: [[UInt8]]) -> [UInt64] {
        var pairs = [UInt64](repeating: 0, count: 1024)
        func cases(_ byte: UInt8) -> [UInt8] { byte &- 0x61 < 26 ? [byte, byte & ~0x20] : [byte] }
        for keyword in keywords {
            for first in cases(keyword[0]) {
                for second in cases(keyword[1]) {
                    let pair = Int(first) | Int(second) << 8
                    pairs[pair >> 6] |= 1 << (pair & 63)
                }
            }
        }
        return pairs
    }

    /// Visits the keywords in the order of their ends; those that end at the same byte the longest first.
    /// - Parameter visit: gets a keyword and the offset of the byte after it; returns false to stop.
    func forEachHit(in bytes: Span<UInt8>, _ visit: (Hit, Int) throws -> Bool) rethrows {
        try unsafe bytes.withUnsafeBufferPointer { try unsafe forEachHit(in: $0, visit) }
    }

    // SAFETY: offsets are below `count`; columns are below the width of a row, and every transition leads to a row of the table.
    private func forEachHit(in bytes: UnsafeBufferPointer<UInt8>, _ visit: (Hit, Int) throws -> Bool) rethrows {
        try unsafe pairs.withUnsafeBufferPointer { pairs in
            try unsafe columns.withUnsafeBufferPointer { columns in
                try unsafe transitions.withUnsafeBufferPointer { transitions in
                    let count = bytes.count
                    var position = 0
                    while position &+ 1 < count {
                        let pair = unsafe Int(bytes[position]) | Int(bytes[position &+ 1]) &<< 8
                        guard unsafe pairs[pair &>> 6] & (1 &<< UInt64(pair & 63)) != 0 else {
                            position &+= 1
                            continue
                        }
                        // The first byte leads to a state after one byte, the second to one after two.
                        var row = unsafe transitions[Int(columns[Int(bytes[position])])] & ~1
                        position &+= 1
                        repeat {
                            row = unsafe transitions[Int(row & ~1) &+ Int(columns[Int(bytes[position])])]
                            position &+= 1
                            if row & 1 != 0 {
                                for hit in hits[Int(row &>> shift)] where try !visit(hit, position) { return }
                            }
                        } while row >= firstDeepRow && position < count
                        // The last byte began a keyword, which the next pair decides.
                        if row != 0, row < firstDeepRow { position &-= 1 }
                    }
                }
            }
        }
    }

    /// Whether one of the keywords is in the bytes.
    func isFound(in bytes: Span<UInt8>) -> Bool {
        var isFound = false
        forEachHit(in: bytes) { _, _ in
            isFound = true
            return false
        }
        return isFound
    }
}

/// The tree of the keywords, with the links of the automaton.
private struct Trie {
    struct Node {
        /// The number of the next node for each column; 0 until it is known.
        var next: [Int]
        var depth: Int
        var hits: [KeywordAutomaton.Hit] = []
    }

    private let width: Int
    private(set) var nodes: [Node]

    init(width: Int) {
        self.width = width
        nodes = [Node(next: Array(repeating: 0, count: width), depth: 0)]
    }

    mutating func add(_ keyword: [Int], _ index: Int) {
        var node = 0
        for (offset, column) in keyword.enumerated() {
            if nodes[node].next[column] == 0 {
                nodes.append(Node(next: Array(repeating: 0, count: width), depth: offset + 1))
                nodes[node].next[column] = nodes.count - 1
            }
            node = nodes[node].next[column]
        }
        nodes[node].hits.append(KeywordAutomaton.Hit(keyword: index, length: keyword.count))
    }

    /// Makes every node's row complete: where no keyword continues, it is that of the longest suffix that begins a keyword.
    /// - Returns: the nodes by their depth.
    mutating func linkedBreadthFirst() -> [Int] {
        var order = [0]
        var suffix = [Int](repeating: 0, count: nodes.count)
        var position = 0
        while position < order.count {
            let node = order[position]
            position += 1
            for column in 0..<width {
                let next = nodes[node].next[column]
                let other = node == 0 ? 0 : nodes[suffix[node]].next[column]
                // A node that is not deeper is a link that was made before.
                guard next != 0, nodes[next].depth == nodes[node].depth + 1 else {
                    nodes[node].next[column] = other
                    continue
                }
                suffix[next] = other
                nodes[next].hits += nodes[other].hits
                order.append(next)
            }
        }
        return order
    }
}
