// Advice after failures of TLS that nearly every new user meets.

import FlowModel
import Synchronization

/// Gives each piece of advice once in a run.
package final class TLSHints: Sendable {
    private enum Advice {
        case trustServer
        case trustAuthority
    }

    private let authority: String
    private let isServedByName: Bool
    private let given = Mutex<Set<Advice>>([])

    /// - Parameters:
    ///   - authority: the file with the certificate that clients must trust.
    ///   - isServedByName: clients reach http://mitm.it.
    package init(authority: String, isServedByName: Bool) {
        self.authority = authority
        self.isServedByName = isServedByName
    }

    /// - Returns: advice on a flow that failed; nil if there is none, or it was given.
    package func advice(on flow: Flow) -> String? {
        guard let error = flow.error, let advice = kind(error), given.withLock({ $0.insert(advice).inserted }) else {
            return nil
        }
        switch advice {
        case .trustServer:
            return "to trust the authority of such a server, name its certificate with --ca-file FILE; "
                + "--insecure accepts every certificate"
        case .trustAuthority:
            return "clients must trust the certificate authority in \(authority)"
                + (isServedByName ? ", which http://mitm.it also offers to clients of the proxy" : "")
        }
    }

    private func kind(_ error: FlowError) -> Advice? {
        switch error.side {
        case .server: error.message.contains("certificate verify failed") ? .trustServer : nil
        case .client: error.message.contains("does not trust the certificate") ? .trustAuthority : nil
        case nil: nil
        }
    }
}
