// A file that replaces another one when it is complete. Until then the other one stays unchanged, also when the process is killed.

import Glibc

/// A new file that has not received its name yet.
struct Replacement {
    /// The file that is replaced; the target of a symbolic link.
    private let path: String
    /// nil: the new file has no name (O_TMPFILE of open(2)), so it disappears when the process ends.
    private var name: String?
    /// Holds the lock on the existing file.
    private let replaced: ArchiveFile?

    /// O_TMPFILE, which Glibc's module does not show: <asm-generic/fcntl.h>; O_DIRECTORY is a part of it.
    private static let unnamed: Int32 = 0o20000000 | O_DIRECTORY

    /// - Parameter existing: the existing file, open; nil without one.
    /// - Returns: the descriptor to write to, and the replacement.
    static func begin(path: String, existing: ArchiveFile?) throws(ArchiveError) -> (descriptor: Int32, replacement: Replacement) {
        let path = existing == nil ? missingFile(path) : resolved(path)
        var replacement = Replacement(path: path, name: nil, replaced: existing)
        var descriptor = unsafe FileName.withCString(replacement.directory) { unsafe open($0, O_RDWR | unnamed | O_CLOEXEC, 0o600) }
        if descriptor < 0 {
            // Not every file system has files without a name.
            replacement.name = replacement.temporaryName
            descriptor = unsafe FileName.withCString(replacement.temporaryName) { name in
                unsafe open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
        }
        guard descriptor >= 0 else { throw POSIXStorage.failure("cannot make a file beside", path) }
        var status = stat()
        if let existing, unsafe fstat(existing.descriptor, &status) == 0 {
            // Owner and mode stay the same where that is allowed.
            _ = fchown(descriptor, status.st_uid, status.st_gid)
            _ = fchmod(descriptor, status.st_mode & 0o7777)
        }
        return (descriptor, replacement)
    }

    private static func resolved(_ path: String) -> String {
        guard let resolved = unsafe FileName.withCString(path, { unsafe realpath($0, nil) }) else { return path }
        defer { unsafe free(resolved) }
        return unsafe FileName.text(unsafe UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }

    /// The name of a file that does not exist; of a symbolic link the name that it points to.
    private static func missingFile(_ path: String) -> String {
        var path = path
        // As many as Linux follows, see path_resolution(7).
        for _ in 0..<40 {
            guard let target = FileName.linkTarget(path) else { return path }
            path = target
        }
        return path
    }

    private var directory: String { FileName.directory(of: path) }

    private var temporaryName: String { "\(path).tmp-\(getpid())" }

    /// Gives the new file its name.
    mutating func finish(_ descriptor: Int32) throws(ArchiveError) {
        // Otherwise a loss of power could leave neither the old file nor the new one.
        if replaced != nil, fdatasync(descriptor) != 0 { throw POSIXStorage.failure("cannot sync", path) }
        if name == nil {
            let source = "/proc/self/fd/\(descriptor)"
            let result = unsafe FileName.withCString(temporaryName) { name in
                unsafe linkat(AT_FDCWD, source, AT_FDCWD, name, AT_SYMLINK_FOLLOW)
            }
            guard result == 0 else {
                throw POSIXStorage.failure("cannot make a file beside", path)
            }
            name = temporaryName
        }
        let result = unsafe FileName.withCString(temporaryName) { from in
            unsafe FileName.withCString(path) { to in unsafe rename(from, to) }
        }
        guard result == 0 else {
            let error = POSIXStorage.failure("cannot replace", path)
            giveUp()
            throw error
        }
        name = nil
    }

    /// Removes the new file; the existing one stays.
    mutating func giveUp() {
        if let name { _ = unsafe FileName.withCString(name) { unsafe unlink($0) } }
        name = nil
    }
}
