// What an expression refers to beside the flow.

import FlowModel

/// When and where an expression is read, and the expressions that it can name.
package struct FilterEnvironment: Sendable {
    /// For times that are relative to now, and times of today; nil refuses them.
    package var now: Timestamp?
    /// Seconds to add to UTC at a number of seconds since 1970, for times without an offset.
    package var utcOffset: @Sendable (Int64) -> Int64
    /// Expressions by their names, for `~view NAME`.
    package var views: [String: String]

    package init(
        now: Timestamp? = nil, utcOffset: @escaping @Sendable (Int64) -> Int64 = systemOffset(at:), views: [String: String] = [:]
    ) {
        self.now = now
        self.utcOffset = utcOffset
        self.views = views
    }
}
