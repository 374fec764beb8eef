// The facts of connections, redacted once for all flows of a connection: a recording has them once, and a flow refers to them.

import FlowModel
import NIOCore
import Synchronization

/// Shared by the flows of a recording.
package final class RedactedConnections: Sendable {
    private let clients = Mutex(Cache<ClientConnection>())
    private let servers = Mutex(Cache<ServerConnection>())

    package init() {}

    func client(_ client: Shared<ClientConnection>, _ redactor: Redactor, _ facts: inout FlowRedaction) -> Shared<ClientConnection>
    {
        guard redactor.rules.changesConnections else { return client }
        return Self.find(client, clients, redactor, &facts) { redactor.redact($0, &$1) }
    }

    func server(_ server: Shared<ServerConnection>, _ redactor: Redactor, _ facts: inout FlowRedaction) -> Shared<ServerConnection>
    {
        guard redactor.rules.changesConnections else { return server }
        return Self.find(server, servers, redactor, &facts) { redactor.redact($0, &$1) }
    }

    private static func find<Value: Sendable & Equatable>(
        _ shared: Shared<Value>, _ cache: borrowing Mutex<Cache<Value>>, _ redactor: Redactor, _ facts: inout FlowRedaction,
        _ redact: (Value, inout Tally) -> Value
    ) -> Shared<Value> {
        let (found, tally) = cache.withLock { cache in
            cache.redacted(shared, redact)
        }
        tally.report(.connection, of: redactor.rules, to: &facts)
        return found
    }

    private struct Cache<Value: Sendable & Equatable>: Sendable {
        private struct Entry {
            /// Kept, so that its identity is not that of another object.
            var original: Shared<Value>
            var redacted: Shared<Value>
            var tally: Tally
        }

        /// Connections that are open at a time; more are redacted again.
        private static var maximum: Int { 4096 }

        private var entries: [ObjectIdentifier: Entry] = [:]

        mutating func redacted(_ shared: Shared<Value>, _ redact: (Value, inout Tally) -> Value) -> (Shared<Value>, Tally) {
            if let entry = entries[ObjectIdentifier(shared)] { return (entry.redacted, entry.tally) }
            if entries.count >= Self.maximum { entries.removeAll() }
            var tally = Tally()
            let value = redact(shared.value, &tally)
            let redacted = value == shared.value ? shared : Shared(value)
            entries[ObjectIdentifier(shared)] = Entry(original: shared, redacted: redacted, tally: tally)
            return (redacted, tally)
        }
    }
}

extension Redactor {
    fileprivate func redact(_ client: ClientConnection, _ tally: inout Tally) -> ClientConnection {
        var client = client
        hide(&client.peer.host, &tally)
        hide(&client.local.host, &tally)
        if client.mode.utf8.contains(0x40) { client.mode = redact(sentence: client.mode, &tally) }
        if let name = client.tls?.serverName { client.tls?.serverName = redact(text: name, &tally) }
        return client
    }

    fileprivate func redact(_ server: ServerConnection, _ tally: inout Tally) -> ServerConnection {
        var server = server
        if var local = server.local {
            hide(&local.host, &tally)
            server.local = local
        }
        server.target.host = redact(text: server.target.host, &tally)
        if let name = server.tls?.serverName { server.tls?.serverName = redact(text: name, &tally) }
        return server
    }

    /// Hides the address of a client, or of the recorder in the network of its clients.
    private func hide(_ address: inout String, _ tally: inout Tally) {
        guard let rule = rules.share, !address.isEmpty, let hidden = hidden(ByteBuffer(string: address), rule) else { return }
        address = String(buffer: hidden)
        tally.add(rule)
    }
}
