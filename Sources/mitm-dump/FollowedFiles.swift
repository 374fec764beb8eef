// Files that are followed as they grow, those of directories too, also when they appear later.

import FlowArchive
import FlowModel
import ToolSupport

/// Reads several growing files, each up to its current end.
struct FollowedFiles<Predicate: FlowPredicate> {
    private struct Followed {
        let name: String
        let reader: ArchiveReader
    }

    private let arguments: [FilePath]
    private let predicate: Predicate
    private let warn: (String) -> Void
    private var files: [Followed] = []
    private var known: Set<ArchiveSource> = []
    /// A file could not be read.
    private(set) var hasFailed = false

    var isAnyOpen: Bool { !files.isEmpty }

    init(_ arguments: [FilePath], where predicate: Predicate, warn: @escaping (String) -> Void) {
        self.arguments = arguments
        self.predicate = predicate
        self.warn = warn
    }

    /// Opens the files that are there and were not before. A directory may still be empty.
    mutating func find() throws {
        for source in try archiveSources(arguments) where known.insert(source).inserted {
            if case .file(let path) = source, isDirectory(path) {
                known.remove(source)
                continue
            }
            do throws(ArchiveError) {
                files.append(Followed(name: source.name, reader: try source.open(where: predicate)))
            } catch {
                hasFailed = true
                warn("\(error)")
            }
        }
    }

    /// Prints new flows and messages.
    mutating func printNew(_ printer: inout Printer) throws {
        var failed: [Int] = []
        for index in files.indices {
            do {
                try printNew(files[index], &printer)
            } catch let error as ArchiveError {
                hasFailed = true
                warn("\(error)")
                failed.append(index)
            }
        }
        for index in failed.reversed() { files.remove(at: index) }
    }

    private func printNew(_ file: Followed, _ printer: inout Printer) throws {
        while let item = try file.reader.next() {
            switch item {
            case .flow(let flow):
                try printer.print(flow)
            case .stored(let stored): try printer.print(stored.flow())
            case .damage(let damage): warn("\(file.name): \(damage)")
            }
        }
        for flow in file.reader.takeNewPieces() { try printer.printNews(flow, where: predicate) }
    }
}
