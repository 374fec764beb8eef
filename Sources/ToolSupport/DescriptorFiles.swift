// Files with descriptors of protobuf: descriptor sets, and .proto files that protoc turns into one.

import FlowArchive
import Foundation
import Glibc
import NIOCore
import Protobuf

/// Reads descriptor sets at once, and collects .proto files, which are compiled together.
struct DescriptorFiles {
    /// Endings of descriptor sets in a directory. A file that is named may have any other.
    private static let endings = [".pb", ".desc", ".protoset", ".binpb"]

    private let importPaths: [String]
    private var sources: [String] = []
    private var sourcePaths: [String] = []

    /// - Parameter importPaths: where imports are searched first.
    init(importPaths: [String]) { self.importPaths = importPaths }

    /// Adds a file, or what is in a directory and in those below it.
    /// - Throws: ``ToolError``.
    mutating func add(_ path: String, to types: inout ProtobufTypes) throws(ToolError) {
        guard isDirectory(path) else {
            if path.hasSuffix(".proto") {
                addSource(path, directory: directory(of: path))
            } else if !(try add(set: path, to: &types)) {
                throw ToolError(
                    "\(path) is not a descriptor set of protobuf; make one with protoc --include_imports --descriptor_set_out=FILE")
            }
            return
        }
        var hasTypes = false
        for name in files(in: path, endings: Self.endings + [".proto"]) {
            let file = "\(path)/\(name)"
            if name.hasSuffix(".proto") {
                addSource(file, directory: path)
                hasTypes = true
            } else if try add(set: file, to: &types) {
                hasTypes = true
            }
        }
        guard hasTypes else {
            throw ToolError("there is no descriptor set and no .proto file in the directory \(path)")
        }
    }

    /// - Returns: false if the file is not a descriptor set. In a directory, other files may have such endings.
    private func add(set path: String, to types: inout ProtobufTypes) throws(ToolError) -> Bool {
        let bytes = ByteBuffer(bytes: try readFile(path, as: "the file of --proto"))
        do throws(DescriptorError) {
            try types.add(descriptorSet: bytes)
            return true
        } catch {
            return false
        }
    }

    private mutating func addSource(_ path: String, directory: String) {
        sources.append(path)
        guard !importPaths.contains(where: { path.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }), !sourcePaths.contains(directory)
        else {
            return
        }
        sourcePaths.append(directory)
    }

    private func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    // MARK: protoc

    /// Compiles the .proto files.
    /// - Throws: ``ToolError`` without protoc, and with the first line that protoc reports.
    func compile(into types: inout ProtobufTypes) throws(ToolError) {
        guard let first = sources.first else { return }
        guard let compiler = program(named: "protoc") else {
            throw ToolError(
                "\(first) needs protoc, which is not installed (Debian: protobuf-compiler); or give --proto a descriptor set")
        }
        let set = try descriptorSet(by: compiler)
        do throws(DescriptorError) {
            try types.add(descriptorSet: ByteBuffer(bytes: set))
        } catch {
            throw ToolError("\(compiler) made no descriptor set of \(first)")
        }
    }

    /// Seconds that protoc may take.
    private static let timeLimit = 60

    private func descriptorSet(by compiler: String) throws(ToolError) -> [UInt8] {
        let directory = FileManager.default.temporaryDirectory.path
        let output = "\(directory)/mitm-descriptors-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let report = output + ".txt"
        defer { for path in [output, report] { _ = unsafe FileName.withCString(path) { unsafe unlink($0) } } }
        guard
            let errors = FileManager.default.createFile(atPath: report, contents: nil, attributes: [.posixPermissions: 0o600])
                ? FileHandle(forWritingAtPath: report) : nil
        else { throw ToolError("cannot write \(report): \(systemMessage())") }
        let process = Process()
        process.executableURL = URL(filePath: compiler)
        process.arguments =
            ["--include_imports", "--descriptor_set_out=\(output)"] + (importPaths + sourcePaths).map { "--proto_path=\($0)" }
            + sources
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do { try process.run() } catch { throw ToolError("cannot run \(compiler): \(systemMessage())") }
        guard ended.wait(timeout: .now() + .seconds(Self.timeLimit)) == .success else {
            process.terminate()
            throw ToolError("\(compiler) was stopped, because it took more than \(Self.timeLimit) seconds")
        }
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            let lines = (try? readText(report, as: "the report of protoc"))?.split(separator: "\n") ?? []
            let line = lines.first { !$0.lowercased().contains("warning") } ?? "it reports nothing"
            // Debian has protoc and the types of Google in two packages.
            let hint = line.hasPrefix("google/protobuf/") ? "; protoc's own .proto files are missing (Debian: libprotobuf-dev)" : ""
            throw ToolError("protoc cannot compile the files of --proto: \(line)\(hint)")
        }
        return try readFile(output, as: "the output of protoc")
    }
}

/// The path of a program in a directory of PATH; nil when it is not installed.
private func program(named name: String) -> String? {
    let search = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let candidates = search.split(separator: ":").map { "\($0)/\(name)" }
    return candidates.first { path in
        unsafe FileName.withCString(path) { unsafe access($0, X_OK) } == 0 && !isDirectory(path)
    }
}
