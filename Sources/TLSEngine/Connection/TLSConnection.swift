// One TLS connection in either role, without a socket: ciphertext goes in and out as buffers, plaintext is read and written. It owns one
// SSL. OpenSSL's own limits bound the memory for a peer: a record of 16 KiB, a certificate chain of 100 KiB.

import COpenSSL
import NIOCore

/// One TLS connection. Not Sendable: used on one thread at a time, and never from inside one of its own calls.
@safe package final class TLSConnection {
    // SAFETY: non-null until deinit; its BIO points to `wire`, which is freed after it.
    private let ssl: OpaquePointer
    // SAFETY: allocated and initialised in init, freed in deinit, never shared.
    private let wire: UnsafeMutablePointer<TLSWire>
    /// Keeps the objects alive that the callbacks of the SSL_CTX use.
    private let context: TLSContext
    private let isClient: Bool

    private var isEstablished = false
    /// The peer's FIN was received; nothing will follow `wire.inbound`.
    private var isEnded = false
    /// OpenSSL needs more ciphertext, and none has been received since.
    private var isStarved = false
    private var isClosed = false
    private var failure: TLSError?
    /// The first two bytes that were received distinguish TLS from other protocols.
    private var firstBytes: [UInt8] = []
    /// Plaintext for the next record: small writes share one.
    private var pending = ByteBuffer()
    /// Whether `pending` is our own storage, in which small writes are joined, or the buffer of a single write.
    private var isPendingOurs = false
    /// The storage for joining small writes, between two uses.
    private var joined = ByteBuffer()

    /// Whether the peer's close_notify was received: the plaintext is complete.
    package private(set) var isPeerClosed = false

    // A record holds at most this much, RFC 8446 §5.1.
    private static let maximumRecordSize = 16_384
    // Above this size a separate record costs less than copying the write to the end of another.
    private static let maximumJoinedWrite = 4_096
    private static let maximumKeptStorage = 4_096
    private static let maximumReadSize = 65_536
    // Header, explicit nonce or content type, and tag, rounded up; for sizing only.
    private static let recordOverhead = 32

    private init(_ context: TLSContext, isClient: Bool) throws(TLSError) {
        ERR_clear_error()
        let wire = UnsafeMutablePointer<TLSWire>.allocate(capacity: 1)
        unsafe wire.initialize(to: TLSWire())
        let bio = unsafe TLSWire.makeBIO(over: wire)
        guard let ssl = unsafe SSL_new(context.pointer), let bio = unsafe bio else {
            unsafe BIO_free(bio)
            unsafe wire.deinitialize(count: 1)
            unsafe wire.deallocate()
            throw TLSError(.invalidUse, "TLS cannot be set up: \(OpenSSLFailure.drain()?.text ?? "out of memory")")
        }
        unsafe self.ssl = ssl
        unsafe self.wire = wire
        self.context = context
        self.isClient = isClient
        unsafe SSL_set_bio(ssl, bio, bio)
        unsafe SSL_set_ex_data(ssl, 0, wire)
    }

    deinit {
        // Without this, OpenSSL would make the session of a connection that is dropped without close_notify unusable. RFC 5246 §7.2.1
        // removed that rule of TLS 1.0.
        unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        unsafe SSL_free(ssl)
        unsafe wire.deinitialize(count: 1)
        unsafe wire.deallocate()
    }

    /// A connection to a client.
    /// - Parameter alpn: the protocol to select if the client offers it; nil, or a protocol that it does not offer, selects none.
    package convenience init(server: TLSServerContext, certificate: LeafCertificate, alpn: String?) throws(TLSError) {
        try self.init(server.context, isClient: false)
        unsafe wire.pointee.alpn = Array((alpn ?? "").utf8)
        let leaf = certificate
        guard unsafe SSL_use_cert_and_key(ssl, leaf.certificate.pointer, leaf.key.pointer, leaf.issuerStack, 1) == 1 else {
            throw TLSError(.invalidUse, "the certificate cannot be used: \(OpenSSLFailure.drain()?.text ?? "no reason given")")
        }
        unsafe SSL_set_accept_state(ssl)
    }

    /// A connection to a server.
    /// - Parameters:
    ///   - serverName: the name that is sent (SNI) and that the certificate must contain; an IP address is checked but not sent.
    ///   - alpnOffers: the protocols to offer, most preferred first; if there are none, ALPN is not sent.
    ///   - sessionKey: connections with the same key and name resume each other's sessions, for example `host:port`.
    package convenience init(
        client: TLSClientContext, serverName: String, alpnOffers: [String], sessionKey: String
    ) throws(TLSError) {
        try self.init(client.context, isClient: true)
        guard let name = NetworkName(host: serverName), let text = name.text, !text.contains("*") else {
            throw TLSError(.invalidUse, "\"\(serverName.prefix(300))\" cannot be a server's name")
        }
        try expect(name, text)
        try offer(alpnOffers)
        let key = "\(text) \(sessionKey)"
        unsafe wire.pointee.sessions = (client.sessions, key)
        // A session that OpenSSL does not accept is not offered; that is not a failure.
        if let session = client.sessions.session(for: key) { unsafe SSL_set_session(ssl, session.pointer) }
        unsafe SSL_set_connect_state(ssl)
    }

    private func expect(_ name: NetworkName, _ text: String) throws(TLSError) {
        let parameters = unsafe SSL_get0_param(ssl)
        let isSet: Bool
        switch name {
        case .dns:
            unsafe X509_VERIFY_PARAM_set_hostflags(parameters, CUnsignedInt(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            let hasHost = unsafe X509_VERIFY_PARAM_set1_host(parameters, text, text.utf8.count)
            let hasName = unsafe mitm_SSL_set_tlsext_host_name(ssl, text)
            isSet = hasHost == 1 && hasName == 1
        case .address(let bytes): isSet = unsafe X509_VERIFY_PARAM_set1_ip(parameters, bytes, bytes.count) == 1
        }
        guard isSet else { throw TLSError(.invalidUse, "\"\(text)\" cannot be a server's name") }
    }

    private func offer(_ protocols: [String]) throws(TLSError) {
        guard !protocols.isEmpty else { return }
        var list: [UInt8] = []
        for name in protocols {
            // RFC 7301 §3.1: 1 to 255 bytes each, 65,535 in all.
            guard (1...255).contains(name.utf8.count), list.count + 1 + name.utf8.count <= 65_535 else {
                throw TLSError(.invalidUse, "\"\(name.prefix(300))\" cannot be offered by ALPN")
            }
            list.append(UInt8(name.utf8.count))
            list += name.utf8
        }
        // This function returns 0 for success.
        guard unsafe SSL_set_alpn_protos(ssl, list, CUnsignedInt(list.count)) == 0 else {
            throw TLSError(.invalidUse, "the protocols cannot be offered by ALPN")
        }
    }

    /// Takes ciphertext from the peer, for ``handshake()`` and ``read()``. If those are called until they need more, as is intended, the
    /// buffer is read in place and not copied.
    package func receive(_ ciphertext: ByteBuffer) {
        guard !isPeerClosed, failure == nil, ciphertext.readableBytes > 0 else { return }
        if firstBytes.count < 2 { firstBytes += ciphertext.readableBytesView.prefix(2 - firstBytes.count) }
        isStarved = false
        if unsafe wire.pointee.inbound.readableBytes == 0 {
            unsafe wire.pointee.inbound = ciphertext
        } else {
            unsafe wire.pointee.inbound.writeImmutableBuffer(ciphertext)
        }
    }

    /// The peer's FIN was received, whether after close_notify or without.
    package func receivedEnd() { isEnded = true }

    /// Continues the handshake as far as the received bytes allow. There may be ciphertext to take afterwards, also after an error.
    /// - Returns: whether the handshake is complete.
    package func handshake() throws(TLSError) -> Bool {
        if let failure { throw failure }
        guard !isEstablished else { return true }
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(ssl)
        releaseInbound()
        if result == 1 {
            isEstablished = true
            return true
        }
        guard unsafe SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ else { throw fail() }
        isStarved = true
        ERR_clear_error()
        if isEnded { throw fail(truncation) }
        return false
    }

    /// The plaintext that is available, at most 64 KiB; call it until it returns nil. Plaintext before a failure is returned before the
    /// failure is thrown.
    /// - Returns: nil if more ciphertext is needed, or the peer has closed.
    /// - Throws: `truncated` if the peer sent FIN before close_notify, after everything that was received has been read.
    package func read() throws(TLSError) -> ByteBuffer? {
        if let failure { throw failure }
        guard isEstablished, !isPeerClosed else { return nil }
        let isWorthACall = !isStarved && (hasInbound || hasPending)
        if isWorthACall, let plaintext = readRecords() { return plaintext }
        if let failure { throw failure }
        if isEnded, !isPeerClosed { throw fail(truncation) }
        return nil
    }

    private var hasInbound: Bool { unsafe wire.pointee.inbound.readableBytes > 0 }
    private var hasPending: Bool { unsafe SSL_has_pending(ssl) == 1 }

    /// Reads records into one buffer until it is full or there are no more; nil if there were none. Sets `failure`, `isPeerClosed` or
    /// `isStarved` if that is why it stopped.
    private func readRecords() -> ByteBuffer? {
        let waiting = unsafe wire.pointee.inbound.readableBytes
        // The plaintext is shorter than its ciphertext; a part of a record may be with OpenSSL already.
        let carried = waiting > TLSConnection.maximumJoinedWrite && hasPending ? TLSConnection.maximumRecordSize : 0
        let decrypted = unsafe Int(SSL_pending(ssl))
        let size = min(TLSConnection.maximumReadSize, max(256, waiting + decrypted + carried))
        var plaintext = ByteBufferAllocator().buffer(capacity: size)
        repeat {
            OpenSSLFailure.clearQueue()
            var isRead: CInt = 0
            let count = unsafe plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { space in
                var count = 0
                isRead = unsafe SSL_read_ex(ssl, space.baseAddress, space.count, &count)
                return count
            }
            guard isRead == 1, count > 0 else {
                readEnded()
                break
            }
        } while plaintext.writableBytes > 0 && (hasInbound || hasPending)
        releaseInbound()
        return plaintext.readableBytes > 0 ? plaintext : nil
    }

    /// Releases received bytes that were read: their storage belongs to the socket and may be large.
    private func releaseInbound() {
        if !hasInbound { unsafe wire.pointee.inbound = ByteBuffer() }
    }

    /// Determines why a read returned nothing.
    private func readEnded() {
        switch unsafe SSL_get_error(ssl, 0) {
        case SSL_ERROR_WANT_READ: isStarved = true
        case SSL_ERROR_ZERO_RETURN:
            isPeerClosed = true
            unsafe wire.pointee.inbound = ByteBuffer()
        default: _ = fail()
        }
        OpenSSLFailure.clearQueue()
    }

    /// Encrypts plaintext of any size; until the handshake is complete, it is kept. Small writes between two calls of ``takeCiphertext()``
    /// share a record.
    package func write(_ plaintext: ByteBuffer) throws(TLSError) {
        if let failure { throw failure }
        guard !isClosed else { throw TLSError(.invalidUse, "nothing can be sent after close_notify") }
        let size = plaintext.readableBytes
        guard size > 0 else { return }
        let isSmall = size <= TLSConnection.maximumJoinedWrite
        if pending.readableBytes == 0, isSmall || !isEstablished {
            pending = plaintext
        } else if !isEstablished || (isSmall && pending.readableBytes + size <= TLSConnection.maximumRecordSize) {
            join(plaintext)
        } else {
            encryptPending()
            if isSmall { pending = plaintext } else { encrypt(plaintext) }
        }
        if let failure { throw failure }
    }

    private func join(_ plaintext: ByteBuffer) {
        if !isPendingOurs {
            joined.clear()
            joined.writeImmutableBuffer(pending)
            // Swapped, so that each storage keeps exactly one owner and is written in place.
            swap(&pending, &joined)
            joined = ByteBuffer()
            isPendingOurs = true
        }
        pending.writeImmutableBuffer(plaintext)
    }

    private func encryptPending() {
        guard pending.readableBytes > 0, isEstablished else { return }
        let plaintext = pending
        pending = ByteBuffer()
        encrypt(plaintext)
        if isPendingOurs, plaintext.capacity <= TLSConnection.maximumKeptStorage { joined = plaintext }
        isPendingOurs = false
    }

    private func encrypt(_ plaintext: ByteBuffer) {
        let size = plaintext.readableBytes
        let records = size / TLSConnection.maximumRecordSize + 1
        unsafe wire.pointee.outbound.reserveCapacity(minimumWritableBytes: size + records * TLSConnection.recordOverhead)
        OpenSSLFailure.clearQueue()
        let result = unsafe plaintext.withUnsafeReadableBytes { bytes in
            var written = 0
            return unsafe SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &written)
        }
        if result != 1 { _ = fail() }
    }

    /// Sends close_notify: nothing more will be written. Reading continues. Does nothing before the handshake is complete.
    package func close() {
        guard isEstablished, failure == nil, !isClosed else { return }
        encryptPending()
        isClosed = true
        OpenSSLFailure.clearQueue()
        // A result of -1 or 0 means that the peer's close_notify has not been received yet.
        unsafe SSL_shutdown(ssl)
        OpenSSLFailure.clearQueue()
    }

    /// Bytes for the peer; nil if there are none.
    package func takeCiphertext() -> ByteBuffer? {
        encryptPending()
        guard unsafe wire.pointee.outbound.readableBytes > 0 else { return nil }
        let ciphertext = unsafe wire.pointee.outbound
        unsafe wire.pointee.outbound = ByteBuffer()
        return ciphertext
    }

    /// The properties of the connection. Each call reads them again from OpenSSL.
    package var facts: TLSFacts { unsafe TLSFacts(of: ssl, isClient: isClient) }

    private func fail(_ error: TLSError? = nil) -> TLSError {
        let described = unsafe TLSError.describe(
            OpenSSLFailure.drain(), ssl: ssl, isClient: isClient, isEstablished: isEstablished, firstBytes: firstBytes)
        let error = error ?? described
        failure = error
        unsafe wire.pointee.inbound = ByteBuffer()
        pending = ByteBuffer()
        isPendingOurs = false
        if let sessions = unsafe wire.pointee.sessions, error.kind != .truncated || !isEstablished {
            sessions.cache.forget(sessions.key)
        }
        return error
    }

    private var truncation: TLSError {
        let peer = isClient ? "server" : "client"
        if isEstablished { return TLSError(.truncated, "the \(peer) closed the connection without close_notify") }
        if isClient { return TLSError(.truncated, "the server closed the connection during the TLS handshake") }
        let name = unsafe TLSFacts.serverName(of: ssl).map { " for \($0)" } ?? ""
        return TLSError(
            .truncated, "the client closed the connection during the TLS handshake; it may not trust the certificate\(name)")
    }
}
