// Bytes that grow at their end while a block is gathered: numbers, varints, text and buffers are laid down without a check for
// shared storage, since this storage is never shared. Its capacity is kept from one block to the next.

import NIOCore

/// A growing run of bytes with one owner.
@safe final class OutputBytes {
    /// Capacity above which ``clear()`` gives the storage back, so that one large flow does not cost its memory for ever.
    private static let keptCapacity = 4 * 1024 * 1024

    // SAFETY: points to `capacity` bytes until deinit, of which the first `count` are initialised.
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(64, capacity)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    /// The bytes; valid until the next change.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

    func clear() {
        count = 0
        guard capacity > Self.keptCapacity else { return }
        unsafe base.deallocate()
        capacity = 64 * 1024
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Forgets everything behind an offset.
    func truncate(to offset: Int) {
        precondition(offset <= count)
        count = offset
    }

    /// Forgets bytes at the front.
    func removeFirst(_ number: Int) {
        precondition(number <= count)
        unsafe base.copyMemory(from: base + number, byteCount: count - number)
        count -= number
    }

    @inline(__always) func reserve(_ more: Int) {
        if count &+ more > capacity { grow(more) }
    }

    @inline(never) private func grow(_ more: Int) {
        capacity = max(count + more, capacity * 2)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        unsafe grown.copyMemory(from: base, byteCount: count)
        unsafe base.deallocate()
        unsafe base = unsafe grown
    }

    /// Appends an integer in little-endian order.
    @inline(__always) func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        unsafe (base + count).storeBytes(of: value.littleEndian, as: T.self)
        count &+= MemoryLayout<T>.size
    }

    /// Replaces an integer that is there already.
    @inline(__always) func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset &+ MemoryLayout<T>.size <= count)
        unsafe (base + offset).storeBytes(of: value.littleEndian, as: T.self)
    }

    func appendZeros(_ number: Int) {
        reserve(number)
        unsafe (base + count).initializeMemory(as: UInt8.self, repeating: 0, count: number)
        count += number
    }

    func append(_ other: UnsafeRawBufferPointer) {
        reserve(other.count)
        guard let source = other.baseAddress else { return }
        unsafe (base + count).copyMemory(from: source, byteCount: other.count)
        count &+= other.count
    }

    func append(_ other: OutputBytes) { unsafe append(other.bytes) }

    func append(_ other: ByteBuffer) {
        unsafe other.withUnsafeReadableBytes { unsafe append($0) }
    }

    func append(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }

    /// Appends the text's UTF-8.
    /// - Returns: how many bytes that are.
    @discardableResult func append(_ text: String) -> Int {
        let before = count
        let isDone: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe append(UnsafeRawBufferPointer($0)) }
        if isDone == nil { for byte in text.utf8 { append(byte) } }
        return count - before
    }

    /// Appends a LEB128 number: seven bits a byte, the lowest first, the top bit set in all but the last.
    @inline(__always) func appendVarint(_ value: UInt64) {
        reserve(10)
        var value = value
        while value >= 0x80 {
            unsafe (base + count).storeBytes(of: UInt8(truncatingIfNeeded: value) | 0x80, as: UInt8.self)
            count &+= 1
            value &>>= 7
        }
        unsafe (base + count).storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        count &+= 1
    }

    /// Appends a signed number as a varint in which 0, -1, 1, -2, … are 0, 1, 2, 3, ….
    @inline(__always) func appendZigzag(_ value: Int64) { appendVarint(UInt64(bitPattern: value &<< 1 ^ value &>> 63)) }

    /// Appends a length as a varint, and the text's UTF-8.
    func appendText(_ text: String) {
        appendVarint(UInt64(text.utf8.count))
        append(text)
    }

    /// nil is written as 0, text as its length plus one.
    func appendOptionalText(_ text: String?) {
        guard let text else { return appendVarint(0) }
        appendVarint(UInt64(text.utf8.count) + 1)
        append(text)
    }
}
