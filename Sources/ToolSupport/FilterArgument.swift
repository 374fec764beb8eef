// The filter among the arguments of a reader: it may stand before or after the files.

import FlowArchive
import FlowFilter
import Glibc
import Protobuf
import Secrets

/// A filter and the files that it is applied to.
package struct FilterAndFiles {
    /// nil without one.
    package private(set) var filter: FlowFilter?
    /// The filter as it was written.
    package let expression: String?
    package let files: [FilePath]
    /// Decrypt the files.
    package let keys: ArchiveKeys
    /// The types of protobuf messages: those that options name, and those of the files.
    package let schema: ProtobufSchema
    /// The rules for secrets; nil for the built-in list.
    package let secretRules: SecretRules?

    /// Takes as the filter an argument that names no existing file and contains an operator, such as `~c`.
    /// - Throws: ``ToolError`` for two filters; a `FilterSyntaxError`.
    package init(
        _ selection: FilterArguments, arguments: [String], types: ProtobufArguments, secrets: SecretArguments,
        identities: IdentityArguments
    ) throws {
        let expressions = arguments.indices.filter { Self.isExpression(arguments[$0]) }
        try self.init(selection, arguments, expressions, types, secrets, identities)
    }

    /// The recordings that the files stand for.
    /// - Throws: ``ToolError`` for a terminal as stdin.
    package func sources() throws -> [ArchiveSource] { try archiveSources(files, keys: keys) }

    /// The same; without -f the first argument is the filter, with or without an operator, unless it names an existing file.
    /// - Parameter mayBeAbsent: the flows are limited in another way.
    /// - Throws: ``ToolError`` for no filter, or two; a `FilterSyntaxError`.
    package init(
        _ selection: FilterArguments, required arguments: [String], mayBeAbsent: Bool = false, types: ProtobufArguments,
        secrets: SecretArguments, identities: IdentityArguments
    ) throws {
        let option = selection.filter
        var expressions = arguments.indices.filter { Self.isExpression(arguments[$0]) }
        if option == nil, let first = arguments.first, !expressions.contains(0), !Self.isFile(first) {
            expressions.insert(0, at: 0)
        }
        if option == nil, expressions.isEmpty, !mayBeAbsent {
            guard let first = arguments.first else { throw ToolError("an expression is missing; '~all' matches every flow") }
            let what = first == "-" ? "- is standard input" : "\(first) is a \(isDirectory(first) ? "directory" : "file")"
            throw ToolError("\(what); an expression is missing; '~all' matches every flow, and -f takes any expression")
        }
        try self.init(selection, arguments, expressions, types, secrets, identities)
    }

    private init(
        _ selection: FilterArguments, _ arguments: [String], _ expressions: [Int], _ types: ProtobufArguments,
        _ secrets: SecretArguments, _ identities: IdentityArguments
    ) throws {
        let option = selection.filter
        let found = (option.map { [$0] } ?? []) + expressions.map { arguments[$0] }
        guard found.count < 2 else {
            let both = "'\(found[0])' and '\(found[1])'"
            throw ToolError("there are two filters, \(both); join them to one by & or |, or check the file's name")
        }
        files = arguments.indices.filter { !expressions.contains($0) }.map { FilePath(arguments[$0]) }
        if let option, files.isEmpty, isTerminal(0), Self.isFile(option) {
            throw ToolError("\(option) is a file, and -f takes a filter; name the file without an option")
        }
        expression = found.first
        keys = try identities.keys()
        schema = try types.schema(files, keys)
        secretRules = try secrets.secretRules()
        filter = try found.first.map { try selection.parse($0, schema: schema, secretRules: secretRules) }
    }

    /// It is a name of something that is there. Only a name with a slash stands for a file in a user's directory: `~all` is an operator,
    /// whatever the users are called.
    private static func isFile(_ argument: String) -> Bool {
        var status = stat()
        if argument == "-" { return true }
        let path = argument.contains("/") ? FilePath(argument).path : argument
        return unsafe FileName.withCString(path) { unsafe stat($0, &status) } == 0
    }

    /// Whether an argument is taken as the filter: it contains an operator, and names no existing file.
    static func isExpression(_ argument: String) -> Bool {
        hasOperator(argument) && !isFile(argument)
    }

    /// An operator stands at the beginning, or after a space, a parenthesis or another operator. A regular expression would take longer to
    /// compile than a small file to be searched.
    private static func hasOperator(_ argument: String) -> Bool {
        var previous: Character = " "
        var isAfterTilde = false
        for character in argument {
            if isAfterTilde, ("a"..."z").contains(character) { return true }
            isAfterTilde = character == "~" && (previous.isWhitespace || "(!&|".contains(previous))
            previous = character
        }
        return false
    }
}
