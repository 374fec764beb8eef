// Writes to a file without the system's page cache (open(2), O_DIRECT). A page that is written through the cache is copied, accounted for,
// written back later and evicted, which costs four to ten times the processor time of a direct write. So large writes are direct as long as the
// disk is fast; for a slow disk the cache absorbs bursts. Used by POSIXStorage.

import Glibc

/// A second descriptor of a file that is being written, for whole pages.
@safe final class UncachedFile {
    /// Offsets, lengths and addresses are multiples of this. Disks require 512 bytes or 4 KiB.
    static let page = 4096
    /// Fewer bytes are not worth the wait for the disk.
    static let minimum = 128 * 1024
    private static let stagingSize = 1 << 20
    /// When the disk is slower, the next bytes go through the cache.
    private static let bytesPerSecond: UInt64 = 400 << 20
    private static let pause = 16 << 20
    /// O_DIRECT, which Glibc's module does not show: <asm-generic/fcntl.h> and <asm/fcntl.h> of 64-bit ARM.
    #if arch(arm64)
        private static let direct: Int32 = 0o200000
    #else
        private static let direct: Int32 = 0o40000
    #endif

    private let descriptor: Int32
    // SAFETY: `stagingSize` bytes that begin with a page, until deinit.
    private let staging: UnsafeMutableRawPointer
    /// Bytes that go through the cache before the next direct write.
    private var resting = 0

    /// Opens the file of a descriptor once more; nil when the file system does not support direct writes.
    init?(sameFileAs other: Int32) {
        descriptor = unsafe open("/proc/self/fd/\(other)", O_WRONLY | Self.direct | O_CLOEXEC)
        unsafe staging = .allocate(byteCount: Self.stagingSize, alignment: Self.page)
        guard descriptor >= 0 else { return nil }
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        unsafe staging.deallocate()
    }

    /// Writes whole pages from the front of the bytes, as many as fit into the staging memory.
    /// - Parameter offset: where in the file; a multiple of a page.
    /// - Returns: the number of bytes written. With 0 the caller writes through the cache, which reports a failure.
    func write(_ bytes: ScatteredBytes, at offset: UInt64) -> Int {
        guard resting <= 0 else {
            resting -= bytes.count
            return 0
        }
        let size = min(Self.stagingSize, bytes.count) / Self.page * Self.page
        unsafe bytes.copyFirst(size, to: staging)
        let began = Self.nanoseconds()
        let count = unsafe pwrite(descriptor, staging, size, off_t(offset))
        let took = Self.nanoseconds() - began
        if took > 1_000_000_000 * UInt64(size) / Self.bytesPerSecond || count != size { resting = Self.pause }
        // A page that was begun is written again through the cache, with the same bytes.
        return max(0, count) / Self.page * Self.page
    }

    private static func nanoseconds() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
