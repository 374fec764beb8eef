// The redaction of one run of a tool: the stage of each flow, and the counts for the summary.

import FlowFilter
import FlowModel
import Redaction
import Secrets
import Synchronization

/// May be used by several threads.
package final class RecordingRedaction: Sendable {
    /// What the files that are written name: the rules in canonical form, and the key of hashes.
    package let rules: [String]
    /// Makes the stage of a flow.
    package let maker: @Sendable () -> any FlowEventStage
    private let stages: FlowEventStages
    private let counted = Mutex(RedactionTotals())

    package init(_ redactor: Redactor) {
        let connections = RedactedConnections()
        let maker: @Sendable () -> any FlowEventStage = { FlowRedactor(redactor, connections: connections) }
        rules = redactor.named
        self.maker = maker
        stages = FlowEventStages([maker])
    }

    /// The redaction by rules as a user writes them.
    /// - Parameters:
    ///   - texts: `WHAT[=HOW]` each.
    ///   - limit: the most bytes of a body that are held; nil is the usual limit.
    ///   - keepsUnparsed: a body to which a rule cannot be applied is stored as it was sent.
    ///   - configuration: the directory that has the key of hashes, which is made on first use.
    ///   - environment: what expressions of rules can refer to, and the rules for secrets.
    /// - Throws: a `RedactionError` for a rule that is not valid; ``ToolError`` for a key that cannot be read or made.
    package convenience init(
        _ texts: [String], limit: Int? = nil, keepsUnparsed: Bool = false, configuration: String,
        _ environment: FilterEnvironment
    ) throws {
        let rules = try RedactionRules(
            texts, limit: limit ?? RedactionRules.defaultLimit, keepsUnparsed: keepsUnparsed,
            secrets: environment.secretRules.map { SecretScanner($0) } ?? .builtIn, environment: environment)
        let key = rules.needsKey ? try RedactionKeyFile.load(from: configuration) : nil
        self.init(Redactor(rules, key: key))
    }

    /// A flow of a recording as it is to be written or printed. Its changes are counted.
    /// - Throws: errors of fetching content.
    package func redact(_ flow: Flow) throws -> Flow {
        let redacted = try flow.passing(stages)
        if let facts = redacted.redaction { counted.withLock { $0.count(facts, beyond: flow.redaction) } }
        return redacted
    }

    /// New pieces of a flow that is open: the flow is redacted, and counted, again when it ends.
    package func redact(news flow: Flow) throws -> Flow { try flow.passing(stages) }

    /// The counts of the flows that ``redact(_:)`` returned, in one sentence.
    package var summary: String { counted.withLock { $0.summary } }
}
