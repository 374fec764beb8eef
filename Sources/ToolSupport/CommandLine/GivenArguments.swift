// The words of a command line as options with values, and positional arguments. Done before the parser sees them, so that the configuration
// can be merged in, an option can have an optional value, and every error is our own sentence.

/// Where an option was set.
enum SettingPlace: Equatable {
    /// Under this name, with its dashes.
    case commandLine(String)
    /// By `--set name=value`.
    case set(String)
    case file(String, line: Int)

    /// How an error begins.
    /// - Parameter name: of the option.
    func prefix(_ name: String) -> String {
        switch self {
        case .commandLine(let spelled): spelled
        case .set(let text): "--set \(text): \(name)"
        case .file(let path, let line): "\(path):\(line): \(name)"
        }
    }

    /// As --print-config shows it.
    var text: String {
        switch self {
        case .commandLine: "command line"
        case .set: "--set"
        case .file(let path, let line): "\(path):\(line)"
        }
    }
}

/// An option with its value.
struct Setting {
    var option: OptionTable.Option
    /// The long name it was given by: a flag may have names of opposite meanings.
    var name: String
    /// nil for a flag that is set.
    var value: String?
    var place: SettingPlace

    /// For the parser.
    var argument: String {
        guard let value else { return "--\(name)" }
        return "--\(option.name)=\(value)"
    }
}

/// A command line, split.
struct GivenArguments {
    var settings: [Setting] = []
    /// Before `--`.
    var positionals: [String] = []
    /// From `--` on.
    var rest: [String] = []
    /// `--help` or `-h` was given: that name.
    var help: String?
    var asksForVersion = false

    private let table: OptionTable
    private let optionalValues: [String: String]
    private var words: ArraySlice<String>

    /// - Parameters:
    ///   - optionalValues: options whose value may be left out, and what they mean then. Their value is joined by `=`, or is one of the
    ///     option's values as the next word.
    /// - Throws: ``ToolError`` for an option that does not exist, and a value that is missing or must not be there.
    init(_ arguments: [String], _ table: OptionTable, optionalValues: [String: String]) throws(ToolError) {
        self.table = table
        self.optionalValues = optionalValues
        words = arguments[...]
        while let word = words.popFirst() {
            if word == "--" {
                rest = [word] + words
                return
            }
            if word.hasPrefix("--") {
                try readLong(word)
            } else if word.hasPrefix("-"), word != "-" {
                try readShort(word)
            } else {
                positionals.append(word)
            }
        }
    }

    private mutating func readLong(_ word: String) throws(ToolError) {
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let (name, spelled) = (parts[0], "--" + parts[0])
        let joined = parts.count > 1 ? parts[1] : nil
        if name == "help", joined == nil {
            help = spelled
        } else if name == "version", joined == nil {
            asksForVersion = true
        } else {
            guard let option = table[long: name] else { throw unknown(spelled, name) }
            try add(option, as: option.longNames.contains(name) ? name : option.name, spelled, joined)
        }
    }

    /// Letters of flags may stand together; a value follows its letter, joined or as the next word.
    private mutating func readShort(_ word: String) throws(ToolError) {
        var letters = word.dropFirst()
        while let letter = letters.popFirst() {
            let spelled = "-\(letter)"
            if letter == "h", table[short: letter] == nil {
                help = spelled
                continue
            }
            guard let option = table[short: letter] else { throw unknown(letter, in: word) }
            guard !option.isFlag else {
                try add(option, as: option.name, spelled, nil)
                continue
            }
            if letters.first == "=" { letters = letters.dropFirst() }
            try add(option, as: option.name, spelled, letters.isEmpty ? nil : String(letters))
            return
        }
    }

    private mutating func add(
        _ option: OptionTable.Option, as name: String, _ spelled: String, _ joined: String?
    ) throws(ToolError) {
        let place = SettingPlace.commandLine(spelled)
        guard !option.isFlag else {
            if let joined { throw ToolError("\(spelled) takes no value, so '\(joined)' cannot be used") }
            settings.append(Setting(option: option, name: name, value: nil, place: place))
            return
        }
        let value = if let joined { joined } else { try nextValue(of: option, spelled) }
        settings.append(Setting(option: option, name: name, value: value, place: place))
    }

    private mutating func nextValue(of option: OptionTable.Option, _ spelled: String) throws(ToolError) -> String {
        if let usual = optionalValues[option.name] {
            guard let next = words.first, option.values.contains(next) else { return usual }
            words.removeFirst()
            return next
        }
        // A negative number is a value, and found to be a wrong one where it is checked.
        guard let next = words.first, next == "-" || !next.hasPrefix("-") || next.dropFirst().first?.isNumber == true else {
            let hint = words.first.map { $0 == "--" ? "" : "; write \(spelled)=\($0) for one that begins with a dash" } ?? ""
            throw ToolError("\(spelled) needs a value, <\(option.valueName)>\(spelled.hasPrefix("--") ? hint : "")")
        }
        words.removeFirst()
        return next
    }

    private func unknown(_ spelled: String, _ name: String) -> ToolError {
        if let hint = optionHints[spelled] { return ToolError("there is no option '\(spelled)'; \(hint)") }
        let nearest = table.nearest(to: name).map { "did you mean '--\($0)'?" }
        return ToolError("there is no option '\(spelled)'; \(nearest ?? "see \(table.command.commandName) --help")")
    }

    /// A letter that is not an option, of a word that may be a long name.
    private func unknown(_ letter: Character, in word: String) -> ToolError {
        let name = word.dropFirst().prefix { $0 != "=" }
        if name.count > 1, table[long: String(name)] != nil {
            return ToolError("there is no option '\(word)'; did you mean '--\(name)'?")
        }
        if let hint = optionHints[word] { return ToolError("there is no option '\(word)'; \(hint)") }
        let place = name.count > 1 ? " in '\(word)'" : ""
        let hint = optionHints["-\(letter)"] ?? "see \(table.command.commandName) --help"
        return ToolError("there is no option '-\(letter)'\(place); \(hint)")
    }
}

/// For options of mitmproxy's tools that are written in another way here.
private let optionHints: [String: String] = [
    "-n": "only mitm-record, mitm-serve and mitm-replay use the network",
    "-r": "name the files without an option",
    "-nr": "name the files without an option",
    "--rfile": "name the files without an option",
    "--flow-detail": "use --detail",
    "-C": "use mitm-replay to send requests again",
    "--client-replay": "use mitm-replay to send requests again",
    "-S": "use mitm-serve to serve recordings",
    "--server-replay": "use mitm-serve to serve recordings",
    "-s": "there are no scripts",
    "--scripts": "there are no scripts",
]
