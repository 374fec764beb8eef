// The formats of other programs, and errors that prevent reading a file.

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

/// A format of another program.
package enum ForeignFormat: Sendable, Equatable {
    case mitmproxy
    case har

    /// The number of bytes at the beginning that identify a format.
    package static let sniffedBytes = 32

    /// Identifies a format by the first bytes: `{` (after an optional byte order mark and white space) is HAR; a length, followed
    /// by a key with its length, is mitmproxy's.
    /// - Returns: nil if it is neither.
    package init?(sniffing beginning: ByteBuffer) {
        var bytes = Array(beginning.readableBytesView)[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        if bytes.first(where: { !$0.isWhitespaceOrLineEnd }) == 0x7B {
            self = .har
            return
        }
        for _ in 0..<2 {
            let digits = bytes.prefix { $0 &- 0x30 < 10 }
            bytes = bytes.dropFirst(digits.count)
            guard !digits.isEmpty, digits.count <= 12, bytes.first == 0x3A else { return nil }
            bytes = bytes.dropFirst()
        }
        self = .mitmproxy
    }
}
