// The certificates of a running recorder: the user's own certificates, and leaves that are issued on demand and cached. Shared by all event
// loops; the lock is not held while a certificate is issued.

import Synchronization

/// Finds or makes the certificate for a name.
package final class LeafCertificateCache: Sendable {
    private struct State {
        var leaves: GenerationCache<LeafRequest, LeafCertificate>
        var own: [String: LeafCertificate] = [:]
    }

    package let authority: CertificateAuthority
    private let state: Mutex<State>

    // A leaf is replaced on its last day, so that none expires while a client has a connection or a session.
    private static let renewalMargin: Int64 = 86_400

    /// - Parameter capacity: the number of leaves to cache, at least 2; each costs about 4 KiB.
    package init(authority: CertificateAuthority, capacity: Int = 2_000) {
        self.authority = authority
        state = Mutex(State(leaves: GenerationCache(capacity: max(2, capacity))))
    }

    /// Adds one of the user's certificates. It is presented unchanged, whatever its names and times.
    /// - Parameter pattern: a name (`www.example.com`, `192.0.2.1`), `*.example.com` for every name below, or `*` for all (nil, too).
    /// - Throws: if the pattern is not one of these.
    package func register(_ certificate: LeafCertificate, for pattern: String? = nil) throws(CertificateError) {
        let name: String
        switch pattern ?? "*" {
        case "*": name = "*"
        case let pattern:
            guard let text = NetworkName(host: pattern)?.text, !text.dropFirst(text.hasPrefix("*.") ? 2 : 0).contains("*") else {
                throw CertificateError("\"\(pattern)\" is not a name, *.name or *")
            }
            name = text
        }
        state.withLock { $0.own[name] = certificate }
    }

    /// The user's certificate for the name: that of the exact name, or else of the longest `*.` pattern; otherwise an issued one.
    /// - Parameter now: seconds since 1970.
    package func certificate(for request: LeafRequest, now: Int64) throws(CertificateError) -> LeafCertificate {
        let known = state.withLock { state in
            state.own.isEmpty ? state.leaves.value(for: request) : own(request, state.own) ?? state.leaves.value(for: request)
        }
        if let known, isUsable(known, now: now) { return known }
        let made = try authority.issue(request, now: now)
        state.withLock { $0.leaves.insert(made, for: request) }
        return made
    }

    /// The number of leaves in the cache.
    package var count: Int { state.withLock { $0.leaves.count } }

    private func isUsable(_ certificate: LeafCertificate, now: Int64) -> Bool {
        !certificate.isMade || (certificate.notBefore <= now && now < certificate.notAfter - LeafCertificateCache.renewalMargin)
    }

    private func own(_ request: LeafRequest, _ certificates: [String: LeafCertificate]) -> LeafCertificate? {
        guard let name = NetworkName(host: request.serverName) else { return certificates["*"] }
        if let text = name.text, let exact = certificates[text] { return exact }
        guard case .dns(let text) = name else { return certificates["*"] }
        var rest = text[...]
        while let dot = rest.firstIndex(of: ".") {
            if let certificate = certificates["*" + rest[dot...]] { return certificate }
            rest = rest[rest.index(after: dot)...]
        }
        return certificates["*"]
    }
}
