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

/// The value of an environment variable. Foundation reads all of them for one.
package func environmentValue(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe FileName.text(UnsafeRawBufferPointer(start: value, count: strlen(value)))
}

/// Whether there is something of that name. What cannot be checked is taken to exist, so that reading it reports why.
package func fileExists(_ path: String) -> Bool {
    var status = stat()
    return unsafe FileName.withCString(path) { unsafe stat($0, &status) } == 0 || (errno != ENOENT && errno != ENOTDIR)
}

/// Makes a directory and those above it, where they do not exist.
/// - Throws: ``ToolError``, in the system's words.
package func makeDirectory(_ path: String, mode: mode_t, as purpose: String) throws(ToolError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
        made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
        guard unsafe FileName.withCString(made, { unsafe mkdir($0, mode) }) != 0, errno != EEXIST || !isDirectory(made) else {
            continue
        }
        throw ToolError("cannot make \(purpose) \(path): \(errno == EEXIST ? "\(made) is not a directory" : systemMessage())")
    }
}
