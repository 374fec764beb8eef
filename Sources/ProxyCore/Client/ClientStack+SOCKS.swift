// A client that names its server by SOCKS.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// How far a SOCKS client has come.
enum SOCKSStep {
    case greeting
    case credentials
    case request
    /// The server is being connected to.
    case connecting
}

extension ClientStack {
    func advanceSOCKS(_ step: SOCKSStep) {
        do throws(SOCKS5.Failure) {
            var step = step
            while case .socks = phase, let next = try advance(from: step) {
                step = next
                phase = .socks(next)
                if case .connecting = next { return connectForSOCKS() }
            }
        } catch {
            let blame = FlowError(side: .client, message: error.message, at: now)
            recordRefused(ByteBuffer(), error: blame)
            if let reply = error.reply { sendToClient(SOCKS5.answer(reply)) }
            closeUpstreams()
            closeClient(.clean)
        }
    }

    /// - Returns: the next step; nil when more bytes are needed.
    private func advance(from step: SOCKSStep) throws(SOCKS5.Failure) -> SOCKSStep? {
        switch step {
        case .greeting:
            var rest = unparsed.bytes
            guard let methods = try SOCKS5.greeting(&rest) else { return nil }
            unparsed.keep(rest)
            let wanted: SOCKS5.Method = configuration.credentials == nil ? .none : .password
            guard methods.contains(wanted.rawValue) else {
                sendToClient(SOCKS5.answer(.noAcceptable))
                throw SOCKS5.Failure(
                    message: wanted == .password
                        ? "the client offers no user name and password" : "the client insists on authentication")
            }
            sendToClient(SOCKS5.answer(wanted))
            return wanted == .password ? .credentials : .request
        case .credentials:
            guard pendingAuthentication == nil else { return nil }
            var rest = unparsed.bytes
            guard let login = try SOCKS5.credentials(&rest) else { return nil }
            // What is left to be found out leaves the message where it is.
            guard let isRight = configuration.credentials.map({ self.isRight(login, $0) }) ?? true else { return nil }
            unparsed.keep(rest)
            sendToClient(ByteBuffer(bytes: [1, isRight ? 0 : 1]))
            guard isRight else { throw SOCKS5.Failure(message: "the user name or the password is wrong") }
            return .request
        case .request:
            var rest = unparsed.bytes
            guard let endpoint = try SOCKS5.request(&rest) else { return nil }
            unparsed.keep(rest)
            route = Route(destination: Destination(endpoint: endpoint, isTLS: nil), isTunnel: true)
            return .connecting
        case .connecting:
            return nil
        }
    }

    private func connectForSOCKS() {
        cancelHandshakeTimer()
        guard let route else { return }
        if configuration.strategy == .eager { openUpstream(route.destination) } else { answerSOCKS() }
    }

    func answerSOCKS() {
        sendToClient(SOCKS5.answer(.succeeded))
        routeIsOpen()
    }

    func refuseSOCKS(_ reply: SOCKS5.Reply, _ message: String) {
        recordRefused(ByteBuffer(), error: FlowError(side: .server, message: message, at: now))
        sendToClient(SOCKS5.answer(reply))
        closeClient(.clean)
    }
}
