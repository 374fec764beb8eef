// The authority and the certificates it makes.

import NIOCore
import Synchronization
import Testing

@testable import TLSEngine

@Suite struct CertificateAuthorityTests {
    static let richUpstream = try! PEMContents.certificates(Fixture.richUpstreamPEM)[0].der

    private func subject(of leaf: LeafCertificate) -> LeafSubject {
        LeafSubject(LeafRequest(serverName: "", upstream: leaf.chain[0]))
    }

    @Test(
        "A leaf names whom the upstream certificate names, and who was asked for",
        arguments: [
            (
                LeafRequest(serverName: "www.example.com"), [.dns("www.example.com")], "www.example.com", nil
            ),
            (
                LeafRequest(serverName: "a.rich.example", upstream: richUpstream),
                [
                    .dns("rich.example"), .dns("*.rich.example"), .address([192, 0, 2, 7]),
                    .address([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), .dns("a.rich.example"),
                ], "rich.example", "Exämple GmbH"
            ),
            (
                LeafRequest(serverName: "RICH.example.", upstream: richUpstream),
                [
                    .dns("rich.example"), .dns("*.rich.example"), .address([192, 0, 2, 7]),
                    .address([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
                ], "rich.example", "Exämple GmbH"
            ),
            (LeafRequest(serverName: "192.0.2.1"), [.address([192, 0, 2, 1])], "192.0.2.1", nil),
            (LeafRequest(serverName: "::1"), [.address([UInt8](repeating: 0, count: 15) + [1])], "::1", nil),
            (LeafRequest(serverName: "münchen.example"), [.dns("xn--mnchen-3ya.example")], "xn--mnchen-3ya.example", nil),
            (LeafRequest(serverName: "localhost"), [.dns("localhost")], "localhost", nil),
            // A common name has at most 64 characters: a longer name stands among the names only.
            (
                LeafRequest(serverName: "\(String(repeating: "a", count: 60)).example"),
                [.dns("\(String(repeating: "a", count: 60)).example")], nil, nil
            ),
            // What is no certificate is no reason to refuse.
            (LeafRequest(serverName: "x.example", upstream: ByteBuffer(string: "no DER")), [.dns("x.example")], "x.example", nil),
            (LeafRequest(serverName: "not a name", upstream: richUpstream), nil, "rich.example", "Exämple GmbH"),
        ] as [(LeafRequest, [NetworkName]?, String?, String?)])
    func names(request: LeafRequest, names: [NetworkName]?, commonName: String?, organization: String?) throws {
        let leaf = try Scene.authority.issue(request, now: Scene.now)
        let subject = subject(of: leaf)
        if let names { #expect(subject.names == names) }
        #expect(subject.commonName == commonName)
        #expect(subject.organization == organization)
    }

    @Test(
        "A name that cannot stand in a certificate is refused when there is no other", arguments: ["", "a b", "a\0b", "\"", ".."])
    func impossibleNames(name: String) {
        #expect(throws: CertificateError("no certificate can be made for the name \"\(name)\"")) {
            try Scene.authority.issue(LeafRequest(serverName: name), now: Scene.now)
        }
    }

    @Test("A leaf is valid from two days ago for 197 days, and its authority for ten years")
    func times() throws {
        let now: Int64 = 1_790_000_000
        let authority = try CertificateAuthority.generate(now: now)
        let leaf = try authority.issue(LeafRequest(serverName: "a.example"), now: now)
        #expect(leaf.notBefore == now - 2 * 86_400)
        #expect(leaf.notAfter == now + 195 * 86_400)
        #expect(authority.notAfter == now + 3_648 * 86_400)
    }

    @Test("Leaves of one process share a key and differ in their serial number")
    func serials() throws {
        let request = LeafRequest(serverName: "a.example")
        let leaves = try (0..<20).map { _ in try Scene.authority.issue(request, now: Scene.now) }
        #expect(Set(leaves.map { $0.chain[0] }).count == 20)
        #expect(Set(leaves.map { $0.key.pem }).count == 1)
        #expect(leaves[0].key.pem != Scene.authority.privateKeyPEM)
        #expect(leaves.allSatisfy { $0.chain.dropFirst() == [Scene.authority.certificateDER] })
    }

    @Test(
        "An authority goes out as text and comes back the same, and clients that trust it trust its leaves",
        arguments: [CertificateAuthority.KeyType.ecdsaP256, .rsa(bits: 2048)])
    func roundTrip(keyType: CertificateAuthority.KeyType) throws {
        let made = try CertificateAuthority.generate(keyType: keyType, now: Scene.now)
        let read = try CertificateAuthority(pem: made.privateKeyPEM + made.certificatePEM)
        #expect(read.certificatePEM == made.certificatePEM)
        #expect(read.privateKeyPEM == made.privateKeyPEM)
        #expect(read.certificateDER == made.certificateDER)
        for version in [TLSVersion.tls12, .tls13] {
            var scene = Scene()
            scene.clientOptions.trustedPEM = made.certificatePEM
            scene.clientOptions.maximumVersion = version
            let pair = try scene.pair(certificate: read.issue(LeafRequest(serverName: scene.serverName), now: Scene.now))
            pair.pump()
            #expect(pair.clientSide == .init(isDone: true))
            #expect(pair.serverSide == .init(isDone: true))
        }
    }

    @Test("A leaf with an RSA key is made for clients that take nothing else; both kinds are kept apart")
    func rsaLeaves() throws {
        let cache = LeafCertificateCache(authority: Scene.authority)
        let plain = try cache.certificate(for: LeafRequest(serverName: "a.example"), now: Scene.now)
        let rsa = try (0..<2).map { _ in
            try cache.certificate(for: LeafRequest(serverName: "a.example", key: .rsa), now: Scene.now)
        }
        #expect(rsa[0] === rsa[1] && rsa[0] !== plain)
        let other = try cache.certificate(for: LeafRequest(serverName: "b.example", key: .rsa), now: Scene.now)
        #expect(other.key.pem == rsa[0].key.pem && other.key.pem != plain.key.pem)
        #expect(rsa[0].chain.dropFirst() == [Scene.authority.certificateDER])
        for version in [TLSVersion.tls12, .tls13] {
            var scene = Scene()
            scene.serverName = "a.example"
            scene.clientOptions.maximumVersion = version
            let pair = try scene.pair(certificate: rsa[0])
            pair.pump()
            #expect(pair.clientSide == .init(isDone: true))
        }
    }

    @Test("An authority below a root, with an encrypted key, sends itself along, so that the root is enough to trust")
    func intermediate() throws {
        let pem = [Fixture.encryptedIntermediateKeyPEM, Fixture.intermediatePEM].joined(separator: "\n")
        let authority = try CertificateAuthority(pem: pem, passphrase: "secret")
        var scene = Scene()
        scene.clientOptions.trustedPEM = Fixture.rootPEM
        let leaf = try authority.issue(LeafRequest(serverName: scene.serverName), now: Scene.now)
        #expect(leaf.chain.dropFirst() == [authority.certificateDER])
        let pair = try scene.pair(certificate: leaf)
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
    }

    @Test(
        "Text that is no authority is refused with the reason",
        arguments: [
            ("", nil, "it contains no certificate"),
            ("nonsense", nil, "it contains no certificate"),
            (Fixture.intermediatePEM, nil, "it contains no private key"),
            (Fixture.leafKeyPEM, nil, "it contains no certificate"),
            (Fixture.ownPEM + "\n" + Fixture.leafKeyPEM, nil, "the certificate is not one of a certificate authority"),
            (Fixture.rootPEM + "\n" + Fixture.leafKeyPEM, nil, "the private key does not belong to the first certificate"),
            (
                Fixture.intermediatePEM + "\n" + Fixture.encryptedIntermediateKeyPEM, nil,
                "the private key is encrypted and there is no passphrase for it"
            ),
            (
                Fixture.intermediatePEM + "\n" + Fixture.encryptedIntermediateKeyPEM, "wrong",
                "the private key cannot be opened: bad decrypt"
            ),
        ] as [(String, String?, String)])
    func notAnAuthority(pem: String, passphrase: String?, message: String) {
        #expect(throws: CertificateError(message)) { try CertificateAuthority(pem: pem, passphrase: passphrase) }
    }

    @Test("A key that no client takes is refused", arguments: [0, 1_024, 100_000, -1])
    func badKeySize(bits: Int) {
        #expect(throws: CertificateError("an RSA key has 2048 to 8192 bits, not \(bits)")) {
            try CertificateAuthority.generate(keyType: .rsa(bits: bits), now: 0)
        }
    }

    @Test("An upstream certificate with thousands of names is mirrored up to a bound, and the name asked for is never left out")
    func manyNames() throws {
        let names = (0..<3_000).map { NetworkName.dns("host\($0).example") }
        let key = try #require(try PEMContents(Fixture.leafKeyPEM, passphrase: nil).key)
        let template = try CertificateTemplate(subject: ("x", nil), key: key, issuer: nil, notBefore: 0, notAfter: 1)
        try template.addNames(names, isCritical: false)
        let upstream = try template.sign(with: key).der
        let leaf = try Scene.authority.issue(LeafRequest(serverName: "asked.example", upstream: upstream), now: Scene.now)
        let mirrored = subject(of: leaf).names
        #expect(mirrored == Array(names.prefix(LeafSubject.maximumNames - 1)))  // read back with the same bound
        var scene = Scene()
        scene.serverName = "asked.example"
        let pair = try scene.pair(certificate: leaf)
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
    }

    @Test(
        "Labels beyond ASCII become A-labels",
        arguments: [
            ("bücher", "xn--bcher-kva"),
            ("ascii", "ascii"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("ü", "xn--tda"),
            ("пример", "xn--e1afmkfd"),
            ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
        ])
    func punycode(label: String, encoded: String) { #expect(Punycode.label(label) == encoded) }
}

@Suite struct LeafCertificateCacheTests {
    @Test("Equal requests are answered with the same certificate until its last day, then with a new one")
    func reissued() throws {
        let cache = LeafCertificateCache(authority: Scene.authority)
        let request = LeafRequest(serverName: "a.example")
        let first = try cache.certificate(for: request, now: 1_000_000_000)
        #expect(try cache.certificate(for: request, now: 1_000_000_000 + 193 * 86_400) === first)
        let second = try cache.certificate(for: request, now: 1_000_000_000 + 194 * 86_400 + 1)
        #expect(second !== first)
        #expect(try cache.certificate(for: request, now: 1_000_000_000 + 194 * 86_400 + 2) === second)
        // A clock that was set back.
        #expect(try cache.certificate(for: request, now: 900_000_000).notBefore == 900_000_000 - 2 * 86_400)
        let mirrored = LeafRequest(serverName: "a.example", upstream: CertificateAuthorityTests.richUpstream)
        #expect(try cache.certificate(for: mirrored, now: 1_000_000_000) !== first)
    }

    @Test("It never holds more than it may")
    func bounded() throws {
        let cache = LeafCertificateCache(authority: Scene.authority, capacity: 10)
        for index in 0..<50 {
            _ = try cache.certificate(for: LeafRequest(serverName: "host\(index).example"), now: Scene.now)
            #expect(cache.count <= 10)
        }
    }

    @Test("Own certificates are shown for their names; the exact name wins, then the longest pattern")
    func own() throws {
        let cache = LeafCertificateCache(authority: Scene.authority)
        let pem = Fixture.ownPEM + "\n" + Fixture.leafKeyPEM
        let patterns = ["www.example.com", "*.example.com", "*.com", "192.0.2.1", "::1"]
        var own: [String: LeafCertificate] = [:]
        for pattern in patterns {
            own[pattern] = try LeafCertificate(pem: pem)
            try cache.register(try #require(own[pattern]), for: pattern)
        }
        func answer(_ name: String) throws -> LeafCertificate {
            try cache.certificate(
                for: LeafRequest(serverName: name, upstream: CertificateAuthorityTests.richUpstream), now: Scene.now)
        }
        for (name, pattern) in [
            ("www.example.com", "www.example.com"),
            ("WWW.example.com.", "www.example.com"),
            ("a.example.com", "*.example.com"),
            ("a.b.example.com", "*.example.com"),
            ("example.com", "*.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("[0::1]", "::1"),
        ] {
            #expect(try answer(name) === own[pattern], "\(name)")
        }
        for name in ["com", "example.org", "192.0.2.2"] { #expect(try answer(name).isMade) }
        let all = try LeafCertificate(pem: pem)
        try cache.register(all)
        for name in ["com", "example.org", "192.0.2.2", "no name at all", ""] { #expect(try answer(name) === all) }
        #expect(try answer("a.example.com") === own["*.example.com"])
    }

    @Test("A pattern that no name can match is refused", arguments: ["", "a.*", "*.*", "*a.example", "a b", "**"])
    func badPatterns(pattern: String) throws {
        let cache = LeafCertificateCache(authority: Scene.authority)
        let own = try LeafCertificate(pem: Fixture.ownPEM + "\n" + Fixture.leafKeyPEM)
        #expect(throws: CertificateError("\"\(pattern)\" is not a name, *.name or *")) { try cache.register(own, for: pattern) }
    }

    @Test("Many threads may ask at once")
    func threads() async throws {
        let cache = LeafCertificateCache(authority: Scene.authority, capacity: 20)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for index in 0..<50 {
                        let name = "host\((index + task) % 30).example"
                        let leaf = try cache.certificate(for: LeafRequest(serverName: name), now: Scene.now)
                        #expect(LeafSubject(LeafRequest(serverName: "", upstream: leaf.chain[0])).names == [.dns(name)])
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
