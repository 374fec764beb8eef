// The file format of GoReplay 0.16 to 1.3: a line of facts, the bytes of an HTTP/1 message, and a line that separates records. GoReplay writes
// a message as it captured it, so content may contain the separating line, and readers that search for it alone split such a record.

import FlowModel
import NIOCore

/// One message of a file.
package struct GorRecord: Equatable {
    package enum Kind: UInt8, Equatable {
        case request = 0x31
        case response = 0x32
        /// The answer to a request that GoReplay sent.
        case replayedResponse = 0x33
    }

    var kind: Kind
    /// The same for the messages of one exchange.
    var id: ByteBuffer
    /// Of the first byte.
    var started: Timestamp
    /// Nanoseconds until the last byte; nil if the file does not have it.
    var duration: Int64?
    var payload = ByteBuffer()
    /// The file ends before the message does.
    var isTorn = false

    /// A line end, the line 🐵🙈🙉, a line end.
    static let separator = Array("\n🐵🙈🙉\n".utf8)
    /// Longer lines of facts are not searched for.
    static let maximumLine = 200

    /// Parses a line of facts: kind, identifier, nanoseconds since 1970, and the duration, which early versions leave out of requests.
    /// - Parameter line: without its line end.
    init?(line: ByteBuffer) {
        let parts = line.readableBytesView.split(separator: 0x20, omittingEmptySubsequences: false)
        guard (3...4).contains(parts.count), parts[0].count == 1, let kind = parts[0].first.flatMap(Kind.init),
            (1...64).contains(parts[1].count), parts[1].allSatisfy(\.isLetterOrDigit), let started = Self.number(parts[2])
        else { return nil }
        (self.kind, id, self.started) = (kind, ByteBuffer(bytes: parts[1]), Timestamp(nanoseconds: started))
        if parts.count == 4 {
            guard let duration = Self.number(parts[3].first == 0x2D ? parts[3].dropFirst() : parts[3]) else { return nil }
            self.duration = parts[3].first == 0x2D ? nil : duration
        }
    }

    private static func number(_ digits: ByteBufferView.SubSequence) -> Int64? {
        guard !digits.isEmpty, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    /// Whether a file may begin with these bytes: a whole line of facts, or as much of one as there is.
    static func sniff(_ beginning: ByteBuffer) -> Bool {
        let line = beginning.readableBytesView.prefix { $0 != 0x0A }
        if line.count < beginning.readableBytes { return GorRecord(line: ByteBuffer(bytes: line)) != nil }
        let parts = line.split(separator: 0x20)
        return parts.count >= 3 && GorRecord(line: ByteBuffer(bytes: Array(parts[0...2].joined(separator: [0x20])))) != nil
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        self &- 0x30 < 10 || (self | 0x20) &- 0x61 < 26
    }
}
