// --explain: how a query is answered.

import ArgumentParser

package struct ExplainArguments: ParsableArguments {
    /// How the explanation is written.
    package enum Form: String, ExpressibleByArgument, CaseIterable, Sendable {
        /// On stderr.
        case text
        /// One object on stdout, in place of the number of --count.
        case json
    }

    @Option(
        help: ArgumentHelp(
            """
            Run the query and explain how it was answered: order of the questions, blocks and bytes read, time. text goes to stderr; json \
            is one object on stdout, so it needs --output, --count or --quiet. --explain alone is text.
            """, valueName: "form"))
    package var explain: Form?

    package init() {}

    /// The value that --explain has when none is given.
    package static let usual = ["explain": Form.text.rawValue]

    /// - Parameter writesFlows: flows are written to stdout.
    /// - Throws: when two outputs would be mixed on stdout.
    package func check(writesFlows: Bool) throws {
        guard explain == .json, writesFlows else { return }
        throw ValidationError("--explain=json writes to standard output, so flows need a file, -o; --count counts them only")
    }
}
