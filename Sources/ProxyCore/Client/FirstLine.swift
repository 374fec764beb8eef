// The first bytes of a client where HTTP is expected, and what else they look like. A peer with another protocol waits for an answer in
// that protocol, and the end of a head would never come, so it is refused at once.

import HTTPSemantics
import NIOCore

/// A classification of a client's first bytes.
enum FirstLine: Equatable {
    /// Its first line may be a request-line (RFC 9112 §3) or the preface of HTTP/2; the decoder checks the rest.
    case http
    case undecided
    /// It cannot become HTTP. A sentence: the likely protocol, and what to do.
    case foreign(String)

    /// Longer ones are for the decoder.
    static let maximumSize = 16 * 1024

    init(_ bytes: ByteBuffer) {
        // RFC 9112 §2.2: empty lines before a request are ignored.
        let view = bytes.readableBytesView.drop { $0 == 0x0D || $0 == 0x0A }
        guard let first = view.first else {
            self = .undecided
            return
        }
        guard first.isTokenCharacter else {
            self = .foreign(Self.binary(Array(view.prefix(3))))
            return
        }
        guard let end = view.firstIndex(of: 0x0A) else {
            let isMethod = view.prefix { $0 != 0x20 }.allSatisfy { $0.isTokenCharacter || $0 == 0x0D }
            self = isMethod ? .undecided : .foreign(Self.unknown)
            return
        }
        self = view[..<end].contains("HTTP/".utf8) ? .http : .foreign(Self.text(view[..<end]))
    }

    private static let unknown = "the client does not speak HTTP"

    private static func binary(_ start: [UInt8]) -> String {
        switch start[0] {
        case 5: "\(unknown); it looks like SOCKS 5, which --mode socks5 takes"
        case 4: "\(unknown); it looks like SOCKS 4; --mode socks5 takes SOCKS 5"
        case 0x16: "\(unknown); it looks like TLS, and this port is spoken to in the clear (http://, not https://)"
        case 0x80... where start.count > 2 && start[2] == 1: "\(unknown); it looks like SSL 2"
        default: unknown
        }
    }

    private static func text(_ line: ByteBufferView) -> String {
        let words: [(String, String)] = [
            ("SSH-", "SSH"), ("NICK ", "IRC"), ("USER ", "IRC or FTP"), ("CAP ", "IRC"), ("PASS ", "IRC"), ("EHLO ", "SMTP"),
            ("HELO ", "SMTP"),
            ("LHLO ", "LMTP"), ("*", "Redis"), ("JOIN ", "IRC"),
        ]
        if line.contains("RTSP/".utf8) { return "\(unknown); it looks like RTSP" }
        if let (_, name) = words.first(where: { line.starts(with: $0.0.utf8) }) { return "\(unknown); it looks like \(name)" }
        return "\(unknown): its first line does not end in a version of HTTP"
    }
}
