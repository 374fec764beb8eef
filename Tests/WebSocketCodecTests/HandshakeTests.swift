import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

@Suite("The opening handshake")
struct HandshakeTests {
    @Test("RFC 6455 §1.3: the accept value of the example")
    func accept() {
        #expect(WebSocketHandshake.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }
}
