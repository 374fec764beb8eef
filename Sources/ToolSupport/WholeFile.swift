// Files that are there whole or not at all, and have their mode from their first moment.

import FlowArchive
import Foundation
import Glibc

package enum WholeFile {
    /// Writes a file under another name and then gives it its own.
    /// - Parameter replaces: whether a file of that name is replaced.
    /// - Returns: false if the file exists and must not be replaced.
    /// - Throws: ``ToolError``.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t, replaces: Bool) throws(ToolError) -> Bool {
        func failure() -> ToolError { unsafe ToolError("cannot write \(path): \(String(cString: strerror(errno)).lowercased())") }
        let temporary = "\(path).new-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let descriptor = unsafe FileName.withCString(temporary) { unsafe open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode) }
        guard descriptor >= 0 else { throw failure() }
        defer { unsafe FileName.withCString(temporary) { _ = unsafe unlink($0) } }
        var written = 0
        while written < bytes.count {
            let result = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if result < 0, errno == EINTR { continue }
            guard result > 0 else {
                let error = failure()
                close(descriptor)
                throw error
            }
            written += result
        }
        let isSafe = fsync(descriptor) == 0
        guard close(descriptor) == 0, isSafe else { throw failure() }
        let isNamed = unsafe FileName.withCString(temporary) { temporary in
            unsafe FileName.withCString(path) { path in
                unsafe (replaces ? rename(temporary, path) : link(temporary, path)) == 0
            }
        }
        if isNamed { return true }
        guard !replaces, errno == EEXIST else { throw failure() }
        return false
    }
}
