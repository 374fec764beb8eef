// The handshake with an upstream proxy: after it, the connection leads to the server.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

/// The dialogue with an upstream proxy before the connection leads to the server.
struct ProxyHandshake {
    private enum Step {
        case connect
        case socksMethod
        case socksPassword
        case socksRequest
    }

    private let proxy: UpstreamProxy
    private let target: Endpoint
    private var step: Step
    private var received = ByteBuffer()

    /// - Returns: the handshake and the first bytes to send.
    static func begin(_ proxy: UpstreamProxy, to target: Endpoint) -> (ProxyHandshake, ByteBuffer) {
        if proxy.kind == .socks5 {
            return (
                ProxyHandshake(proxy: proxy, target: target, step: .socksMethod),
                SOCKS5.greeting(withPassword: proxy.user != nil)
            )
        }
        var head = "CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n"
        if let authorization = proxy.authorization { head += "Proxy-Authorization: \(authorization)\r\n" }
        return (ProxyHandshake(proxy: proxy, target: target, step: .connect), ByteBuffer(string: head + "\r\n"))
    }

    private init(proxy: UpstreamProxy, target: Endpoint, step: Step) {
        self.proxy = proxy
        self.target = target
        self.step = step
    }

    enum Outcome {
        case send(ByteBuffer)
        /// The connection leads to the server; the bytes that followed are the server's.
        case open(ByteBuffer)
    }

    /// Receives bytes of the proxy.
    /// - Returns: nil if more are needed.
    /// - Throws: the reason why the proxy refuses.
    mutating func receive(_ bytes: ByteBuffer) throws(SOCKS5.Failure) -> Outcome? {
        received.writeImmutableBuffer(bytes)
        switch step {
        case .connect: return try connectAnswer()
        case .socksMethod:
            guard let version: UInt8 = received.getInteger(at: received.readerIndex),
                let method: UInt8 = received.getInteger(at: received.readerIndex + 1)
            else { return nil }
            received.moveReaderIndex(forwardBy: 2)
            guard version == SOCKS5.version else { throw SOCKS5.Failure(message: "the upstream proxy does not speak SOCKS 5") }
            if method == SOCKS5.Method.password.rawValue, let user = proxy.user {
                step = .socksPassword
                return .send(SOCKS5.credentials(user: user, password: proxy.password ?? ""))
            }
            guard method == SOCKS5.Method.none.rawValue else {
                throw SOCKS5.Failure(message: "the upstream proxy wants a user name and a password")
            }
            step = .socksRequest
            return .send(SOCKS5.request(target))
        case .socksPassword:
            guard received.readableBytes >= 2 else { return nil }
            let status: UInt8? = received.getInteger(at: received.readerIndex + 1)
            received.moveReaderIndex(forwardBy: 2)
            guard status == 0 else {
                throw SOCKS5.Failure(message: "the upstream proxy does not accept the user name and the password")
            }
            step = .socksRequest
            return .send(SOCKS5.request(target))
        case .socksRequest:
            guard let reply = try SOCKS5.reply(&received) else { return nil }
            guard reply == .succeeded else { throw SOCKS5.Failure(message: "the upstream proxy answered: \(reply.description)") }
            return .open(received)
        }
    }

    private mutating func connectAnswer() throws(SOCKS5.Failure) -> Outcome? {
        let decoder = HTTP1ResponseDecoder()
        decoder.expectResponse(to: .connect)
        decoder.receive(received)
        do throws(HTTP1Error) {
            while let event = try decoder.next() {
                guard case .head(let head, let framing, _) = event else { continue }
                guard framing == .tunnel else {
                    let reason = String(buffer: head.reason)
                    throw HTTP1Error(.startLine, "the upstream proxy answered CONNECT with \(head.status) \(reason)")
                }
                return .open(decoder.takeRest())
            }
        } catch {
            throw SOCKS5.Failure(message: error.message)
        }
        return nil
    }
}
