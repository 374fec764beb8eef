// Reads what a view shows, on a thread of its own, and looks for what is added to it.

import FlowArchive
import FlowModel
import FlowView
import Foundation
import Glibc
import Synchronization
import ToolSupport

/// Files that a recorder names on standard input, as it begins them. Shared by threads.
final class NamedFiles: Sendable {
    private let waiting = Mutex<[String]>([])

    /// Begins to read. The end of the input ends the view.
    init() {
        let thread = Thread { [self] in
            var bytes = [UInt8](repeating: 0, count: 4096)
            var name: [UInt8] = []
            while true {
                let count = unsafe read(0, &bytes, bytes.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                for byte in bytes.prefix(count) {
                    if byte != 0 {
                        name.append(byte)
                    } else {
                        let path = FileName.text(name)
                        waiting.withLock { $0.append(path) }
                        name = []
                    }
                }
            }
            Signals.askToEnd()
        }
        thread.name = "names"
        thread.start()
    }

    /// The files that were named since the last call. One of a known name is another file: the earlier one was renamed.
    func take() -> [String] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}

/// The recordings of a view.
final class ViewedSources: Sendable {
    /// Seconds between two checks of the files.
    private static let interval = 0.25

    private let asked: FilterAndFiles
    private let named: NamedFiles?
    private let follows: Bool
    private let index: FlowIndex
    private let isStopped = Mutex(false)
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter named: files that a recorder names; nil without one.
    /// - Throws: ``ToolError`` when there is nothing to read, or a file cannot be opened.
    init(_ asked: FilterAndFiles, _ named: NamedFiles?, follows: Bool, into index: FlowIndex) throws {
        self.asked = asked
        self.named = named
        self.follows = follows
        self.index = index
        let given = Set(asked.files.map(\.path))
        for source in try named != nil && asked.files.isEmpty ? [] : asked.sources() {
            // Files of a directory come and go, and what is wrong with one is no reason not to show the others. A pipe is opened only once.
            guard let path = source.path, given.contains(path), !source.isLive else { continue }
            if isDirectory(path), follows { continue }
            try source.check()
        }
    }

    /// Whether everything could be read.
    var status: ToolStatus {
        let all = index.sources.map(\.status)
        if all.contains(where: { $0.failure != nil }) { return .failed }
        return all.contains { $0.isDamaged } ? .damaged : .done
    }

    /// Begins to read.
    /// - Parameter changed: called after each look that found something.
    func start(changed: @escaping @Sendable () -> Void) {
        let thread = Thread { [self] in
            var reading = Reading(index: index, follows: follows, isStarted: named != nil) { [self] in isStopped.withLock { $0 } }
            reading.run(asked, named, changed)
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
        /// A recorder has started the view, and reads what it prints.
        let isStarted: Bool
        let isStopped: () -> Bool
        var files: [IndexedFile] = []
        /// Files that were opened. A name may lead to another file later, and a file may be renamed.
        var known: Set<FileIdentity> = []
        /// Pipes that were opened.
        var knownPipes: Set<ArchiveSource> = []
        /// For each source, how many of its sentences were printed.
        var printed: [Int: Int] = [:]
        let continued = ContinuedFlows()

        mutating func run(_ asked: FilterAndFiles, _ named: NamedFiles?, _ changed: () -> Void) {
            var seen = 0
            while !isStopped() {
                if named == nil || !asked.files.isEmpty { find(asked) }
                for path in named?.take() ?? [] { open(.file(path, keys: asked.keys), asked.keys) }
                for file in files { file.load(follows: follows, shouldStop: isStopped) }
                index.noteComplete()
                printDamage()
                let changes = index.changeCount
                if changes != seen || seen == 0 { changed() }
                seen = changes
                guard follows, !isStopped() else { return }
                Thread.sleep(forTimeInterval: ViewedSources.interval)
            }
        }

        /// Opens files that were not there before.
        private mutating func find(_ asked: FilterAndFiles) {
            for source in (try? asked.sources()) ?? [] {
                let isNew =
                    if let identity = source.identity { known.insert(identity).inserted } else {
                        source.isLive && knownPipes.insert(source).inserted
                    }
                if isNew { open(source, asked.keys) }
            }
        }

        /// Prints what was found to be wrong since the last call.
        private mutating func printDamage() {
            guard !isStarted else { return }
            for (number, source) in index.sources.enumerated() {
                let sentences = source.status.sentences
                for sentence in sentences.dropFirst(printed[number, default: 0]) { printError(sentence, as: "mitm-view") }
                printed[number] = sentences.count
            }
        }

        private mutating func open(_ source: ArchiveSource, _ keys: ArchiveKeys) {
            do {
                switch try source.openAny() {
                case .archive(let input):
                    if input.canBeReadAgain, let path = source.path {
                        files.append(try IndexedFile(path: path, keys: keys, continued: continued, into: index))
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
                case .damage(let damage): index.update(number) { $0.note(damage: damage, in: name) }
                case .record: break
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
                where: EveryFlow(), damage: { sentence in index.update(number) { $0.note(sentence) } },
                flow: { flow in
                    index.add(flow)
                    return true
                })
            // Records of other kinds that are left out are not damage.
            let isDamaged = foreign.isDamaged
            index.update(number) { $0.isDamaged = isDamaged }
        }
    }
}
