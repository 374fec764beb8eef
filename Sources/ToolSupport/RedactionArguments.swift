// What is hidden before flows are written: --redact, --redact-limit, --redact-unparsed.

import ArgumentParser
import FlowFilter

package struct RedactionArguments: ParsableArguments {
    /// What happens with content to which a rule cannot be applied.
    package enum Unparsed: String, ExpressibleByArgument, CaseIterable, Sendable {
        case leaveOut = "leave-out"
        case keep
    }

    @Option(
        help: ArgumentHelp(
            """
            Hide values before they are written: header:NAME, cookie:NAME, cookie:*, query:NAME, form:NAME, json:PATH, body:EXPRESSION, \
            body, pattern:REGEX, secrets, or a set: default, share. After it =mask (the default), =hash or =drop. May be repeated.
            """, valueName: "rule"))
    package var redact: [String] = []

    @Option(
        help: ArgumentHelp(
            "The most bytes of a body that are held to redact it. A larger one that a rule applies to is not stored. (default: 1m)",
            valueName: "size"))
    package var redactLimit: ByteSize?

    @Option(
        help: ArgumentHelp(
            """
            A body that a rule applies to, and that cannot be decoded or parsed, or is above --redact-limit: leave-out (only its size is \
            stored) or keep (it is stored as it was sent, with what the rule would hide).
            """, valueName: "what"))
    package var redactUnparsed = Unparsed.leaveOut

    package init() {}

    /// The redaction of a tool; nil without rules.
    /// - Parameter directory: the option of the configuration directory, which has the key of the hashes.
    /// - Throws: ``ToolError`` for a rule that is not valid, and for a key that cannot be read or made.
    package func redaction(_ directory: FilePath?, _ environment: FilterEnvironment) throws(ToolError) -> RecordingRedaction? {
        guard !redact.isEmpty else { return nil }
        do {
            return try RecordingRedaction(
                redact, limit: redactLimit.map { Int(clamping: $0.bytes) }, keepsUnparsed: redactUnparsed == .keep,
                configuration: configurationDirectory(directory), environment)
        } catch let error as ToolError {
            throw error
        } catch {
            throw ToolError("\(error)")
        }
    }
}
