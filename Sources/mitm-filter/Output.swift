// Where chosen flows go: a number, JSON Lines, a flow file, a file for another program.

import FlowArchive
import FlowModel
import FlowPrinter
import ForeignArchives
import Foundation
import NIOCore
import ToolSupport

/// Takes the chosen flows, one after the other.
struct Output {
    private enum Target {
        case count
        case json(FlowJSONPrinter)
        case text(FlowTextPrinter)
        case archive(ArchiveWriter)
        case mitmproxy(MitmproxyWriter)
        case har
    }

    private static let bufferSize = 64 * 1024

    private let target: Target
    private var sink = OutputSink()
    /// Of everything but flow files: where the bytes go, and those that have not gone yet.
    private var storage: POSIXStorage?
    private var buffer = ByteBuffer()
    private var har = HARWriter(version: toolVersion)
    private var leftOut = 0
    private let format: MitmFilter.Format

    /// - Parameter path: nil and `-` are stdout.
    init(count: Bool, format: MitmFilter.Format, path: String?) throws {
        self.format = format
        if count {
            target = .count
            return
        }
        let storage = try path == nil || path == "-" ? POSIXStorage(standard: 1) : POSIXStorage.open(path: path!, truncates: true)
        switch format {
        case .mflow:
            let now = Timestamp(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
            target = .archive(try ArchiveWriter(storage: storage, now: now))
            return
        case .mitmproxy: target = .mitmproxy(MitmproxyWriter())
        case .har: target = .har
        case .json: target = .json(FlowJSONPrinter(rawBody: false))
        case .text: target = .text(FlowTextPrinter(detail: 1, isColoured: false))
        }
        self.storage = storage
    }

    mutating func take(_ flow: Flow) throws {
        switch target {
        case .count: break
        case .json(let printer):
            var out = ByteBuffer()
            try printer.print(flow, into: &out) { part in try self.put(&part) }
            try put(&out)
        case .text(let printer):
            var out = ByteBuffer()
            try printer.print(flow, into: &out) { part in try self.put(&part) }
            try put(&out)
        case .archive(let writer): try flow.forEachEvent { try writer.append($0) }
        case .mitmproxy(let writer):
            if try !writer.write(flow, into: &buffer) { leftOut += 1 }
            try flushBuffer(above: Self.bufferSize)
        case .har:
            if try !har.write(flow, into: &buffer) { leftOut += 1 }
            try flushBuffer(above: Self.bufferSize)
        }
    }

    mutating func finish(_ matched: Int) throws {
        switch target {
        case .count: try sink.write { $0.writeString("\(matched)\n") }
        case .json, .text: break
        case .archive(let writer): try writer.close()
        case .mitmproxy: break
        case .har: har.finish(into: &buffer)
        }
        try sink.flush()
        try flushBuffer(above: 0)
        try storage?.close()
        if leftOut > 0 {
            complain("\(leftOut) flows were left out, since a file of \(format) has no place for them", as: "mitm-filter")
        }
    }

    private mutating func put(_ printed: inout ByteBuffer) throws {
        buffer.writeBuffer(&printed)
        printed.clear()
        try flushBuffer(above: Self.bufferSize)
    }

    private mutating func flushBuffer(above size: Int) throws {
        guard let storage, buffer.readableBytes > size else { return }
        while buffer.readableBytes > 0 { buffer.moveReaderIndex(forwardBy: try storage.append(buffer)) }
        buffer.clear()
    }
}
