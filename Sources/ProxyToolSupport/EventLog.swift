// The event log of the tools with sockets: a line on stderr for each message, for people or for programs (docs/event-log.md).

import ArgumentParser
import FlowArchive
import FlowModel
import FlowPrinter
import FlowRecording
import Glibc
import NIOCore
import ProxyCore
import ProxyTransport
import Synchronization
import ToolSupport

/// How lines of the event log are written.
package enum LogFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// The time of day, then the message.
    case text
    /// One JSON object a line.
    case json
}

/// Options of the event log.
package struct LogArguments: ParsableArguments {
    @Flag(name: .shortAndLong, help: "No event log, except for errors.")
    package var quiet = false

    @Flag(name: .shortAndLong, help: "Verbose event log: also connections and their TLS.")
    package var verbose = false

    @Option(help: "Format of the event log: text, or json (one object a line).")
    package var logFormat = LogFormat.text

    @Option(
        help: ArgumentHelp(
            "Append the event log to this file instead of stderr.", valueName: "file"))
    package var logFile: FilePath?

    @OptionGroup
    package var colours: ColorArguments

    package init() {}

}

/// Writes the event log. Each line is one write, so that lines of several threads do not mix.
package final class EventLog: Sendable {
    /// Lines below this level are left out.
    package let lowest: LogLine.Level
    private let tool: String
    private let format: LogFormat
    private let file: LineFile?
    private let write: @Sendable (String) -> Void
    private let palette: Palette
    private let printer: FlowTextPrinter
    private let clock: RecorderClock
    private let hints: TLSHints?

    /// - Parameters:
    ///   - level: the lowest level that is printed without -q and -v; `quiet`: with -q.
    ///   - detail: of the lines of flows: 0 none, 1 a line, 2 heads too.
    ///   - hints: advice after failures of TLS; nil gives none.
    ///   - write: receives each line with its end, if it goes to stderr.
    /// - Throws: ``ToolError`` for a file that cannot be opened.
    package init(
        _ arguments: LogArguments, of tool: String, lowest level: LogLine.Level = .notice, quiet: LogLine.Level = .error,
        clock: RecorderClock, detail: Int = 1, hints: TLSHints? = nil,
        write: @escaping @Sendable (String) -> Void = writeToStandardError
    ) throws {
        self.tool = tool
        self.clock = clock
        self.hints = hints
        format = arguments.logFormat
        lowest = arguments.quiet ? quiet : arguments.verbose ? .debug : level
        file = try arguments.logFile.map { try LineFile($0.path, name: "the event log") }
        self.write = write
        palette = Palette(isColoured: format == .text && file == nil && arguments.colours.isColoured(on: 2))
        var style = TextStyle(detail: format == .text ? detail : min(detail, 1), isColoured: palette.isColoured)
        // The time stands before the line.
        if file == nil, format == .text { style.columns = { terminalColumns(of: 2).map { $0 - 13 } } }
        printer = FlowTextPrinter(style)
    }

    /// Lines are written to a file instead of stderr.
    package var hasFile: Bool { file != nil }

    /// Whether lines of a level are printed.
    package func isWanted(_ level: LogLine.Level) -> Bool { level >= lowest }

    package func log(_ line: LogLine) {
        guard isWanted(line.level) else { return }
        put(line)
    }

    /// - Parameters:
    ///   - event: its name for programs.
    ///   - facts: writes further members of the JSON object.
    package func log(
        _ level: LogLine.Level, _ event: String, _ text: @autoclosure () -> String, facts: ((inout JSONWriter) -> Void)? = nil
    ) {
        guard isWanted(level) else { return }
        put(LogLine(level, event, text()), facts: facts)
    }

    /// A message of a recording.
    package func log(_ notice: RecordingNotice) {
        let (level, event): (LogLine.Level, String) =
            switch notice.kind {
            case .progress: (.notice, "recording")
            case .warning: (.error, "recording")
            case .failure: (.error, "recording-failed")
            }
        log(level, event, notice.text, facts: notice.disk.map { disk in { $0.disk(disk) } })
    }

    /// Totals of a recording, at an interval or at the end.
    package func log(_ totals: RecordingTotals, as event: String) {
        log(.notice, event, totals.summary) { json in
            json.key("flows")
            json.number(totals.flows)
            json.disk(totals.disk)
        }
    }

    /// A flow that has ended.
    package func log(_ flow: Flow) {
        guard isWanted(.notice) else { return }
        var text = ByteBuffer()
        try? printer.print(flow, into: &text)
        guard text.readableBytes > 0 else { return }
        let line = LogLine(
            flow.state == .failed ? .warning : .notice, "flow", String(buffer: text.dropLast()), client: flow.client?.value.peer,
            server: flow.server?.value.target)
        put(line, isFlow: true) { $0.summary(of: flow) }
        if let advice = hints?.advice(on: flow) { log(.notice, "hint", advice) }
    }

    /// The program that rotates logs has moved the file away.
    package func reopen() {
        do { try file?.reopen() } catch { printError("\(error)", as: tool) }
    }

    // MARK: Lines

    private func put(_ line: LogLine, isFlow: Bool = false, facts: ((inout JSONWriter) -> Void)? = nil) {
        var out = ByteBuffer()
        switch format {
        case .text: writeText(line, isFlow: isFlow, into: &out)
        case .json: writeJSON(line, facts, into: &out)
        }
        let text = String(buffer: out)
        guard let file else { return write(text) }
        if let change = file.append(FileName.bytes(text)) { printError(change, as: tool) }
    }

    private func writeText(_ line: LogLine, isFlow: Bool, into out: inout ByteBuffer) {
        var time = ByteBuffer()
        LocalTime.shared.write(clock: clock.now(), into: &time)
        out.writeString(palette.text(String(buffer: time), .muted))
        out.writeString(" ")
        if isFlow {
            // Made for a terminal already.
            out.writeString(line.text)
        } else {
            if line.level == .error { out.writeString(palette.text("error:", .failure) + " ") }
            if line.level == .warning { out.writeString(palette.text("warning:", .warning) + " ") }
            out.writeVisible(line.text)
        }
        out.writeString("\n")
    }

    private func writeJSON(_ line: LogLine, _ facts: ((inout JSONWriter) -> Void)?, into out: inout ByteBuffer) {
        var json = JSONWriter()
        json.beginObject()
        json.key("time")
        json.time(clock.now())
        json.key("level")
        json.string("\(line.level)")
        json.key("tool")
        json.string(tool)
        json.key("event")
        json.string(line.event)
        if let client = line.client, !client.host.isEmpty {
            json.key("client")
            json.string(client.description)
        }
        if let server = line.server, !server.host.isEmpty {
            json.key("server")
            json.string(server.description)
        }
        facts?(&json)
        json.key("message")
        json.string(line.text)
        json.endObject()
        json.write(into: &out)
        out.writeString("\n")
    }
}

extension JSONWriter {
    /// What a full or failing disk has cost.
    fileprivate mutating func disk(_ totals: DiskTotals) {
        key("disk")
        beginObject()
        key("state")
        string(totals.condition.rawValue)
        key("missing_flows")
        number(totals.missingFlows)
        key("cut_flows")
        number(totals.cutFlows)
        key("missing_bytes")
        number(totals.missingBytes)
        if totals.refusedFlows > 0 {
            key("refused_flows")
            number(totals.refusedFlows)
        }
        if totals.deletedFiles > 0 {
            key("deleted_files")
            number(totals.deletedFiles)
        }
        key("paused_ms")
        milliseconds(totals.paused)
        key("passed_ms")
        milliseconds(totals.passed)
        endObject()
    }

    /// The members of a flow's line in the event log.
    fileprivate mutating func summary(of flow: Flow) {
        key("flow")
        string(flow.id.description)
        key("kind")
        string(flow.kind.description)
        key("state")
        string(flow.state.description)
        if let request = flow.request {
            key("method")
            string(request.head.method)
            if let url = flow.displayURL {
                key("url")
                string(url)
            }
        }
        if let status = flow.response?.head.status ?? flow.localReply?.value.head.status {
            key("status")
            number(status)
        }
        key("size_from_client")
        number(flow.size(from: .client))
        key("size_from_server")
        number(flow.size(from: .server))
        if let ended = flow.ended {
            key("duration_ms")
            milliseconds(ended - flow.started)
        }
        if let error = flow.error {
            key("error")
            string(error.message)
        }
    }
}

extension ByteBuffer {
    /// Without the last byte.
    fileprivate func dropLast() -> ByteBuffer { getSlice(at: readerIndex, length: max(0, readableBytes - 1)) ?? self }
}
