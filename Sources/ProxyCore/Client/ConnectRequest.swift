// A tunnel that a client asked for by CONNECT of HTTP/1, by CONNECT on a stream of HTTP/2, or by SOCKS, and the three forms of its answer.

import FlowModel
import HTTPSemantics
import NIOCore

/// A client's request for a tunnel whose server is not reached yet.
enum ConnectRequest {
    case http1(RequestHead)
    /// RFC 9113 §8.5.
    case stream(RequestHead, StreamLink)
    case socks

    var head: RequestHead? {
        switch self {
        case .http1(let head), .stream(let head, _): head
        case .socks: nil
        }
    }
}

extension ClientStack {
    /// The server is known: it gets all later data of the client.
    func connect(_ request: ConnectRequest, to endpoint: Endpoint) {
        route = Route(destination: Destination(endpoint: endpoint, isTLS: nil), isTunnel: true)
        layer = .connecting(request)
        if configuration.strategy == .eager, !isOnboarding {
            openUpstream(Destination(endpoint: endpoint, isTLS: nil))
        } else {
            accept(request)
        }
    }

    /// The tunnel is open.
    func accept(_ request: ConnectRequest) {
        switch request {
        case .http1: sendToClient(ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n"))
        case .stream(_, let link): link.accept()
        case .socks: sendToClient(SOCKS5.answer(.succeeded))
        }
        routeIsOpen()
    }

    /// The server cannot be reached.
    func deny(_ request: ConnectRequest, _ error: FlowError) {
        switch request {
        case .http1(let head):
            let reply = LocalReply.http1(.message(status: 502, error.message))
            recordRefused(head.wire, error: error, reply: reply)
            http.http1?.answer(reply)
        case .stream(let head, let link):
            let reply = LocalReply.http2(.message(status: 502, error.message))
            recordRefused(head.wire, error: error, stream: link.stream, reply: reply)
            link.refuse(reply)
        case .socks:
            recordRefused(ByteBuffer(), error: error)
            sendToClient(SOCKS5.answer(SOCKS5.Reply(failure: error.message)))
        }
    }

    /// Later data of the client is for the server that it named.
    private func routeIsOpen() {
        layer = .detecting(.detection)
        if let route, !isOnboarding,
            configuration.hosts.treatment(of: route.destination.endpoint, serverName: nil) == .passThrough
        {
            return startPassthrough()
        }
        if unparsed.isEmpty, serverSpeaksFirst(isTLS: false) { return startTunnel() }
        detect()
    }

    // MARK: SOCKS

    /// Processes the messages of a SOCKS client.
    func advanceSOCKS() {
        do throws(SOCKS5.Failure) {
            while case .socks(var server) = layer {
                var rest = unparsed.bytes
                guard let outcome = try server.advance(&rest) else { return }
                unparsed.keep(rest)
                layer = .socks(server)
                switch outcome {
                case .answer(let bytes): sendToClient(bytes)
                case .verify(let login):
                    guard let isRight = configuration.credentials.map({ self.isRight(login, $0, for: .socks) }) ?? true else {
                        return
                    }
                    try answerLogin(isRight: isRight)
                case .connect(let endpoint):
                    cancelHandshakeTimer()
                    return connect(.socks, to: endpoint)
                case .http:
                    // It gets an answer that it understands.
                    layer = .http
                    return httpReceived(unparsed.take())
                }
            }
        } catch {
            refuseSOCKS(error)
        }
    }

    /// A login that had to be verified is right or wrong.
    func socksLoginVerified(isRight: Bool) {
        do throws(SOCKS5.Failure) {
            try answerLogin(isRight: isRight)
            advanceSOCKS()
        } catch {
            refuseSOCKS(error)
        }
    }

    private func answerLogin(isRight: Bool) throws(SOCKS5.Failure) {
        guard case .socks(var server) = layer else { return }
        sendToClient(try server.answer(isRight: isRight))
        layer = .socks(server)
    }

    /// A client that did not complete a message is a flow too.
    func recordPartialSOCKS(_ message: String) {
        guard case .socks = layer, !unparsed.isEmpty else { return }
        recordRefused(ByteBuffer(), error: FlowError(side: .client, message: message, at: now))
    }

    private func refuseSOCKS(_ failure: SOCKS5.Failure) {
        recordRefused(ByteBuffer(), error: FlowError(side: .client, message: failure.message, at: now))
        sendToClient(failure.answer)
        closeUpstreams()
        closeClient(.clean)
    }
}
