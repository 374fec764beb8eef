// Sessions of earlier connections to servers, so that the next one to the same server resumes it (RFC 8446 §2.2, RFC 5077). Shared by all
// event loops.

import COpenSSL
import Synchronization

/// A session as the server gave it.
// Sendable: SSL_SESSION is reference-counted with a lock, and OpenSSL's own cache shares sessions between threads in the same way.
@safe final class TLSSession: @unchecked Sendable {
    // SAFETY: non-null until deinit.
    let pointer: OpaquePointer

    init(takingOwnership pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe SSL_SESSION_free(pointer) }
}

/// The latest session for each key. A session is offered until a newer one replaces it. RFC 8446 §C.4 recommends using a ticket once, so
/// that observers cannot link connections; a recorder does not hide that they come from one client.
final class TLSSessionCache: Sendable {
    private let sessions: Mutex<GenerationCache<String, TLSSession>>

    /// - Parameter capacity: the number of keys; each costs about 6 KiB with the server's chain.
    init(capacity: Int) { sessions = Mutex(GenerationCache(capacity: capacity)) }

    var count: Int { sessions.withLock { $0.count } }

    func session(for key: String) -> TLSSession? { sessions.withLock { $0.value(for: key) } }

    func keep(_ session: TLSSession, for key: String) { sessions.withLock { $0.insert(session, for: key) } }

    /// Removes a session that led to a failure, so that the next connection makes a full handshake.
    func forget(_ key: String) { sessions.withLock { $0.remove(key) } }
}

/// SSL_CTX_sess_set_new_cb(3): called for each session or ticket that a server sends. The result 1 takes ownership of the reference.
func keepSession(_ ssl: OpaquePointer?, _ session: OpaquePointer?) -> CInt {
    guard let sessions = unsafe TLSWire.of(ssl)?.pointee.sessions, let session = unsafe session else { return 0 }
    unsafe sessions.cache.keep(TLSSession(takingOwnership: session), for: sessions.key)
    return 1
}
