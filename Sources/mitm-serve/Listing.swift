// --list: the recordings that would be served, as text or as one JSON object for each.

import ArgumentParser
import FlowFilter
import FlowModel
import FlowPrinter
import FlowReplay
import NIOCore
import ToolSupport

/// How --list prints.
enum ListFormat: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
}

struct RecordingListing {
    let selection: RecordingSelection
    let format: ListFormat

    /// - Throws: if something cannot be printed.
    func print() throws -> ToolStatus {
        var style = TextStyle(detail: 1, isColoured: false)
        style.time = .clock
        let text = FlowTextPrinter(style)
        var sink = OutputSink()
        var count = 0
        var file = ""
        var sequence = ArchiveSequence(
            try selection.sources(), where: ServableFlows(filter: selection.filter), skipsUnreadable: true)
        let observer = ReadingObserver("reading", on: ProgressLine(besides: .standard))
        sequence.observer = observer
        do {
            try sequence.forEach(
                begin: { source, _ in file = source.name },
                damage: { printError($0, as: "mitm-serve") }
            ) { flow in
                count += 1
                try sink.write {
                    switch format {
                    case .text: try text.print(flow, into: &$0)
                    case .json: try write(flow, of: file, into: &$0)
                    }
                }
                return true
            }
            try sink.flush()
        } catch is ReaderGone {
            return .done
        }
        if let signal = observer.signal { throw ExitCode(128 + signal) }
        if sequence.hasFailed { return .failed }
        return sequence.isDamaged ? .damaged : count > 0 ? .done : .noMatch
    }

    private func write(_ flow: Flow, of file: String, into bytes: inout ByteBuffer) throws {
        var writer = JSONWriter()
        func member(_ name: StaticString, _ value: String) {
            writer.key(name)
            writer.string(value)
        }
        writer.beginObject()
        member("id", "\(flow.id)")
        member("kind", "\(flow.kind)")
        member("state", "\(flow.state)")
        writer.key("started")
        writer.time(flow.started)
        member("file", file)
        if let head = flow.request?.head {
            writer.key("method")
            writer.string(head.method)
            writer.key("url")
            writer.string(flow.displayURL ?? head.target)
            if let response = flow.response {
                writer.key("status")
                writer.number(response.head.status)
                writer.key("size")
                writer.number(response.size)
            }
            try write(try flow.matchedParts(selection.rules), into: &writer)
        } else {
            member("url", "\(flow.target.scheme)://\(Endpoint(host: flow.target.host, port: flow.target.port))")
            writer.key("size")
            writer.number(try flow.pieces.wireSize(from: .server))
        }
        if let reason = flow.cutAnswer { member("not_served", reason) }
        writer.endObject()
        writer.write(into: &bytes)
        bytes.writeString("\n")
    }

    private func write(_ parts: MatchedParts?, into writer: inout JSONWriter) throws {
        guard let parts else { return }
        writer.key("match")
        writer.beginObject()
        if let method = parts.method {
            writer.key("method")
            writer.string(method)
        } else {
            writer.key("upgrade")
            writer.bool(true)
        }
        if let host = parts.host {
            writer.key("host")
            writer.string(host)
        }
        writer.key("path")
        writer.string(parts.path)
        writer.key("query")
        writer.beginArray()
        for parameter in parts.query { writer.string(parameter) }
        writer.endArray()
        if !parts.fields.isEmpty {
            writer.key("headers")
            writer.beginArray()
            for (name, value) in parts.fields {
                writer.beginArray()
                writer.string(name)
                if let value { writer.string(value) }
                writer.endArray()
            }
            writer.endArray()
        }
        if let content = parts.content {
            writer.key("body")
            writer.string("fnv:" + String(content, radix: 16))
        }
        writer.endObject()
    }
}

/// Selects flows that can answer a request or a stream.
private struct ServableFlows: FlowPredicate {
    let filter: FlowFilter?

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard flow.kind == .tcp || RecordingIndex.isRequest(flow) else { return false }
        return try filter?.matches(flow) ?? true
    }
}
