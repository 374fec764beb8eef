// Room on a disk that a recording leaves to other programs. A disk with less counts as full.

import Glibc

/// How much of a disk stays free. Used on the recording's thread.
package final class DiskReserve {
    private let bytes: UInt64
    private let name: String
    /// The recording ends: what it holds in memory may use the reserve.
    package var isLifted = false

    /// - Parameter name: what asks for it, for errors.
    package init(bytes: UInt64, name: String) {
        self.bytes = bytes
        self.name = name
    }

    /// - Parameter count: bytes that are to be written to the file of the descriptor.
    /// - Throws: as for a full disk when less than the reserve would be left. Room that only the superuser may use does not count
    ///   (`f_bavail` of statvfs(3)). A pipe has no disk.
    func check(_ descriptor: Int32, _ path: String, adding count: Int) throws(ArchiveError) {
        guard !isLifted else { return }
        var status = stat()
        var disk = statvfs()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, unsafe fstatvfs(descriptor, &disk) == 0
        else { return }
        let (free, isHuge) = UInt64(disk.f_bavail).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
        guard !isHuge, free < bytes || free - bytes < UInt64(count) else { return }
        throw ArchiveError(.system(ENOSPC), "cannot write \(path): its disk would have less room than \(name) leaves free")
    }
}
