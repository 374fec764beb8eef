// Results on their way to stdout: gathered, written in large pieces, and given up quietly when the reader has gone.

import Foundation
import Glibc
import NIOCore

/// The reader of our output is gone: the tool ends, quietly and well.
package struct ReaderGone: Error {}

/// Writes to a descriptor in large pieces.
package struct OutputSink {
    private static let size = 64 * 1024
    private let descriptor: Int32
    /// For errors.
    private let name: String
    private var buffer = ByteBuffer()

    package init(descriptor: Int32 = 1, name: String = "standard output") {
        self.descriptor = descriptor
        self.name = name
    }

    /// Appends, and writes when enough has gathered.
    /// - Throws: ``ReaderGone``; ``ToolError`` when writing fails.
    package mutating func write(_ body: (inout ByteBuffer) throws -> Void) throws {
        try body(&buffer)
        if buffer.readableBytes >= Self.size { try flush() }
    }

    package mutating func flush() throws {
        var failed: Int32 = 0
        unsafe buffer.withUnsafeReadableBytes { source in
            var written = 0
            while written < source.count {
                let result = unsafe Glibc.write(descriptor, source.baseAddress! + written, source.count - written)
                if result < 0 {
                    if errno == EINTR { continue }
                    failed = errno
                    return
                }
                written += result
            }
        }
        buffer.clear()
        if failed == EPIPE { throw ReaderGone() }
        if failed != 0 {
            throw ToolError("cannot write to \(name): \(systemMessage(failed))")
        }
    }
}

/// Whether a descriptor is a terminal that can show colours, and the user wants them (no-color.org).
package func isColourWelcome(on descriptor: Int32) -> Bool {
    isTerminal(descriptor) && environmentValue("NO_COLOR") ?? "" == "" && environmentValue("TERM") != "dumb"
}

/// The columns of a terminal: COLUMNS, or what the terminal reports; nil if the descriptor is not a terminal or has no size.
package func terminalColumns(of descriptor: Int32) -> Int? {
    guard isatty(descriptor) == 1 else { return nil }
    if let columns = environmentValue("COLUMNS").flatMap({ Int($0) }), columns > 0 { return columns }
    var size = winsize()
    guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
}

/// Whether a descriptor is a pipe or a socket: another program reads from it.
package func isPipe(_ descriptor: Int32) -> Bool {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return false }
    return [S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT)
}

/// Whether a descriptor is a terminal.
package func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
