// Two TLS connections that are each other's peers: handshakes, and records that one encrypts and the other decrypts.

import Foundation
import NIOCore
import TLSEngine

func measureTLS(_ results: inout Results) throws {
    let scene = try TLSScene()
    let handshake = try results.seconds { _ = try scene.connect() }
    results.add("tls handshakes", 1 / handshake, "pairs")

    let pair = try scene.connect()
    let large = ByteBuffer(repeating: 0x61, count: 16_384)
    let records = try results.seconds {
        for _ in 0..<64 { try pair.send(large) }
    }
    results.add("tls 16 KiB records bytes", 64 * 16_384 / records, "B")
    let small = ByteBuffer(repeating: 0x61, count: 1024)
    let messages = try results.seconds {
        for _ in 0..<256 { try pair.send(small) }
    }
    results.add("tls 1 KiB records", 256 / messages, "records")
}

/// Shared by the connections.
private struct TLSScene {
    let server: TLSServerContext
    let trusted: String
    let certificate: LeafCertificate
    private let name = "www.shop.example"

    init() throws {
        let now = Int64(Date().timeIntervalSince1970)
        let authority = try CertificateAuthority.generate(now: now)
        certificate = try authority.issue(LeafRequest(serverName: name), now: now)
        trusted = authority.certificatePEM
        server = try TLSServerContext()
        var options = TLSClientOptions()
        options.trustedPEM = trusted
        client = try TLSClientContext(options)
    }

    private let client: TLSClientContext
    private var connections = Counter()

    /// A pair whose handshake is done. No session is resumed, because each has a cache key of its own.
    func connect() throws -> TLSPair {
        connections.count += 1
        let pair = TLSPair(
            client: try TLSConnection(client: client, serverName: name, alpnOffers: ["h2"], sessionKey: "\(connections.count)"),
            server: try TLSConnection(server: server, certificate: certificate, alpn: "h2"))
        try pair.handshake()
        return pair
    }
}

private final class Counter {
    var count = 0
}

private struct TLSPair {
    let client: TLSConnection
    let server: TLSConnection

    func handshake() throws {
        var isDone = false
        while !isDone {
            isDone = try client.handshake()
            if let bytes = client.takeCiphertext() { server.receive(bytes) }
            isDone = try server.handshake() && isDone
            if let bytes = server.takeCiphertext() { client.receive(bytes) }
        }
        // Session tickets.
        try check(try client.read() == nil, "plaintext came from nowhere")
    }

    func send(_ plaintext: ByteBuffer) throws {
        try client.write(plaintext)
        guard let ciphertext = client.takeCiphertext() else { throw InvalidMeasurement(message: "nothing was encrypted") }
        server.receive(ciphertext)
        var count = 0
        while let bytes = try server.read() { count += bytes.readableBytes }
        try check(count == plaintext.readableBytes, "\(count) bytes were decrypted")
    }
}
