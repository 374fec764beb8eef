// Small files as a whole, and the system's words for errors.

import FlowArchive
import Glibc

/// The system's words for an error (strerror(3)): `no such file or directory`.
package func systemMessage(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)).lowercased() }

/// Reads a file, a pipe or a device to its end.
/// - Parameters:
///   - purpose: what the file is, for the error: `the file of --ca-file`.
///   - maximum: a longer file is an error.
/// - Throws: ``ToolError``, in the system's words.
package func readFile(_ path: String, as purpose: String, maximum: Int = 64 << 20) throws(ToolError) -> [UInt8] {
    func failure(_ reason: String) -> ToolError { ToolError("cannot read \(purpose) \(path): \(reason)") }
    let descriptor = unsafe FileName.withCString(path) { unsafe open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw failure(systemMessage()) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress!, $0.count) }
        if count == 0 { return bytes }
        if count < 0 {
            if errno == EINTR { continue }
            throw failure(systemMessage())
        }
        bytes += buffer[..<count]
        guard bytes.count <= maximum else { throw failure("it has more than \(ByteSize(bytes: UInt64(maximum))) bytes") }
    }
}

/// Reads a file of text.
/// - Throws: ``ToolError``, also for text that is not UTF-8.
package func readText(_ path: String, as purpose: String) throws(ToolError) -> String {
    guard let text = String(validating: try readFile(path, as: purpose), as: UTF8.self) else {
        throw ToolError("cannot read \(purpose) \(path): it is not text in UTF-8")
    }
    return text
}
