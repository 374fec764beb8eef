// RFC 7541: blocks that cannot be decoded are connection errors; odd ones that can are requests like any other.

private let good = HPACK.request()
private let compressionError: Set<HTTP2Verdict> = .connection(.compressionError)

extension HTTP2ServerRule {
    private static func block(
        _ name: String, _ block: [UInt8], allows allowed: Set<HTTP2Verdict> = compressionError
    ) -> HTTP2ServerRule {
        HTTP2ServerRule("RFC 7541 " + name, on: 1, .headers(1, block: block), allows: allowed)
    }

    /// §6.2: literals of each kind, with names and values of each kind. The codes are those of "user-agent" and "mitm".
    private static let literals: [HTTP2ServerRule] = {
        let codedName = HPACK.codedString([0xB5, 0x05, 0xB1, 0x61, 0xCC, 0x5A, 0x93])
        let values = [("plain", HPACK.string(Array("mitm".utf8))), ("coded", HPACK.codedString([0xA4, 0xC9, 0xA7]))]
        let kinds: [(String, HPACK.Indexing)] = [("incremental", .incremental), ("without", .without), ("never", .never)]
        return kinds.flatMap { kind, indexing in
            let indexedName = HPACK.literal(nameIndex: 58, "", indexing: indexing).dropLast()
            let literalName = HPACK.literal([], [], indexing: indexing).prefix(1)
            let names = [
                ("indexed", indexedName), ("plain", literalName + HPACK.string(Array("user-agent".utf8))),
                ("coded", literalName + codedName),
            ]
            return names.flatMap { name, nameOctets in
                values.map { value, valueOctets in
                    block(
                        "§6.2: Indexing \(kind), name \(name), value \(value)", good + nameOctets + valueOctets,
                        allows: .answered)
                }
            }
        }
    }()

    static let compression: [HTTP2ServerRule] = literals + blocks

    private static let blocks: [HTTP2ServerRule] = [
        block("§2.3.3: An index beyond both tables", good + HPACK.indexed(70)),
        block("§2.3.3: The first index of an empty dynamic table", good + HPACK.indexed(62)),
        block("§2.3.3: A name with an index beyond both tables", good + HPACK.literal(nameIndex: 70, "x")),
        block("§6.1: Index 0", good + [0x80]),
        block("§4.2: A table size beyond what was allowed", HPACK.tableSize(1 << 20) + good),
        block("§6.3: A table size of 2³¹", HPACK.tableSize(1 << 31) + good),
        block("§4.2: A table size behind a field", good + HPACK.tableSize(0)),
        block("§4.2: A table size in the middle of fields", HPACK.indexed(2) + HPACK.tableSize(0) + good),
        block("§5.1: An integer that does not end", good + [0xFF] + [UInt8](repeating: 0xFF, count: 12) + [0x01]),
        block("§5.1: An integer that is cut", good + [0xFF, 0x80]),
        block("§5.2: A string longer than the block", good + [0x00, 0x01, 0x78, 0x7F, 0x00, 0x61]),
        block("§5.2: A name without a value", good + [0x00, 0x01, 0x78]),
        block("§5.2: A string length of 2³⁰", good + [0x00] + HPACK.integer(1 << 30, prefix: 7)),
        block("§5.2: Huffman padding of more than seven bits", good + [0x00, 0x01, 0x78] + HPACK.codedString([0x1F, 0xFF])),
        block("§5.2: Huffman padding that is not ones", good + [0x00, 0x01, 0x78] + HPACK.codedString([0x18])),
        block("§5.2: Huffman padding of zeros only", good + [0x00, 0x01, 0x78] + HPACK.codedString([0x1F, 0x00])),
        block(
            "§5.2: The end-of-string symbol in a string",
            good + [0x00, 0x01, 0x78] + HPACK.codedString([0xFF, 0xFF, 0xFF, 0xFC, 0x7F])),
        block("§4.3: A fragment of a field", good + [0x40]),
        HTTP2ServerRule(
            "RFC 7541 §4.4: An index of what was evicted", on: 3,
            .headers(1, block: HPACK.tableSize(64) + good + HPACK.block(["x": "1", "y": "2"], indexing: .incremental)),
            .headers(3, block: good + HPACK.indexed(63)), allows: compressionError),
        HTTP2ServerRule(
            "RFC 7541 §4.2: An index of what a smaller table has lost", on: 3,
            .headers(1, block: good + HPACK.block(["x": "1"], indexing: .incremental)),
            .headers(3, block: HPACK.tableSize(0) + HPACK.tableSize(4096) + good + HPACK.indexed(62)), allows: compressionError),
        HTTP2ServerRule(
            "RFC 7541 §2.3.2: A trailer's block that cannot be decoded", on: 1, .post(1), .headers(1, block: HPACK.indexed(99)),
            allows: compressionError),
        HTTP2ServerRule(
            "RFC 9113 §4.3: A block on a closed stream that cannot be decoded", on: 1, .post(1, "/never"), .reset(1),
            .headers(1, block: HPACK.indexed(99)), allows: compressionError | .connection(.streamClosed, .protocolError)),
        // The table belongs to the connection: blocks count even where the request is refused.
        HTTP2ServerRule(
            "RFC 9113 §4.3: The table counts fields of a malformed request", on: 3,
            .headers(1, block: HPACK.block(["x-kept": "1"], indexing: .incremental)),
            .headers(3, block: good + HPACK.indexed(62)), allows: .answered),
        HTTP2ServerRule(
            "RFC 9113 §4.3: The table counts fields of trailers", on: 3,
            .post(1), .headers(1, block: HPACK.block(["x-kept": "1"], indexing: .incremental)),
            .headers(3, block: good + HPACK.indexed(62)), allows: .answered),
        HTTP2ServerRule(
            "RFC 9113 §4.3: The table counts fields of a stream that its client has reset", on: 3,
            .post(1), .reset(1), .headers(3, block: good + HPACK.block(["x-kept": "1"], indexing: .incremental), end: false),
            .reset(3),
            .headers(5, block: good + HPACK.indexed(62)), allows: .ignored),
        block("§6.1: An index of the static table", good + HPACK.indexed(58), allows: .answered),
        block("§6.3: A table size at the beginning", HPACK.tableSize(128) + good, allows: .answered),
        block("§6.3: Table sizes at the beginning", HPACK.tableSize(0) + HPACK.tableSize(4096) + good, allows: .answered),
        block("§6.2.3: Fields that are never to be indexed", good + HPACK.block(["x": "1"], indexing: .never), allows: .answered),
        block(
            "§6.2.1: A field that is indexed and used at once",
            good + HPACK.block(["x": "1"], indexing: .incremental) + HPACK.indexed(62), allows: .answered),
        block(
            "§4.4: A field larger than the table empties it",
            good + HPACK.block(["x": String(repeating: "x", count: 5000)], indexing: .incremental), allows: .answered),
        // www.example.com of RFC 7541 appendix C.4.1.
        block(
            "§5.2: A string in Huffman code",
            HPACK.indexed(2) + HPACK.indexed(6) + HPACK.indexed(4) + [0x41]
                + HPACK.codedString([0xF1, 0xE3, 0xC2, 0xE5, 0xF2, 0x3A, 0x6B, 0xA0, 0xAB, 0x90, 0xF4, 0xFF]), allows: .answered),
        block("§5.2: A Huffman string of no octet", good + [0x00, 0x01, 0x78] + HPACK.codedString([]), allows: .answered),
    ]
}
