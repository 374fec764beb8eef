// The destination of a writer. Bytes are appended in order and never changed.

import NIOCore

/// An append-only destination: a file or a pipe (``POSIXStorage``), in tests one that fails according to a script.
package protocol ArchiveStorage: AnyObject {
    /// Appends the bytes, or as many of the first ones as possible.
    /// - Returns: the number of bytes appended, at least one. The caller continues after them.
    /// - Throws: when no byte could be appended.
    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int
    /// How many bytes must be appended after a number of others so that a flush passes everything on. Only a storage that writes whole
    /// chunks needs any.
    func missing(after count: Int) -> Int
    /// Bytes that append has taken and not passed on.
    var keptBytes: Int { get }
    /// Passes on what was appended and kept, as far as it fills chunks.
    func flush() throws(ArchiveError)
    /// Another program has emptied the file: what is appended from now on must be readable by itself.
    func beginAgain() throws(ArchiveError)
    /// Returns when the appended bytes survive a loss of power.
    func sync() throws(ArchiveError)
    func close() throws(ArchiveError)
    /// Removes bytes at the end, which belong to a block that stays incomplete, if that is possible.
    func removeLast(_ count: Int)
}

extension ArchiveStorage {
    package func missing(after count: Int) -> Int { 0 }
    package var keptBytes: Int { 0 }
    package func beginAgain() throws(ArchiveError) {}
    package func flush() throws(ArchiveError) {}
    package func removeLast(_ count: Int) {}

    /// Appends the bytes of one buffer in the same way.
    package func append(_ bytes: ByteBuffer) throws(ArchiveError) -> Int {
        var scattered = ScatteredBytes()
        scattered.append(bytes)
        return try append(scattered)
    }
}
