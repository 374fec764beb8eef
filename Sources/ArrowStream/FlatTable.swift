// Tables of FlatBuffers (https://flatbuffers.dev/internals/), as many of their features as Arrow's messages use. A table is described as a
// value, and written front to back: what it refers to comes after it, so that all offsets are known or patched once.

import HTTPSemantics

/// A table: its fields by their numbers in the schema. A field that is not there has its default.
struct FlatTable {
    indirect enum Value {
        case byte(UInt8)
        case short(Int16)
        case int(Int32)
        case long(Int64)
        case text(String)
        case table(FlatTable)
        case tables([FlatTable])
        /// Structs of 16 bytes each, made of two 64-bit numbers.
        case pairs([(Int64, Int64)])

        /// Bytes in the table; of what is elsewhere, those of the offset.
        fileprivate var size: Int {
            switch self {
            case .byte: 1
            case .short: 2
            case .int, .text, .table, .tables, .pairs: 4
            case .long: 8
            }
        }
    }

    var fields: [(number: Int, value: Value)]

    init(_ fields: [(number: Int, value: Value)] = []) { self.fields = fields }

    /// The bytes of a buffer with this table as its root.
    func encoded() -> ByteWriter {
        let out = ByteWriter(capacity: 1024)
        out.append(UInt32(0))
        let root = write(into: out)
        out.set(UInt32(root), at: 0)
        return out
    }

    /// Appends the table and everything that it refers to.
    /// - Returns: where the table begins.
    private func write(into out: ByteWriter) -> Int {
        // The largest fields come first, so that none needs padding before it.
        let ordered = fields.sorted { ($1.value.size, $0.number) < ($0.value.size, $1.number) }
        let slots = (fields.map(\.number).max() ?? -1) + 1
        let vtableSize = 4 + 2 * slots
        // Numbers of 8 bytes begin 4 bytes after the table, whose first 4 bytes are the offset of the vtable.
        while (out.count + vtableSize) % 8 != 4 { out.append(UInt8(0)) }
        let vtable = out.appendZeros(vtableSize)
        let table = out.count
        out.append(Int32(table - vtable))
        var places: [Int] = []
        for field in ordered {
            out.set(UInt16(out.count - table), at: vtable + 4 + 2 * field.number)
            places.append(out.count)
            switch field.value {
            case .byte(let number): out.append(number)
            case .short(let number): out.append(number)
            case .int(let number): out.append(number)
            case .long(let number): out.append(number)
            case .text, .table, .tables, .pairs: out.append(UInt32(0))
            }
        }
        out.set(UInt16(vtableSize), at: vtable)
        out.set(UInt16(out.count - table), at: vtable + 2)
        for (place, field) in zip(places, ordered) {
            guard let target = Self.write(field.value, into: out) else { continue }
            out.set(UInt32(target - place), at: place)
        }
        return table
    }

    /// Appends what a field refers to.
    /// - Returns: where it begins; nil for a field that holds its value.
    private static func write(_ value: Value, into out: ByteWriter) -> Int? {
        switch value {
        case .byte, .short, .int, .long: return nil
        case .table(let table): return table.write(into: out)
        case .text(let text):
            pad(out, to: 4)
            let start = out.count
            out.append(UInt32(text.utf8.count))
            out.append(utf8: text)
            out.append(UInt8(0))
            return start
        case .tables(let tables):
            pad(out, to: 4)
            let start = out.count
            out.append(UInt32(tables.count))
            let places = out.appendZeros(4 * tables.count)
            for (index, table) in tables.enumerated() {
                let place = places + 4 * index
                out.set(UInt32(table.write(into: out) - place), at: place)
            }
            return start
        case .pairs(let pairs):
            // The elements are at multiples of 8.
            while out.count % 8 != 4 { out.append(UInt8(0)) }
            let start = out.count
            out.append(UInt32(pairs.count))
            for pair in pairs {
                out.append(pair.0)
                out.append(pair.1)
            }
            return start
        }
    }

    private static func pad(_ out: ByteWriter, to alignment: Int) {
        while out.count % alignment != 0 { out.append(UInt8(0)) }
    }
}
