// Files: opened for a new recording, to go on with one, or standing for stdout. The only file of this module that talks to the system.

import Glibc
import NIOCore

/// A file or a pipe that a recording is appended to.
package final class POSIXStorage: ArchiveStorage {
    private let path: String
    private var descriptor: Int32
    private let isRegular: Bool
    private var length: Int64
    /// A torn tail that was cut off when the file was opened to go on with it: its length in bytes.
    package private(set) var cutTail: UInt64 = 0

    private init(path: String, descriptor: Int32, isRegular: Bool, length: Int64) {
        self.path = path
        self.descriptor = descriptor
        self.isRegular = isRegular
        self.length = length
    }

    deinit { if descriptor > 2 { Glibc.close(descriptor) } }

    /// Standard output, or another descriptor that is already open. It is not closed.
    package init(standard descriptor: Int32) {
        path = "standard output"
        self.descriptor = descriptor
        isRegular = false
        length = 0
    }

    /// A file for a recording that begins here. It is made with mode 0600, since recordings hold secrets.
    /// - Parameter truncates: empty a file that is there; otherwise go on behind its last whole block.
    /// - Throws: `notAFlowFile`, with the file untouched, when it is not empty and no flow file and is not to be emptied.
    package static func open(path: String, truncates: Bool) throws(ArchiveError) -> POSIXStorage {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC
        let descriptor = unsafe Glibc.open(path, flags, 0o600)
        guard descriptor >= 0 else { throw failure("cannot write", path) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("cannot write", path) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let storage = POSIXStorage(path: path, descriptor: descriptor, isRegular: isRegular, length: 0)
        guard isRegular else { return storage }
        // One recorder at a time: two would interleave their blocks.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw ArchiveError(.system(errno), "\(path) is being written by another recorder; choose another file")
        }
        if truncates {
            guard ftruncate(descriptor, 0) == 0 else { throw failure("cannot empty", path) }
        } else if status.st_size > 0 {
            let end = try endOfLastBlock(path: path, size: UInt64(status.st_size))
            storage.cutTail = UInt64(status.st_size) - end
            if storage.cutTail > 0 {
                guard ftruncate(descriptor, off_t(end)) == 0 else { throw failure("cannot cut the torn tail of", path) }
            }
            storage.length = Int64(end)
        }
        guard lseek(descriptor, off_t(storage.length), SEEK_SET) >= 0 else { throw failure("cannot write", path) }
        return storage
    }

    /// Where the last whole frame ends.
    private static func endOfLastBlock(path: String, size: UInt64) throws(ArchiveError) -> UInt64 {
        let input = try ArchiveInput(path: path)
        var frames = FrameWalker(input: input)
        try frames.checkBeginning(path: path)
        var end: UInt64 = 0
        while let frame = try frames.next() {
            switch frame {
            case .segment, .index, .footer, .other: end = frames.offset
            case .block(let header, _, let isWhole):
                frames.skipFrames(of: header, isWhole: isWhole)
                if isWhole { end = frames.offset }
            case .damage: break
            }
        }
        return end
    }

    package func append(_ bytes: ByteBuffer, _ more: ByteBuffer) throws(ArchiveError) {
        var failed = write(bytes)
        if failed == 0 { failed = write(more) }
        if failed != 0 {
            // What came through of the block is taken back, so that it can be written again.
            if isRegular, ftruncate(descriptor, off_t(length)) == 0 { _ = lseek(descriptor, off_t(length), SEEK_SET) }
            throw Self.failure("cannot write", path, failed)
        }
        length += Int64(bytes.readableBytes + more.readableBytes)
    }

    /// - Returns: 0, or the errno of what failed.
    private func write(_ bytes: ByteBuffer) -> Int32 {
        unsafe bytes.withUnsafeReadableBytes { source in
            var written = 0
            while written < source.count {
                let count = unsafe Glibc.write(descriptor, source.baseAddress! + written, source.count - written)
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno
                }
                written += count
            }
            return 0
        }
    }

    package func sync() throws(ArchiveError) {
        guard isRegular else { return }
        guard fdatasync(descriptor) == 0 else { throw Self.failure("cannot sync", path) }
    }

    package func close() throws(ArchiveError) {
        guard descriptor > 2 else { return }
        let result = Glibc.close(descriptor)
        descriptor = -1
        guard result == 0 else { throw Self.failure("cannot close", path) }
    }

    static func failure(_ what: String, _ path: String, _ code: Int32 = errno) -> ArchiveError {
        ArchiveError(.system(code), unsafe "\(what) \(path): \(String(cString: strerror(code)).lowercased())")
    }
}
