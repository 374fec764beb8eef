// The parser's description of a command (`--experimental-dump-help`), as far as it is used. It is JSON, read at each start of a tool: the
// decoders of Foundation would take a fifth of the time until the tool works.

import JSONQuery
import NIOCore

/// A command with its options.
struct HelpDump {
    struct Name {
        var kind: String
        var name: String
    }
    struct Argument {
        var kind: String
        var names: [Name]?
        var preferredName: Name?
        var valueName: String?
        var isOptional: Bool
        var isRepeating: Bool
        var shouldDisplay: Bool
        var defaultValue: String?
        var allValues: [String]?
        var sectionTitle: String?
        var abstract: String?
    }
    struct Command {
        var commandName: String
        var abstract: String?
        var discussion: String?
        var arguments: [Argument]?
    }
    var command: Command
}

extension HelpDump {
    /// - Parameter json: the parser made it, so it is valid.
    init(_ json: String) {
        guard let description = JSONTree(parsing: ByteBuffer(string: json)), let command = description["command"] else {
            preconditionFailure("the parser describes its commands in JSON")
        }
        self.command = Command(
            commandName: command.text("commandName") ?? "", abstract: command.text("abstract"),
            discussion: command.text("discussion"), arguments: command["arguments"]?.elements?.map { Argument($0) })
    }
}

extension HelpDump.Argument {
    fileprivate init(_ json: JSONTree) {
        func isSet(_ name: JSONString) -> Bool { json[name]?.bool ?? false }
        self.init(
            kind: json.text("kind") ?? "", names: json["names"]?.elements?.map { HelpDump.Name($0) },
            preferredName: json["preferredName"].map { HelpDump.Name($0) }, valueName: json.text("valueName"),
            isOptional: isSet("isOptional"), isRepeating: isSet("isRepeating"), shouldDisplay: isSet("shouldDisplay"),
            defaultValue: json.text("defaultValue"), allValues: json["allValues"]?.elements?.compactMap { $0.string?.text },
            sectionTitle: json.text("sectionTitle"), abstract: json.text("abstract"))
    }
}

extension HelpDump.Name {
    fileprivate init(_ json: JSONTree) { self.init(kind: json.text("kind") ?? "", name: json.text("name") ?? "") }
}

extension JSONTree {
    fileprivate func text(_ name: JSONString) -> String? { self[name]?.string?.text }
}
