// Two connections that are each other's peers, with the bytes between them in the test's hand.

import Glibc
import NIOCore
import Testing

@testable import TLSEngine

/// A client and a server over no network.
final class ConnectionPair {
    let client: TLSConnection
    let server: TLSConnection
    /// How many bytes are delivered at a time.
    var deliverySize = Int.max
    /// Everything that was sent, for tests that count.
    var clientSent = 0
    var serverSent = 0

    init(client: TLSConnection, server: TLSConnection) {
        self.client = client
        self.server = server
    }

    /// What came of driving one side.
    struct Side: Equatable {
        var isDone = false
        var read = ByteBuffer()
        var error: TLSError?
    }
    var clientSide = Side()
    var serverSide = Side()

    /// Lets both talk until neither has anything to say.
    func pump() {
        drive(client, &clientSide)
        drive(server, &serverSide)
        while true {
            let fromClient = client.takeCiphertext()
            let fromServer = server.takeCiphertext()
            if fromClient == nil, fromServer == nil { return }
            clientSent += fromClient?.readableBytes ?? 0
            serverSent += fromServer?.readableBytes ?? 0
            deliver(fromClient, to: server, &serverSide)
            deliver(fromServer, to: client, &clientSide)
        }
    }

    private func deliver(_ bytes: ByteBuffer?, to connection: TLSConnection, _ side: inout Side) {
        guard var rest = bytes else { return }
        while let part = rest.readSlice(length: min(deliverySize, rest.readableBytes)), part.readableBytes > 0 {
            connection.receive(part)
            drive(connection, &side)
        }
    }

    func drive(_ connection: TLSConnection, _ side: inout Side) {
        do throws(TLSError) {
            side.isDone = try connection.handshake()
            while let plaintext = try connection.read() { side.read.writeImmutableBuffer(plaintext) }
        } catch {
            if side.error == nil { side.error = error }
        }
    }
}

/// Contexts and certificates for one test.
struct Scene {
    var serverOptions = TLSServerOptions()
    var clientOptions = TLSClientOptions()
    var serverName = "www.example.com"
    var certificateName: String?
    var alpnOffers: [String] = []
    var alpn: String?
    /// When the certificate was made, relative to now.
    var certificateAge: Int64 = 0

    static let authority = try! CertificateAuthority.generate(now: now)
    static let stranger = try! CertificateAuthority.generate(now: now)
    static var now: Int64 { Int64(time(nil)) }

    init() { clientOptions.trustedPEM = Scene.authority.certificatePEM }

    /// The contexts, for several pairs that share them.
    struct Contexts {
        let server: TLSServerContext
        let client: TLSClientContext
    }

    func contexts() throws -> Contexts {
        try Contexts(server: TLSServerContext(serverOptions), client: TLSClientContext(clientOptions))
    }

    func pair(_ contexts: Contexts? = nil, certificate: LeafCertificate? = nil, key: String = "") throws -> ConnectionPair {
        let contexts = try contexts ?? self.contexts()
        let request = LeafRequest(serverName: certificateName ?? serverName)
        let leaf = try certificate ?? Scene.authority.issue(request, now: Scene.now - certificateAge)
        return ConnectionPair(
            client: try TLSConnection(client: contexts.client, serverName: serverName, alpnOffers: alpnOffers, sessionKey: key),
            server: try TLSConnection(server: contexts.server, certificate: leaf, alpn: alpn))
    }
}

/// Bytes with a pattern that shows a slip.
func patterned(_ count: Int) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(count)
    for index in 0..<count { buffer.writeInteger(UInt8(truncatingIfNeeded: index &* 31 ^ index >> 8)) }
    return buffer
}
