// The settings that the connections of one side share: versions, ciphers, trust, tickets. A context is configured in its initialiser and
// not changed afterwards. OpenSSL allows SSL_new on one unchanged SSL_CTX from any number of threads, and protects its reference count,
// ticket keys and certificate store with its own locks.

import COpenSSL
import NIOCore

/// Settings of TLS with clients.
package struct TLSServerOptions: Sendable {
    package var minimumVersion = TLSVersion.tls12
    package var maximumVersion = TLSVersion.tls13
    /// Receives each line of the key log (`SSLKEYLOGFILE`), without the line break, on the thread of the connection.
    package var keyLog: (@Sendable (String) -> Void)?

    package init() {}
}

/// Settings of TLS with servers.
package struct TLSClientOptions: Sendable {
    /// Whether a server whose certificate is not accepted is refused. If false, the result of the verification is only recorded.
    package var verifies = true
    /// Certificates to trust, PEM; nil: the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected).
    package var trustedPEM: String?
    package var minimumVersion = TLSVersion.tls12
    package var maximumVersion = TLSVersion.tls13
    /// Certificate, its issuers, and private key, for servers that ask for one.
    package var clientCertificatePEM: String?
    /// Opens `clientCertificatePEM`'s key when that is encrypted.
    package var clientCertificatePassphrase: String?
    /// The number of servers whose sessions are kept for resumption, at least 2.
    package var sessionCapacity = 1_000
    /// As in ``TLSServerOptions/keyLog``.
    package var keyLog: (@Sendable (String) -> Void)?

    package init() {}
}

/// TLS with clients: each connection presents a certificate of its own and shares the ticket keys, so any session can be resumed.
package final class TLSServerContext: Sendable {
    let context: TLSContext

    package init(_ options: TLSServerOptions = TLSServerOptions()) throws(CertificateError) {
        context = try unsafe TLSContext(TLS_server_method(), options.minimumVersion, options.maximumVersion, options.keyLog)
        let pointer = unsafe context.pointer
        // The recorder and its client often share a machine: AES-128 is the cheapest; a client that prefers ChaCha20, having no AES
        // hardware, gets it.
        unsafe SSL_CTX_set_options(pointer, mitm_SSL_OP_CIPHER_SERVER_PREFERENCE() | mitm_SSL_OP_PRIORITIZE_CHACHA())
        // Tickets only: a server-side cache would need memory and a lock for all event loops.
        unsafe mitm_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        let name = Array("mitm".utf8)
        unsafe SSL_CTX_set_session_id_context(pointer, name, CUnsignedInt(name.count))
        unsafe SSL_CTX_set_alpn_select_cb(pointer, selectProtocol, nil)
        // This answer makes OpenSSL keep the name in the session, so that it is known when a TLS 1.2 session is resumed.
        unsafe mitm_SSL_CTX_set_tlsext_servername_callback(pointer) { _, _, _ in SSL_TLSEXT_ERR_OK }
    }
}

/// TLS with servers, with the sessions that they gave.
package final class TLSClientContext: Sendable {
    let context: TLSContext
    let sessions: TLSSessionCache

    package init(_ options: TLSClientOptions = TLSClientOptions()) throws(CertificateError) {
        context = try unsafe TLSContext(TLS_client_method(), options.minimumVersion, options.maximumVersion, options.keyLog)
        sessions = TLSSessionCache(capacity: max(2, options.sessionCapacity))
        let pointer = unsafe context.pointer
        if options.verifies {
            unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        } else {
            // OpenSSL verifies nevertheless and reports the result. Old servers are accepted too: weak keys, no RFC 5746.
            unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
            unsafe SSL_CTX_set_security_level(pointer, 0)
            unsafe SSL_CTX_set_options(pointer, mitm_SSL_OP_LEGACY_SERVER_CONNECT())
        }
        unsafe mitm_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        unsafe SSL_CTX_sess_set_new_cb(pointer, keepSession)
        try trust(options.trustedPEM)
        if let pem = options.clientCertificatePEM {
            try use(LeafCertificate(pem: pem, passphrase: options.clientCertificatePassphrase))
        }
    }

    private func trust(_ pem: String?) throws(CertificateError) {
        guard let pem else {
            guard unsafe SSL_CTX_set_default_verify_paths(context.pointer) == 1 else {
                throw .openSSL("the system's certificates cannot be read")
            }
            return
        }
        let certificates = try PEMContents.certificates(pem)
        guard !certificates.isEmpty else { throw CertificateError("it contains no certificate to trust") }
        let store = unsafe SSL_CTX_get_cert_store(context.pointer)
        for certificate in certificates {
            guard unsafe X509_STORE_add_cert(store, certificate.pointer) == 1 else {
                throw .openSSL("a certificate cannot be trusted")
            }
        }
        // A user may trust an intermediate authority or a single server's certificate.
        unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
    }

    private func use(_ own: LeafCertificate) throws(CertificateError) {
        ERR_clear_error()
        guard unsafe SSL_CTX_use_cert_and_key(context.pointer, own.certificate.pointer, own.key.pointer, own.issuerStack, 1) == 1
        else {
            throw .openSSL("the client certificate cannot be used")
        }
    }
}

/// An SSL_CTX with the settings of both sides.
// Sendable: configured before it is shared, then only used; see the top of the file.
@safe final class TLSContext: @unchecked Sendable {
    // SAFETY: non-null until deinit; connections hold counted references.
    let pointer: OpaquePointer
    // The key log callback finds it through the SSL_CTX, whose last reference may be a connection's; therefore TLSConnection keeps this
    // object.
    private let keyLog: KeyLog?

    init(
        _ method: OpaquePointer?, _ minimum: TLSVersion, _ maximum: TLSVersion, _ keyLog: (@Sendable (String) -> Void)?
    ) throws(CertificateError) {
        ERR_clear_error()
        guard minimum <= maximum else { throw CertificateError("the minimum TLS version is above the maximum") }
        guard let made = unsafe SSL_CTX_new(method) else { throw .openSSL("TLS cannot be set up") }
        unsafe pointer = made
        self.keyLog = keyLog.map(KeyLog.init)
        if let box = self.keyLog {
            unsafe SSL_CTX_set_ex_data(made, 0, Unmanaged.passUnretained(box).toOpaque())
            unsafe SSL_CTX_set_keylog_callback(made, writeKeyLog)
        }
        // Idle connections release their 34 KiB of record buffers. OpenSSL must not read ahead: it would move the bytes that it has to the
        // front of its buffer with each record, and the rest is in memory already.
        unsafe mitm_SSL_CTX_set_mode(made, Int(SSL_MODE_RELEASE_BUFFERS))
        unsafe SSL_CTX_set_options(made, mitm_SSL_OP_NO_COMPRESSION() | mitm_SSL_OP_NO_RENEGOTIATION())
        // TLS 1.0 and 1.1 sign with SHA-1, which the default security level forbids.
        if minimum < .tls12 { unsafe SSL_CTX_set_security_level(made, 0) }
        guard unsafe mitm_SSL_CTX_set_min_proto_version(made, CInt(minimum.rawValue)) == 1,
            unsafe mitm_SSL_CTX_set_max_proto_version(made, CInt(maximum.rawValue)) == 1,
            unsafe SSL_CTX_set_ciphersuites(made, TLSContext.tls13Suites) == 1,
            unsafe SSL_CTX_set_cipher_list(made, TLSContext.tls12Suites) == 1
        else { throw .openSSL("TLS cannot be set up") }
    }

    deinit { unsafe SSL_CTX_free(pointer) }

    // The order of browsers: AES-128 first, since both legs pay for every byte. Then what OpenSSL calls its default.
    private static let tls13Suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    private static let tls12Suites = """
        ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
        ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ALL:!COMPLEMENTOFDEFAULT:!eNULL
        """
}

private final class KeyLog: Sendable {
    let write: @Sendable (String) -> Void
    init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }
}

/// SSL_CTX_set_keylog_callback(3)
private func writeKeyLog(_ ssl: OpaquePointer?, _ line: UnsafePointer<CChar>?) {
    guard let line = unsafe line, let box = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0) else { return }
    unsafe Unmanaged<KeyLog>.fromOpaque(box).takeUnretainedValue().write(String(cString: line))
}

/// SSL_CTX_set_alpn_select_cb(3): the protocol of this connection, if the client offers it; otherwise none is selected, as by a server that
/// does not support ALPN.
private func selectProtocol(
    _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ chosenLength: UnsafeMutablePointer<UInt8>?,
    _ offers: UnsafePointer<UInt8>?, _ offersLength: CUnsignedInt, _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let wire = unsafe TLSWire.of(ssl), let offers = unsafe offers, unsafe !wire.pointee.alpn.isEmpty else {
        return SSL_TLSEXT_ERR_NOACK
    }
    // The answer points into the offers, which live as long as the ClientHello is handled.
    var rest = unsafe UnsafeBufferPointer(start: offers, count: Int(offersLength))[...]
    while let length = unsafe rest.first, unsafe rest.count > Int(length) {
        let offer = unsafe rest.dropFirst().prefix(Int(length))
        if unsafe offer.elementsEqual(wire.pointee.alpn) {
            unsafe chosen?.pointee = offers + offer.startIndex
            unsafe chosenLength?.pointee = length
            return SSL_TLSEXT_ERR_OK
        }
        unsafe rest = unsafe rest.dropFirst(1 + Int(length))
    }
    return SSL_TLSEXT_ERR_NOACK
}
