// Files that lines are appended to while a tool runs: the event log, the journal, the key log. One that cannot be written does not stop the
// tool, but the user learns that lines are missing.

import FlowArchive
import Glibc
import Synchronization

/// A file that lines are appended to, by any thread.
package final class LineFile: Sendable {
    private struct State {
        var descriptor: Int32
        /// The last line was written in part.
        var isInLine = false
        var missing = 0
    }

    private let path: String
    private let name: String
    private let state: Mutex<State>

    /// Opens the file, and makes it for its owner alone.
    /// - Parameter name: what the file is, for sentences: `the event log`.
    /// - Throws: ``ToolError``.
    package init(_ path: String, name: String) throws(ToolError) {
        self.path = path
        self.name = name
        state = Mutex(State(descriptor: try Self.open(path, name)))
    }

    deinit { state.withLock { _ = close($0.descriptor) } }

    private static func open(_ path: String, _ name: String) throws(ToolError) -> Int32 {
        let descriptor = unsafe FileName.withCString(path) { path in
            unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        }
        guard descriptor >= 0 else { throw ToolError("cannot write \(name) \(path): \(systemMessage())") }
        return descriptor
    }

    /// Opens the path again. The file stays as it is if that fails.
    package func reopen() throws(ToolError) {
        let next = try Self.open(path, name)
        let last = state.withLock { state in
            defer { (state.descriptor, state.isInLine) = (next, false) }
            return state.descriptor
        }
        close(last)
    }

    /// Appends a line by one write, so that lines of several processes do not mix.
    /// - Parameter line: with its end.
    /// - Returns: a sentence for the user when lines begin to be missing, or are missing no more.
    package func append(_ line: [UInt8]) -> String? {
        state.withLock { state in
            // What was written of a line before is ended.
            let bytes = state.isInLine ? [0x0A] + line : line
            if let code = Self.write(bytes, &state) {
                state.missing += 1
                guard state.missing == 1 else { return nil }
                return "cannot write \(name) \(path): \(systemMessage(code)); lines are missing until that is possible again"
            }
            guard state.missing > 0 else { return nil }
            defer { state.missing = 0 }
            let lines = state.missing == 1 ? "1 line is missing" : "\(state.missing) lines are missing"
            return "\(name) \(path) is written again; \(lines)"
        }
    }

    /// - Returns: errno if not everything was written.
    private static func write(_ bytes: [UInt8], _ state: inout State) -> Int32? {
        var rest = bytes[...]
        while let last = rest.last {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(state.descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
                state.isInLine = !rest.isEmpty || last != 0x0A
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }
}
