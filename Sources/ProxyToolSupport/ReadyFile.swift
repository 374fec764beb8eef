// --ready-file: how another program learns that a tool listens, and on which addresses, when the port is any free one.

import FlowModel
import Glibc
import ToolSupport

/// A file that exists while a tool listens, with a line for each listener: `127.0.0.1:36929`. It appears complete, by rename(2).
package struct ReadyFile {
    private let path: String
    /// Anything but a file on a disk, such as /dev/fd/3 or a symbolic link, is written in place.
    private let isReplaceable: Bool

    /// Removes the file of an earlier run.
    /// - Throws: ``ToolError`` if that is not possible.
    package init(path: String) throws {
        self.path = path
        var status = stat()
        let exists = unsafe lstat(self.path, &status) == 0
        isReplaceable = !exists || status.st_mode & S_IFMT == S_IFREG
        if exists, isReplaceable, unsafe unlink(self.path) != 0 { throw failure() }
        // A directory that cannot be written is reported before anything else is done.
        guard isReplaceable else { return }
        try write("", to: temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC)
        unsafe unlink(temporary)
    }

    private var temporary: String { "\(path).new-\(getpid())" }

    private func failure() -> ToolError {
        ToolError(unsafe "cannot write the file of --ready-file, \(path): \(String(cString: strerror(errno)).lowercased())")
    }

    /// Writes the addresses of all listeners.
    /// - Throws: ``ToolError``.
    package func write(_ addresses: [Endpoint]) throws {
        let text = addresses.map { "\($0)\n" }.joined()
        guard isReplaceable else { return try write(text, to: path, O_WRONLY | O_CLOEXEC) }
        try write(text, to: temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC)
        guard unsafe rename(temporary, path) == 0 else {
            let failure = failure()
            unsafe unlink(temporary)
            throw failure
        }
    }

    private func write(_ text: String, to path: String, _ flags: Int32) throws {
        let descriptor = unsafe open(path, flags, 0o644)
        guard descriptor >= 0 else { throw failure() }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                let failure = failure()
                close(descriptor)
                if path == temporary { unsafe unlink(temporary) }
                throw failure
            }
        }
        close(descriptor)
    }

    /// The tool no longer listens.
    package func remove() {
        if isReplaceable { unsafe unlink(path) }
    }
}
