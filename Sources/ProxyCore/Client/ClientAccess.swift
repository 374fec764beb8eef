// Access to the recorder: a user name and a password where they are required, and no public IP addresses unless that is wanted.

import FlowModel
import HTTPSemantics
import NIOCore

/// A request that waits until its login is verified.
struct PendingRequest {
    let head: RequestHead
    let framing: BodyFraming
    let isLast: Bool
    let stream: StreamID
}

/// The state of a client's login.
struct ClientAuthentication {
    /// What waits for the login.
    enum Waiting {
        case request(PendingRequest)
        /// The connection of a SOCKS client.
        case socks
    }

    /// A login that is being verified.
    struct Pending {
        let id: RequestID
        let login: Login
        let waiting: Waiting
    }

    /// While it is set, nothing more of the client is parsed.
    var pending: Pending?
    /// The login that was verified last.
    var verified: (login: Login, isRight: Bool)?
}

enum ClientAccess {
    /// The name and password of `Proxy-Authorization: Basic …` (RFC 7617); nil if there is none or it is not valid.
    static func basicCredentials(_ fields: FieldSection) -> Login? {
        guard let value = fields.first("proxy-authorization").map({ String(buffer: $0) }) else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", let bytes = Base64.decode(ByteBuffer(substring: parts[1])) else {
            return nil
        }
        let pair = String(buffer: bytes).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2 else { return nil }
        return Login(user: String(pair[0]), password: String(pair[1]))
    }

    /// A public address: not loopback, not private, not local to a link (RFC 6890, RFC 4193).
    static func isGlobal(_ host: String) -> Bool {
        let octets = host.split(separator: ".").compactMap { UInt8($0) }
        if octets.count == 4, !host.contains(":") {
            switch (octets[0], octets[1]) {
            case (10, _), (127, _), (0, _), (192, 168), (169, 254): return false
            case (172, let second): return !(16...31).contains(second)
            case (100, let second): return !(64...127).contains(second)
            default: return true
            }
        }
        guard host.contains(":") else { return false }
        let lower = host.lowercased()
        if lower == "::1" || lower == "::" { return false }
        let first = UInt16(lower.split(separator: ":", omittingEmptySubsequences: false).first ?? "", radix: 16) ?? 0
        return !(first & 0xFE00 == 0xFC00 || first & 0xFFC0 == 0xFE80)
    }
}
