// Bytes of a flow file as they are read: from a file that can be read anywhere, or from a pipe that passes once.

import FlowRecords
import Glibc
import NIOCore
import Synchronization

/// A descriptor that is shared by those who still have to read from it.
final class ArchiveFile: Sendable {
    let descriptor: Int32
    let path: String
    /// Set once the descriptor is closed: the file is opened again for each reading, as long as its name leads to it.
    private let parked = Mutex<FileIdentity?>(nil)

    private struct FileIdentity: Equatable {
        var device: UInt64
        var inode: UInt64

        init?(_ descriptor: Int32) {
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { return nil }
            (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }

    init(takingOwnershipOf descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { if parked.withLock({ $0 == nil }) { Glibc.close(descriptor) } }

    /// Closes the descriptor: a flow may have parts in more files than a process may have open. The input of the file is read no more.
    func park() {
        parked.withLock { parked in
            guard parked == nil, let identity = FileIdentity(descriptor) else { return }
            parked = identity
            Glibc.close(descriptor)
        }
    }

    /// Lends a descriptor of the file.
    private func withDescriptor<Result>(_ body: (Int32) -> Result) throws(ArchiveError) -> Result {
        guard let identity = parked.withLock({ $0 }) else { return body(descriptor) }
        let again = unsafe FileName.withCString(path) { unsafe Glibc.open($0, O_RDONLY | O_CLOEXEC) }
        guard again >= 0 else { throw POSIXStorage.failure("cannot open", path) }
        defer { Glibc.close(again) }
        guard FileIdentity(again) == identity else {
            throw ArchiveError(.damagedContent, "\(path) was replaced while it was read; its part of the flow is missing")
        }
        return body(again)
    }

    /// Whether a recorder has the file open for writing, by the lock that it keeps (proc_locks(5)). Asking for the lock itself could keep a
    /// recorder from getting it.
    var isBeingWritten: Bool {
        var status = stat()
        guard unsafe fstat(self.descriptor, &status) == 0 else { return false }
        let locks = unsafe open("/proc/locks", O_RDONLY | O_CLOEXEC)
        guard locks >= 0, let bytes = try? ArchiveFile(takingOwnershipOf: locks, path: "/proc/locks").read(at: 0, count: 1 << 20)
        else {
            return false
        }
        return String(buffer: bytes).split(separator: "\n").contains { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            return words.count > 5 && words[1] == "FLOCK" && words[3] == "WRITE" && words[5].hasSuffix(":\(status.st_ino)")
        }
    }

    /// Bytes at an offset; fewer than requested at the end of the file.
    /// - Parameter prefix: bytes that precede them in the result.
    func read(at offset: UInt64, count: Int, after prefix: ByteBuffer = ByteBuffer()) throws(ArchiveError) -> ByteBuffer {
        var bytes = ByteBuffer()
        if prefix.readableBytes > 0 {
            bytes.reserveCapacity(prefix.readableBytes + count)
            bytes.writeImmutableBuffer(prefix)
        }
        let failed = try withDescriptor { descriptor in
            var failed: Int32 = 0
            unsafe bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
                var filled = 0
                while filled < count {
                    let result = unsafe pread(
                        descriptor, target.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
                    if result < 0 {
                        if errno == EINTR { continue }
                        failed = errno
                        break
                    }
                    if result == 0 { break }
                    filled += result
                }
                return filled
            }
            return failed
        }
        if failed != 0 { throw POSIXStorage.failure("cannot read", path, failed) }
        return bytes
    }
}

/// A window that moves over the input from front to back.
package final class ArchiveInput {
    /// Enough for the header and the records of most blocks; the rest of a block is often skipped.
    private static let readSize = 64 * 1024
    private static let maximumStep = 1 << 20

    package let path: String
    /// nil for a pipe.
    let file: ArchiveFile?
    private let descriptor: Int32
    private var window = ByteBuffer()
    /// Bytes that were read or skipped.
    package private(set) var offset: UInt64 = 0
    /// Of a pipe: its writers have closed it, and everything was read.
    package private(set) var isAtEnd = false
    /// Called before the reader waits for a pipe, so that output can be flushed.
    package var beforeWaiting: (() -> Void)?
    /// Whether reading waits for a pipe. Otherwise one without bytes to read is like a file that may grow.
    package var waits = true

    /// - Throws: why the file cannot be opened.
    package init(path: String) throws(ArchiveError) {
        let descriptor = unsafe FileName.withCString(path) { unsafe Glibc.open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw POSIXStorage.failure("cannot open", path) }
        self.path = path
        self.descriptor = descriptor
        let owner = ArchiveFile(takingOwnershipOf: descriptor, path: path)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw POSIXStorage.failure("cannot open", path) }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw ArchiveError(.system(EISDIR), "cannot read \(path): it is a directory")
        }
        isSeekable = status.st_mode & S_IFMT == S_IFREG
        file = isSeekable ? owner : nil
        owned = owner
    }

    /// - Parameter descriptor: stays open; it is read once from its position, front to back.
    package init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        path = name
        file = nil
        owned = nil
        isSeekable = false
    }

    /// Bytes in memory.
    package init(bytes: ByteBuffer) {
        descriptor = -1
        path = "memory"
        file = nil
        owned = nil
        isSeekable = false
        window = bytes
        isAtEnd = true
    }

    let isSeekable: Bool
    /// Its path is a name in the file system.
    var isNamed: Bool { owned != nil }
    /// It is a regular file.
    package var canBeReadAgain: Bool { file != nil }
    private let owned: ArchiveFile?

    /// The next bytes, without moving; nil when the input ends before (for now).
    package func peek(_ count: Int) throws(ArchiveError) -> ByteBuffer? {
        while window.readableBytes < count {
            guard try fill(count - window.readableBytes) else { return nil }
        }
        return window.getSlice(at: window.readerIndex, length: count)
    }

    /// The next bytes up to a number; nil at the end.
    package func peekUpTo(_ count: Int) throws(ArchiveError) -> ByteBuffer? {
        if let bytes = try peek(count) { return bytes }
        return window.readableBytes > 0 ? window.slice() : nil
    }

    /// Bytes at a distance, up to a number; nil at the end.
    func bytesUpTo(at distance: Int, count: Int) throws(ArchiveError) -> ByteBuffer? {
        if let file {
            let bytes = try file.read(at: offset + UInt64(distance), count: count)
            return bytes.readableBytes > 0 ? bytes : nil
        }
        guard let bytes = try peekUpTo(distance + count), bytes.readableBytes > distance else { return nil }
        return bytes.slice(distance, bytes.readableBytes - distance)
    }

    /// Bytes that are in memory already.
    var available: Int { window.readableBytes }

    /// Whether this many bytes follow. A pipe is read until they are in memory.
    package func has(_ count: Int) throws(ArchiveError) -> Bool {
        guard file != nil else { return try peek(count) != nil }
        return try UInt64(count) <= remaining()
    }

    /// Bytes at a distance, without moving; nil when the input ends before (for now).
    func bytes(at distance: Int, count: Int) throws(ArchiveError) -> ByteBuffer? {
        if let file, distance + count > window.readableBytes {
            let bytes = try file.read(at: offset + UInt64(distance), count: count)
            return bytes.readableBytes == count ? bytes : nil
        }
        return try peek(distance + count)?.slice(distance, count)
    }

    /// The rest of the input; nil when it is longer than the maximum.
    package func rest(maximum: Int) throws(ArchiveError) -> ByteBuffer? {
        let count = file == nil ? UInt64(maximum) + 1 : try remaining()
        let rest = count <= UInt64(maximum) + 1 ? try peekUpTo(Int(count)) ?? ByteBuffer() : nil
        return rest.flatMap { $0.readableBytes <= maximum ? $0 : nil }
    }

    /// Bytes after the current offset that are available now.
    func remaining() throws(ArchiveError) -> UInt64 {
        guard file != nil else { return UInt64(window.readableBytes) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw POSIXStorage.failure("cannot read", path) }
        return UInt64(max(0, status.st_size)) - min(offset, UInt64(max(0, status.st_size)))
    }

    /// Moves past bytes that are available.
    package func skip(_ count: Int) {
        let inWindow = min(count, window.readableBytes)
        window.moveReaderIndex(forwardBy: inWindow)
        if count > inWindow {
            precondition(file != nil, "bytes of a pipe are read before they are skipped")
            window.clear()
        }
        offset += UInt64(count)
        if window.readerIndex > 1 << 20 { window.discardReadBytes() }
    }

    /// A pipe is open and has no bytes to read now.
    package var wouldWait: Bool {
        guard file == nil, !isAtEnd else { return false }
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&ready, 1, 0) == 0
    }

    private func fill(_ missing: Int) throws(ArchiveError) -> Bool {
        let count = max(missing, Self.readSize)
        if let file {
            // Headers and records are slices of the window, and writing to shared storage would copy all of it.
            let known = window.readableBytes
            let grown = try file.read(at: offset + UInt64(known), count: count, after: window)
            guard grown.readableBytes > known else { return false }
            window = grown
            return true
        }
        guard !isAtEnd else { return false }
        // Memory grows with the bytes that arrive, not with the length that the input announces.
        let step = min(count, Self.maximumStep)
        if !waits, wouldWait { return false }
        if let beforeWaiting, wouldWait { beforeWaiting() }
        var failed: Int32 = 0
        let read = unsafe window.writeWithUnsafeMutableBytes(minimumWritableBytes: step) { target in
            while true {
                let result = unsafe Glibc.read(descriptor, target.baseAddress!, step)
                if result >= 0 { return result }
                if errno != EINTR {
                    failed = errno
                    return 0
                }
            }
        }
        if failed != 0 { throw POSIXStorage.failure("cannot read", path, failed) }
        isAtEnd = read == 0
        return read > 0
    }
}

/// A file without a name, in the directory for temporary files (TMPDIR), that keeps bytes that are needed later.
package struct Spool {
    let file: ArchiveFile
    package private(set) var length: UInt64 = 0

    package init() throws(ArchiveError) {
        let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(directory)/mitm-XXXXXX".utf8CString)
        let descriptor = unsafe mkstemp(&template)
        guard descriptor >= 0 else { throw POSIXStorage.failure("cannot make a temporary file in", directory) }
        // Without a name it disappears with the process.
        unsafe unlink(template)
        file = ArchiveFile(takingOwnershipOf: descriptor, path: "a temporary file in \(directory)")
    }

    /// Bytes at an offset; fewer than requested at the end.
    package func read(at offset: UInt64, count: Int) throws(ArchiveError) -> ByteBuffer { try file.read(at: offset, count: count) }

    /// - Returns: the offset of the bytes.
    package mutating func append(_ bytes: ByteBuffer) throws(ArchiveError) -> UInt64 {
        var failed: Int32 = 0
        unsafe bytes.withUnsafeReadableBytes { source in
            var written = 0
            while written < source.count {
                let result = unsafe pwrite(
                    file.descriptor, source.baseAddress! + written, source.count - written, off_t(length) + off_t(written))
                if result < 0 {
                    if errno == EINTR { continue }
                    failed = errno
                    return
                }
                written += result
            }
        }
        if failed != 0 { throw POSIXStorage.failure("cannot write", file.path, failed) }
        defer { length += UInt64(bytes.readableBytes) }
        return length
    }
}
