// Which file is which, whatever its name: a hard link, a symbolic link, standard input and standard output may all be one file.

import FlowArchive
import Glibc

/// A file on a disk.
package struct FileIdentity: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64

    /// - Returns: nil for other things than a file on a disk (no file, a pipe, a terminal, /dev/null).
    package init?(path: String) {
        var status = stat()
        guard unsafe FileName.withCString(path, { unsafe stat($0, &status) }) == 0 else { return nil }
        self.init(status)
    }

    package init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init?(_ status: stat) {
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

/// Overwriting an input would lose it; appending to an input would never end.
/// - Parameter output: nil and `-` are standard output.
/// - Throws: ``ToolError`` when the output is one of the inputs.
package func refuseInput(asOutput output: String?, _ sources: [ArchiveSource]) throws {
    let isStandard = output == nil || output == "-"
    guard let identity = isStandard ? FileIdentity(descriptor: 1) : FileIdentity(path: output!) else { return }
    guard sources.contains(where: { $0.identity == identity }) else { return }
    throw ToolError("\(isStandard ? "standard output" : output!) is an input; write to another file")
}

extension ArchiveSource {
    /// nil if it is not a file on a disk.
    package var identity: FileIdentity? {
        switch place {
        case .file(let path): FileIdentity(path: path)
        case .standardInput: FileIdentity(descriptor: 0)
        }
    }

    /// Bytes of a file on a disk; nil for anything else.
    package var size: UInt64? {
        guard let status, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return UInt64(max(0, status.st_size))
    }

    /// A file on a disk that was named: it can be read again from its beginning.
    var isNamedFile: Bool { path != nil && size != nil }

    /// A pipe, a socket or a terminal: data may arrive while it is read.
    package var isLive: Bool {
        guard let status else { return false }
        return status.st_mode & S_IFMT != S_IFREG && status.st_mode & S_IFMT != S_IFDIR
    }

    private var status: stat? {
        var status = stat()
        let result =
            switch place {
            case .file(let path): unsafe FileName.withCString(path) { unsafe stat($0, &status) }
            case .standardInput: unsafe fstat(0, &status)
            }
        return result == 0 ? status : nil
    }
}
