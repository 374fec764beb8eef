// --encrypt-to of the tools that record.

import FlowRecording
import ToolSupport

extension RecordingFiles.Options {
    /// Encrypts the files as the options ask for it.
    /// - Throws: ``ToolError`` for a recipient that is not one.
    package mutating func encrypt(_ arguments: EncryptionArguments) throws(ToolError) {
        guard let encryption = try arguments.encryption() else { return }
        self.encryption = encryption
        flushInterval = EncryptionArguments.flushInterval
    }
}
