// Text under construction as bytes with one owner: laid down without a check for shared storage, since this storage is never shared.

import NIOCore

/// A growing run of text.
@safe final class TextBytes {
    // SAFETY: points to `capacity` bytes until deinit, of which the first `count` are initialised.
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(64, capacity)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    func removeAll() { count = 0 }

    /// The bytes; valid until the next change.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

    @inline(__always) private func reserve(_ more: Int) {
        if count &+ more > capacity { grow(more) }
    }

    @inline(never) private func grow(_ more: Int) {
        capacity = max(count + more, capacity * 2)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        unsafe grown.copyMemory(from: base, byteCount: count)
        unsafe base.deallocate()
        unsafe base = unsafe grown
    }

    @inline(__always) func append(_ byte: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inline(__always) func append(_ text: StaticString) {
        unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always) func append(_ other: UnsafeRawBufferPointer) {
        reserve(other.count)
        guard let source = other.baseAddress else { return }
        unsafe (base + count).copyMemory(from: source, byteCount: other.count)
        count &+= other.count
    }

    /// A number in decimal digits, with zeros before it up to a width.
    func append(decimal value: UInt64, width: Int = 1) {
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
        var position = count + total
        while position > count {
            position -= 1
            unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: position, as: UInt8.self)
            rest /= 10
        }
        count += total
    }

    /// The lowest digits of a number in lower-case hexadecimal.
    func append(hexadecimal value: UInt64, digits: Int) {
        for place in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(4 * place)) & 15
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}
