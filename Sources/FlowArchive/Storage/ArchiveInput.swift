// Bytes of a flow file as they are read: from a file that can be read anywhere, or from a pipe that passes once.

import AgeFormat
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
    /// A lookup reads it at any time, so its descriptor stays open.
    private let isKeptOpen = Atomic(false)

    private struct FileIdentity: Equatable {
        var device: UInt64
        var inode: UInt64

        init?(_ descriptor: Int32) {
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { return nil }
            (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }
    /// nil: bytes are read as they are stored.
    private let keys: ArchiveKeys?
    private let content = Mutex(Content.undecided)

    private enum Content: Sendable {
        /// The file is too short to know whether it is encrypted.
        case undecided
        case plain
        case encrypted(DecryptedFile)

        var isEncrypted: Bool { if case .encrypted = self { true } else { false } }
    }

    init(takingOwnershipOf descriptor: Int32, path: String, keys: ArchiveKeys? = nil) {
        self.descriptor = descriptor
        self.path = path
        self.keys = keys
    }

    deinit { if parked.withLock({ $0 == nil }) { Glibc.close(descriptor) } }

    /// Makes ``park()`` leave the descriptor open.
    func keepOpen() { isKeptOpen.store(true, ordering: .relaxed) }

    /// The same file for another reader, also if it has lost its name or another file has it now. Each reader of an encrypted file
    /// reports the damage that it meets, so it has a descriptor of its own.
    /// - Throws: when the file cannot be read, or too many files are open.
    func forAnotherReader() throws(ArchiveError) -> ArchiveFile {
        if try isPlain() { return self }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw POSIXStorage.failure("cannot open", path) }
        return ArchiveFile(takingOwnershipOf: copy, path: path, keys: keys)
    }

    /// Closes the descriptor: a flow may have parts in more files than a process may have open. The input of the file is read no more.
    func park() {
        guard !isKeptOpen.load(ordering: .relaxed) else { return }
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

    // MARK: Content

    /// Bytes that can be read now.
    func size() throws(ArchiveError) -> UInt64 {
        switch try decided() {
        case .undecided: 0
        case .plain: try storedSize()
        case .encrypted(let file): try file.size(self)
        }
    }

    /// Bytes at an offset; fewer than requested at the end of the file.
    /// - Parameter prefix: bytes that precede them in the result.
    func read(at offset: UInt64, count: Int, after prefix: ByteBuffer = ByteBuffer()) throws(ArchiveError) -> ByteBuffer {
        switch try decided() {
        case .undecided: return prefix
        case .plain: return try readStored(at: offset, count: count, after: prefix)
        case .encrypted(let file):
            var bytes = ByteBuffer()
            // More than the file has is not reserved.
            bytes.reserveCapacity(prefix.readableBytes + min(count, 1 << 20))
            bytes.writeImmutableBuffer(prefix)
            try file.read(self, at: offset, count: count, into: &bytes)
            return bytes
        }
    }

    /// It is not encrypted, as far as it is known.
    func isPlain() throws(ArchiveError) -> Bool {
        if try decided().isEncrypted { return false }
        return try !readStored(at: 0, count: AgeHeader.beginning.count).readableBytesView.elementsEqual(AgeHeader.beginning)
    }

    /// The decrypted content; nil when the file is not encrypted.
    var decrypted: DecryptedFile? {
        guard case .encrypted(let file) = content.withLock({ $0 }) else { return nil }
        return file
    }

    private func decided() throws(ArchiveError) -> Content {
        guard let keys else { return .plain }
        let known = content.withLock { $0 }
        guard case .undecided = known else { return known }
        let found = try decide(keys)
        content.withLock { $0 = found }
        return found
    }

    private func decide(_ keys: ArchiveKeys) throws(ArchiveError) -> Content {
        let beginning = AgeHeader.beginning
        let first = try readStored(at: 0, count: beginning.count)
        guard first.readableBytesView.elementsEqual(beginning) else {
            return first.readableBytes > 0 && !beginning.starts(with: first.readableBytesView) ? .plain : .undecided
        }
        let bytes = try readStored(at: 0, count: AgeHeader.maximumLength + 1)
        guard let (header, key) = try keys.open(bytes, path: path),
            let nonce = bytes.getBytes(at: bytes.readerIndex + header.length, length: AgePayload.nonceSize)
        else { return .undecided }
        let payload = AgePayload(key, nonce: nonce)
        return .encrypted(DecryptedFile(payload, start: UInt64(header.length + AgePayload.nonceSize)))
    }

    /// Whether an encrypted file has its last chunk; nil for one that is not encrypted.
    var hasEnd: Bool? {
        guard let decrypted else { return nil }
        return (try? decrypted.missingEnd(self)) ?? nil == nil
    }

    /// Chunks that were refused since the last call.
    func takeDamage() -> [ArchiveDamage] { decrypted?.takeDamage() ?? [] }

    /// What the end of an encrypted file lacks. A file that a recorder is writing has no end yet.
    func missingEnd() throws(ArchiveError) -> ArchiveDamage? {
        let found: ArchiveDamage?
        switch try decided() {
        case .plain: return nil
        case .encrypted(let file): found = try file.missingEnd(self)
        case .undecided:
            // The beginning of a header.
            let stored = try storedSize()
            found = stored > 0 ? ArchiveDamage(.unfinished, offset: 0, length: stored) : nil
        }
        return found == nil || isBeingWritten ? nil : found
    }

    // MARK: Stored bytes

    /// Bytes of the file.
    func storedSize() throws(ArchiveError) -> UInt64 {
        let size = try withDescriptor { descriptor -> off_t? in
            var status = stat()
            return unsafe fstat(descriptor, &status) == 0 ? status.st_size : nil
        }
        guard let size else { throw POSIXStorage.failure("cannot read", path) }
        return UInt64(max(0, size))
    }

    /// Bytes as they are stored.
    func readStored(at offset: UInt64, count: Int, after prefix: ByteBuffer = ByteBuffer()) throws(ArchiveError) -> ByteBuffer {
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

    /// - Parameter keys: decrypt the file if it is encrypted; nil: it is read as it is stored.
    /// - Throws: why the file cannot be opened.
    package init(path: String, keys: ArchiveKeys? = ArchiveKeys()) throws(ArchiveError) {
        let descriptor = unsafe FileName.withCString(path) { unsafe Glibc.open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw POSIXStorage.failure("cannot open", path) }
        self.path = path
        self.descriptor = descriptor
        let owner = ArchiveFile(takingOwnershipOf: descriptor, path: path, keys: keys)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw POSIXStorage.failure("cannot open", path) }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw ArchiveError(.system(EISDIR), "cannot read \(path): it is a directory")
        }
        isSeekable = status.st_mode & S_IFMT == S_IFREG
        file = isSeekable ? owner : nil
        owned = owner
        pipe = keys.map { DecryptedPipe($0, path: path) }
    }

    /// Reads a file from its beginning.
    init(_ file: ArchiveFile) {
        path = file.path
        descriptor = file.descriptor
        self.file = file
        owned = file
        isSeekable = true
    }

    /// - Parameters:
    ///   - descriptor: stays open; it is read once from its position, front to back.
    ///   - keys: decrypt the bytes if they are encrypted.
    package init(descriptor: Int32, name: String, keys: ArchiveKeys = ArchiveKeys()) {
        self.descriptor = descriptor
        path = name
        pipe = DecryptedPipe(keys, path: name)
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
    /// Decrypts what passes once; nil: bytes are read as they are.
    private var pipe: DecryptedPipe?

    /// - Throws: when the input is not a flow file, judged by its beginning. An empty one may become a flow file.
    package func checkBeginning() throws(ArchiveError) { try ArchiveFrameScanner(input: self).checkBeginning(isStrict: false) }

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
        guard let file else { return UInt64(window.readableBytes) }
        let size = try file.size()
        return size - min(offset, size)
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
        guard pipe == nil || pipe?.isPlain == true else { return try fillDecrypted(step) }
        let read = try read(step, into: &window)
        isAtEnd = read == 0
        return read > 0
    }

    /// - Returns: the number of bytes; 0 at the end.
    private func read(_ count: Int, into bytes: inout ByteBuffer) throws(ArchiveError) -> Int {
        var failed: Int32 = 0
        let read = unsafe bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            while true {
                let result = unsafe Glibc.read(descriptor, target.baseAddress!, count)
                if result >= 0 { return result }
                if errno != EINTR {
                    failed = errno
                    return 0
                }
            }
        }
        if failed != 0 { throw POSIXStorage.failure("cannot read", path, failed) }
        return read
    }

    private func fillDecrypted(_ step: Int) throws(ArchiveError) -> Bool {
        var stored = ByteBuffer()
        isAtEnd = try read(step, into: &stored) == 0
        let known = window.readableBytes
        try pipe?.receive(stored, isEnd: isAtEnd, into: &window)
        return !isAtEnd || window.readableBytes > known
    }

    // MARK: Decryption

    /// Encrypted chunks that were refused since the last call.
    package func takeDamage() -> [ArchiveDamage] { file?.takeDamage() ?? pipe?.takeDamage() ?? [] }

    /// What the end of an encrypted input lacks, when everything was read.
    package func endDamage() throws(ArchiveError) -> ArchiveDamage? { try file?.missingEnd() ?? pipe?.endDamage }

    /// Whether an encrypted file has its last chunk; nil for a pipe, and for a file that is not encrypted.
    var hasEnd: Bool? { file?.hasEnd }

    /// Bytes of the file in which what was read so far is stored. Of an encrypted file that was read to its end it is all of it.
    package var storedOffset: UInt64 {
        guard let file, file.decrypted != nil, (try? file.size()) == offset else { return offset }
        return (try? file.storedSize()) ?? offset
    }

    /// Encrypted chunks that were decrypted; 0 for an input that is not encrypted.
    package var decryptedChunks: Int { file?.decrypted?.decryptedChunks ?? 0 }
}

/// A file without a name, in the directory for temporary files (TMPDIR), that keeps bytes that are needed later.
package struct Spool {
    let file: ArchiveFile
    package private(set) var length: UInt64 = 0

    package init() throws(ArchiveError) {
        let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(directory)/mitm-XXXXXX".utf8CString)
        let descriptor = unsafe mkstemp(&template)
        guard descriptor >= 0 else { throw Self.advised(POSIXStorage.failure("cannot make a temporary file in", directory)) }
        // Without a name it disappears with the process.
        unsafe unlink(template)
        file = ArchiveFile(takingOwnershipOf: descriptor, path: "a temporary file in \(directory)")
    }

    private static func advised(_ error: ArchiveError) -> ArchiveError {
        ArchiveError(error.kind, "\(error); choose another directory with TMPDIR")
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
        if failed != 0 { throw Self.advised(POSIXStorage.failure("cannot write", file.path, failed)) }
        defer { length += UInt64(bytes.readableBytes) }
        return length
    }
}
