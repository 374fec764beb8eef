// How a tool ends: the exit statuses that scripts rely on, and errors as one sentence on stderr.

import ArgumentParser
import FlowArchive
import FlowFilter
import FlowPrinter
import Glibc

/// Exit statuses, the same for every tool.
package enum ToolStatus: Int32, Sendable {
    /// The tool did its work.
    case done = 0
    /// A query matched nothing; a comparison found differences.
    case noMatch = 1
    /// A bad option, a file that cannot be read or written.
    case failed = 2
    /// The input was damaged or torn, and what could be read was processed.
    case damaged = 3
}

/// Why a tool cannot do its work, in one sentence: what failed, where, what to do.
package struct ToolError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// A tool's command line, and its work.
package protocol Tool: ParsableCommand {
    /// Does the work.
    /// - Throws: ``ToolError`` and other errors that describe themselves in a sentence; an ExitCode after errors that were printed.
    func work() throws -> ToolStatus

    /// Options whose value may be left out, and what they mean then.
    static var optionalValues: [String: String] { get }

    /// Whether the words after `--` are a command (``givenCommand()``), not further arguments.
    static var takesCommand: Bool { get }

    /// The exit status of an error, by the arguments of the process.
    static func failureStatus(_ arguments: [String]) -> Int32
}

extension Tool {
    package static var optionalValues: [String: String] { ["color": ColorArguments.Choice.always.rawValue] }

    package static var takesCommand: Bool { false }

    package static func failureStatus(_ arguments: [String]) -> Int32 { ToolStatus.failed.rawValue }

    /// Does the work.
    /// - Returns: the exit status; errors were printed.
    private func status() -> Int32 {
        do {
            return try work().rawValue
        } catch is ReaderGone {
            return ToolStatus.done.rawValue
        } catch let error as ArchiveError where error.kind == .system(EPIPE) {
            return ToolStatus.done.rawValue
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            printError("\(error)", as: Self.toolName)
            return Self.failureStatus(givenArguments())
        }
    }

    /// Parses the command line again, with the current configuration file.
    /// - Throws: ``ToolError``, and errors of the parser.
    package static func parseAgain() throws -> Self {
        let settings = try ToolSettings(givenArguments(), OptionTable(self), optionalValues: optionalValues)
        return try parsed(settings.arguments(withRest: !takesCommand))
    }

    /// Parses the command line, runs the tool and ends the process. Mistakes in the command line end with status 2.
    package static func launch() -> Never {
        // A reader that is gone is noticed where we write to it.
        signal(SIGPIPE, SIG_IGN)
        do {
            Glibc.exit(try start(givenArguments()))
        } catch {
            printError("\(error)", as: toolName)
            Glibc.exit(failureStatus(givenArguments()))
        }
    }

    /// - Returns: the exit status.
    /// - Throws: ``ToolError`` for mistakes in the command line and in the configuration.
    private static func start(_ arguments: [String]) throws -> Int32 {
        // The parser answers the scripts of shells, and describes itself.
        if let first = arguments.first, parserRequests.contains(where: { first.hasPrefix($0) }) {
            return try answerRequest(arguments)
        }
        let table = OptionTable(self)
        let settings = try ToolSettings(arguments, table, optionalValues: optionalValues)
        if let help = settings.given.help {
            return try show(HelpPage(table, usage: configuration.usage).text(isShort: help == "-h"))
        }
        if settings.given.asksForVersion { return try answerRequest(["--version"]) }
        if settings.printsFilterHelp { return try show(filterHelp()) }
        if settings.printsSecretRules {
            return try show(secretRuleList(settings.settings.last { $0.option.name == "rules" }?.value))
        }
        if settings.printsContentViews { return try show(contentViewHelp()) }
        let tool = try parsed(settings.arguments(withRest: !takesCommand))
        return settings.printsConfiguration ? try show(settings.yaml()) : tool.status()
    }

    /// Prints a text on stdout.
    private static func show(_ text: String) throws -> Int32 {
        var sink = OutputSink()
        do {
            try sink.write { $0.writeString(text) }
            try sink.flush()
        } catch is ReaderGone {
            // The reader has what it wanted.
        }
        return ToolStatus.done.rawValue
    }

    private static var toolName: String { configuration.commandName ?? "mitm" }

    /// - Throws: ``ToolError`` for arguments that the parser refuses.
    private static func parsed(_ arguments: [String]) throws(ToolError) -> Self {
        do {
            return try parse(arguments)
        } catch {
            throw ToolError(sentence(message(for: error)))
        }
    }

    private static func answerRequest(_ arguments: [String]) throws -> Int32 {
        do {
            _ = try parseAsRoot(arguments)
        } catch {
            guard exitCode(for: error).isSuccess else { throw ToolError(sentence(message(for: error))) }
            return try show(fullMessage(for: error) + "\n")
        }
        return ToolStatus.done.rawValue
    }

    /// Our own words for the parser's. Almost all mistakes were found before it.
    private static func sentence(_ message: String) -> String {
        let line = message.split(separator: "\n").first.map(String.init) ?? message
        let text = line.hasSuffix(".") ? String(line.dropLast()) : line
        if let match = text.wholeMatch(of: #/The value '(.*)' is invalid for '(.*?)( <.*>)?'(: (.*))?/#) {
            return "\(match.2): " + (match.5.map { String($0) } ?? "'\(match.1)' is not valid; see \(toolName) --help")
        }
        if let match = text.wholeMatch(of: #/(?:Unexpected argument|\d+ unexpected arguments:) ('.*?')(, .*)?/#) {
            return "\(match.1) is one argument too many; see \(toolName) --help"
        }
        return text
    }
}

private let parserRequests = ["--generate-completion-script", "--experimental-dump-help", "---completion"]

/// The arguments of the process, without its name. They may be names of files, which need not be UTF-8.
private func givenArguments() -> [String] {
    (1..<max(1, Int(CommandLine.argc))).compactMap { index in
        guard let argument = unsafe CommandLine.unsafeArgv[index] else { return nil }
        return unsafe FileName.text(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
    }
}

/// The words after `--` on the command line; nil if there is no `--`.
package func givenCommand() -> [String]? {
    let arguments = givenArguments()
    return arguments.firstIndex(of: "--").map { Array(arguments[($0 + 1)...]) }
}

/// Prints a line on stderr, after the name of the tool.
package func printError(_ text: String, as tool: String) {
    writeToStandardError("\(tool): \(text)\n")
}

/// Writes text to stderr as it is; a closed stderr is not an error.
package func writeToStandardError(_ text: String) { ProgressLine.replace(by: text) }
