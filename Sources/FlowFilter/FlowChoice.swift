// The operators whose argument is one of a few words: ~version 1.1, ~tls none.

import FlowModel
import HTTPSemantics
import NIOCore

/// A fact of a flow that has few values.
enum FlowChoice: Equatable {
    /// The version of HTTP of the request.
    case version
    /// The version of TLS on the connection to the client or the server.
    case tls

    /// The words that may be written.
    var words: [String] {
        switch self {
        case .version: ["1.0", "1.1", "2", "3"]
        case .tls: ["1.0", "1.1", "1.2", "1.3", "none"]
        }
    }

    /// The value that stands for a word.
    /// - Returns: nil when it is not one of ``words``.
    func value(_ word: String) -> Value? {
        guard words.contains(word) else { return nil }
        switch self {
        case .version:
            let digits = word.compactMap(\.wholeNumberValue).map { UInt8($0) }
            return .version(HTTPVersion(major: digits[0], minor: digits.count > 1 ? digits[1] : 0))
        case .tls:
            // RFC 8446 §4.1.2 counts on from SSL; OpenSSL writes 1.0 without its zero.
            let name = word == "1.0" ? "TLSv1" : "TLSv\(word)"
            return word == "none" ? .noTLS : .tls(ByteBuffer(string: name))
        }
    }

    /// What a flow is compared with.
    enum Value: Sendable, Equatable {
        case version(HTTPVersion)
        case tls(ByteBuffer)
        /// TLS on neither connection.
        case noTLS

        func matches(_ flow: some FlowAttributes) -> Bool {
            switch self {
            case .version(let version): flow.requestVersion == version
            case .tls(let version):
                flow.connectionText(.tlsVersion, of: .client) == version || flow.connectionText(.tlsVersion, of: .server) == version
            case .noTLS:
                flow.connectionText(.tlsVersion, of: .client) == nil && flow.connectionText(.tlsVersion, of: .server) == nil
            }
        }

        /// False only when no flow of the block has the value.
        func mayMatch(_ block: some BlockSummary) -> Bool {
            switch self {
            case .version: block.mayContain(.http)
            case .tls, .noTLS: true
            }
        }
    }
}

extension [String] {
    /// `1.0, 1.1, 2 or 3`.
    var listed: String { dropLast().joined(separator: ", ") + " or " + (last ?? "") }
}
