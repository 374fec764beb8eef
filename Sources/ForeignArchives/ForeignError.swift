// What keeps a file of another program from being read at all.

import HTTPSemantics
import NIOCore

/// One sentence says what is wrong with a file; the caller names the file.
package enum ForeignError: Error, Equatable, CustomStringConvertible {
    /// A version of mitmproxy's format.
    case tooOld(String)
    case tooNew(String)
    /// No JSON, or no HAR; why.
    case notHAR(String)

    package var description: String {
        switch self {
        case .tooOld(let version): "is of mitmproxy's flow format \(version), which is too old; the oldest that can be read is 0.11"
        case .tooNew(let version):
            "is of mitmproxy's flow format \(version); the newest that can be read is \(MitmproxyVersion.newest): use a later version of this program"
        case .notHAR(let reason): "is no HAR file: \(reason)"
        }
    }
}

/// A format of another program.
package enum ForeignFormat: Sendable, Equatable {
    case mitmproxy
    case har

    /// How many bytes of the beginning tell formats apart.
    package static let sniffedBytes = 32

    /// Tells by the first bytes: `{` (perhaps behind a byte order mark and white space) is HAR; a length, and directly in it a key with
    /// its length, is mitmproxy's. nil is neither.
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
