// Options of the formats that cannot represent everything: where the report of losses goes, and whether a loss is an error.

import ArgumentParser
import ForeignArchives
import NIOCore

/// What becomes of the report of losses.
package struct LossArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "With the formats of other programs, curl and http: write what was changed, lost and left out as a JSON object to a file; - is stdout.",
            valueName: "file"))
    package var loss: FilePath?

    @Flag(
        help: """
            With the formats of other programs, curl and http: end with status 3 when something that was sent was lost or left out. The rest is written.
            """)
    package var strict = false

    package init() {}

    /// - Parameter output: of the flows.
    /// - Throws: when an option has no effect with the format, or both outputs would be one.
    package func check(_ format: OutputFormat, output: FilePath?) throws {
        guard let loss else {
            if strict, !format.reportsLosses { throw ValidationError(Self.need("strict")) }
            return
        }
        guard format.reportsLosses else { throw ValidationError(Self.need("loss")) }
        if loss.isStandard, output?.isStandard ?? true {
            throw ValidationError("--loss - writes to stdout, so the flows need a file: add -o")
        }
        if !loss.isStandard, loss.path == output?.path {
            throw ValidationError("--loss and -o name the same file, \(loss); name another one")
        }
    }

    private static func need(_ option: String) -> String {
        let names = OutputFormat.allCases.filter(\.reportsLosses).map(\.description)
        return "--\(option) needs --format \(names.dropLast().joined(separator: ", ")) or \(names.last ?? "")"
    }

    /// Checks before the inputs are opened that the report can be written.
    package func check(_ sources: [ArchiveSource]) throws {
        if let loss { try OutputFile(loss.path, format: .json).check(sources) }
    }

    /// Writes the report.
    /// - Returns: damaged instead of done for a loss that must not be.
    package func status(_ status: ToolStatus, of flows: FlowOutput?) throws -> ToolStatus {
        guard let report = flows?.report else { return status }
        if let loss {
            let file = OutputFile(loss.path, format: .json)
            try file.open()
            try file.write { out, _ in report.write(into: &out) }
            try file.close()
        }
        return strict && report.hasLosses && status == .done ? .damaged : status
    }
}
