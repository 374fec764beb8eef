// Where a writer's bytes go. They are appended in order; nothing that was written is written again.

import NIOCore

/// An append-only place for bytes. Production: a file, a pipe (``POSIXStorage``); tests: one that fails as a script says.
package protocol ArchiveStorage: AnyObject {
    /// Appends the bytes, or as many of the first of them as there is room for.
    /// - Returns: how many were appended: at least one. The caller goes on behind them.
    /// - Throws: when none could be appended.
    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int
    /// Returns when what was appended survives a loss of power.
    func sync() throws(ArchiveError)
    func close() throws(ArchiveError)
}

extension ArchiveStorage {
    /// Appends bytes that lie in one buffer, in the same way.
    package func append(_ bytes: ByteBuffer) throws(ArchiveError) -> Int {
        var scattered = ScatteredBytes()
        scattered.append(bytes)
        return try append(scattered)
    }
}
