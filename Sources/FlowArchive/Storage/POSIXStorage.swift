// Files that recordings are written to: new ones, existing ones that are continued, or stdout. Only this and UncachedFile.swift write.

import Glibc
import NIOCore

/// A file or a pipe that a recording is appended to.
package final class POSIXStorage: ArchiveStorage {
    private let path: String
    private var descriptor: Int32
    private let isRegular: Bool
    /// Bytes of a torn tail that were cut off when the file was opened for appending.
    package private(set) var cutTail: UInt64 = 0
    /// The offset of the next byte, and the end of the bytes that the system was advised to write back.
    private var length: UInt64 = 0
    private var writtenBack: UInt64 = 0
    /// The length of the file that is continued.
    private var began: UInt64 = 0
    /// nil unless it is a file on a disk.
    private var uncached: UncachedFile?
    /// Of a file that replaces another one when it is closed.
    private var replacement: Replacement?
    /// The file was made for it.
    package var isNew = false
    /// Room that stays free on the disk.
    package var reserve: DiskReserve?

    private init(path: String, descriptor: Int32, isRegular: Bool) {
        self.path = path
        self.descriptor = descriptor
        self.isRegular = isRegular
    }

    deinit {
        replacement?.giveUp()
        if descriptor > 2 { Glibc.close(descriptor) }
    }

    /// A file that receives its name when it is closed. Until then, and on an error, an existing file of that name stays unchanged. A pipe or
    /// device is written to directly.
    /// - Parameter check: throws when the existing file, which is not empty, must not be replaced.
    package static func replacing(
        path: String, check: (ArchiveInput) throws(ArchiveError) -> Void = checkFlowFile
    ) throws(ArchiveError) -> POSIXStorage {
        if let descriptor = DescriptorName(path) { return try POSIXStorage(copying: descriptor) }
        let found = unsafe FileName.withCString(path) { unsafe Glibc.open($0, O_WRONLY | O_CLOEXEC) }
        var existing: ArchiveFile?
        if found >= 0 {
            let file = ArchiveFile(takingOwnershipOf: found, path: path)
            var status = stat()
            guard unsafe fstat(found, &status) == 0 else { throw failure("cannot write", path) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                return try continuing(file)
            }
            try lock(found, path)
            if status.st_size > 0 { try check(try ArchiveInput(path: path)) }
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

    /// A pipe or a device that was opened for writing alone, so that a pipe whose reader has gone is an error.
    private static func continuing(_ file: ArchiveFile) throws(ArchiveError) -> POSIXStorage {
        let descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 3)
        guard descriptor >= 0 else { throw failure("cannot write", file.path) }
        return POSIXStorage(path: file.path, descriptor: descriptor, isRegular: false)
    }

    /// Standard output. It is not closed.
    package init(standard descriptor: Int32) {
        path = "standard output"
        self.descriptor = descriptor
        isRegular = false
    }

    /// A descriptor that the process was started with, under its name: it is written to as it is, so what the shell asked for holds (`>>`).
    private init(copying name: DescriptorName) throws(ArchiveError) {
        path = name.path
        descriptor = fcntl(name.descriptor, F_DUPFD_CLOEXEC, 3)
        isRegular = false
        guard descriptor >= 0 else { throw Self.failure("cannot write", name.path) }
    }

    /// An existing file that is replaced or emptied must be a flow file: a mistake in a command line must not cost another file.
    package static func checkFlowFile(_ file: ArchiveInput) throws(ArchiveError) {
        try checkKnown(file)
        guard !isFlowFile(file) else { return }
        throw ArchiveError(
            .notAFlowFile, "\(file.path) is not a flow file, so it was not replaced; choose another name, or remove it first")
    }

    /// Without its key, what an encrypted file has is not known.
    package static func checkKnown(_ file: ArchiveInput) throws(ArchiveError) {
        do throws(ArchiveError) {
            _ = try file.peekUpTo(1)
        } catch {
            guard error.kind == .encrypted else { throw error }
            throw ArchiveError(
                .encrypted, "\(file.path) is encrypted, so it was not replaced; choose another name, or remove it first")
        }
    }

    /// Whether a file is a flow file, of any version, or empty.
    package static func isFlowFile(_ file: ArchiveInput) -> Bool {
        do throws(ArchiveError) {
            try ArchiveFrameScanner(input: file).checkBeginning(isStrict: false)
            return true
        } catch {
            if case .version = error.kind { return true }
            return false
        }
    }

    /// Bytes go to a pipe, a terminal or a device, where a reader may wait for them.
    package var isLive: Bool { !isRegular }

    /// A file for a recording. It is created with mode 0600, because recordings contain secrets.
    /// - Parameters:
    ///   - truncates: overwrites an existing file; otherwise appends after its last whole block.
    ///   - mustBeNew: there must be no such file.
    ///   - isEncrypted: an existing file that is not empty is not appended to.
    /// - Throws: EEXIST for a file that must be new; `notAFlowFile` when the existing file is not a flow file and would be appended to,
    ///   `encrypted` when it or what would be appended is encrypted; it stays unchanged.
    package static func open(
        path: String, truncates: Bool, mustBeNew: Bool = false, isEncrypted: Bool = false
    ) throws(ArchiveError) -> POSIXStorage {
        if let descriptor = DescriptorName(path) { return try POSIXStorage(copying: descriptor) }
        let flags = O_RDWR | O_CREAT | O_CLOEXEC
        var descriptor = unsafe FileName.withCString(path) { unsafe Glibc.open($0, flags | O_EXCL, 0o600) }
        let isNew = descriptor >= 0
        if !isNew, errno == EEXIST, !mustBeNew {
            descriptor = unsafe FileName.withCString(path) { unsafe Glibc.open($0, flags, 0o600) }
        }
        guard descriptor >= 0 else { throw failure("cannot write", path) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("cannot write", path) }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let storage = POSIXStorage(path: path, descriptor: descriptor, isRegular: isRegular)
        storage.isNew = isNew
        guard isRegular else { return storage }
        try lock(descriptor, path)
        var length: UInt64 = 0
        if truncates {
            if status.st_size > 0 { try checkFlowFile(try ArchiveInput(path: path)) }
            guard ftruncate(descriptor, 0) == 0 else { throw failure("cannot empty", path) }
        } else if status.st_size > 0 {
            if isEncrypted { throw cannotContinue("\(path) exists, and") }
            length = try endOfLastBlock(path: path)
            storage.cutTail = UInt64(status.st_size) - length
            // The tail was never a whole block, so no reader has seen any of it.
            if storage.cutTail > 0, ftruncate(descriptor, off_t(length)) != 0 { throw failure("cannot cut the torn tail of", path) }
        }
        storage.length = length
        storage.began = length
        storage.writtenBack = length
        storage.uncached = UncachedFile(sameFileAs: descriptor)
        return storage
    }

    private static func cannotContinue(_ beginning: String) -> ArchiveError {
        ArchiveError(.encrypted, "\(beginning) an encrypted file cannot be continued; choose another name, or remove it first")
    }

    /// The end of the last whole frame of a flow file.
    private static func endOfLastBlock(path: String) throws(ArchiveError) -> UInt64 {
        let input = try ArchiveInput(path: path)
        var frames = ArchiveFrameScanner(input: input)
        do throws(ArchiveError) {
            try frames.checkBeginning(isStrict: true)
        } catch {
            switch error.kind {
            case .notAFlowFile: throw ArchiveError(.notAFlowFile, "\(error); it was not changed")
            case .encrypted: throw cannotContinue("\(path) is encrypted, and")
            default: throw error
            }
        }
        // A file that was closed in order ends with a footer.
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
        try reserve?.check(descriptor, path, adding: bytes.count)
        let outcome = write(bytes)
        // A failure after bytes that were written occurs again with the next call.
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
                // A page that was begun is completed through the cache.
                if begun > 0 { limit = UncachedFile.page - begun } else { count = uncached.write(rest, at: length) }
            }
            if count == 0 { count = unsafe rest.withVectors(limit: limit, writeOnce) }
            if count > 0 {
                length += UInt64(count)
                rest.removeFirst(count)
            } else if errno == EAGAIN {
                // Another process that shares standard output may have made it non-blocking.
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

    /// Bytes that are written back at a time, and their distance from the end when they leave memory.
    private static let step: UInt64 = 16 << 20
    private static let kept: UInt64 = 64 << 20

    /// A recording is written once and rarely read soon, so all but its end leaves the system's memory: other programs keep theirs, and
    /// the pages are used again while they are warm (fresh ones cost up to ten times as much in a virtual machine). Nothing here waits:
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

    /// Whether the name that the file was opened by still leads to it. It does not when the file was renamed, removed or replaced.
    package var hasItsName: Bool {
        var opened = stat()
        var named = stat()
        guard isRegular, unsafe fstat(descriptor, &opened) == 0 else { return true }
        guard unsafe FileName.withCString(path, { unsafe stat($0, &named) }) == 0 else {
            return errno != ENOENT && errno != ENOTDIR
        }
        return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino
    }

    /// Another program has cut bytes off that were written, as logrotate(8) does with `copytruncate`. Writing at the old offset would leave
    /// a hole.
    package var isTruncated: Bool {
        var status = stat()
        guard isRegular, descriptor >= 0, unsafe fstat(descriptor, &status) == 0 else { return false }
        return UInt64(max(0, status.st_size)) < length
    }

    /// Continues at the end of what is left of the file.
    package func continueAtEnd() {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return }
        length = UInt64(max(0, status.st_size))
        writtenBack = length
    }

    /// Bytes of the file.
    package var size: UInt64 { length }

    package func sync() throws(ArchiveError) {
        guard isRegular else { return }
        guard fdatasync(descriptor) == 0 else { throw uncertain("cannot sync") }
    }

    /// Removes a file that was made and has received nothing.
    package func removeNew() {
        guard isNew, length == 0, hasItsName else { return }
        _ = unsafe FileName.withCString(path) { unsafe unlink($0) }
    }

    package func removeLast(_ count: Int) {
        guard isRegular, replacement == nil, count > 0, descriptor >= 0, ftruncate(descriptor, off_t(length) - off_t(count)) == 0
        else { return }
        length -= UInt64(count)
        writtenBack = min(writtenBack, length)
    }

    package func close() throws(ArchiveError) {
        guard descriptor >= 0 else { return }
        try checkWritten()
        guard descriptor > 2 else { return }
        try replacement?.finish(descriptor)
        replacement = nil
        uncached = nil
        let result = Glibc.close(descriptor)
        descriptor = -1
        guard result == 0 else { throw uncertain("cannot close") }
    }

    /// A file of a network learns at close(2) which bytes could not be written: closing a copy asks for that before the file gets its name.
    private func checkWritten() throws(ArchiveError) {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0, Glibc.close(copy) != 0, errno != EINTR else { return }
        throw uncertain("cannot close")
    }

    /// An error ends the additions to an existing file: it becomes again what it was when it was opened.
    package func undoAppending() {
        guard isRegular, replacement == nil, descriptor > 2 else { return }
        removeLast(Int(length - began))
    }

    private func uncertain(_ what: String) -> ArchiveError {
        let code = errno
        return ArchiveError(
            .uncertain(code), "\(Self.failure(what, path, code)); what was written last may be missing")
    }

    static func failure(_ what: String, _ path: String, _ code: Int32 = errno) -> ArchiveError {
        ArchiveError(.system(code), unsafe "\(what) \(path): \(String(cString: strerror(code)).lowercased())")
    }
}
