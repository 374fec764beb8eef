// The output of selected flows: a number, JSON Lines, a flow file, or a file for another program.

import FlowArchive
import FlowModel
import FlowPrinter
import ForeignArchives
import Foundation
import NIOCore
import ToolSupport

/// Receives the selected flows, one after the other.
final class Output {
    private enum Target {
        case count
        case json(FlowJSONPrinter)
        case text(FlowTextPrinter)
        case archive(ArchiveWriter)
        case foreign
    }

    private static let bufferSize = 64 * 1024

    private let count: Bool
    private let format: MitmFilter.Format
    /// nil is standard output.
    private let path: String?
    private let appends: Bool
    private let style: TextStyle
    /// nil until an input was opened: without one the output stays untouched.
    private var target: Target?
    private var sink = OutputSink()
    /// The destination, except for counts, and the bytes that are not written yet, except for flow files.
    private var storage: POSIXStorage?
    private var buffer = ByteBuffer()
    /// Writes a file of another program.
    private var foreign: (any ForeignWriter)?
    private var leftOut = 0

    /// - Parameters:
    ///   - path: nil and `-` are stdout.
    ///   - appends: to an existing flow file.
    init(count: Bool, format: MitmFilter.Format, path: String?, appends: Bool, style: TextStyle) {
        self.count = count
        self.format = format
        self.path = path == "-" ? nil : path
        self.appends = appends
        self.style = style
    }

    /// In which form the reader passes flows that are whole in their block.
    func delivery(maxCount: Int?) -> FlowDelivery {
        if count { return maxCount == nil ? .counted : .flows }
        return format == .mflow ? .stored : .flows
    }

    /// A reader may wait for the output.
    var isLive: Bool { path == nil && !count }

    /// Opens the output, when an input was opened.
    func begin() throws {
        guard target == nil else { return }
        if count {
            target = .count
            return
        }
        let storage = try openStorage()
        self.storage = storage
        switch format {
        case .mflow:
            let now = Timestamp(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
            target = .archive(try ArchiveWriter(storage: storage, now: now))
        case .foreign(let format):
            foreign = format.writer(version: toolVersion)
            target = .foreign
        case .json: target = .json(FlowJSONPrinter(rawBody: false))
        case .text: target = .text(FlowTextPrinter(style))
        }
    }

    private func openStorage() throws -> POSIXStorage {
        guard let path else { return POSIXStorage(standard: 1) }
        return try appends ? POSIXStorage.open(path: path, truncates: false) : POSIXStorage.replacing(path: path)
    }

    /// Writes everything that was found so far.
    func flush() throws {
        if case .archive(let writer) = target { try writer.flush() }
        try flushBuffer(above: 0)
    }

    func take(_ flow: Flow) throws {
        switch target {
        case .count, nil: break
        case .json(let printer):
            var out = ByteBuffer()
            try printer.print(flow, into: &out) { part in try self.put(&part) }
            try put(&out)
        case .text(let printer):
            var out = ByteBuffer()
            try printer.print(flow, into: &out) { part in try self.put(&part) }
            try put(&out)
        case .archive(let writer): try flow.forEachEvent { try writer.append($0) }
        case .foreign:
            if try foreign?.write(flow, into: &buffer) == false { leftOut += 1 }
            try flushBuffer(above: Self.bufferSize)
        }
    }

    /// Takes a flow that can be copied as it is stored.
    func take(_ flow: StoredFlow) throws {
        guard case .archive(let writer) = target else { return try take(flow.flow()) }
        try writer.append(flow)
    }

    func finish(_ matched: Int) throws {
        switch target {
        case .count: try sink.write { $0.writeString("\(matched)\n") }
        case .json, .text, nil: break
        case .archive(let writer): try writer.close()
        case .foreign: foreign?.finish(into: &buffer)
        }
        try sink.flush()
        try flushBuffer(above: 0)
        // A flow file was closed by its writer.
        try storage?.close()
        if leftOut > 0 {
            printError(
                "\(leftOut == 1 ? "1 flow was" : "\(leftOut) flows were") left out, because the format \(format) cannot represent them",
                as: "mitm-filter")
        }
    }

    private func put(_ printed: inout ByteBuffer) throws {
        buffer.writeBuffer(&printed)
        printed.clear()
        try flushBuffer(above: Self.bufferSize)
    }

    private func flushBuffer(above size: Int) throws {
        guard let storage, buffer.readableBytes > size else { return }
        while buffer.readableBytes > 0 { buffer.moveReaderIndex(forwardBy: try storage.append(buffer)) }
        buffer.clear()
    }
}
