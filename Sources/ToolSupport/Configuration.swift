// The options of a tool that are in force. They come from the command line, from --set, from the tool's section of the configuration file,
// and from its section `all`; the first of these that has an option decides it. The result are arguments for the parser.

import ArgumentParser

/// Where the tools keep their configuration and the certificate authority.
package func configurationDirectory(_ option: FilePath?) -> String {
    // Paths that are not absolute are ignored (XDG Base Directory Specification).
    option?.path ?? (environmentPath("XDG_CONFIG_HOME") ?? homeDirectory() + "/.config") + "/mitm"
}

/// A command line with the configuration merged in.
struct ToolSettings {
    /// In the order of the tool's options.
    private(set) var settings: [Setting] = []
    let given: GivenArguments
    let table: OptionTable
    private(set) var printsConfiguration = false
    private(set) var printsFilterHelp = false
    /// The named expressions of the configuration file.
    private(set) var views: [ConfigurationFile.View] = []
    private(set) var printsContentViews = false
    private(set) var printsSecretRules = false

    /// Options of which at most one counts: together they are a contradiction, unless they mean the same.
    private static let alternatives: [[String]] = [
        ["color", "no-color"], ["format", "json"], ["quiet", "verbose"], ["count", "format", "json"],
        ["verify", "structure"], ["verify", "format", "json"], ["structure", "format"], ["verify", "filter"],
        ["structure", "filter"], ["verify", "follow"], ["structure", "follow"], ["count", "group-by"], ["count", "sort"],
        ["count", "fields"], ["group-by", "sort"], ["group-by", "fields"], ["group-by", "follow"], ["group-by", "append"],
        ["sort", "follow"], ["summary", "group-by"], ["summary", "sort"], ["summary", "fields"],
        ["summary", "follow"], ["summary", "verify"], ["summary", "structure"],
        ["verify", "group-by"], ["structure", "group-by"], ["verify", "sort"], ["structure", "sort"], ["verify", "fields"],
        ["structure", "fields"],
    ]
    /// Flags that are short for a value of another option.
    private static let shortForms = ["no-color": ("color", "never"), "json": ("format", "json")]

    /// - Parameter arguments: of the process.
    /// - Throws: ``ToolError`` for mistakes in the command line and in the configuration.
    init(_ arguments: [String], _ table: OptionTable, optionalValues: [String: String]) throws(ToolError) {
        self.table = table
        let given = try GivenArguments(arguments, table, optionalValues: optionalValues)
        self.given = given
        guard given.help == nil, !given.asksForVersion else { return }
        var levels = [
            given.settings.filter { !commandLineOnly.contains($0.option.name) || ["confdir", "config"].contains($0.option.name) }
        ]
        func value(_ name: String) -> FilePath? {
            given.settings.last { $0.option.name == name }?.value.map { FilePath($0) }
        }
        printsConfiguration = given.settings.contains { $0.option.name == "print-config" }
        printsFilterHelp = given.settings.contains { $0.option.name == "help-filter" }
        printsContentViews = given.settings.contains { $0.option.name == "list-views" }
        printsSecretRules = given.settings.contains { $0.option.name == "list-rules" }
        for setting in given.settings { try Self.check(setting) }
        var set: [Setting] = []
        for setting in given.settings where setting.option.name == "set" {
            if let setting = try Self.set(setting.value ?? "", table) { set.append(setting) }
        }
        levels.append(set)
        let file = value("config")
        let path = file?.path ?? configurationDirectory(value("confdir")) + "/config.yaml"
        let configuration = try ConfigurationFile(path, isRequired: file != nil, table)
        levels += configuration.settings.reversed()
        views = configuration.views
        // A filter among the arguments replaces one of the configuration.
        let isFilterGiven =
            !given.positionals.isEmpty && table.positionals.first?.valueName == "filter"
            || given.positionals.contains { FilterAndFiles.isExpression($0) }
        try merge(levels, isFilterGiven)
        guard let option = table[long: "named-view"] else { return }
        settings += views.map { Setting(option: option, name: option.name, value: "\($0.name)=\($0.expression)", place: $0.place) }
    }

    private mutating func merge(_ levels: [[Setting]], _ isFilterGiven: Bool) throws(ToolError) {
        var decided = Set<String>()
        for (level, settings) in levels.enumerated() {
            try Self.refuseContradictions(settings)
            var names = Set<String>()
            for setting in settings where !decided.contains(setting.option.name) {
                if level > 0 { try Self.check(setting) }
                if level > 0, isFilterGiven, setting.option.name == "filter" { continue }
                self.settings.append(setting)
                names.insert(setting.option.name)
                for group in Self.alternatives where group.contains(setting.name) { names.formUnion(group) }
            }
            decided.formUnion(names)
        }
        self.settings = self.settings.enumerated()
            .sorted { ($0.element.option.index, $0.offset) < ($1.element.option.index, $1.offset) }.map(\.element)
        self.settings = self.settings.filter { $0.value != "false" || !$0.option.isFlag }
    }

    private static func set(_ text: String, _ table: OptionTable) throws(ToolError) -> Setting? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = optionName(parts[0])
        guard let option = table[long: name], !commandLineOnly.contains(option.name) else {
            if commandLineOnly.contains(name) { throw ToolError("--set \(text): write '\(name)' as an option, --\(name)") }
            let hint = table.nearest(to: name).map { "; did you mean '\($0)'?" } ?? ""
            throw ToolError("--set \(text): there is no option '\(parts[0])' of \(table.command.commandName)\(hint)")
        }
        guard parts.count > 1 || option.isFlag else {
            throw ToolError("--set \(text): a value is missing; write \(parts[0])=VALUE")
        }
        return try Setting.configured(option, name, parts.count > 1 ? parts[1] : "true", .set(text))
    }

    private static func check(_ setting: Setting) throws(ToolError) {
        guard let value = setting.value, !setting.option.isFlag else { return }
        guard let problem = ValueCheck.problem(value, of: setting.option) else { return }
        throw ToolError("\(setting.place.prefix(setting.name)): \(problem)")
    }

    private static func refuseContradictions(_ settings: [Setting]) throws(ToolError) {
        for group in alternatives {
            let found = settings.filter { group.contains($0.name) && !($0.option.isFlag && $0.value == "false") }
            guard let first = found.first, let other = found.first(where: { $0.name != first.name }) else { continue }
            let isSame = [(first, other), (other, first)].contains { flag, option in
                shortForms[flag.name].map { $0.0 == option.name && $0.1 == option.value } ?? false
            }
            guard isSame else {
                func text(_ setting: Setting) -> String {
                    guard case .commandLine(let spelled) = setting.place else { return "'\(setting.name)'" }
                    return setting.value.map { "\(spelled) \($0)" } ?? spelled
                }
                let place = if case .commandLine = other.place { "" } else { other.place.prefix(other.name) + ": " }
                throw ToolError("\(place)\(text(first)) and \(text(other)) contradict each other; give one of them")
            }
        }
    }

    /// For the parser.
    /// - Parameter withRest: whether the words from `--` on are arguments.
    func arguments(withRest: Bool) -> [String] { settings.map(\.argument) + given.positionals + (withRest ? given.rest : []) }
}
