// The configuration file: a mapping with a section for each tool and one for all, `all`. A section holds options by their long names. A
// tool reads `all` and its own section, so a key of one tool never changes another.

import FlowFilter
import FlowModel
import Yams

/// The part of a configuration file that is for one tool.
struct ConfigurationFile {
    /// Sections, by tool; mitm-view reads the file too.
    static let sections = ["all", "record", "dump", "filter", "serve", "replay", "view"]

    /// Options that several tools have and that mean the same in each: only they may stand in `all`, and outside of sections.
    static let sharedOptions: Set<String> = [
        "ca-file", "certificate", "client-certificate", "color", "connect-timeout", "idle-timeout", "insecure", "listen-host",
        "log-format", "no-block-global", "no-color", "no-http2", "quiet", "verbose",
    ]

    /// An expression with a name.
    struct View {
        var name: String
        var expression: String
        var place: SettingPlace
    }

    /// The section of expressions.
    private static let viewSection = "views"

    private(set) var views: [View] = []
    /// In the order of their strength: those of `all`, then those of the tool.
    private(set) var settings: [[Setting]] = [[], []]

    private let path: String
    private let table: OptionTable
    /// The name of the tool's section.
    private let section: String

    /// - Parameter isRequired: whether it is an error if there is no such file.
    /// - Throws: ``ToolError`` with the file, the line, and the key.
    init(_ path: String, isRequired: Bool, _ table: OptionTable) throws(ToolError) {
        self.path = path
        self.table = table
        section = String(table.command.commandName.dropFirst("mitm-".count))
        if !isRequired, !fileExists(path) { return }
        let text = try readText(path, as: "the configuration file")
        guard let root = try parse(text) else { return }
        if root.isEmpty { return }
        guard let mapping = root.mapping else {
            throw error(root, "a mapping of sections is expected, such as '\(section):' with options below it")
        }
        for (key, value) in mapping { try read(key, value) }
        try checkViews()
    }

    private func parse(_ text: String) throws(ToolError) -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw ToolError(Self.sentence(error, path))
        } catch {
            throw ToolError("\(path) is not YAML")
        }
    }

    private static func sentence(_ error: YamlError, _ path: String) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return "\(path):\(mark.line): this is not YAML: \(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            return
                "\(path):\(context.mark.line): \(keys.sorted().map { "'\($0)'" }.joined(separator: ", ")) is given more than once"
        case .reader(let problem, _, _, _): return "\(path) is not YAML: \(problem)"
        default: return "\(path) is not YAML"
        }
    }

    /// A key outside of sections.
    private mutating func read(_ key: Node, _ value: Node) throws(ToolError) {
        guard let name = key.scalar?.string else { throw error(key, "the name of a section or an option is expected") }
        if name == Self.viewSection { return try readViews(key, value) }
        guard Self.sections.contains(name) else {
            if value.mapping != nil {
                let known = Self.sections + [Self.viewSection]
                throw error(key, Self.unknown("section", name, nearestWord(to: name, in: known) ?? Self.toolSection(name)))
            }
            return try readShared(key, name, value)
        }
        if value.isEmpty { return }
        guard let options = value.mapping else {
            throw error(
                key, "'\(name)' is the section of \(name == "all" ? "all tools" : "mitm-\(name)"), so options are expected below it"
            )
        }
        guard name == "all" || name == section else { return }
        for (key, value) in options {
            guard let option = key.scalar?.string else { throw error(key, "the name of an option is expected") }
            if name == "all" {
                try readShared(key, option, value)
            } else {
                try add(key, option, value, to: 1)
            }
        }
    }

    private mutating func readViews(_ key: Node, _ value: Node) throws(ToolError) {
        if value.isEmpty { return }
        guard let mapping = value.mapping else {
            throw error(key, "'\(Self.viewSection)' is the section of named expressions; write name: 'expression' below it")
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string, !name.isEmpty,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) })
            else {
                throw error(
                    key, "'\(key.scalar?.string ?? "")' is not a name for an expression; use letters, digits, '-', '_' and '.'")
            }
            guard let expression = value.scalar?.string, !value.isEmpty else {
                throw error(value, "\(Self.viewSection): \(name): an expression is expected, in single quotes")
            }
            let place = SettingPlace.file(path, line: key.mark?.line ?? 0)
            views.append(View(name: name, expression: expression, place: place))
        }
    }

    /// A view may name one that is defined after it.
    private func checkViews() throws(ToolError) {
        let known = Dictionary(views.map { ($0.name, $0.expression) }) { _, last in last }
        for view in views {
            do throws(FilterSyntaxError) {
                var environment = FilterEnvironment(now: Timestamp(nanoseconds: 0), views: known)
                // --rules may be among the options.
                environment.acceptsAnySecretRule = true
                _ = try FlowFilter("~view \(view.name)", environment: environment)
            } catch {
                throw ToolError(view.place.prefix(Self.viewSection) + ": " + error.rendered)
            }
        }
    }

    /// `mitm-dump` for `dump`.
    private static func toolSection(_ name: String) -> String? {
        sections.first { name == "mitm-\($0)" || name == "mitm_\($0)" }
    }

    private mutating func readShared(_ key: Node, _ written: String, _ value: Node) throws(ToolError) {
        let name = optionName(written)
        guard Self.sharedOptions.contains(name) else {
            if table[long: name] != nil {
                throw error(
                    key, "'\(written)' is not an option of every tool; move it to the section of a tool, such as '\(section):'")
            }
            throw error(
                key, "'\(written)' is not an option that all tools share; move it to the section of its tool, such as 'record:'")
        }
        if table[long: name] != nil { try add(key, written, value, to: 0) }
    }

    private mutating func add(_ key: Node, _ written: String, _ value: Node, to level: Int) throws(ToolError) {
        let name = optionName(written)
        guard let option = table[long: name], !commandLineOnly.contains(option.name) else {
            if commandLineOnly.contains(name) { throw error(key, "'\(written)' is an option of the command line only") }
            throw error(key, Self.unknown("option", written, table.nearest(to: name), of: table.command.commandName))
        }
        guard let values = value.sequence.map(Array.init) ?? value.scalar.map({ _ in [value] }) else {
            throw error(value, "\(written): a value is expected")
        }
        if values.count > 1, !option.entry.isRepeating { throw error(value, "\(written): one value is expected, not a list") }
        for value in values {
            guard let text = value.scalar?.string, !value.isEmpty else { throw error(value, "\(written): a value is expected") }
            let place = SettingPlace.file(path, line: (value.mark ?? key.mark)?.line ?? 0)
            guard let setting = try Setting.configured(option, name, text, place) else { continue }
            settings[level].append(setting)
        }
    }

    private func error(_ node: Node, _ text: String) -> ToolError { ToolError("\(path):\(node.mark?.line ?? 0): \(text)") }

    private static func unknown(_ noun: String, _ name: String, _ nearest: String?, of tool: String? = nil) -> String {
        "there is no \(noun) '\(name)'" + (tool.map { " of \($0)" } ?? "") + (nearest.map { "; did you mean '\($0)'?" } ?? "")
    }
}

extension Node {
    /// Nothing was written: an empty value, or `null`.
    fileprivate var isEmpty: Bool { self.null != nil }
}

/// Options that say where settings come from, or ask for another work: they are no settings themselves.
let commandLineOnly: Set<String> = ["config", "confdir", "set", "print-config", "help-filter", "list-rules", "list-views"]

/// Names of mitmproxy's options that mean the same.
private let foreignNames: [String: String] = [
    "ssl_insecure": "insecure", "save_stream_file": "write", "flow_detail": "detail",
    "ssl_verify_upstream_trusted_ca": "ca-file", "body_size_limit": "maximum-body-size", "client_certs": "client-certificate",
]

/// The long name for a key, which may be written with underscores.
func optionName(_ key: String) -> String { foreignNames[key] ?? key.replacing("_", with: "-") }

extension Setting {
    /// An option of a file or of --set.
    /// - Returns: nil for a flag that is off.
    static func configured(
        _ option: OptionTable.Option, _ name: String, _ value: String, _ place: SettingPlace
    ) throws(ToolError) -> Setting? {
        // A flag may have a name of the opposite meaning; an alias of another option is that option.
        let name = option.longNames.contains(name) ? name : option.name
        guard option.isFlag else { return Setting(option: option, name: name, value: value, place: place) }
        switch value.lowercased() {
        case "true", "yes", "on", "1": return Setting(option: option, name: name, value: nil, place: place)
        case "false", "no", "off", "0": return Setting(option: option, name: name, value: "false", place: place)
        default: throw ToolError("\(place.prefix(name)): '\(value)' is not a switch; use true or false")
        }
    }
}
