// Peers that do not keep to the protocol.

import NIOCore
import TestSupport
import Testing

@testable import TLSEngine

@Suite struct TLSHostileTests {
    @Test(
        "Bytes that are not TLS are distinguished from broken TLS",
        arguments: [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", TLSError(.notTLS, "the server does not speak TLS")),
            ("SSH-2.0-OpenSSH_9.2\r\n", TLSError(.notTLS, "the server does not speak TLS")),
            (
                "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{28}",
                TLSError(.peerAlert("handshake failure"), "the server ended TLS with the alert \"handshake failure\"")
            ),
            (
                "\u{16}\u{3}\u{3}\u{0}\u{4}\u{e}\u{0}\u{0}\u{0}",
                TLSError(.protocolError, "the server broke the TLS protocol: unexpected message")
            ),
        ])
    func garbageToClient(bytes: String, error: TLSError) throws {
        for delivery in deliveries(of: ByteBuffer(string: bytes)) {
            let pair = try Scene().pair()
            #expect(try !pair.client.handshake())
            for part in delivery {
                pair.client.receive(part)
                pair.drive(pair.client, &pair.clientSide)
            }
            #expect(pair.clientSide == .init(error: error))
            // It stays failed, and says the same.
            #expect(throws: error) { try pair.client.handshake() }
            #expect(throws: error) { try pair.client.read() }
            #expect(throws: error) { try pair.client.write(ByteBuffer(string: "x")) }
        }
    }

    @Test(
        "A client of another protocol is distinguished from one that breaks TLS",
        arguments: ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0"])
    func garbageToServer(bytes: String) throws {
        let pair = try Scene().pair()
        pair.server.receive(ByteBuffer(string: bytes))
        pair.drive(pair.server, &pair.serverSide)
        #expect(pair.serverSide == .init(error: TLSError(.notTLS, "the client does not speak TLS")))
    }

    @Test("A peer that goes away during the handshake", arguments: [true, false])
    func lostInHandshake(clientGoes: Bool) throws {
        let pair = try Scene().pair()
        pair.drive(pair.client, &pair.clientSide)
        pair.server.receive(try #require(pair.client.takeCiphertext()))
        pair.drive(pair.server, &pair.serverSide)
        if clientGoes {
            pair.server.receivedEnd()
            pair.drive(pair.server, &pair.serverSide)
            let message =
                "the client closed the connection during the TLS handshake; it may not trust the certificate for www.example.com"
            #expect(pair.serverSide == .init(error: TLSError(.truncated, message)))
        } else {
            pair.client.receivedEnd()
            pair.drive(pair.client, &pair.clientSide)
            #expect(
                pair.clientSide == .init(error: TLSError(.truncated, "the server closed the connection during the TLS handshake")))
        }
    }

    @Test(
        "A changed byte in a record is found, after the preceding data was read, and the peer gets an alert",
        arguments: [TLSVersion.tls12, .tls13])
    func tampering(version: TLSVersion) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        let pair = try scene.pair()
        pair.pump()
        try pair.client.write(ByteBuffer(string: "good"))
        var bytes = try #require(pair.client.takeCiphertext())
        try pair.client.write(ByteBuffer(string: "bad"))
        var second = try #require(pair.client.takeCiphertext())
        second.setInteger(second.getInteger(at: second.readableBytes - 1, as: UInt8.self)! ^ 1, at: second.readableBytes - 1)
        bytes.writeImmutableBuffer(second)
        pair.server.receive(bytes)
        #expect(try pair.server.read() == ByteBuffer(string: "good"))
        let error = TLSError(.protocolError, "the client broke the TLS protocol: decryption failed or bad record mac")
        #expect(throws: error) { try pair.server.read() }
        pair.pump()
        #expect(pair.clientSide.error?.kind == .peerAlert("bad record mac"))
    }

    @Test(
        "A handshake that was disturbed anywhere fails with an error on either side and never hangs",
        arguments: [TLSVersion.tls12, .tls13])
    func disturbedHandshakes(version: TLSVersion) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        let contexts = try scene.contexts()
        let leaf = try Scene.authority.issue(LeafRequest(serverName: scene.serverName), now: Scene.now)
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<300 {
            let pair = try scene.pair(contexts, certificate: leaf)
            let target = Int.random(in: 0..<2_500, using: &generator)
            let flip = UInt8.random(in: 1...255, using: &generator)
            let isApplied = pumpDisturbed(pair, at: target, by: flip)
            let outcome = (pair.clientSide.error ?? pair.serverSide.error) != nil
            let isComplete = pair.clientSide.isDone && pair.serverSide.isDone
            #expect(outcome || isComplete || isApplied)
            // A side that is not done and has not failed waits for bytes; the end of the stream ends that.
            pair.client.receivedEnd()
            pair.server.receivedEnd()
            pair.drive(pair.client, &pair.clientSide)
            pair.drive(pair.server, &pair.serverSide)
            #expect(pair.clientSide.error != nil)
            #expect(pair.serverSide.error != nil)
        }
    }

    /// Pumps with one byte of the traffic changed; says whether it came to that.
    private func pumpDisturbed(_ pair: ConnectionPair, at target: Int, by flip: UInt8) -> Bool {
        var position = 0
        var isApplied = false
        pair.drive(pair.client, &pair.clientSide)
        while true {
            let flights = [(pair.client.takeCiphertext(), true), (pair.server.takeCiphertext(), false)]
            guard flights.contains(where: { $0.0 != nil }) else { return isApplied }
            for case (var bytes?, let isFromClient) in flights {
                let offset = target - position
                if (0..<bytes.readableBytes).contains(offset) {
                    let index = bytes.readerIndex + offset
                    bytes.setInteger(bytes.getInteger(at: index, as: UInt8.self)! ^ flip, at: index)
                    isApplied = true
                }
                position += bytes.readableBytes
                let receiver = isFromClient ? pair.server : pair.client
                receiver.receive(bytes)
                if isFromClient { pair.drive(receiver, &pair.serverSide) } else { pair.drive(receiver, &pair.clientSide) }
            }
        }
    }

    @Test("Data after close_notify is ignored, and closing twice sends it once")
    func closedConnectionsTakeNothing() throws {
        let pair = try Scene().pair()
        pair.pump()
        pair.client.close()
        pair.client.close()
        pair.pump()
        pair.server.receive(ByteBuffer(string: "behind the end"))
        #expect(try pair.server.read() == nil)
        #expect(pair.server.isPeerClosed)
    }
}
