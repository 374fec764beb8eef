// The BIO that OpenSSL reads from and writes to, over two of our own buffers. Received bytes are read in place, and bytes to send are
// written to the buffer that goes to the socket, so only OpenSSL itself moves a byte. A memory BIO would copy each byte once more in each
// direction. BIO_meth_new(3), BIO_should_retry(3).

import COpenSSL
import NIOCore

/// The state of one connection's BIO and of the callbacks of its SSL. It stays at a fixed address as long as the SSL exists.
struct TLSWire {
    /// Ciphertext that was received and has not been read.
    var inbound = ByteBuffer()
    /// Ciphertext for the peer.
    var outbound = ByteBuffer()
    /// Server role: the protocol to select if the client offers it.
    var alpn: [UInt8] = []
    /// Client role: where sessions of this connection are kept, and under which key.
    var sessions: (cache: TLSSessionCache, key: String)?

    // SAFETY: made once and never freed; OpenSSL only reads it.
    nonisolated(unsafe) private static let method: OpaquePointer = {
        guard let method = unsafe BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mitm wire") else { fatalError("out of memory") }
        unsafe BIO_meth_set_read_ex(method, readWire)
        unsafe BIO_meth_set_write_ex(method, writeWire)
        unsafe BIO_meth_set_ctrl(method, controlWire)
        return unsafe method
    }()

    /// A new BIO over the wire, which must outlive it.
    static func makeBIO(over wire: UnsafeMutablePointer<TLSWire>) -> OpaquePointer? {
        guard let bio = unsafe BIO_new(method) else { return nil }
        unsafe BIO_set_data(bio, wire)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// The wire that belongs to an SSL, in its callbacks.
    static func of(_ ssl: OpaquePointer?) -> UnsafeMutablePointer<TLSWire>? {
        unsafe SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: TLSWire.self)
    }
}

private func readWire(
    _ bio: OpaquePointer?, _ target: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: UnsafeMutablePointer<Int>?
) -> CInt {
    guard let wire = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: TLSWire.self), let target = unsafe target else { return 0 }
    unsafe mitm_BIO_clear_retry_flags(bio)
    let copied = unsafe wire.pointee.inbound.readWithUnsafeReadableBytes { bytes in
        let length = min(size, bytes.count)
        if length > 0, let source = bytes.baseAddress {
            unsafe UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: length)
        }
        return length
    }
    unsafe count?.pointee = copied
    if copied > 0 { return 1 }
    // The end of the stream is never reported to OpenSSL: it would answer a missing close_notify with a useless alert and make the session
    // unusable for resumption. TLSConnection handles the end.
    unsafe mitm_BIO_set_retry_read(bio)
    return 0
}

private func writeWire(
    _ bio: OpaquePointer?, _ source: UnsafePointer<CChar>?, _ size: Int, _ count: UnsafeMutablePointer<Int>?
) -> CInt {
    guard let wire = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: TLSWire.self) else { return 0 }
    unsafe wire.pointee.outbound.writeBytes(UnsafeRawBufferPointer(start: source, count: size))
    unsafe count?.pointee = size
    return 1
}

private func controlWire(_ bio: OpaquePointer?, _ command: CInt, _ number: Int, _ pointer: UnsafeMutableRawPointer?) -> Int {
    command == BIO_CTRL_FLUSH ? 1 : 0
}
