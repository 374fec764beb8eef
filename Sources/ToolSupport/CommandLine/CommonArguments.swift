// Options that all tools have, and names that several tools use for their own options.

import ArgumentParser
import FlowFilter
import Protobuf
import Secrets

/// `-f, --filter`.
package struct FilterArguments: ParsableArguments {
    @Option(
        name: .short("f"),
        help: ArgumentHelp("Use only flows that match this expression (see --help-filter).", valueName: "expression"))
    package var filter: String?

    @Flag(help: "List the operators of the filter language, and exit.")
    package var helpFilter = false

    /// `name=expression`, from the section `views` of the configuration file (``ToolSettings``).
    @Option(name: .customLong("named-view"), help: .hidden)
    var views: [String] = []

    package init() {}

    /// The expression of -f; nil without one.
    /// - Parameter secretRules: the rules of `~secret`; nil for the built-in list.
    /// - Throws: a `FilterSyntaxError`.
    package func parsed(_ secretRules: SecretRules? = nil) throws -> FlowFilter? {
        try filter.map { try parse($0, secretRules: secretRules) }
    }

    /// An expression that the tool was given.
    /// - Parameters:
    ///   - schema: the types of protobuf messages; nil for a tool that has none.
    ///   - secretRules: the rules of `~secret`; nil for the built-in list.
    /// - Throws: a `FilterSyntaxError`; ``ToolError`` for names of fields that no type has.
    package func parse(
        _ expression: String, schema: ProtobufSchema? = nil, secretRules: SecretRules? = nil
    ) throws -> FlowFilter {
        var environment = environment(secretRules)
        environment.schema = schema
        let filter = try FlowFilter(expression, environment: environment)
        for name in filter.fieldNames where schema?.find({ $0.hasField(name) ? true : nil }) == nil {
            let advice = schema == nil ? "" : "give its descriptors with --proto, or "
            throw ToolError("no known message has a field '\(name)', which ~proto names; \(advice)write the number of the field")
        }
        return filter
    }

    /// The same, with rules for secrets; nil for the built-in list.
    package func environment(_ secretRules: SecretRules?) -> FilterEnvironment {
        var environment = environment
        environment.secretRules = secretRules
        return environment
    }

    /// Now, the time zone of the system, and the views of the configuration file.
    package var environment: FilterEnvironment {
        let views = views.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        return FilterEnvironment(now: currentTime(), views: Dictionary(views.map { ($0[0], $0[1]) }) { _, last in last })
    }
}

/// `--color`.
package struct ColorArguments: ParsableArguments {
    /// When to use colours.
    package enum Choice: String, ExpressibleByArgument, CaseIterable, Sendable {
        case auto
        case always
        case never
    }

    @Option(
        help: ArgumentHelp(
            "When to use colours: auto (on a terminal, unless NO_COLOR is set or TERM is dumb), always or never. --color alone is always.",
            valueName: "when"))
    package var color = Choice.auto

    @Flag(help: "The same as --color never.")
    package var noColor = false

    package init() {}

    /// Whether output to a descriptor has colours.
    package func isColoured(on descriptor: Int32 = 1) -> Bool {
        switch noColor ? .never : color {
        case .always: true
        case .never: false
        case .auto: isColourWelcome(on: descriptor)
        }
    }

    /// Whether output to standard output or to a file has colours.
    package func isColoured(unless file: FilePath?) -> Bool {
        file == nil || file?.isStandard == true ? isColoured() : color == .always && !noColor
    }
}

/// Where settings come from. They are used before the parser runs; the directory and the file are needed later too.
package struct ConfigurationArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Directory of config.yaml and of the certificate authority. (default: ~/.config/mitm)", valueName: "directory"))
    package var confdir: FilePath?

    @Option(help: ArgumentHelp("Configuration file to read instead of config.yaml of that directory.", valueName: "file"))
    package var config: FilePath?

    @Option(help: ArgumentHelp("Set an option by its name in the configuration file. Repeatable.", valueName: "name=value"))
    package var set: [String] = []

    @Flag(help: "Print the options in force as YAML, with where each was set, and exit.")
    package var printConfig = false

    package init() {}

    /// The options that give another tool the same configuration.
    package var given: [String] {
        (confdir.map { ["--confdir", $0.path] } ?? []) + (config.map { ["--config", $0.path] } ?? [])
    }
}

extension NameSpecification {
    /// The long name, and a letter that takes its value after it or joined to it: `-j 4`, `-j4`.
    package static func short(_ letter: Character) -> NameSpecification { [.customShort(letter, allowingJoined: true), .long] }

    /// The file that a tool writes: `-o`, `--output`, `-w` and `--write` are names of one option.
    package static var output: NameSpecification {
        [
            .customShort("o", allowingJoined: true), .customShort("w", allowingJoined: true), .customLong("output"),
            .customLong("write"),
        ]
    }
}

/// `--detail`: how much of a flow is printed, as mitmproxy's `flow_detail`.
package struct DetailLevel: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
    package let rawValue: Int

    package init?(argument: String) {
        guard Self.allValueStrings.contains(argument), let value = Int(argument) else { return nil }
        rawValue = value
    }

    package static let allValueStrings = (0...4).map(String.init)
    package var description: String { "\(rawValue)" }
}
