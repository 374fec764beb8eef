// Hosts with a treatment other than interception of TLS and HTTP. Patterns are matched against `host:port`, with the name of the
// ClientHello and with the destination. They may change while the recorder runs; a change applies to new connections.

import FlowModel
import Synchronization

/// How the bytes of a connection are treated.
package enum HostTreatment: Sendable, Equatable {
    /// TLS is intercepted, HTTP is parsed.
    case intercept
    /// TLS is intercepted, its content is relayed as bytes.
    case tcp
    /// Nothing is read; the connection is a fact without content.
    case passThrough
}

/// A test of `host:port`.
package typealias HostPattern = @Sendable (String) -> Bool

package struct HostRules: Sendable {
    package var tcp: [HostPattern] = []
    /// Passed through.
    package var ignored: [HostPattern] = []
    /// If there are any, all other hosts are passed through.
    package var allowed: [HostPattern] = []
    /// After a client has not accepted our certificate, its host is passed through.
    package var passesThroughOnReject = false

    package init() {}
}

/// The current rules, and the learned hosts. One for all sessions.
package final class HostPolicy: Sendable {
    private struct State {
        var rules: HostRules
        /// Hosts that were added at run time.
        var addedTCP: [HostPattern] = []
        var rejected: Set<String> = []
    }

    private let state: Mutex<State>

    package init(_ rules: HostRules = HostRules()) { state = Mutex(State(rules: rules)) }

    /// Replaces the rules. Rules that were added or learned meanwhile stay.
    package func change(_ rules: HostRules) { state.withLock { $0.rules = rules } }

    /// Adds a pattern of TCP hosts to those of the rules.
    package func addTCP(_ pattern: @escaping HostPattern) { state.withLock { $0.addedTCP.append(pattern) } }

    package var passesThroughOnReject: Bool { state.withLock { $0.rules.passesThroughOnReject } }

    /// - Parameter serverName: of the ClientHello, if known.
    package func treatment(of destination: Endpoint, serverName: String?) -> HostTreatment {
        let (rules, addedTCP, isRejected) = state.withLock {
            ($0.rules, $0.addedTCP, $0.rejected.contains(Self.name(destination, serverName)))
        }
        if isRejected { return .passThrough }
        if rules.tcp.isEmpty, addedTCP.isEmpty, rules.ignored.isEmpty, rules.allowed.isEmpty { return .intercept }
        var names = [destination.description]
        if let serverName { names.append(Endpoint(host: serverName, port: destination.port).description) }
        func isIn(_ patterns: [HostPattern]) -> Bool { patterns.contains { pattern in names.contains { pattern($0) } } }
        if isIn(rules.ignored) { return .passThrough }
        if !rules.allowed.isEmpty, !isIn(rules.allowed) { return .passThrough }
        return isIn(rules.tcp) || isIn(addedTCP) ? .tcp : .intercept
    }

    /// A client did not accept our certificate for a host.
    /// - Returns: the host, if it passes from now on.
    package func noteRejection(of destination: Endpoint, serverName: String?) -> String? {
        let name = Self.name(destination, serverName)
        return state.withLock { state in
            // Names come from clients, so their number is limited.
            guard state.rules.passesThroughOnReject, state.rejected.count < 10_000, state.rejected.insert(name).inserted else {
                return nil
            }
            return name
        }
    }

    private static func name(_ destination: Endpoint, _ serverName: String?) -> String {
        Endpoint(host: serverName ?? destination.host, port: destination.port).description
    }
}
