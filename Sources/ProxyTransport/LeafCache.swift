// The certificates that an event loop has used recently, so a repeated server needs no call to another thread.

import TLSEngine

/// Certificates by their request. Used on one event loop only.
struct LeafCache {
    /// Beyond this number all are dropped, which costs a burst of requests to the authority and no bookkeeping before.
    private static let maximumEntries = 1024

    private var known: [LeafRequest: LeafCertificate] = [:]

    subscript(request: LeafRequest) -> LeafCertificate? { known[request] }

    mutating func remember(_ certificate: LeafCertificate, for request: LeafRequest) {
        if known.count >= Self.maximumEntries { known.removeAll() }
        known[request] = certificate
    }
}
