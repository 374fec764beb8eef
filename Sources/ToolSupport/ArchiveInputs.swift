// The inputs of a tool: files, directories of flow files, stdin.

import FlowArchive
import FlowModel
import Foundation
import Glibc
import NIOCore

/// One thing to read.
package enum ArchiveSource: Sendable, Equatable {
    case file(String)
    case standardInput

    package var name: String {
        switch self {
        case .file(let path): path
        case .standardInput: "standard input"
        }
    }

    package func open() throws(ArchiveError) -> ArchiveReader {
        switch self {
        case .file(let path): try ArchiveReader(path: path)
        case .standardInput: ArchiveReader(descriptor: 0, name: "standard input")
        }
    }
}

/// What command-line arguments stand for: `-` is stdin, a directory its `.mflow` files, at any depth, in the order of their names; without
/// arguments it is stdin.
/// - Throws: ``ToolError`` for a directory without flow files, and for a terminal as stdin.
package func archiveSources(_ arguments: [String]) throws -> [ArchiveSource] {
    if arguments.isEmpty, isTerminal(0) { throw ToolError("there is nothing to read; name a flow file, or pipe one in") }
    guard !arguments.isEmpty else { return [.standardInput] }
    var sources: [ArchiveSource] = []
    for argument in arguments {
        if argument == "-" {
            sources.append(.standardInput)
        } else if isDirectory(argument) {
            let names = FileManager.default.enumerator(atPath: argument)?.compactMap { $0 as? String } ?? []
            let files = names.filter { $0.hasSuffix(".mflow") }.sorted()
            guard !files.isEmpty else { throw ToolError("there is no .mflow file in the directory \(argument)") }
            sources += files.map { .file(argument + "/" + $0) }
        } else {
            sources.append(.file(argument))
        }
    }
    return sources
}

private func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Reads sources one after the other.
package struct ArchiveSequence<Predicate: FlowPredicate> {
    private let sources: [ArchiveSource]
    private let predicate: Predicate
    /// A source was damaged, or its end torn.
    package private(set) var isDamaged = false

    package init(_ sources: [ArchiveSource], where predicate: Predicate) {
        self.sources = sources
        self.predicate = predicate
    }

    /// Goes through all flows that the predicate lets through.
    /// - Parameters:
    ///   - damage: told each damage, in one sentence with the source's name.
    ///   - flow: returns false to stop.
    /// - Throws: what opening and reading throws; what the closures throw.
    package mutating func forEach(damage: (String) -> Void, flow: (Flow) throws -> Bool) throws {
        for source in sources {
            let reader = try source.open()
            while let item = try reader.next(where: predicate) {
                guard try take(item, source, damage, flow) else { return }
            }
            for item in try reader.finish(where: predicate) {
                guard try take(item, source, damage, flow) else { return }
            }
        }
    }

    private mutating func take(
        _ item: ArchiveItem, _ source: ArchiveSource, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        switch item {
        case .damage(let found):
            isDamaged = true
            damage("\(source.name): \(found)")
            return true
        case .flow(let found):
            do {
                return try flow(found)
            } catch let error as ArchiveError where error.kind == .damagedContent {
                isDamaged = true
                damage("\(source.name): \(error)")
                return true
            }
        }
    }
}

/// Lets every flow through.
package struct EveryFlow: FlowPredicate {
    package init() {}
    package func matches(_ flow: some FlowQuestions) -> Bool { true }
}
