// The session's lines of the event log. A text is made only if its level is wanted.

import FlowModel

extension ClientStack {
    func log(
        _ level: LogLine.Level, _ event: String, _ text: @autoclosure () -> String, server: @autoclosure () -> Endpoint? = nil
    ) {
        context.log(level, LogLine(level, event, text(), client: clientFacts.value.peer, server: server()))
    }

    /// Writes to the event log why something failed, unless the recording has it.
    func logFailure(_ event: String, _ text: @autoclosure () -> String, server: @autoclosure () -> Endpoint? = nil) {
        if !configuration.isRecording { log(.warning, event, text(), server: server()) }
    }

    // MARK: Connections

    func logClientConnected() {
        // Tunnels on its streams are not connections.
        guard number == 0 else { return }
        log(.debug, "client-connected", "\(clientFacts.value.peer): connected to \(clientFacts.value.local)")
    }

    func logClientTLS() {
        log(.debug, "client-tls", "\(clientFacts.value.peer): TLS: \(clientFacts.value.tls?.summary ?? "")")
    }

    func logClientClosed(isReset: Bool) {
        guard number == 0 else { return }
        log(.debug, "client-closed", "\(clientFacts.value.peer): \(isReset ? "reset by the client" : "closed")")
    }

    func logServerConnected(_ upstream: Upstream) {
        log(.debug, "server-connected", serverLine(upstream, "connected" + upstream.addressText), server: upstream.facts.target)
    }

    func logServerTLS(_ upstream: Upstream) {
        log(.debug, "server-tls", serverLine(upstream, "TLS: \(upstream.facts.tls?.summary ?? "")"), server: upstream.facts.target)
    }

    func logServerClosed(_ upstream: Upstream) {
        guard upstream.facts.connected != nil else { return }
        log(.debug, "server-closed", serverLine(upstream, "closed"), server: upstream.facts.target)
    }

    private func serverLine(_ upstream: Upstream, _ text: String) -> String {
        "\(clientFacts.value.peer): server \(upstream.facts.target): \(text)"
    }
}

extension Upstream {
    /// Its address, if it is not its name.
    fileprivate var addressText: String {
        guard let peer = facts.peer, peer != facts.target else { return "" }
        return " (\(peer))"
    }
}

extension TLSDetails {
    /// `TLSv1.3, TLS_AES_128_GCM_SHA256, h2, SNI example.org, not verified: self-signed certificate`.
    fileprivate var summary: String {
        var parts = [version, cipher, alpn].compactMap(\.self)
        if let serverName { parts.append("SNI \(serverName)") }
        if isResumed { parts.append("resumed") }
        if let isVerified {
            parts.append(isVerified ? "verified" : "not verified" + (verificationError.map { ": \($0)" } ?? ""))
        }
        return parts.joined(separator: ", ")
    }
}
