// Options of the formats that write messages: curl, http and raw.

import ArgumentParser
import FlowPrinter
import HTTPSemantics
import NIOCore

extension MessageOptions.Sides: ExpressibleByArgument {}

/// What of each flow is written, and where content goes that has no place in the output.
package struct MessageArguments: ParsableArguments {
    @Option(
        help: """
            With http and raw: whose messages are written: client (the requests), server (the responses) or both. (default: client)
            """)
    package var side: MessageOptions.Sides?

    @Option(
        help: ArgumentHelp(
            "With curl and http: write content that is not text, or too long, to files in this directory.", valueName: "directory"))
    package var bodies: FilePath?

    package init() {}

    /// - Throws: when an option has no effect with the format.
    package func check(_ format: OutputFormat) throws {
        if side != nil, format != .messages(.http), format != .messages(.raw) {
            throw ValidationError("--side needs --format http or raw")
        }
        if bodies != nil, format != .messages(.curl), format != .messages(.http) {
            throw ValidationError("--bodies needs --format curl or http")
        }
    }

    /// The choices, when an output is opened.
    /// - Throws: ``ToolError`` if the directory for content does not exist.
    package func options() throws -> MessageOptions {
        var options = MessageOptions()
        options.sides = side ?? .client
        guard let bodies else { return options }
        guard isDirectory(bodies.path) else {
            throw ToolError("cannot write to \(bodies): it is not a directory; create it, or name another one with --bodies")
        }
        let directory = bodies.path.hasSuffix("/") ? bodies.path : bodies.path + "/"
        options.store = { name, content in
            let file = OutputFile(directory + name, format: .messages(.raw))
            try file.open()
            try content { part in try file.write { out, _ in out.writeImmutableBuffer(part) } }
            try file.close()
            return directory + name
        }
        return options
    }
}
