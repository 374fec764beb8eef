// Sessions that are resumed on either leg, and those that must not be.

import NIOCore
import Testing

@testable import TLSEngine

@Suite struct TLSResumptionTests {
    private func scene(_ version: TLSVersion) -> Scene {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        return scene
    }

    /// Connects, exchanges a byte each way (TLS 1.3 gives its tickets with the first), and tells what the client knows.
    private func connect(
        _ scene: Scene, _ contexts: Scene.Contexts, key: String = "", closes: Bool = false
    ) throws -> (client: TLSFacts, server: TLSFacts) {
        let pair = try scene.pair(contexts, key: key)
        pair.pump()
        try pair.client.write(ByteBuffer(string: "q"))
        try pair.server.write(ByteBuffer(string: "a"))
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true, read: ByteBuffer(string: "a")))
        if closes {
            pair.client.close()
            pair.pump()
        } else {
            pair.client.receivedEnd()
            #expect(throws: TLSError(.truncated, "the server closed the connection without close_notify")) {
                try pair.client.read()
            }
        }
        return (pair.client.facts, pair.server.facts)
    }

    @Test(
        "The second connection is resumed on both sides, however the first ended, though its certificate is another",
        arguments: [TLSVersion.tls12, .tls13], [true, false])
    func resumed(version: TLSVersion, closes: Bool) throws {
        let scene = scene(version)
        let contexts = try scene.contexts()
        let first = try connect(scene, contexts, closes: closes)
        #expect(!first.client.isResumed && !first.server.isResumed)
        for _ in 0..<3 {
            let next = try connect(scene, contexts, closes: closes)
            // The chain is that of the connection that made the session: none was sent on this one.
            var expected = first
            expected.client.isResumed = true
            expected.server.isResumed = true
            #expect(next == expected)
        }
    }

    @Test("Another key, another name and another context do not resume", arguments: [TLSVersion.tls12, .tls13])
    func notResumed(version: TLSVersion) throws {
        var scene = scene(version)
        let contexts = try scene.contexts()
        _ = try connect(scene, contexts, key: "a:443")
        #expect(try connect(scene, contexts, key: "b:443").client.isResumed == false)
        #expect(try connect(scene, scene.contexts(), key: "a:443").client.isResumed == false)
        #expect(try connect(scene, contexts, key: "a:443").client.isResumed == true)
        scene.serverName = "other.example.com"
        #expect(try connect(scene, contexts, key: "a:443").client.isResumed == false)
    }

    @Test("A server that forgot its ticket keys gets a full handshake", arguments: [TLSVersion.tls12, .tls13])
    func forgottenTicket(version: TLSVersion) throws {
        let scene = scene(version)
        let contexts = try scene.contexts()
        _ = try connect(scene, contexts)
        let restarted = Scene.Contexts(server: try TLSServerContext(), client: contexts.client)
        #expect(try connect(scene, restarted).client.isResumed == false)
        #expect(try connect(scene, restarted).client.isResumed == true)
    }

    @Test("What verification said is remembered with the session", arguments: [TLSVersion.tls12, .tls13])
    func unverified(version: TLSVersion) throws {
        var scene = scene(version)
        scene.clientOptions.verifies = false
        scene.clientOptions.trustedPEM = Scene.stranger.certificatePEM
        let contexts = try scene.contexts()
        for isResumed in [false, true] {
            let facts = try connect(scene, contexts).client
            #expect(facts.isResumed == isResumed)
            #expect(facts.isVerified == false)
            #expect(facts.verificationError == "self-signed certificate in certificate chain")
        }
    }

    @Test("ALPN is negotiated again when a session is resumed", arguments: [TLSVersion.tls12, .tls13])
    func protocols(version: TLSVersion) throws {
        var scene = scene(version)
        let contexts = try scene.contexts()
        for alpn in ["h2", "http/1.1"] {
            scene.alpnOffers = [alpn]
            scene.alpn = alpn
            #expect(try connect(scene, contexts).client.alpn == alpn)
        }
    }

    @Test("The number of servers whose sessions are kept is limited")
    func bounded() throws {
        var scene = Scene()
        scene.clientOptions.sessionCapacity = 4
        let contexts = try scene.contexts()
        for index in 0..<10 { _ = try connect(scene, contexts, key: "server \(index)") }
        #expect((2...4).contains(contexts.client.sessions.count))
        #expect(try connect(scene, contexts, key: "server 9").client.isResumed == true)
        #expect(try connect(scene, contexts, key: "server 0").client.isResumed == false)
    }

    @Test("A cache forgets what was not used lately, and never holds more than it may")
    func cache() {
        var cache = GenerationCache<Int, String>(capacity: 4)
        for key in 0..<100 {
            cache.insert("\(key)", for: key)
            #expect(cache.value(for: 0) == "0")  // used all the time
            #expect(cache.value(for: key) == "\(key)")
            #expect(cache.count <= 4)
        }
        #expect(cache.value(for: 50) == nil)
        cache.remove(0)
        #expect(cache.value(for: 0) == nil)
    }
}
