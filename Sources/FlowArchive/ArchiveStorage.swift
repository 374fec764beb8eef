// Where a writer's bytes go. Blocks are appended whole; nothing that was written is written again.

import NIOCore

/// An append-only place for bytes. Production: a file, a pipe (``POSIXStorage``); tests: one that fails as a script says.
package protocol ArchiveStorage: AnyObject {
    /// Appends all the bytes, those of the second buffer behind those of the first, or none that a reader would take for whole: after
    /// a failure the same bytes may be appended again.
    func append(_ bytes: ByteBuffer, _ more: ByteBuffer) throws(ArchiveError)
    /// Returns when what was appended survives a loss of power.
    func sync() throws(ArchiveError)
    func close() throws(ArchiveError)
}
