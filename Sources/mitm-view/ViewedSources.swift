// Reads what a view shows, on a thread of its own, and looks for what is added to it.

import FlowArchive
import FlowModel
import FlowView
import Foundation
import Synchronization
import ToolSupport

/// The recordings of a view.
final class ViewedSources: Sendable {
    /// Seconds between two checks of the files.
    private static let interval = 0.25

    private let arguments: [FilePath]
    private let follows: Bool
    private let index: FlowIndex
    private let isStopped = Mutex(false)
    private let ended = DispatchSemaphore(value: 0)

    /// - Throws: ``ToolError`` when there is nothing to read, or a file cannot be opened.
    init(_ arguments: [FilePath], follows: Bool, into index: FlowIndex) throws {
        self.arguments = arguments
        self.follows = follows
        self.index = index
        for case .file(let path) in try archiveSources(arguments) {
            if isDirectory(path) {
                guard follows else { throw ToolError("there is no .mflow file in the directory \(path)") }
            } else {
                _ = try ArchiveInput(path: path)
            }
        }
    }

    /// Something could not be read.
    var isDamaged: Bool { index.sources.contains { $0.status.damages > 0 || $0.status.failure != nil } }

    /// Begins to read.
    /// - Parameter changed: called after each look that found something.
    func start(changed: @escaping @Sendable () -> Void) {
        let thread = Thread { [self] in
            var reading = Reading(index: index, follows: follows) { [self] in isStopped.withLock { $0 } }
            reading.run(arguments, changed)
            ended.signal()
        }
        thread.name = "recordings"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Ends reading at the next block.
    func stop() { isStopped.withLock { $0 = true } }

    /// What the thread owns.
    private struct Reading {
        let index: FlowIndex
        let follows: Bool
        let isStopped: () -> Bool
        var files: [IndexedFile] = []
        var known: Set<ArchiveSource> = []

        mutating func run(_ arguments: [FilePath], _ changed: () -> Void) {
            var seen = 0
            while !isStopped() {
                find(arguments)
                for file in files where !file.isFinished { file.load(follows: follows, shouldStop: isStopped) }
                index.noteComplete()
                let changes = index.changeCount
                if changes != seen || seen == 0 { changed() }
                seen = changes
                guard follows, !isStopped() else { return }
                Thread.sleep(forTimeInterval: ViewedSources.interval)
            }
        }

        /// Opens files that were not there before.
        private mutating func find(_ arguments: [FilePath]) {
            for source in (try? archiveSources(arguments)) ?? [] where !known.contains(source) {
                if case .file(let path) = source, isDirectory(path) { continue }
                known.insert(source)
                open(source)
            }
        }

        private mutating func open(_ source: ArchiveSource) {
            do {
                switch try source.openAny() {
                case .archive(let input):
                    if input.canBeReadAgain, case .file(let path) = source {
                        files.append(try IndexedFile(path: path, into: index))
                    } else {
                        readOnce(input, source.name)
                    }
                case .foreign(let foreign): try read(foreign, source.name)
                }
            } catch {
                let number = index.addSource(source.name)
                index.update(number) { $0.failure = "\(error)" }
            }
        }

        /// Reads a pipe; its flows are kept.
        private func readOnce(_ input: ArchiveInput, _ name: String) {
            let number = index.addSource(name)
            let reader = ArchiveReader(input)
            let (index, isStopped) = (index, isStopped)
            reader.beforeBlock = { !isStopped() }
            func take(_ item: ArchiveItem) {
                switch item {
                case .flow(let flow): index.add(flow)
                case .stored(let stored): if let flow = try? stored.flow() { index.add(flow) }
                case .damage(let damage): index.update(number) { $0.note(damage: "\(name): \(damage)") }
                }
            }
            do {
                while let item = try reader.next() { take(item) }
                for item in try reader.finish() { take(item) }
            } catch {
                index.update(number) { $0.failure = "\(error)" }
            }
        }

        private func read(_ foreign: ForeignSource, _ name: String) throws {
            var foreign = foreign
            let number = index.addSource(name)
            foreign.beforeFlow = { [isStopped] _ in !isStopped() }
            _ = try foreign.forEach(
                where: EveryFlow(), damage: { sentence in index.update(number) { $0.note(damage: sentence) } },
                flow: { flow in
                    index.add(flow)
                    return true
                })
        }
    }
}
