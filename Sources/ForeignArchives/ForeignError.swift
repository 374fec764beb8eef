// Errors that prevent reading a file of another program.

import HTTPSemantics
import NIOCore

/// An error in a whole file, in one sentence that follows the name of the file.
package enum ForeignError: Error, Equatable, CustomStringConvertible {
    /// A version of mitmproxy's format.
    case tooOld(String)
    case tooNew(String)
    /// The file is not JSON, or not HAR, for this reason.
    case notHAR(String)

    package var description: String {
        switch self {
        case .tooOld(let version): "is of mitmproxy's flow format \(version), which is too old; the oldest that can be read is 0.11"
        case .tooNew(let version):
            "is of mitmproxy's flow format \(version); the newest that can be read is \(MitmproxyVersion.newest): use a later version of this program"
        case .notHAR(let reason): "is not a HAR file: \(reason)"
        }
    }
}
