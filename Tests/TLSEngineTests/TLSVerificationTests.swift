// Whom the server-facing leg trusts, what it says when it does not, and what the peer says of us.

import COpenSSL
import NIOCore
import Testing

@testable import TLSEngine

@Suite struct TLSVerificationTests {
    /// A server that is not what it should be.
    struct Impostor: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var certificate: @Sendable () throws -> LeafCertificate
        var reason: String
        var alert: String
    }

    static let impostors = [
        Impostor(
            testDescription: "unknown authority",
            certificate: { try Scene.stranger.issue(LeafRequest(serverName: "www.example.com"), now: Scene.now) },
            reason: "self-signed certificate in certificate chain", alert: "unknown CA"),
        Impostor(
            testDescription: "wrong name",
            certificate: { try Scene.authority.issue(LeafRequest(serverName: "www.example.org"), now: Scene.now) },
            reason: "hostname mismatch", alert: "bad certificate"),
        Impostor(
            testDescription: "wildcard does not reach two labels",
            certificate: { try Scene.authority.issue(LeafRequest(serverName: "*.com"), now: Scene.now) },
            reason: "hostname mismatch", alert: "bad certificate"),
        Impostor(
            testDescription: "expired",
            certificate: { try Scene.authority.issue(LeafRequest(serverName: "www.example.com"), now: Scene.now - 200 * 86_400) },
            reason: "certificate has expired", alert: "certificate expired"),
        Impostor(
            testDescription: "not yet valid",
            certificate: { try Scene.authority.issue(LeafRequest(serverName: "www.example.com"), now: Scene.now + 3 * 86_400) },
            reason: "certificate is not yet valid", alert: "bad certificate"),
        Impostor(
            testDescription: "self-signed",
            certificate: { try LeafCertificate(pem: Fixture.richUpstreamPEM + "\n" + Fixture.leafKeyPEM) },
            reason: "self-signed certificate", alert: "unknown CA"),
        Impostor(
            testDescription: "self-signed root in the chain",
            certificate: {
                try LeafCertificate(
                    pem: [Fixture.ownPEM, Fixture.intermediatePEM, Fixture.rootPEM, Fixture.leafKeyPEM].joined(separator: "\n"))
            },
            reason: "self-signed certificate in certificate chain", alert: "unknown CA"),
    ]

    @Test(
        "An untrusted server is refused with an alert and the reason, and its chain is known",
        arguments: impostors)
    func refused(impostor: Impostor) throws {
        let leaf = try impostor.certificate()
        let pair = try Scene().pair(certificate: leaf)
        pair.pump()
        #expect(
            pair.clientSide == .init(error: TLSError(.verificationFailed, "certificate verify failed: \(impostor.reason)")))
        #expect(
            pair.serverSide.error
                == TLSError(
                    .peerAlert(impostor.alert),
                    "the client does not trust the certificate for www.example.com (alert \"\(impostor.alert)\")"))
        let facts = pair.client.facts
        #expect(facts.peerCertificates == leaf.chain)
        #expect(facts.isVerified == false)
        #expect(facts.verificationError == impostor.reason)
    }

    @Test("Without verification such a server is accepted and the outcome is recorded", arguments: impostors)
    func overruled(impostor: Impostor) throws {
        var scene = Scene()
        scene.clientOptions.verifies = false
        let leaf = try impostor.certificate()
        let pair = try scene.pair(certificate: leaf)
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
        let facts = pair.client.facts
        #expect(facts.peerCertificates == leaf.chain)
        #expect(facts.isVerified == false)
        #expect(facts.verificationError == impostor.reason)
    }

    @Test("Without verification a server in order is recorded as verified")
    func insecureButVerified() throws {
        var scene = Scene()
        scene.clientOptions.verifies = false
        let pair = try scene.pair()
        pair.pump()
        #expect(pair.client.facts.isVerified == true)
        #expect(pair.client.facts.verificationError == nil)
    }

    @Test("The address in the certificate is checked", arguments: [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
    func wrongAddress(asked: String, certified: String) throws {
        var scene = Scene()
        scene.serverName = asked
        scene.certificateName = certified
        let pair = try scene.pair()
        pair.pump()
        #expect(pair.clientSide.error == TLSError(.verificationFailed, "certificate verify failed: IP address mismatch"))
        #expect(
            pair.serverSide.error
                == TLSError(
                    .peerAlert("bad certificate"),
                    "the client does not trust the certificate for a server without a name (alert \"bad certificate\")"))
    }

    @Test("The system's store does not trust our authority")
    func systemStore() throws {
        var scene = Scene()
        scene.clientOptions.trustedPEM = nil
        let pair = try scene.pair()
        pair.pump()
        #expect(pair.clientSide.error?.kind == .verificationFailed)
    }

    @Test(
        "An intermediate or a server's own certificate may be what is trusted",
        arguments: [Fixture.intermediatePEM, Fixture.ownPEM])
    func partialChain(trusted: String) throws {
        var scene = Scene()
        scene.clientOptions.trustedPEM = trusted
        scene.serverName = "own.test"
        let pair = try scene.pair(certificate: LeafCertificate(pem: Fixture.ownPEM + "\n" + Fixture.leafKeyPEM))
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
        #expect(pair.client.facts.isVerified == true)
    }

    @Test(
        "Text that holds no certificate cannot be trusted",
        arguments: [
            ("", "it contains no certificate to trust"),
            ("nonsense", "it contains no certificate to trust"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "the certificate cannot be read"
            ),
        ])
    func badTrust(pem: String, message: String) {
        var options = TLSClientOptions()
        options.trustedPEM = pem
        let error = #expect(throws: CertificateError.self) { try TLSClientContext(options) }
        #expect(error?.message.hasPrefix(message) == true)
    }

    @Test("A client certificate is shown with its chain to a server that asks for one", arguments: [TLSVersion.tls12, .tls13])
    func clientCertificate(version: TLSVersion) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        scene.clientOptions.clientCertificatePEM = [Fixture.leafKeyPEM, Fixture.ownPEM, Fixture.intermediatePEM].joined(
            separator: "\n")
        let contexts = try scene.contexts()
        try requireClientCertificates(contexts.server, trusted: Fixture.rootPEM)
        let pair = try scene.pair(contexts)
        pair.pump()
        #expect(pair.clientSide == .init(isDone: true))
        #expect(pair.serverSide == .init(isDone: true))
    }

    @Test(
        "A server's refusal of our certificate, or of a missing one, is reported",
        arguments: [
            (TLSVersion.tls12, nil, "handshake failure", "the server ended TLS with the alert \"handshake failure\""),
            (.tls13, nil, "certificate required", "the server requires a client certificate (alert \"certificate required\")"),
            (
                .tls13, Fixture.ownPEM + "\n" + Fixture.leafKeyPEM, "unknown CA",
                "the server does not accept the client certificate (alert \"unknown CA\")"
            ),
        ] as [(TLSVersion, String?, String, String)])
    func refusedClientCertificate(version: TLSVersion, pem: String?, alert: String, message: String) throws {
        var scene = Scene()
        scene.clientOptions.maximumVersion = version
        scene.clientOptions.clientCertificatePEM = pem
        let contexts = try scene.contexts()
        try requireClientCertificates(contexts.server, trusted: Fixture.rootPEM)
        let pair = try scene.pair(contexts)
        pair.pump()
        #expect(pair.clientSide.error == TLSError(.peerAlert(alert), message))
    }

    /// Makes a server of the kind that the recorder never is.
    private func requireClientCertificates(_ server: TLSServerContext, trusted: String) throws {
        let context = unsafe server.context.pointer
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        for certificate in try PEMContents.certificates(trusted) {
            unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.pointer)
        }
    }

    @Test(
        "A client certificate that cannot be used is refused at the start",
        arguments: [
            (Fixture.ownPEM, "it contains no private key"),
            (Fixture.leafKeyPEM, "it contains no certificate"),
            (Fixture.rootPEM + "\n" + Fixture.leafKeyPEM, "the private key does not belong to the first certificate"),
        ])
    func badClientCertificate(pem: String, message: String) {
        var options = TLSClientOptions()
        options.clientCertificatePEM = pem
        #expect(throws: CertificateError(message)) { try TLSClientContext(options) }
    }
}
