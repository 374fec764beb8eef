// --since and --until: the flows of a time. Blocks of a flow file that began later or ended earlier are not read.

import ArgumentParser
import FlowFilter

/// `--since`, `--until`.
package struct TimeArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Use only flows that started at this time or later: 2026-01-31, 2026-01-31T08:00, 08:00, today, yesterday, -15m.",
            valueName: "moment"))
    var since: String?

    @Option(help: ArgumentHelp("Use only flows that started before this time.", valueName: "moment"))
    var until: String?

    package init() {}

    package var isGiven: Bool { since != nil || until != nil }

    package func validate() throws {
        guard let since, let until, let now = currentTime() else { return }
        let environment = FilterEnvironment(now: now)
        guard let first = moment(since, environment), let end = moment(until, environment), first >= end else { return }
        throw ValidationError("--until \(until) is not after --since \(since), so no flow can match")
    }

    /// What limits the flows, for a message: `the filter '~c 500' with --since -15m`; nil if nothing does.
    package func describing(_ expression: String?) -> String? {
        let limits = [since.map { "--since \($0)" }, until.map { "--until \($0)" }].compactMap { $0 }.joined(separator: " and ")
        guard let expression else { return limits.isEmpty ? nil : limits }
        return "the filter '\(expression)'" + (limits.isEmpty ? "" : " with \(limits)")
    }

    /// The filter, limited to flows of the time; nil when there is no limit of either kind.
    /// - Throws: a `FilterSyntaxError`.
    package func limiting(_ filter: FlowFilter?, _ environment: FilterEnvironment) throws -> FlowFilter? {
        let limits = [since.map { "~since '\($0)'" }, until.map { "~until '\($0)'" }].compactMap { $0 }
        guard !limits.isEmpty else { return filter }
        let times = try FlowFilter(limits.joined(separator: " & "), environment: environment)
        return filter.map { times.and($0) } ?? times
    }
}
