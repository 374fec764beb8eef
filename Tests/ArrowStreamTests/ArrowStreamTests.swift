import ArrowStream
import HTTPSemantics
import NIOCore
import Testing

@Suite struct ArrowStreamTests {
    private func stream(
        _ fields: [ArrowField], metadata: [(key: String, value: String)] = [], _ fill: ([ArrowArray]) -> Void
    ) -> ByteBuffer {
        let writer = ArrowStreamWriter(fields, metadata: metadata)
        var out = ByteBuffer()
        writer.writeSchema(into: &out)
        let arrays = writer.arrays()
        fill(arrays)
        if arrays[0].count > 0 { writer.writeBatch(arrays, into: &out) }
        writer.writeEnd(into: &out)
        return out
    }

    private func littleEndian(_ numbers: [some FixedWidthInteger]) -> [UInt8] {
        var out = ByteBuffer()
        for number in numbers { out.writeInteger(number, endianness: .little) }
        return Array(out.readableBytesView)
    }

    @Test("A stream without rows is the schema, byte for byte, and the mark of the end")
    func emptyStream() {
        let expected: [UInt8] =
            [0xFF, 0xFF, 0xFF, 0xFF, 152, 0, 0, 0]  // the mark of a message, the bytes of its description
            + [20, 0, 0, 0] + [0, 0, 0, 0]  // 0: the root is at 20; padding
            + [12, 0, 19, 0, 16, 0, 18, 0, 12, 0, 4, 0]  // 8: vtable of Message
            + [12, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 0]  // 20: its vtable is 12 bytes before; bodyLength 0
            + [20, 0, 0, 0] + [4, 0] + [1]  // 32: header at 52; version V5; type Schema
            + [0, 0, 0] + [10, 0, 14, 0, 12, 0, 4, 0, 8, 0]  // 39: padding; 42: vtable of Schema
            + [10, 0, 0, 0] + [12, 0, 0, 0] + [88, 0, 0, 0] + [0, 0]  // 52: fields at 68, metadata at 148; little-endian
            + [0, 0] + [1, 0, 0, 0] + [20, 0, 0, 0]  // 68: one field, at 92
            + [16, 0, 18, 0, 4, 0, 16, 0, 17, 0, 8, 0, 0, 0, 12, 0]  // 76: vtable of Field
            + [16, 0, 0, 0] + [16, 0, 0, 0]  // 92: name at 112
            + [32, 0, 0, 0] + [40, 0, 0, 0] + [1] + [2]  // 100: Int at 132, no children (144), nullable, type Int
            + [0, 0] + [1, 0, 0, 0] + [0x6E, 0, 0, 0]  // 112: "n"
            + [0, 0, 0, 0] + [8, 0, 9, 0, 4, 0, 8, 0]  // 124: vtable of Int
            + [8, 0, 0, 0] + [32, 0, 0, 0] + [1] + [0, 0, 0]  // 132: 32 bits, signed
            + [0, 0, 0, 0] + [0, 0, 0, 0]  // 144: no children; no metadata
            + [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
        #expect(Array(stream([ArrowField("n", .int32)]) { _ in }.readableBytesView) == expected)
    }

    @Test("The schema has names, types, dictionaries and metadata")
    func schema() {
        let pair = ArrowType.structure([ArrowField("name", .utf8, isNullable: false), ArrowField("value", .binary)])
        let fields = [
            ArrowField("ok", .bool), ArrowField("size", .int64, isNullable: false), ArrowField("at", .time),
            ArrowField("host", .dictionary), ArrowField("pairs", .list(ArrowField("item", pair))),
        ]
        let schema = ArrowMessage.all(in: stream(fields, metadata: [("mflow.schema", "1")]) { _ in })[0].table
        func describe(_ field: FlatReader) -> String {
            let type = field.inner(3)!
            var text = "\(field.text(0)!) \(field.scalar(1, UInt8.self)) \(field.scalar(2, UInt8.self))"
            switch field.scalar(2, UInt8.self) {
            case 2: text += " \(type.scalar(0, Int32.self)) \(type.scalar(1, UInt8.self))"
            case 10: text += " \(type.scalar(0, Int16.self)) \(type.text(1)!)"
            default: break
            }
            if let dictionary = field.inner(4) { text += " dictionary \(dictionary.scalar(0, Int64.self))" }
            let children = field.tables(5).map(describe)
            return children.isEmpty ? text : text + " [" + children.joined(separator: ", ") + "]"
        }
        #expect(
            schema.tables(1).map(describe) == [
                "ok 1 6", "size 0 2 64 1", "at 1 10 3 UTC", "host 1 5 dictionary 3",
                "pairs 1 12 [item 1 13 [name 0 5, value 1 4]]",
            ])
        #expect(schema.tables(2).map { [$0.text(0), $0.text(1)] } == [["mflow.schema", "1"]])
    }

    @Test("Numbers, bits and times have a validity bitmap where there are nulls")
    func numbers() {
        let fields = [ArrowField("a", .int32), ArrowField("b", .bool), ArrowField("c", .time, isNullable: false)]
        let messages = ArrowMessage.all(
            in: stream(fields) { arrays in
                arrays[0].append(7)
                arrays[0].appendNull()
                arrays[0].append(Int64.max)
                for bit in [true, false, true] { arrays[1].append(bit) }
                for time: Int64 in [-1, 0, 5] { arrays[2].append(time) }
            })
        let batch = messages[1].table
        #expect(messages.map(\.header) == [1, 3])
        #expect(batch.scalar(0, Int64.self) == 3)
        #expect(batch.pairs(1) == [[3, 1], [3, 0], [3, 0]])
        #expect(
            messages[1].buffers(batch) == [
                [0b101], littleEndian([7, 0, Int32.max]), [], [0b101], [], littleEndian([-1, 0, 5] as [Int64]),
            ])
    }

    @Test("Texts have offsets; a text that is not UTF-8 is read as ISO-8859-1; bytes stay as they are")
    func texts() {
        let messages = ArrowMessage.all(
            in: stream([ArrowField("t", .utf8), ArrowField("b", .binary)]) { arrays in
                for bytes: [UInt8]? in [[0x61, 0xC3, 0xA9], nil, [0xE9, 0x61], []] {
                    for array in arrays { if let bytes { array.append(ByteBuffer(bytes: bytes)) } else { array.appendNull() } }
                }
            })
        #expect(
            messages[1].buffers(messages[1].table) == [
                [0b1101], littleEndian([0, 3, 3, 6, 6] as [Int32]), [0x61, 0xC3, 0xA9, 0xC3, 0xA9, 0x61],
                [0b1101], littleEndian([0, 3, 3, 5, 5] as [Int32]), [0x61, 0xC3, 0xA9, 0xE9, 0x61],
            ])
    }

    @Test("A dictionary holds each text once, precedes its batch, and begins again with the next one")
    func dictionaries() {
        let writer = ArrowStreamWriter([ArrowField("n", .int32), ArrowField("host", .dictionary)])
        let arrays = writer.arrays()
        var out = ByteBuffer()
        for hosts in [["a", "b", nil, "a"], ["b"]] {
            for host in hosts {
                arrays[0].append(1)
                if let host { arrays[1].append(ByteBuffer(string: host)) } else { arrays[1].appendNull() }
            }
            writer.writeBatch(arrays, into: &out)
            for array in arrays { array.clear() }
        }
        writer.writeEnd(into: &out)
        let messages = ArrowMessage.all(in: out)
        #expect(messages.map(\.header) == [2, 3, 2, 3])
        let dictionaries = [messages[0], messages[2]]
        #expect(dictionaries.map { $0.table.scalar(0, Int64.self) } == [1, 1])
        #expect(dictionaries.map { $0.table.scalar(2, UInt8.self) } == [0, 0])
        #expect(dictionaries.map { $0.buffers($0.table.inner(1)!)[2] } == [Array("ab".utf8), Array("b".utf8)])
        #expect(messages[1].buffers(messages[1].table).suffix(2) == [[0b1011], littleEndian([0, 1, 0, 0] as [Int32])])
        #expect(messages[3].buffers(messages[3].table).suffix(2) == [[], littleEndian([0] as [Int32])])
    }

    @Test("Lists of structures have the offsets of their elements")
    func lists() {
        let pair = ArrowType.structure([ArrowField("k", .int32), ArrowField("v", .bool)])
        let messages = ArrowMessage.all(
            in: stream([ArrowField("l", .list(ArrowField("item", pair)))]) { arrays in
                let item = arrays[0].children[0]
                for count in [2, 0, nil, 1] {
                    guard let count else {
                        arrays[0].appendNull()
                        continue
                    }
                    for number in 0..<count {
                        item.children[0].append(Int64(number))
                        item.children[1].append(number == 0)
                        item.appendStructure()
                    }
                    arrays[0].appendList()
                }
            })
        let batch = messages[1].table
        #expect(batch.pairs(1) == [[4, 1], [3, 0], [3, 0], [3, 0]])
        #expect(
            messages[1].buffers(batch) == [
                [0b1011], littleEndian([0, 2, 2, 2, 3] as [Int32]), [], [], littleEndian([0, 1, 0] as [Int32]), [], [0b101],
            ])
    }

    @Test("A large buffer is its size and an LZ4 frame; one that does not become smaller is stored as it is")
    func compression() {
        var random = SystemRandomNumberGenerator()
        let messages = ArrowMessage.all(
            in: stream([ArrowField("zeros", .int64), ArrowField("noise", .int64)]) { arrays in
                for _ in 0..<1000 {
                    arrays[0].append(Int64(0))
                    arrays[1].append(Int64.random(in: .min ... .max, using: &random))
                }
            })
        let places = messages[1].table.pairs(2)
        let zeros = Array(messages[1].body[Int(places[1][0])..<Int(places[1][0] + places[1][1])])
        #expect(zeros.count < 200)
        #expect(Array(zeros.prefix(12)) == littleEndian([8000] as [Int64]) + [0x04, 0x22, 0x4D, 0x18])
        #expect(places[3][1] == 8008)
        #expect(Array(messages[1].body[Int(places[3][0])..<Int(places[3][0]) + 8]) == littleEndian([-1] as [Int64]))
    }
}
