// Which requests a view answers. A page on loopback can be reached by every page that the browser shows: by a name that resolves to 127.0.0.1
// (DNS rebinding), by forms and images of other sites, through a proxy that runs on this machine. So each request must name the address that
// was printed, must not come from another site, and must have the secret of the view, except for the files of the page, which have none.

import NIOHTTP1
import Synchronization

/// Checks requests before anything is done for them.
struct RequestGuard: Sendable {
    /// 256 bits, in hexadecimal digits.
    let secret: String
    /// Values of the Host field that are accepted, in lower case.
    private let hosts: Set<String>
    private let cookieName: String
    private let codes: SessionCodes

    /// Why a request is refused.
    enum Refusal: Error, Equatable {
        /// 403: it is not meant for this address, or comes from another site.
        case forbidden(String)
        /// 401: it does not have the secret.
        case unauthorized
    }

    /// - Parameter hosts: how requests may name the view, beside loopback: the address that is listened on, and, since that may be all
    ///   addresses, the one that the connection came to. A name that another site has made for it is not among them.
    init(hosts: [String], port: Int, secret: String, codes: SessionCodes = SessionCodes()) {
        (self.secret, self.codes) = (secret, codes)
        let all = ["127.0.0.1", "::1", "localhost"] + hosts
        let written = all.map { host in
            // An IPv4 address of a socket for both versions (RFC 4291 section 2.5.5.2).
            let host = host.hasPrefix("::ffff:") && host.contains(".") ? String(host.dropFirst(7)) : host
            return (host.contains(":") ? "[\(host)]" : host).lowercased()
        }
        // Clients leave the port of the scheme out.
        self.hosts = Set(written.map { "\($0):\(port)" } + (port == 80 ? written : []))
        cookieName = "mitm-view-\(port)"
    }

    static func randomSecret() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let text = String(random.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }

    // MARK: Checking

    /// Checks where a request is meant for and where it comes from.
    func checkOrigin(_ head: HTTPRequestHead) throws(Refusal) {
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
    func checkSecret(_ head: HTTPRequestHead) throws(Refusal) {
        if bearerTokens(head).contains(where: isSecret) { return }
        for value in head.headers["cookie"] {
            for pair in value.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0] == cookieName, isSecret(parts[1]) { return }
            }
        }
        throw .unauthorized
    }

    /// Checks that a request may have the cookie: it has the secret, or a code, which is used up.
    func checkSession(_ head: HTTPRequestHead) throws(Refusal) {
        if bearerTokens(head).contains(where: codes.take) { return }
        try checkSecret(head)
    }

    private func bearerTokens(_ head: HTTPRequestHead) -> [Substring] {
        head.headers["authorization"].compactMap { value in
            let words = value.split(separator: " ", omittingEmptySubsequences: true)
            return words.count == 2 && words[0].lowercased() == "bearer" ? words[1] : nil
        }
    }

    /// Compares without a difference in time between a wrong first character and a wrong last one.
    func isSecret(_ text: some StringProtocol) -> Bool {
        let (given, own) = (Array(text.utf8), Array(secret.utf8))
        guard given.count == own.count else { return false }
        return zip(given, own).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// The value of Set-Cookie that keeps the secret in a browser: no script and no other site can use it.
    var cookie: String { "\(cookieName)=\(secret); HttpOnly; SameSite=Strict; Path=/" }
}

/// Codes that open one session each, in the place of the secret. Shared by threads.
final class SessionCodes: Sendable {
    private let codes = Mutex<Set<String>>([])

    func make() -> String {
        let code = RequestGuard.randomSecret()
        codes.withLock { _ = $0.insert(code) }
        return code
    }

    /// - Returns: whether it was a code, which is used up now.
    func take(_ code: Substring) -> Bool { codes.withLock { $0.remove(String(code)) } != nil }
}
