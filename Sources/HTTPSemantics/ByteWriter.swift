// Bytes that grow at their end: the parts of a flow file under construction, and text that is printed. Appending does not check for
// shared storage, because this storage is never shared. `@usableFromInline` on the class lets other modules inline its methods.

import NIOCore

/// A growing sequence of bytes with one owner.
@safe @usableFromInline package final class ByteWriter {
    /// ``clear()`` frees storage larger than this, so that one large flow does not occupy its memory for ever.
    private static let keptCapacity = 4 * 1024 * 1024

    // SAFETY: points to `capacity` bytes until deinit, of which the first `count` are initialised.
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline package private(set) var capacity: Int
    @usableFromInline var written = 0

    package init(capacity: Int) {
        self.capacity = max(64, capacity)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    @inlinable package var count: Int { written }

    /// The bytes; valid until the next change.
    @inlinable package var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: written) }

    /// Removes all bytes and keeps the storage.
    package func clear() {
        written = 0
        guard capacity > Self.keptCapacity else { return }
        unsafe base.deallocate()
        capacity = 64 * 1024
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Exchanges the bytes, and their storage, with another writer.
    package func exchange(with other: ByteWriter) {
        unsafe swap(&base, &other.base)
        swap(&capacity, &other.capacity)
        swap(&written, &other.written)
    }

    /// Removes all bytes from an offset on.
    package func truncate(to offset: Int) {
        precondition(offset <= written)
        written = offset
    }

    @inlinable @inline(__always) package func reserve(_ more: Int) {
        if written &+ more > capacity { grow(more) }
    }

    @usableFromInline @inline(never) func grow(_ more: Int) {
        capacity = max(written + more, capacity * 2)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        unsafe grown.copyMemory(from: base, byteCount: written)
        unsafe base.deallocate()
        unsafe base = unsafe grown
    }

    // MARK: Numbers

    /// Appends an integer in little-endian order.
    @inlinable @inline(__always) package func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        unsafe (base + written).storeBytes(of: value.littleEndian, as: T.self)
        written &+= MemoryLayout<T>.size
    }

    /// Replaces an integer that was appended before.
    @inlinable @inline(__always) package func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset &+ MemoryLayout<T>.size <= written)
        unsafe (base + offset).storeBytes(of: value.littleEndian, as: T.self)
    }

    /// Appends a LEB128 number: seven bits a byte, the lowest first, the top bit set in all but the last.
    @inlinable @inline(__always) package func appendVarint(_ value: UInt64) {
        reserve(10)
        var value = value
        while value >= 0x80 {
            unsafe (base + written).storeBytes(of: UInt8(truncatingIfNeeded: value) | 0x80, as: UInt8.self)
            written &+= 1
            value &>>= 7
        }
        unsafe (base + written).storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        written &+= 1
    }

    /// Appends a signed number as a varint in which 0, -1, 1, -2, … are 0, 1, 2, 3, ….
    @inlinable @inline(__always) package func appendZigzag(_ value: Int64) {
        appendVarint(UInt64(bitPattern: value &<< 1 ^ value &>> 63))
    }

    /// Appends a number in decimal digits, padded with zeros to a width.
    package func append(decimal value: UInt64, width: Int = 1) {
        var length = 1
        var limit: UInt64 = 10
        while value >= limit {
            length += 1
            if length == 20 { break }
            limit *= 10
        }
        let total = max(width, length)
        reserve(total)
        var rest = value
        var position = written &+ total
        while position &- written >= 2 {
            position &-= 2
            let pair = rest % 100
            rest /= 100
            let digits = UInt16(truncatingIfNeeded: 0x3030 | (pair / 10) | (pair % 10) << 8)
            unsafe base.storeBytes(of: digits.littleEndian, toByteOffset: position, as: UInt16.self)
        }
        if position > written {
            unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: written, as: UInt8.self)
        }
        written = written &+ total
    }

    /// Appends the lowest digits of a number in lower-case hexadecimal.
    package func append(hexadecimal value: UInt64, digits: Int) {
        for place in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * place)) & 15
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// Appends zeros, to be replaced by numbers.
    /// - Returns: their offset.
    package func appendZeros(_ count: Int) -> Int {
        reserve(count)
        let start = written
        unsafe (base + start).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        written += count
        return start
    }

    /// Appends bytes that a function writes.
    /// - Parameters:
    ///   - room: the most bytes that it writes.
    ///   - body: receives the place for them; returns how many it wrote, from the first on.
    /// - Returns: that number.
    package func append(room: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        reserve(room)
        let count = unsafe body(UnsafeMutableRawBufferPointer(start: base + written, count: room))
        precondition(count <= room)
        written &+= count
        return count
    }

    // MARK: Bytes and text

    @inlinable @inline(__always) package func append(_ other: UnsafeRawBufferPointer) {
        reserve(other.count)
        guard let source = other.baseAddress else { return }
        unsafe (base + written).copyMemory(from: source, byteCount: other.count)
        written &+= other.count
    }

    package func append(_ other: ByteWriter) { unsafe append(other.bytes) }

    package func append(_ other: ByteBuffer) {
        unsafe other.withUnsafeReadableBytes { unsafe append($0) }
    }

    @inlinable @inline(__always) package func append(_ text: StaticString) {
        unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends the text's UTF-8.
    /// - Returns: the number of bytes.
    @discardableResult package func append(utf8 text: String) -> Int {
        let before = written
        let isDone: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe append(UnsafeRawBufferPointer($0)) }
        if isDone == nil { for byte in text.utf8 { append(byte) } }
        return written - before
    }

    /// Appends a length as a varint, and the text's UTF-8.
    package func appendText(_ text: String) {
        appendVarint(UInt64(text.utf8.count))
        append(utf8: text)
    }

    /// Appends 0 for nil, otherwise the text's length plus one and its UTF-8.
    package func appendOptionalText(_ text: String?) {
        guard let text else { return appendVarint(0) }
        appendVarint(UInt64(text.utf8.count) + 1)
        append(utf8: text)
    }
}
