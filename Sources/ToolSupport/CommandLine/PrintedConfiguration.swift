// --print-config: the options in force, as a configuration file, with a comment on each about where it was set.

extension ToolSettings {
    /// YAML: the tool's section, and that of the named expressions if there are any. Options without a value are comments.
    func yaml() -> String {
        var lines = ["\(table.command.commandName.dropFirst("mitm-".count)):"]
        for option in table.options where !commandLineOnly.contains(option.name) && option.entry.shouldDisplay {
            let set = settings.filter { $0.option.index == option.index }
            guard let first = set.first else {
                lines.append(Self.unset(option))
                continue
            }
            if option.isFlag {
                lines.append("  \(set.last?.name ?? first.name): true  # \(first.place.text)")
            } else if option.entry.isRepeating {
                lines.append("  \(option.name):")
                lines += set.map { "    - \(Self.quoted(Self.masked($0.value ?? "", option)))  # \($0.place.text)" }
            } else if let last = set.last {
                lines.append("  \(option.name): \(Self.quoted(Self.masked(last.value ?? "", option)))  # \(last.place.text)")
            }
        }
        if !views.isEmpty { lines.append("views:") }
        lines += views.map { "  \($0.name): \(Self.quoted($0.expression))  # \($0.place.text)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func unset(_ option: OptionTable.Option) -> String {
        if option.isFlag { return "  \(option.name): false  # default" }
        guard let value = option.entry.defaultValue else { return "  # \(option.name): not set" }
        return "  \(option.name): \(quoted(value))  # default"
    }

    /// A plain scalar where YAML reads it as the same text, otherwise in single quotes.
    private static func quoted(_ value: String) -> String {
        let isPlain = value.first.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "/") } ?? false
        let isSafe = value.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+".contains($0)) }
        let isWord = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(value.lowercased())
        return isPlain && isSafe && !isWord ? value : "'" + value.replacing("'", with: "''") + "'"
    }

    /// Passwords are not shown: those of --proxyauth, and those of URLs.
    private static func masked(_ value: String, _ option: OptionTable.Option) -> String {
        if option.name == "proxyauth", !value.hasPrefix("@"), let colon = value.firstIndex(of: ":") {
            return value[...colon] + "***"
        }
        return value.replacing(#/(:\/\/[^:@\/]*):[^@\/]*@/#) { "\($0.1):***@" }
    }
}
