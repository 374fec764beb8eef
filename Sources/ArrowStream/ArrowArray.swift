// The values of a column while a batch of them is gathered, in the layout of the Arrow columnar format ("Physical Memory Layout").

import HTTPSemantics
import NIOCore

/// Values of one column. Used by one thread.
package final class ArrowArray {
    package let field: ArrowField
    /// Values, with those that are null.
    package private(set) var count = 0
    private(set) var nullCount = 0
    /// One bit for each value, the lowest first: 1 unless it is null. The last byte waits in `lastValidity` until it is full.
    private let validity = ByteWriter(capacity: 1024)
    private var lastValidity: UInt8 = 0
    /// Numbers, or bits of booleans; of texts, bytes and lists the offsets of their ends; of texts with a dictionary their numbers in it.
    private let values = ByteWriter(capacity: 1024)
    private var lastBits: UInt8 = 0
    /// Of texts and bytes: one after the other.
    private let data = ByteWriter(capacity: 1024)
    package let children: [ArrowArray]
    private var dictionary = KeyTable()

    package init(_ field: ArrowField) {
        self.field = field
        children = field.type.children.map { ArrowArray($0) }
        clear()
    }

    /// Removes all values and keeps the storage.
    package func clear() {
        count = 0
        nullCount = 0
        validity.clear()
        lastValidity = 0
        values.clear()
        lastBits = 0
        data.clear()
        dictionary.removeAll()
        for child in children { child.clear() }
        switch field.type {
        case .utf8, .binary, .list: values.append(Int32(0))
        case .bool, .int32, .int64, .time, .dictionary, .structure: break
        }
    }

    /// Bytes of texts and other values without a fixed length.
    package var dataSize: Int { children.reduce(data.count) { $0 + $1.dataSize } }

    // MARK: Values

    package func appendNull() {
        switch field.type {
        case .bool: appendBit(false)
        case .int32, .dictionary: values.append(Int32(0))
        case .int64, .time: values.append(Int64(0))
        case .utf8, .binary: values.append(Int32(truncatingIfNeeded: data.count))
        case .list: values.append(Int32(truncatingIfNeeded: children[0].count))
        case .structure: for child in children { child.appendNull() }
        }
        nullCount &+= 1
        note(isValid: false)
    }

    /// Appends a number to a column of numbers or times. One that a column of 32 bits cannot hold becomes the nearest that it can.
    package func append(_ number: Int64) {
        if field.type == .int32 { values.append(Int32(clamping: number)) } else { values.append(number) }
        note(isValid: true)
    }

    package func append(_ bit: Bool) {
        appendBit(bit)
        note(isValid: true)
    }

    /// Appends bytes, or a text. A text that is not UTF-8 is read as ISO-8859-1, as in JSON.
    package func append(_ bytes: ByteBuffer) {
        unsafe bytes.withUnsafeReadableBytes { unsafe append($0) }
    }

    /// The same for bytes that lie elsewhere.
    package func append(_ bytes: UnsafeRawBufferPointer) {
        guard field.type != .binary, unsafe !bytes.isUTF8 else { return unsafe store(bytes) }
        var text = unsafe String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        text.withUTF8 { unsafe store(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a list of the values that its child received since the last one.
    package func appendList() {
        values.append(Int32(truncatingIfNeeded: children[0].count))
        note(isValid: true)
    }

    /// Appends a structure whose children have received one value each.
    package func appendStructure() { note(isValid: true) }

    private func store(_ bytes: UnsafeRawBufferPointer) {
        if field.type == .dictionary {
            values.append(Int32(truncatingIfNeeded: unsafe dictionary.number(of: bytes)))
        } else {
            unsafe data.append(bytes)
            values.append(Int32(truncatingIfNeeded: data.count))
        }
        note(isValid: true)
    }

    private func appendBit(_ bit: Bool) {
        if bit { lastBits |= 1 &<< UInt8(count & 7) }
        guard count & 7 == 7 else { return }
        values.append(lastBits)
        lastBits = 0
    }

    private func note(isValid: Bool) {
        if isValid { lastValidity |= 1 &<< UInt8(count & 7) }
        count &+= 1
        guard count & 7 == 0 else { return }
        validity.append(lastValidity)
        lastValidity = 0
    }

    // MARK: Batches

    /// Adds the array, and then its children, to a batch.
    func add(to body: inout ArrowBody) {
        body.add(node: (Int64(count), Int64(nullCount)))
        if nullCount > 0 {
            if count & 7 != 0 { validity.append(lastValidity) }
            body.add(validity)
        } else {
            body.addEmpty()
        }
        switch field.type {
        case .structure: break
        case .bool:
            if count & 7 != 0 { values.append(lastBits) }
            body.add(values)
        case .int32, .int64, .time, .dictionary, .list: body.add(values)
        case .utf8, .binary:
            body.add(values)
            body.add(data)
        }
        for child in children { child.add(to: &body) }
    }

    /// The texts of the dictionary as an array; nil for a column without one.
    var dictionaryArray: ArrowArray? {
        guard field.type == .dictionary else { return nil }
        let array = ArrowArray(ArrowField(field.name, .utf8))
        for number in 0..<dictionary.count { unsafe dictionary.key(number).withUnsafeBytes { unsafe array.store($0) } }
        return array
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var isUTF8: Bool {
        var offset = 0
        while offset &+ 8 <= count {
            guard unsafe loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 else {
                return unsafe String(validating: self, as: UTF8.self) != nil
            }
            offset &+= 8
        }
        while offset < count {
            guard unsafe self[offset] < 0x80 else { return unsafe String(validating: self, as: UTF8.self) != nil }
            offset &+= 1
        }
        return true
    }
}
