// How much content is stored: --body-limit and --only-metadata.

import ArgumentParser
import ContentLimit
import FlowModel

package struct BodyArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Store at most this much of each body, WebSocket message and side of a TCP stream; the size and the SHA-256 of the whole are \
            stored. (default: all)
            """, valueName: "size"))
    package var bodyLimit: ByteSize?

    @Flag(help: "Store no bodies, messages and stream data: only heads, times, sizes and SHA-256.")
    package var onlyMetadata = false

    package init() {}

    package func validate() throws {
        if onlyMetadata, bodyLimit != nil {
            throw ValidationError("--only-metadata stores no bodies, so it cannot be combined with --body-limit")
        }
    }

    /// nil: everything is stored.
    package var limit: ContentLimit? {
        onlyMetadata ? .onlyMetadata : bodyLimit.map { ContentLimit(maximum: $0.bytes) }
    }

    /// The option that is given.
    package var name: String { onlyMetadata ? "--only-metadata" : "--body-limit" }

    /// Make the stages of a flow.
    package var makers: [@Sendable () -> any FlowEventStage] { limit.map { limit in [{ limit.stage() }] } ?? [] }
}
