// The output of a reader: standard output, the file of -o, or a storage of the caller. A file receives its name when it is complete; until then, and on an error or a
// signal, an existing file of that name stays as it is.

import FlowArchive
import ForeignArchives
import Glibc
import NIOCore

/// Where results go. Bytes are gathered and written in large pieces.
package final class OutputFile {
    private static let bufferSize = 64 * 1024

    /// nil is standard output, or a storage that was given.
    private let path: String?
    package let isStandardOutput: Bool
    private let format: OutputFormat
    private let appends: Bool
    private let encryption: ArchiveEncryption?
    /// nil until it is opened. What is written goes to the second one, which may encrypt it.
    private var storage: POSIXStorage?
    private var destination: (any ArchiveStorage)?
    private var buffer = ByteBuffer()

    /// Nothing is opened yet.
    /// - Parameters:
    ///   - path: nil and `-` are standard output.
    ///   - appends: to an existing flow file.
    ///   - encryption: to whom the output is encrypted; nil: it is not.
    package init(_ path: String?, format: OutputFormat, appends: Bool = false, encryption: ArchiveEncryption? = nil) {
        self.encryption = encryption
        self.path = path == "-" ? nil : path
        isStandardOutput = self.path == nil
        self.format = format
        self.appends = appends
    }

    /// An output that is open: a storage of the caller.
    package init(_ storage: any ArchiveStorage, format: OutputFormat) {
        (path, isStandardOutput, appends, encryption) = (nil, false, false, nil)
        self.format = format
        destination = storage
    }

    /// Checks before the inputs are opened that the output can be what was asked for.
    /// - Throws: ``ToolError`` when it is an input, a terminal that cannot show the format, or a file that must not be replaced.
    package func check(_ sources: [ArchiveSource]) throws {
        try refuseInput(asOutput: path, sources)
        guard let path else {
            guard encryption == nil || !isTerminal else {
                throw ToolError("encrypted output is not for a terminal; use -o or a pipe")
            }
            guard format.isText || !isTerminal else {
                throw ToolError(
                    "the format \(format) cannot be written to a terminal; use -o, a pipe, or --format text or json")
            }
            return
        }
        guard !isDirectory(path) else { throw ToolError("cannot write \(path): it is a directory; name a file in it") }
        guard !appends, FileIdentity(path: path) != nil, let input = try? ArchiveInput(path: path) else { return }
        try checkReplaced(input)
    }

    /// A recording replaces only a recording of the same format, and other output replaces no recording: a mistake in a command line must not
    /// cost a file.
    private func checkReplaced(_ file: ArchiveInput) throws(ArchiveError) {
        try POSIXStorage.checkKnown(file)
        guard try file.peekUpTo(1) != nil else { return }
        let found = try ForeignFormat.sniff { size throws(ArchiveError) in try file.peekUpTo(size) }
        switch format {
        case .mflow: try POSIXStorage.checkFlowFile(file)
        case .foreign(let own) where own.isRecording:
            guard found != own else { return }
            throw ArchiveError(
                .notAFlowFile,
                "\(file.path) is not a \(own.fileKind), so it was not replaced; choose another name, or remove it first")
        case .arrow, .text, .json, .fields, .csv, .foreign, .messages:
            guard found?.isRecording == true || POSIXStorage.isFlowFile(file) else { return }
            let kind = found?.fileKind ?? "flow file"
            throw ArchiveError(
                .notAFlowFile,
                "\(file.path) is a \(kind), so it was not replaced by \(format); choose another name, or remove it first")
        }
    }

    /// Opens it. Called when the first input was opened.
    /// - Throws: why it cannot be written.
    @discardableResult
    package func open() throws -> any ArchiveStorage {
        if let destination { return destination }
        let opened: POSIXStorage
        if let path {
            opened =
                try appends
                ? POSIXStorage.open(path: path, truncates: false)
                : POSIXStorage.replacing(path: path) { (file) throws(ArchiveError) in try checkReplaced(file) }
        } else {
            opened = POSIXStorage(standard: 1)
        }
        storage = opened
        let destination = try encryption?.storage(over: opened) ?? opened
        self.destination = destination
        return destination
    }

    /// It is a terminal.
    package var isTerminal: Bool { isStandardOutput && ToolSupport.isTerminal(1) }

    /// It is open, and a reader may wait for its bytes. An encrypted output has its bytes in whole chunks.
    package var isLive: Bool { encryption == nil && storage?.isLive ?? false }

    /// Appends, and writes when enough has gathered.
    /// - Parameter body: appends to the first argument, and may empty it by the second one before it is done. What it has
    ///   appended when it throws is dropped, unless it was written already.
    /// - Throws: ``ReaderGone``; an ``ArchiveError`` when writing fails; what the body throws.
    package func write(_ body: (inout ByteBuffer, (inout ByteBuffer) throws -> Void) throws -> Void) throws {
        let start = buffer.readableBytes
        var isDrained = false
        do {
            try body(&buffer) { part in
                isDrained = true
                try append(&part)
            }
        } catch {
            if !isDrained { buffer.moveWriterIndex(to: buffer.readerIndex + start) }
            throw error
        }
        if buffer.readableBytes >= Self.bufferSize { try flush() }
    }

    /// Writes what has gathered.
    package func flush() throws {
        guard buffer.readableBytes > 0 else { return }
        try append(&buffer)
    }

    private func append(_ bytes: inout ByteBuffer) throws {
        let storage = try open()
        try endingQuietly {
            while bytes.readableBytes > 0 { bytes.moveReaderIndex(forwardBy: try storage.append(bytes)) }
        }
        bytes.clear()
    }

    /// Writes the rest, and gives a file its name.
    package func close() throws {
        try flush()
        try destination?.close()
    }

    /// An error ends the output: a file that it is appended to is as before.
    package func undo() {
        if appends { storage?.undoAppending() }
    }
}

/// Does something that writes to the output.
/// - Throws: ``ReaderGone`` when its reader has closed it.
package func endingQuietly<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as ArchiveError where error.kind == .system(EPIPE) { throw ReaderGone() }
}
