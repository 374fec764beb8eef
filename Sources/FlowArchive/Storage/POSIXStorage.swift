// Files: opened for a new recording, to go on with one, or standing for stdout. Only this and UncachedFile.swift write.

import Glibc
import NIOCore

/// A file or a pipe that a recording is appended to.
package final class POSIXStorage: ArchiveStorage {
    private let path: String
    private var descriptor: Int32
    private let isRegular: Bool
    /// A torn tail that was cut off when the file was opened to go on with it: its length in bytes.
    package private(set) var cutTail: UInt64 = 0
    /// Where the next byte goes, and the end of what the system was told to write back.
    private var length: UInt64 = 0
    private var writtenBack: UInt64 = 0
    /// Nil for what is not a file on a disk.
    private var uncached: UncachedFile?
    /// Not nil for a file that takes the place of another one when it is closed.
    private var replacement: Replacement?

    private init(path: String, descriptor: Int32, isRegular: Bool) {
        self.path = path
        self.descriptor = descriptor
        self.isRegular = isRegular
    }

    deinit {
        replacement?.giveUp()
        if descriptor > 2 { Glibc.close(descriptor) }
    }

    /// A file that has its name when it is closed. Until then, and when it never is, a file that has the name now stays as it is. What is
    /// not a file on a disk is written to at once.
    package static func replacing(path: String) throws(ArchiveError) -> POSIXStorage {
        let found = unsafe FileName.withCString(path) { unsafe Glibc.open($0, O_WRONLY | O_CLOEXEC) }
        var existing: ArchiveFile?
        if found >= 0 {
            let file = ArchiveFile(takingOwnershipOf: found, path: path)
            var status = stat()
            guard unsafe fstat(found, &status) == 0 else { throw failure("cannot write", path) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                // The reader of a pipe would see its end if nothing had it open for writing in between.
                defer { withExtendedLifetime(file) {} }
                return try open(path: path, truncates: true)
            }
            try lock(found, path)
            existing = file
        } else if errno != ENOENT {
            throw failure("cannot write", path)
        }
        let (descriptor, replacement) = try Replacement.begin(path: path, existing: existing)
        let storage = POSIXStorage(path: path, descriptor: descriptor, isRegular: true)
        storage.replacement = replacement
        storage.uncached = UncachedFile(sameFileAs: descriptor)
        return storage
    }

    /// One recorder at a time: two would interleave their blocks.
    private static func lock(_ descriptor: Int32, _ path: String) throws(ArchiveError) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw ArchiveError(.system(errno), "\(path) is being written by another recorder; choose another file")
        }
    }

    /// Standard output, or another descriptor that is already open. It is not closed.
    package init(standard descriptor: Int32) {
        path = "standard output"
        self.descriptor = descriptor
        isRegular = false
    }

    /// A file for a recording that begins here. It is made with mode 0600, since recordings hold secrets.
    /// - Parameter truncates: empty a file that is there; otherwise go on behind its last whole block.
    /// - Throws: `notAFlowFile`, with the file untouched, when it is not empty and no flow file and is not to be emptied.
    package static func open(path: String, truncates: Bool) throws(ArchiveError) -> POSIXStorage {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC
        let descriptor = unsafe FileName.withCString(path) { unsafe Glibc.open($0, flags, 0o600) }
        guard descriptor >= 0 else { throw failure("cannot write", path) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("cannot write", path) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let storage = POSIXStorage(path: path, descriptor: descriptor, isRegular: isRegular)
        guard isRegular else { return storage }
        try lock(descriptor, path)
        var length: UInt64 = 0
        if truncates {
            guard ftruncate(descriptor, 0) == 0 else { throw failure("cannot empty", path) }
        } else if status.st_size > 0 {
            length = try endOfLastBlock(path: path)
            storage.cutTail = UInt64(status.st_size) - length
            // What is cut off was never a whole block, so no reader ever saw anything of it.
            if storage.cutTail > 0, ftruncate(descriptor, off_t(length)) != 0 { throw failure("cannot cut the torn tail of", path) }
        }
        storage.length = length
        storage.writtenBack = length
        storage.uncached = UncachedFile(sameFileAs: descriptor)
        return storage
    }

    /// Where the last whole frame of a flow file ends.
    private static func endOfLastBlock(path: String) throws(ArchiveError) -> UInt64 {
        let input = try ArchiveInput(path: path)
        var frames = ArchiveFrameScanner(input: input)
        try frames.checkBeginning(isStrict: true)
        // A file that was closed in order says so in its last bytes.
        let size = try input.remaining()
        if try ArchiveIndex.footer(endingAt: size, in: input)?.start == 0 { return size }
        var end: UInt64 = 0
        while true {
            guard let frame = try frames.next() else {
                guard try frames.giveUpIncomplete() else { return end }
                continue
            }
            switch frame {
            case .segment, .other:
                end = frames.offset
            case .block(let header, _):
                frames.skipFrames(of: header)
                end = frames.offset
            case .damage:
                break
            }
        }
    }

    package func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        let outcome = write(bytes)
        // A failure behind bytes that were taken comes again with the next call.
        if outcome.written == 0 { throw Self.failure("cannot write", path, outcome.error) }
        if isRegular { letGo() }
        return outcome.written
    }

    /// Writes until everything is written or nothing more can be.
    private func write(_ bytes: ScatteredBytes) -> (written: Int, error: Int32) {
        let start = length
        var rest = bytes
        while !rest.isEmpty {
            var count = 0
            var limit = rest.count
            if let uncached, rest.count >= UncachedFile.minimum {
                let begun = Int(length % UInt64(UncachedFile.page))
                // The page that was begun is the cache's; behind it both have pages of their own.
                if begun > 0 { limit = UncachedFile.page - begun } else { count = uncached.write(rest, at: length) }
            }
            if count == 0 { count = unsafe rest.withVectors(limit: limit, writeOnce) }
            if count > 0 {
                length += UInt64(count)
                rest.removeFirst(count)
            } else if errno == EAGAIN {
                // Standard output may have been made non-blocking by whoever shares it.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&ready, 1, -1)
            } else if errno != EINTR {
                return (Int(length - start), errno)
            }
        }
        return (Int(length - start), 0)
    }

    private func writeOnce(_ vectors: [iovec]) -> Int {
        let count = unsafe Int32(vectors.count)
        return unsafe isRegular ? pwritev(descriptor, vectors, count, off_t(length)) : writev(descriptor, vectors, count)
    }

    /// Bytes that are written back in one go, and how far behind the end they leave memory.
    private static let step: UInt64 = 16 << 20
    private static let kept: UInt64 = 64 << 20

    /// A recording is written once and rarely read soon, so all but its end leaves the system's memory: other programs keep theirs, and
    /// the pages come round again while they are warm (fresh ones cost up to ten times as much in a virtual machine). Nothing here waits:
    /// the first advice makes the system begin to write a range back, the second drops what has been written of an older one, and what
    /// the disk has not taken by then stays in memory as usual. posix_fadvise(2).
    private func letGo() {
        while length - writtenBack >= Self.step {
            _ = posix_fadvise(descriptor, off_t(writtenBack), off_t(Self.step), POSIX_FADV_DONTNEED)
            if writtenBack >= Self.kept {
                _ = posix_fadvise(descriptor, off_t(writtenBack - Self.kept), off_t(Self.step), POSIX_FADV_DONTNEED)
            }
            writtenBack += Self.step
        }
    }

    package func sync() throws(ArchiveError) {
        guard isRegular else { return }
        guard fdatasync(descriptor) == 0 else { throw Self.failure("cannot sync", path) }
    }

    package func close() throws(ArchiveError) {
        guard descriptor > 2 else { return }
        try replacement?.finish(descriptor)
        replacement = nil
        let result = Glibc.close(descriptor)
        descriptor = -1
        guard result == 0 else { throw Self.failure("cannot close", path) }
    }

    static func failure(_ what: String, _ path: String, _ code: Int32 = errno) -> ArchiveError {
        ArchiveError(.system(code), unsafe "\(what) \(path): \(String(cString: strerror(code)).lowercased())")
    }
}
