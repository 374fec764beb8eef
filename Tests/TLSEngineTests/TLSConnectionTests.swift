// Connections that go well: what is agreed on, and that bytes arrive.

import NIOCore
import Synchronization
import Testing

@testable import TLSEngine

@Suite struct TLSConnectionTests {
    @Test(
        "Both sides agree on the version that both allow, and know the same",
        arguments: [
            (TLSVersion.tls12...TLSVersion.tls13, TLSVersion.tls12...TLSVersion.tls13, "TLSv1.3", "TLS_AES_128_GCM_SHA256"),
            (.tls12 ... .tls12, .tls12 ... .tls13, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            (.tls12 ... .tls13, .tls10 ... .tls12, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            (.tls10 ... .tls11, .tls10 ... .tls13, "TLSv1.1", "ECDHE-ECDSA-AES256-SHA"),
            (.tls10 ... .tls13, .tls10 ... .tls10, "TLSv1", "ECDHE-ECDSA-AES256-SHA"),
        ])
    func versions(server: ClosedRange<TLSVersion>, client: ClosedRange<TLSVersion>, version: String, cipher: String) throws {
        var scene = Scene()
        (scene.serverOptions.minimumVersion, scene.serverOptions.maximumVersion) = (server.lowerBound, server.upperBound)
        (scene.clientOptions.minimumVersion, scene.clientOptions.maximumVersion) = (client.lowerBound, client.upperBound)
        let leaf = try Scene.authority.issue(LeafRequest(serverName: scene.serverName), now: Scene.now)
        let pair = try scene.pair(certificate: leaf)
        pair.pump()
        var expected = TLSFacts()
        expected.version = version
        expected.cipher = cipher
        expected.serverName = "www.example.com"
        #expect(pair.server.facts == expected)
        expected.peerCertificates = leaf.chain
        expected.isVerified = true
        #expect(pair.client.facts == expected)
        try pair.client.write(ByteBuffer(string: "question"))
        try pair.server.write(ByteBuffer(string: "answer"))
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true, read: ByteBuffer(string: "answer")))
        #expect(pair.serverSide == .init(isDone: true, read: ByteBuffer(string: "question")))
    }

    @Test("Versions that do not meet end the handshake with the reason on both sides")
    func versionMismatch() throws {
        var scene = Scene()
        scene.serverOptions.minimumVersion = .tls13
        scene.clientOptions.maximumVersion = .tls12
        let pair = try scene.pair()
        pair.pump()
        #expect(
            pair.serverSide.error == TLSError(.versionOrCipherMismatch, "there is no TLS version in common with the client"))
        #expect(
            pair.clientSide.error
                == TLSError(
                    .peerAlert("protocol version"), "there is no TLS version in common with the server (alert \"protocol version\")"
                ))
    }

    @Test("A minimum above the maximum is refused")
    func contradictoryVersions() {
        var options = TLSServerOptions()
        options.minimumVersion = .tls13
        options.maximumVersion = .tls12
        #expect(throws: CertificateError("the minimum TLS version is above the maximum")) { try TLSServerContext(options) }
    }

    @Test(
        "The version that a text names",
        arguments: [
            ("1.2", TLSVersion.tls12),
            ("TLSv1.3", .tls13),
            ("tls1.0", .tls10),
            ("1.1", .tls11),
            ("1.4", nil),
            ("", nil),
            ("v", nil),
        ])
    func versionNames(text: String, version: TLSVersion?) { #expect(TLSVersion(text) == version) }

    @Test(
        "ALPN chooses what the server wants if it is offered, and nothing otherwise",
        arguments: [
            (["h2", "http/1.1"], "h2", "h2"),
            (["h2", "http/1.1"], "http/1.1", "http/1.1"),
            (["http/1.1"], "h2", nil),
            ([], "h2", nil),
            (["h2"], nil, nil),
            (["h2c", "h2"], "h2", "h2"),
            (["x"], "", nil),
        ] as [([String], String?, String?)])
    func alpn(offers: [String], wanted: String?, chosen: String?) throws {
        var scene = Scene()
        scene.alpnOffers = offers
        scene.alpn = wanted
        let pair = try scene.pair()
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
        #expect(pair.client.facts.alpn == chosen)
        #expect(pair.server.facts.alpn == chosen)
    }

    @Test(
        "A name is sent and checked; an address is checked and not sent",
        arguments: [
            ("www.example.com", "www.example.com", "www.example.com"),
            ("WWW.Example.COM.", "www.example.com", "www.example.com"),
            ("192.0.2.1", "192.0.2.1", nil),
            ("2001:db8::1", "2001:DB8:0::1", nil),
            ("[2001:db8::1]", "2001:db8::1", nil),
            ("bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a_b.example", "a_b.example", "a_b.example"),
        ] as [(String, String, String?)])
    func serverNames(asked: String, certified: String, sent: String?) throws {
        var scene = Scene()
        scene.serverName = asked
        scene.certificateName = certified
        let pair = try scene.pair()
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
        #expect(pair.client.facts.isVerified == true)
        #expect(pair.server.facts.serverName == sent)
        #expect(pair.client.facts.serverName == sent)
    }

    @Test(
        "What cannot be a server's name is refused",
        arguments: ["", ".", "a b", "a..b", "*.example.com", "a\0b", String(repeating: "a", count: 64) + ".com"])
    func impossibleNames(name: String) throws {
        let client = try TLSClientContext()
        #expect(throws: TLSError(.invalidUse, "\"\(name)\" cannot be a server's name")) {
            _ = try TLSConnection(client: client, serverName: name, alpnOffers: [], sessionKey: "")
        }
    }

    @Test("What ALPN cannot carry is refused", arguments: [[""], [String(repeating: "a", count: 256)]])
    func impossibleALPN(offers: [String]) throws {
        let client = try TLSClientContext()
        #expect(throws: TLSError(.invalidUse, "\"\(offers[0])\" cannot be offered by ALPN")) {
            _ = try TLSConnection(client: client, serverName: "a", alpnOffers: offers, sessionKey: "")
        }
    }

    @Test("Bytes may arrive in any pieces", arguments: [1, 2, 7, 100, 16_384], [TLSVersion.tls12, .tls13])
    func pieces(size: Int, version: TLSVersion) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        scene.alpnOffers = ["h2"]
        scene.alpn = "h2"
        let pair = try scene.pair()
        pair.deliverySize = size
        let sent = patterned(40_000)
        try pair.client.write(sent)
        pair.pump()
        try pair.server.write(sent)
        pair.pump()
        #expect(pair.serverSide == .init(isDone: true, read: sent))
        #expect(pair.clientSide == .init(isDone: true, read: sent))
    }

    @Test("A large write arrives whole, in buffers of at most 64 KiB", arguments: [1, 16_383, 16_384, 16_385, 65_536, 5_000_000])
    func largeWrites(size: Int) throws {
        let pair = try Scene().pair()
        pair.pump()
        let sent = patterned(size)
        try pair.client.write(sent)
        var received = ByteBuffer()
        while let ciphertext = pair.client.takeCiphertext() { pair.server.receive(ciphertext) }
        while let plaintext = try pair.server.read() {
            #expect(plaintext.readableBytes <= 65_536)
            received.writeImmutableBuffer(plaintext)
        }
        #expect(received == sent)
    }

    @Test("Small writes between two takes share records and keep their order")
    func smallWrites() throws {
        let pair = try Scene().pair()
        pair.pump()
        let before = pair.clientSent
        var sent = ByteBuffer()
        for round in 0..<3 {
            for index in 0..<5_000 {
                let part = ByteBuffer(string: "\(round).\(index),")
                sent.writeImmutableBuffer(part)
                try pair.client.write(part)
            }
            pair.pump()
        }
        #expect(pair.serverSide.read == sent)
        // 22 bytes for each record of up to 16 KiB.
        #expect(pair.clientSent - before < sent.readableBytes + 22 * (sent.readableBytes / 16_000 + 6))
    }

    @Test("Writes of every size, mixed, keep their order")
    func mixedWrites() throws {
        let pair = try Scene().pair()
        pair.pump()
        var sent = ByteBuffer()
        for size in [10, 4_096, 4_097, 1, 70_000, 0, 3, 16_384, 2, 4_000, 4_000, 4_000, 4_000, 4_000, 16_385] {
            let part = patterned(size)
            sent.writeImmutableBuffer(part)
            try pair.client.write(part)
        }
        pair.pump()
        #expect(pair.serverSide.read == sent)
    }

    @Test("A written buffer that its owner changes later is sent as it was")
    func writtenBufferIsAValue() throws {
        let pair = try Scene().pair()
        pair.pump()
        var buffer = ByteBuffer(string: "first")
        try pair.client.write(buffer)
        buffer.setString("again", at: 0)
        try pair.client.write(buffer)
        buffer.setString("later", at: 0)
        pair.pump()
        #expect(pair.serverSide.read == ByteBuffer(string: "firstagain"))
    }

    @Test("Bytes that were read, or taken, are not held on to")
    func releasesStorage() throws {
        let pair = try Scene().pair()
        _ = try pair.client.handshake()
        var hello = try #require(pair.client.takeCiphertext())
        pair.server.receive(hello)
        _ = try pair.server.handshake()
        #expect(hello.modifyIfUniquelyOwned { $0.readableBytes > 0 } == true)
        pair.pump()
        try pair.client.write(patterned(1_000))
        var record = try #require(pair.client.takeCiphertext())
        pair.server.receive(record)
        var plaintext = try #require(try pair.server.read())
        #expect(record.modifyIfUniquelyOwned { $0.readableBytes > 1_000 } == true)
        #expect(plaintext.modifyIfUniquelyOwned { $0.readableBytes == 1_000 } == true)
    }

    @Test("What is written before the handshake is sent behind it, whatever its size")
    func earlyWrites() throws {
        let pair = try Scene().pair()
        let first = patterned(100)
        let second = patterned(50_000)
        try pair.client.write(first)
        try pair.client.write(second)
        try pair.server.write(second)
        pair.pump()
        #expect(pair.serverSide.read.readableBytes == 50_100)
        #expect(pair.serverSide.read.getSlice(at: 100, length: 50_000) == second)
        #expect(pair.clientSide.read == second)
    }

    @Test("close_notify differs from a missing one; each direction closes for itself", arguments: [TLSVersion.tls12, .tls13])
    func closing(version: TLSVersion) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        let pair = try scene.pair()
        pair.pump()
        try pair.client.write(ByteBuffer(string: "last words"))
        pair.client.close()
        pair.pump()
        #expect(pair.serverSide == .init(isDone: true, read: ByteBuffer(string: "last words")))
        #expect(pair.server.isPeerClosed)
        #expect(!pair.client.isPeerClosed)
        pair.server.receivedEnd()
        #expect(try pair.server.read() == nil)
        try pair.server.write(ByteBuffer(string: "still here"))
        pair.pump()
        #expect(pair.clientSide.read == ByteBuffer(string: "still here"))
        pair.client.receivedEnd()
        #expect(throws: TLSError(.truncated, "the server closed the connection without close_notify")) { try pair.client.read() }
        #expect(throws: TLSError.self) { try pair.client.write(ByteBuffer(string: "too late")) }
    }

    @Test("What came before a missing close_notify is read first")
    func truncation() throws {
        let pair = try Scene().pair()
        pair.pump()
        try pair.server.write(ByteBuffer(string: "half a message"))
        pair.client.receive(try #require(pair.server.takeCiphertext()))
        pair.client.receivedEnd()
        #expect(try pair.client.read() == ByteBuffer(string: "half a message"))
        #expect(throws: TLSError(.truncated, "the server closed the connection without close_notify")) { try pair.client.read() }
        #expect(pair.client.takeCiphertext() == nil)
    }

    @Test("Each connection's secrets go to the key log as lines", arguments: [TLSVersion.tls12, .tls13])
    func keyLog(version: TLSVersion) throws {
        final class Lines: Sendable { let all = Mutex<[String]>([]) }
        let (serverLines, clientLines) = (Lines(), Lines())
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        scene.serverOptions.keyLog = { line in serverLines.all.withLock { $0.append(line) } }
        scene.clientOptions.keyLog = { line in clientLines.all.withLock { $0.append(line) } }
        let pair = try scene.pair()
        pair.pump()
        let labels =
            version == .tls12
            ? ["CLIENT_RANDOM"]
            : [
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "EXPORTER_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_TRAFFIC_SECRET_0",
            ]
        let lines = clientLines.all.withLock { $0.sorted() }
        #expect(lines.compactMap { $0.split(separator: " ").first.map(String.init) } == labels)
        #expect(serverLines.all.withLock { $0.sorted() } == lines)
    }
}
