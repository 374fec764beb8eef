// Parts of flow files for several readers: --splits prints them, --range reads one.

import ArgumentParser
import FlowArchive
import FlowModel
import FlowPrinter
import NIOCore

/// The value of `--range`: `OFFSET:LENGTH` in bytes, or `OFFSET:` to the end.
package struct RangeArgument: ExpressibleByArgument, Sendable {
    package let range: ArchiveRange

    package init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let offset = UInt64(parts[0]) else { return nil }
        guard !parts[1].isEmpty else {
            range = ArchiveRange(offset: offset, end: .max)
            return
        }
        guard let length = UInt64(parts[1]) else { return nil }
        let (end, overflows) = offset.addingReportingOverflow(length)
        range = ArchiveRange(offset: offset, end: overflows ? .max : end)
    }
}

/// `--splits` and `--range`.
package struct SplitArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Print ranges of about this size that are all of the files, for several readers; with --json as objects with file, offset, length, \
            flows, earliest, latest and sealed.
            """, valueName: "size"))
    package var splits: ByteSize?

    @Option(
        help: ArgumentHelp(
            "Read only the flows of a range of one flow file, as --splits prints it. Readers of adjacent ranges find each flow once.",
            valueName: "offset:length"))
    package var range: RangeArgument?

    package init() {}

    package func validate() throws {
        if splits != nil, range != nil { throw ValidationError("--splits prints ranges and --range reads one; give one of them") }
        if let splits, splits.bytes == 0 { throw ValidationError("--splits needs a size, \(ByteSize.forms)") }
    }

    /// Limits a source to the range.
    /// - Throws: ``ToolError`` unless there is one source, a file.
    package func limit(_ sources: [ArchiveSource]) throws(ToolError) -> [ArchiveSource] {
        guard let range else { return sources }
        guard sources.count == 1, sources[0].path != nil else {
            throw ToolError("--range reads a part of one flow file; name one file")
        }
        var source = sources[0]
        source.range = range.range
        return [source]
    }

    /// Prints the splits of sources.
    /// - Parameter report: receives sentences about sources that cannot be read.
    /// - Returns: whether all could be read.
    /// - Throws: errors of writing.
    package func print(
        _ sources: [ArchiveSource], size: ByteSize, asJSON: Bool, to file: OutputFile, report: (String) -> Void
    ) throws -> Bool {
        var isDone = true
        try file.open()
        for source in sources {
            let splits: [ArchiveSplit]
            do {
                guard case .archive(let input) = try source.openAny() else {
                    throw ToolError("\(source.name) is not a flow file, so it has no ranges; read it as a whole")
                }
                splits = try ArchiveSplit.splits(of: input, size: size.bytes)
            } catch let error where error is ArchiveError || error is ToolError {
                report("\(error)")
                isDone = false
                continue
            }
            for split in splits {
                try file.write { out, _ in
                    if asJSON { split.writeJSON(source.name, into: &out) } else { split.writeText(source.name, into: &out) }
                }
            }
        }
        try file.close()
        return isDone
    }
}

extension ArchiveSplit {
    fileprivate func writeJSON(_ file: String, into out: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        json.key("file")
        json.string(file)
        json.key("offset")
        json.number(offset)
        json.key("length")
        json.number(length)
        json.key("flows")
        json.number(flows)
        if let times {
            json.key("earliest")
            json.time(times.lowerBound)
            json.key("latest")
            json.time(times.upperBound)
        }
        json.key("sealed")
        json.bool(isSealed)
        json.endObject()
        json.newLine()
        json.write(into: &out)
    }

    /// Tabs between the values, as with `--fields`.
    fileprivate func writeText(_ file: String, into out: inout ByteBuffer) {
        let (earliest, latest) = (times.map { rfc3339($0.lowerBound) } ?? "", times.map { rfc3339($0.upperBound) } ?? "")
        let state = isSealed ? "sealed" : "not sealed"
        out.writeString("\(file)\t\(offset):\(length)\t\(flows)\t\(earliest)\t\(latest)\t\(state)\n")
    }
}
