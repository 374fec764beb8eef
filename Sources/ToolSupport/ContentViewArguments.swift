// Options for the content of flows as text.

import ArgumentParser
import FlowPrinter

extension ContentViewChoice: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }

    package static var allValueStrings: [String] { names }
}

/// `--content-view`, `--list-views`.
package struct ContentViewArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "With text: how content is shown, auto (by media type and first bytes) or a view that --list-views names; prints content.",
            valueName: "view"))
    package var contentView: ContentViewChoice?

    @Flag(help: "List the content views, and exit.")
    package var listViews = false

    package init() {}

    /// The level of detail that the options ask for: content, if a view is named; otherwise nil.
    package var detail: Int? { contentView == nil ? nil : 3 }

    package func style(_ style: TextStyle) -> TextStyle {
        var style = style
        style.contentView = contentView ?? .automatic
        return style
    }
}
