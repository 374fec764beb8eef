// The inputs of a tool: files, directories of flow files, stdin. What is in them is told by how they begin.

import FlowArchive
import FlowModel
import ForeignArchives
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

    /// Opens it as a flow file.
    package func open() throws(ArchiveError) -> ArchiveReader { ArchiveReader(try input()) }

    /// Opens it as what it begins as.
    /// - Parameter jobs: threads that look through a flow file.
    package func openAny(jobs: Int = 1) throws(ArchiveError) -> OpenedSource {
        let input = try input()
        guard let beginning = try input.peekUpTo(ForeignFormat.sniffedBytes), let format = ForeignFormat(sniffing: beginning) else {
            return .archive(ArchiveReader(input, jobs: jobs))
        }
        return .foreign(ForeignSource(input: input, name: name, format: format))
    }

    private func input() throws(ArchiveError) -> ArchiveInput {
        switch self {
        case .file(let path): try ArchiveInput(path: path)
        case .standardInput: ArchiveInput(descriptor: 0, name: name)
        }
    }
}

/// A source that is ready to be read.
package enum OpenedSource {
    case archive(ArchiveReader)
    case foreign(ForeignSource)
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

/// Reads sources one after the other: flow files, and mitmproxy's flow files and HAR files in their place.
package struct ArchiveSequence<Predicate: FlowPredicate> {
    private let sources: [ArchiveSource]
    private let predicate: Predicate
    private let jobs: Int
    private let countsOnly: Bool
    /// Flows that were let through and only counted.
    package private(set) var counted = 0
    /// A source was damaged, or its end torn.
    package private(set) var isDamaged = false

    /// - Parameters:
    ///   - jobs: threads that look through flow files. Flows come in the order of the files, whatever their number.
    ///   - countsOnly: flows that can be counted without being made are not told, but counted in ``counted``.
    package init(_ sources: [ArchiveSource], where predicate: Predicate, jobs: Int = 1, countsOnly: Bool = false) {
        self.sources = sources
        self.jobs = jobs
        self.countsOnly = countsOnly
        self.predicate = predicate
    }

    /// Goes through all flows that the predicate lets through.
    /// - Parameters:
    ///   - begin: told each source before its flows; what can be read again is a flow file that is no pipe.
    ///   - damage: told each damage, and what of another program's file was left out, in one sentence with the source's name.
    ///   - flow: returns false to stop.
    /// - Throws: what opening and reading throws; what the closures throw.
    package mutating func forEach(
        begin: (_ source: ArchiveSource, _ canBeReadAgain: Bool) throws -> Void = { _, _ in }, damage: (String) -> Void,
        flow: (Flow) throws -> Bool
    ) throws {
        for source in sources {
            let goesOn: Bool
            switch try source.openAny(jobs: jobs) {
            case .archive(let reader):
                try begin(source, reader.size != nil)
                goesOn = try readArchive(reader, source.name, damage, flow)
            case .foreign(var foreign):
                try begin(source, false)
                defer { isDamaged = isDamaged || foreign.isDamaged }
                goesOn = try foreign.forEach(where: predicate, damage: damage, flow: flow)
            }
            guard goesOn else { return }
        }
    }

    private mutating func readArchive(
        _ reader: ArchiveReader, _ name: String, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        reader.countsOnly = countsOnly
        defer { counted += reader.counted }
        // Damage in the content of flows that were told is known when they have been used.
        func tellFound() {
            for found in reader.takeFoundDamage() {
                isDamaged = true
                damage("\(name): \(found)")
            }
        }
        defer { tellFound() }
        while let item = try reader.next(where: predicate) {
            guard try take(item, name, damage, flow) else { return false }
        }
        for item in try reader.finish(where: predicate) {
            guard try take(item, name, damage, flow) else { return false }
        }
        return true
    }

    private mutating func take(
        _ item: ArchiveItem, _ name: String, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        switch item {
        case .damage(let found):
            isDamaged = true
            damage("\(name): \(found)")
            return true
        case .flow(let found):
            do {
                return try flow(found)
            } catch let error as ArchiveError where error.kind == .damagedContent {
                isDamaged = true
                damage("\(name): \(error)")
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
