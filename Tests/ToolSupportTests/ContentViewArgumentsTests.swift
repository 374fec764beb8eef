// The options of content views.

import ArgumentParser
import FlowPrinter
import Testing

@testable import ToolSupport

private struct ViewSample: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "mitm-dump")

    @OptionGroup var views: ContentViewArguments
    @OptionGroup var settings: ConfigurationArguments
}

private func settings(_ arguments: [String]) throws(ToolError) -> ToolSettings {
    try ToolSettings(["--confdir=/nonexistent"] + arguments, OptionTable(ViewSample.self), optionalValues: [:])
}

@Suite("The options of content views")
struct ContentViewArgumentsTests {
    @Test("A view that is named is the style's, and content is printed; without one neither changes")
    func named() throws {
        let style = TextStyle(detail: 1, isColoured: false)
        let plain = try ViewSample.parse([]).views
        #expect(plain.detail == nil && plain.style(style).contentView == .automatic)
        let named = try ViewSample.parse(["--content-view", "hex"]).views
        #expect(named.detail == 3 && named.style(style).contentView == ContentViewChoice("hex"))
    }

    @Test("A name that is not known is refused with the nearest one")
    func unknown() throws {
        #expect(throws: ToolError("--content-view: 'jsno' is not known; did you mean 'json'?")) {
            try settings(["--content-view", "jsno"])
        }
    }

    @Test("The list of views is asked for on the command line only")
    func list() throws {
        #expect(try settings(["--list-views"]).printsContentViews)
        #expect(try !settings([]).printsContentViews)
        #expect(throws: ToolError("--set list-views: write 'list-views' as an option, --list-views")) {
            try settings(["--set", "list-views"])
        }
    }
}
