// Reads the messages of a stream by the specifications of FlatBuffers and Arrow, without the code that writes them.

import NIOCore

/// A table in a FlatBuffer.
struct FlatReader {
    let bytes: [UInt8]
    let table: Int

    func number<T: FixedWidthInteger>(at offset: Int, _ type: T.Type) -> T {
        (0..<MemoryLayout<T>.size).reduce(0) { $0 | T(truncatingIfNeeded: bytes[offset + $1]) << T(8 * $1) }
    }

    /// Where a field is; nil if it is not there.
    private func place(_ field: Int) -> Int? {
        let vtable = table - Int(number(at: table, Int32.self))
        guard 4 + 2 * field < Int(number(at: vtable, UInt16.self)) else { return nil }
        let offset = Int(number(at: vtable + 4 + 2 * field, UInt16.self))
        return offset == 0 ? nil : table + offset
    }

    func scalar<T: FixedWidthInteger>(_ field: Int, _ type: T.Type = T.self) -> T {
        guard let place = place(field) else { return 0 }
        precondition(place % MemoryLayout<T>.size == 0, "a number is not aligned")
        return number(at: place, type)
    }

    private func target(_ field: Int) -> Int? { place(field).map { $0 + Int(number(at: $0, UInt32.self)) } }

    func inner(_ field: Int) -> FlatReader? { target(field).map { FlatReader(bytes: bytes, table: $0) } }

    func text(_ field: Int) -> String? {
        guard let start = target(field) else { return nil }
        let count = Int(number(at: start, UInt32.self))
        return String(decoding: bytes[start + 4..<start + 4 + count], as: UTF8.self)
    }

    func tables(_ field: Int) -> [FlatReader] {
        guard let start = target(field) else { return [] }
        return (0..<Int(number(at: start, UInt32.self))).map { index in
            let place = start + 4 + 4 * index
            return FlatReader(bytes: bytes, table: place + Int(number(at: place, UInt32.self)))
        }
    }

    /// Structs of two 64-bit numbers.
    func pairs(_ field: Int) -> [[Int64]] {
        guard let start = target(field) else { return [] }
        return (0..<Int(number(at: start, UInt32.self))).map { index in
            [number(at: start + 4 + 16 * index, Int64.self), number(at: start + 12 + 16 * index, Int64.self)]
        }
    }
}

/// A message of a stream.
struct ArrowMessage {
    let header: UInt8
    let table: FlatReader
    let body: [UInt8]

    /// The messages up to the mark of the end.
    static func all(in stream: ByteBuffer) -> [ArrowMessage] {
        var stream = stream
        var messages: [ArrowMessage] = []
        while stream.readInteger(endianness: .little, as: UInt32.self) == .max,
            let length: UInt32 = stream.readInteger(endianness: .little), length > 0,
            let bytes = stream.readBytes(length: Int(length))
        {
            let root = FlatReader(bytes: bytes, table: 0)
            let message = FlatReader(bytes: bytes, table: Int(root.number(at: 0, UInt32.self)))
            precondition(message.scalar(0) == Int16(4) && stream.readerIndex % 8 == 0)
            let body = stream.readBytes(length: Int(message.scalar(3, Int64.self)))!
            messages.append(ArrowMessage(header: message.scalar(1), table: message.inner(2)!, body: body))
        }
        precondition(stream.readableBytes == 0)
        return messages
    }

    /// The buffers of a batch that are not compressed: without their prefix of -1.
    func buffers(_ batch: FlatReader) -> [[UInt8]] {
        batch.pairs(2).map { place in
            let bytes = Array(body[Int(place[0])..<Int(place[0] + place[1])])
            precondition(bytes.isEmpty || bytes.prefix(8).allSatisfy { $0 == 0xFF })
            return Array(bytes.dropFirst(8))
        }
    }
}
