// HPACK (RFC 7541) for tests: an encoder that says exactly what a test wants, right or wrong, and a complete decoder for what the
// proxy sends.

struct HTTP2Field: Hashable, Sendable, CustomStringConvertible {
    var name: String
    var value: String
    var description: String { "\(name): \(value)" }
}

/// The encoder: representations one by one.
enum HPACK {
    enum Indexing {
        case without, never, incremental
    }

    /// A section of literals with literal names; the dynamic table stays as it is unless `indexing` says otherwise.
    static func block(_ fields: KeyValuePairs<String, String>, indexing: Indexing = .without) -> [UInt8] {
        fields.flatMap { literal(Array($0.key.utf8), Array($0.value.utf8), indexing: indexing) }
    }

    static func block(_ fields: [HTTP2Field]) -> [UInt8] {
        fields.flatMap { literal(Array($0.name.utf8), Array($0.value.utf8)) }
    }

    /// §6.2: a literal with a literal name.
    static func literal(_ name: [UInt8], _ value: [UInt8], indexing: Indexing = .without) -> [UInt8] {
        [first(indexing)] + string(name) + string(value)
    }

    /// §6.2: a literal whose name is that of a table entry.
    static func literal(nameIndex: Int, _ value: String, indexing: Indexing = .without) -> [UInt8] {
        integer(nameIndex, prefix: indexing == .incremental ? 6 : 4, pattern: first(indexing)) + string(Array(value.utf8))
    }

    private static func first(_ indexing: Indexing) -> UInt8 {
        switch indexing {
        case .without: 0x00
        case .never: 0x10
        case .incremental: 0x40
        }
    }

    /// §6.1.
    static func indexed(_ index: Int) -> [UInt8] { integer(index, prefix: 7, pattern: 0x80) }

    /// §6.3.
    static func tableSize(_ size: Int) -> [UInt8] { integer(size, prefix: 5, pattern: 0x20) }

    /// §5.2, without Huffman coding.
    static func string(_ octets: [UInt8]) -> [UInt8] { integer(octets.count, prefix: 7) + octets }

    /// §5.2: octets that are marked as Huffman-coded.
    static func codedString(_ octets: [UInt8]) -> [UInt8] { integer(octets.count, prefix: 7, pattern: 0x80) + octets }

    /// §5.1.
    static func integer(_ value: Int, prefix: Int, pattern: UInt8 = 0) -> [UInt8] {
        let limit = 1 << prefix - 1
        guard value >= limit else { return [pattern | UInt8(value)] }
        var bytes = [pattern | UInt8(limit)]
        var rest = value - limit
        while rest >= 128 {
            bytes.append(UInt8(rest % 128 | 128))
            rest /= 128
        }
        return bytes + [UInt8(rest)]
    }
}

/// The decoder of one direction of a connection.
struct HPACKDecoder: Sendable {
    enum Failure: Error { case truncated, noSuchEntry, badHuffman, badInteger, tableTooLarge, lateTableSize }

    /// The largest table that this side allowed (SETTINGS_HEADER_TABLE_SIZE).
    var allowedTableSize = 4096
    private var tableSize = 4096
    private var dynamic: [HTTP2Field] = []
    private var used: Int { dynamic.reduce(0) { $0 + Self.size($1) } }

    mutating func decode(_ block: [UInt8]) throws(Failure) -> [HTTP2Field] {
        var reader = Reader(rest: block[...])
        var fields: [HTTP2Field] = []
        while let first = reader.rest.first {
            if first & 0x80 != 0 {
                fields.append(try entry(try reader.integer(prefix: 7)))
            } else if first & 0xC0 == 0x40 {
                let field = try literal(&reader, prefix: 6)
                insert(field)
                fields.append(field)
            } else if first & 0xE0 == 0x20 {
                guard fields.isEmpty else { throw .lateTableSize }
                tableSize = try reader.integer(prefix: 5)
                guard tableSize <= allowedTableSize else { throw .tableTooLarge }
                evict()
            } else {
                fields.append(try literal(&reader, prefix: 4))
            }
        }
        return fields
    }

    private func literal(_ reader: inout Reader, prefix: Int) throws(Failure) -> HTTP2Field {
        let index = try reader.integer(prefix: prefix)
        let name = index == 0 ? try reader.string() : try entry(index).name
        return HTTP2Field(name: name, value: try reader.string())
    }

    private func entry(_ index: Int) throws(Failure) -> HTTP2Field {
        if index >= 1, index <= Self.fixed.count { return Self.fixed[index - 1] }
        let position = index - Self.fixed.count - 1
        guard dynamic.indices.contains(position) else { throw .noSuchEntry }
        return dynamic[position]
    }

    private mutating func insert(_ field: HTTP2Field) {
        dynamic.insert(field, at: 0)
        evict()
    }

    private mutating func evict() {
        while used > tableSize { dynamic.removeLast() }
    }

    /// §4.1.
    private static func size(_ field: HTTP2Field) -> Int { field.name.utf8.count + field.value.utf8.count + 32 }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func octet() throws(Failure) -> UInt8 {
            guard let octet = rest.popFirst() else { throw .truncated }
            return octet
        }

        mutating func integer(prefix: Int) throws(Failure) -> Int {
            let limit = 1 << prefix - 1
            var value = Int(try octet()) & limit
            guard value == limit else { return value }
            for shift in stride(from: 0, to: 28, by: 7) {
                let octet = try octet()
                value += Int(octet & 0x7F) << shift
                if octet & 0x80 == 0 { return value }
            }
            throw .badInteger
        }

        mutating func string() throws(Failure) -> String {
            let coded = (rest.first ?? 0) & 0x80 != 0
            let length = try integer(prefix: 7)
            guard rest.count >= length else { throw .truncated }
            let octets = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            return String(decoding: coded ? try Huffman.decode(octets) : octets, as: UTF8.self)
        }
    }
}

// MARK: - Tables

extension HPACKDecoder {
    /// Appendix A.
    private static let fixed: [HTTP2Field] = """
        :authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|\
        :status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|\
        accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|\
        content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|\
        cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|\
        last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|\
        server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
        """.split(separator: "|").map { entry in
            let parts = entry.split(separator: " ", maxSplits: 1).map(String.init)
            return HTTP2Field(name: parts[0], value: parts.count > 1 ? parts[1] : "")
        }
}

/// Appendix B. The code is canonical: the lengths say it all. Codes are given out by length, then by symbol.
private enum Huffman {
    static let endOfString = 256

    static func decode(_ octets: [UInt8]) throws(HPACKDecoder.Failure) -> [UInt8] {
        var decoded: [UInt8] = []
        var code: UInt32 = 0
        var length = 0
        for octet in octets {
            for bit in (0..<8).reversed() {
                code = code << 1 | UInt32(octet >> bit & 1)
                length += 1
                guard length <= 30 else { throw .badHuffman }
                if let symbol = symbols[UInt64(length) << 32 | UInt64(code)] {
                    guard symbol != endOfString else { throw .badHuffman }
                    decoded.append(UInt8(symbol))
                    code = 0
                    length = 0
                }
            }
        }
        // §5.2: padding is the start of the end-of-string symbol, all ones, and shorter than an octet.
        guard length < 8, code == 1 << length - 1 else { throw .badHuffman }
        return decoded
    }

    /// Symbols by code length and code.
    private static let symbols: [UInt64: Int] = {
        var symbols: [UInt64: Int] = [:]
        var code: UInt32 = 0
        var length = 0
        for symbol in lengths.indices.sorted(by: { (lengths[$0], $0) < (lengths[$1], $1) }) {
            code <<= UInt32(Int(lengths[symbol]) - length)
            length = Int(lengths[symbol])
            symbols[UInt64(length) << 32 | UInt64(code)] = symbol
            code += 1
        }
        return symbols
    }()

    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28,
        28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23,
        24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
        23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
        27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27,
        26,
        30,
    ]
}
