// Which requests a view answers. A page on loopback can be reached by every page that the browser shows: by a name that resolves to 127.0.0.1
// (DNS rebinding), by forms and images of other sites, through a proxy that runs on this machine. So each request must name the address that
// was printed, must not come from another site, and must have the secret of the view, except for the files of the page, which have none.

import NIOHTTP1

/// Checks requests before anything is done for them.
package struct RequestGuard: Sendable {
    /// 256 bits, in hexadecimal digits.
    package let secret: String
    /// Values of the Host field that are accepted, in lower case.
    private let hosts: Set<String>
    private let cookieName: String

    /// Why a request is refused.
    package enum Refusal: Error, Equatable {
        /// 403: it is not meant for this address, or comes from another site.
        case forbidden(String)
        /// 401: it does not have the secret.
        case unauthorized
    }

    /// - Parameters:
    ///   - host: the address that is listened on.
    ///   - local: the address of this machine to which the client has connected; nil when it is not known. A view that listens on all
    ///     addresses has more names than `host`. It is an address, so it is not a name that another site can let resolve to it.
    package init(host: String, local: String? = nil, port: Int, secret: String) {
        self.secret = secret
        let names = ["127.0.0.1", "::1", "localhost", host, local.map(Self.withoutMapping) ?? host]
        hosts = Set(names.map { "\($0.contains(":") ? "[\($0)]" : $0):\(port)".lowercased() })
        cookieName = "mitm-view-\(port)"
    }

    /// An address of IPv4 as clients write it: sockets of IPv6 have `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2).
    private static func withoutMapping(_ address: String) -> String {
        address.hasPrefix("::ffff:") && address.contains(".") ? String(address.dropFirst(7)) : address
    }

    package static func randomSecret() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let text = String(random.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }

    // MARK: Checking

    /// Checks where a request is meant for and where it comes from.
    package func checkOrigin(_ head: HTTPRequestHead) throws(Refusal) {
        // An absolute target is a request to a proxy.
        guard head.uri.utf8.first == UInt8(ascii: "/") else { throw .forbidden("the target must be a path") }
        let named = head.headers["host"]
        guard named.count == 1, hosts.contains(named[0].lowercased()) else {
            throw .forbidden("the Host field does not name this view")
        }
        for origin in head.headers["origin"] {
            guard origin.lowercased() == "http://" + named[0].lowercased() else {
                throw .forbidden("the request comes from another site")
            }
        }
        for site in head.headers["sec-fetch-site"] where site != "same-origin" && site != "none" {
            throw .forbidden("the request comes from another site")
        }
    }

    /// Checks that a request has the secret, as a cookie or as a bearer token (RFC 6750 section 2.1).
    package func checkSecret(_ head: HTTPRequestHead) throws(Refusal) {
        for value in head.headers["authorization"] {
            let words = value.split(separator: " ", omittingEmptySubsequences: true)
            if words.count == 2, words[0].lowercased() == "bearer", isSecret(words[1]) { return }
        }
        for value in head.headers["cookie"] {
            for pair in value.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0] == cookieName, isSecret(parts[1]) { return }
            }
        }
        throw .unauthorized
    }

    /// Compares without a difference in time between a wrong first character and a wrong last one.
    package func isSecret(_ text: some StringProtocol) -> Bool {
        let (given, own) = (Array(text.utf8), Array(secret.utf8))
        guard given.count == own.count else { return false }
        return zip(given, own).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// The value of Set-Cookie that keeps the secret in a browser: no script and no other site can use it.
    package var cookie: String { "\(cookieName)=\(secret); HttpOnly; SameSite=Strict; Path=/" }
}
