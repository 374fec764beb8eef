// TLS that begins within a conversation.

import HTTPSemantics
import NIOCore

enum StartTLS {
    /// The offset at which TLS begins in a client's data within a conversation (STARTTLS of SMTP, IMAP, POP3, XMPP, LDAP, PostgreSQL, …). It
    /// waits for the server's consent, so its hello is at the beginning of a read. MySQL's client does not wait: its hello may
    /// follow the packet of 32 bytes that asks for TLS.
    static func start(in bytes: ByteBuffer) -> Int? {
        func isHello(at offset: Int) -> Bool {
            let start = bytes.slice(ByteRange(offset, bytes.readableBytes)).readableBytesView.prefix(6)
            guard start.count == 6 else { return false }
            let head = Array(start)
            return head[0] == 0x16 && head[1] == 3 && head[2] <= 3 && head[5] == 1
        }
        if isHello(at: 0) { return 0 }
        let isMySQL = bytes.readableBytesView.prefix(4).elementsEqual([0x20, 0, 0, 1])
        return isMySQL && isHello(at: 36) ? 36 : nil
    }
}
