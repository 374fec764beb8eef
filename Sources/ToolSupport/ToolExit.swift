// How a tool ends: the exit statuses that scripts rely on, and errors as one sentence on stderr.

import ArgumentParser
import FlowArchive
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
package struct ToolError: Error, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// A tool's command line, and its work.
package protocol Tool: ParsableCommand {
    /// Does the work.
    /// - Throws: ``ToolError`` and other errors that describe themselves in a sentence.
    func work() throws -> ToolStatus
}

extension Tool {
    package func run() throws {
        do {
            let status = try work()
            if status != .done { throw ExitCode(status.rawValue) }
        } catch let code as ExitCode {
            throw code
        } catch {
            printError("\(error)", as: Self.configuration.commandName ?? "mitm")
            throw ExitCode(ToolStatus.failed.rawValue)
        }
    }

    /// Parses the command line again, with the current configuration file.
    /// - Throws: ``ToolError``, and errors of the parser.
    package static func parseAgain() throws -> Self {
        try parse(try configuredArguments(givenArguments()))
    }

    /// Parses the command line, runs the tool and ends the process. Mistakes in the command line end with status 2.
    package static func launch() -> Never {
        // A reader that is gone is noticed where we write to it.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot(try configuredArguments(givenArguments()))
            try command.run()
            Glibc.exit(ToolStatus.done.rawValue)
        } catch let error as ToolError {
            printError(error.description, as: configuration.commandName ?? "mitm")
            Glibc.exit(ToolStatus.failed.rawValue)
        } catch {
            let code = exitCode(for: error).rawValue
            if code == 0 {
                print(fullMessage(for: error))
            } else if !(error is ExitCode) {
                let name = configuration.commandName ?? "mitm"
                printError("\(message(for: error)); see \(name) --help", as: name)
            }
            Glibc.exit(error is ExitCode || code == 0 ? code : ToolStatus.failed.rawValue)
        }
    }
}

/// The arguments of the process, without its name. They may be names of files, which need not be UTF-8.
private func givenArguments() -> [String] {
    (1..<max(1, Int(CommandLine.argc))).compactMap { index in
        guard let argument = unsafe CommandLine.unsafeArgv[index] else { return nil }
        return unsafe FileName.text(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
    }
}

/// Prints a line on stderr, after the name of the tool.
package func printError(_ text: String, as tool: String) {
    writeToStandardError("\(tool): \(text)\n")
}

/// Writes text to stderr as it is; a closed stderr is not an error.
package func writeToStandardError(_ text: String) {
    var bytes = FileName.bytes(text)
    var written = 0
    while written < bytes.count {
        let result = unsafe bytes.withUnsafeMutableBytes { unsafe write(2, $0.baseAddress! + written, $0.count - written) }
        if result < 0, errno != EINTR { return }
        written += max(0, result)
    }
}

extension NameSpecification {
    /// The long name, and a letter that takes its value after it or joined to it: `-j 4`, `-j4`.
    package static func short(_ letter: Character) -> NameSpecification { [.customShort(letter, allowingJoined: true), .long] }
}
