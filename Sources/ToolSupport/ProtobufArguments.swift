// Options for the types of protobuf messages.

import ArgumentParser
import FlowArchive
import FlowModel
import FlowPrinter
import NIOCore
import Protobuf

/// `--proto`, `--proto-path`.
package struct ProtobufArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Types of protobuf and gRPC messages: a descriptor set (protoc --include_imports --descriptor_set_out), a .proto file, which \
            protoc has to be installed for, or a directory of them. May be repeated.
            """, valueName: "path"))
    package var proto: [FilePath] = []

    @Option(
        help: ArgumentHelp(
            "A directory in which .proto files find what they import; their own directory is searched after it. May be repeated.",
            valueName: "directory"))
    package var protoPath: [FilePath] = []

    package init() {}

    /// The types that the options name. Those that a server sent to a client are taken from recordings when another type is needed.
    /// - Parameters:
    ///   - recordings: as arguments. Pipes are not searched.
    ///   - keys: decrypt them.
    /// - Throws: ``ToolError`` for files without types.
    package func schema(_ recordings: [FilePath], _ keys: ArchiveKeys) throws(ToolError) -> ProtobufSchema {
        var types = ProtobufTypes()
        var files = DescriptorFiles(importPaths: protoPath.map(\.path))
        for path in proto { try files.add(path.path, to: &types) }
        try files.compile(into: &types)
        return ProtobufSchema(types) {
            let sources = recordings.isEmpty ? [] : (try? archiveSources(recordings, keys: keys)) ?? []
            return recordedDescriptors(in: sources.filter { $0.isNamedFile })
        }
    }
}

/// The file descriptors that servers sent in recordings. What cannot be read has none: the reader of the flows reports it.
private func recordedDescriptors(in sources: [ArchiveSource]) -> [ByteBuffer] {
    var found: [ByteBuffer] = []
    var sequence = ArchiveSequence(sources, where: ReflectionCalls(), skipsUnreadable: true, isQuiet: true)
    try? sequence.forEach(damage: { _ in }) { flow in
        found += (try? flow.recordedDescriptors()) ?? []
        return true
    }
    return found
}
