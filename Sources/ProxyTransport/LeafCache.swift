// The certificates that an event loop was given lately, so that a server that is visited again costs no way to another thread.

import TLSEngine

/// Certificates by what was asked for. Used on one event loop only.
struct LeafCache {
    /// Beyond this all are forgotten, which costs a burst of questions to the authority and no bookkeeping before.
    private static let maximumEntries = 1024

    private var known: [LeafRequest: LeafCertificate] = [:]

    subscript(request: LeafRequest) -> LeafCertificate? { known[request] }

    mutating func remember(_ certificate: LeafCertificate, for request: LeafRequest) {
        if known.count >= Self.maximumEntries { known.removeAll() }
        known[request] = certificate
    }
}
