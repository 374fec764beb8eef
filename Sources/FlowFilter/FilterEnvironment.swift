// What an expression refers to beside the flow.

import FlowModel
import Protobuf
import Secrets

/// When and where an expression is read, and the expressions that it can name.
package struct FilterEnvironment: Sendable {
    /// For times that are relative to now, and times of today; nil refuses them.
    package var now: Timestamp?
    /// Seconds to add to UTC at a number of seconds since 1970, for times without an offset.
    package var utcOffset: @Sendable (Int64) -> Int64
    /// Expressions by their names, for `~view NAME`.
    package var views: [String: String]
    /// The types of protobuf messages, for `~proto[user.name]`; without it, fields have numbers only.
    package var schema: ProtobufSchema?
    /// The rules of `~secret`; nil for our own list.
    package var secretRules: SecretRules?
    /// The rules are not known yet: `~secret` takes any name, and a rule that does not exist finds nothing.
    package var acceptsAnySecretRule = false

    /// - Parameter utcOffset: nil for the time zone of the system.
    package init(now: Timestamp? = nil, utcOffset: (@Sendable (Int64) -> Int64)? = nil, views: [String: String] = [:]) {
        self.now = now
        self.utcOffset = utcOffset ?? { systemOffset(at: $0) }
        self.views = views
    }
}
