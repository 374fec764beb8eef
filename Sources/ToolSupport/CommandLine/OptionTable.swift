// The options of a tool, from the parser's own description of them.

import ArgumentParser
import FlowFilter

/// The options and positional arguments of a tool.
struct OptionTable {
    /// An option, under all its names.
    struct Option {
        /// The place in the table.
        let index: Int
        let entry: HelpDump.Argument

        /// The name that the configuration file and messages use.
        var name: String { entry.preferredName?.name ?? longNames.first ?? entry.valueName ?? "" }
        var longNames: [String] { (entry.names ?? []).filter { $0.kind == "long" }.map(\.name) }
        var shortNames: [String] { (entry.names ?? []).filter { $0.kind == "short" }.map(\.name) }
        var isFlag: Bool { entry.kind == "flag" }
        /// The values that exist; empty if there are others.
        var values: [String] { entry.allValues ?? [] }
        var valueName: String { entry.valueName ?? "" }
    }

    let command: HelpDump.Command
    /// Without --help and --version.
    let options: [Option]
    private let long: [String: Int]
    private let short: [String: Int]

    init(_ tool: any ParsableCommand.Type) {
        self.init(HelpDump(tool._dumpHelp()).command)
    }

    init(_ command: HelpDump.Command) {
        self.command = command
        let named = (command.arguments ?? []).filter {
            $0.kind != "positional" && !["help", "version"].contains($0.preferredName?.name)
        }
        options = named.enumerated().map { Option(index: $0.offset, entry: $0.element) }
        var long: [String: Int] = [:]
        for option in options {
            for name in option.longNames {
                long[name] = option.index
                if let twin = Self.twin(of: name) { long[twin] = option.index }
            }
        }
        self.long = long
        short = Dictionary(options.flatMap { option in option.shortNames.map { ($0, option.index) } }) { first, _ in first }
    }

    /// `max-` and `maximum-` are the same.
    private static func twin(of name: String) -> String? {
        if name.hasPrefix("max-") { return "maximum-" + name.dropFirst(4) }
        if name.hasPrefix("maximum-") { return "max-" + name.dropFirst(8) }
        return nil
    }

    subscript(long name: String) -> Option? { long[name].map { options[$0] } }
    subscript(short letter: Character) -> Option? { short[String(letter)].map { options[$0] } }

    var positionals: [HelpDump.Argument] { (command.arguments ?? []).filter { $0.kind == "positional" } }

    /// The long name that a mistyped one was probably meant to be.
    func nearest(to name: String) -> String? {
        nearestWord(to: name, in: options.filter(\.entry.shouldDisplay).flatMap(\.longNames) + ["help", "version"])
    }
}
