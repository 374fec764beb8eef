// The certificates that an event loop got recently, so that a server that is contacted again needs no other thread.

import TLSEngine

/// Certificates by their requests. Used on one event loop only.
struct LeafCache {
    /// Beyond this number the cache is cleared, which costs a burst of requests to the authority and needs no bookkeeping.
    private static let maximumEntries = 1024

    private var known: [LeafRequest: LeafCertificate] = [:]

    subscript(request: LeafRequest) -> LeafCertificate? { known[request] }

    mutating func remember(_ certificate: LeafCertificate, for request: LeafRequest) {
        if known.count >= Self.maximumEntries { known.removeAll() }
        known[request] = certificate
    }
}
