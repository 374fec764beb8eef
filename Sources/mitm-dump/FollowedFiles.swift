// Files that are followed as they grow, with those that appear later in directories or under the name of a recording that rotates.

import FlowArchive
import FlowModel
import ToolSupport

/// Reads several growing files and pipes, each up to its current end.
struct FollowedFiles<Predicate: FlowPredicate> {
    private struct Followed {
        let source: ArchiveSource
        /// nil for a pipe.
        let identity: FileIdentity?
        let input: ArchiveInput
        let reader: ArchiveReader
        /// What it had when it was found was printed.
        var isCaughtUp = false
        /// It cannot be read on, which was reported.
        var isBroken = false
    }

    private let arguments: [FilePath]
    private let keys: ArchiveKeys
    private let predicate: Predicate
    private let redaction: RecordingRedaction?
    private let warn: (String) -> Void
    private let fail: (String) -> Void
    private var open: [Followed] = []
    /// Pipes that were opened.
    private var pipes: Set<ArchiveSource> = []
    /// Sizes of files that were read to their end and closed by their recorders.
    private var closed: [FileIdentity: UInt64] = [:]
    private var broken: Set<FileIdentity> = []
    /// Names that cannot be opened, which was reported.
    private var missing: Set<ArchiveSource> = []
    /// A file was read, so one of its name may come after it.
    private var hasReadFile = false
    private let continued = ContinuedFlows()

    /// - Parameters:
    ///   - redaction: changes the flows before they are printed.
    ///   - warn: receives sentences about damage.
    ///   - fail: receives sentences about files that cannot be read.
    init(
        _ arguments: [FilePath], _ keys: ArchiveKeys, where predicate: Predicate, _ redaction: RecordingRedaction?,
        warn: @escaping (String) -> Void,
        fail: @escaping (String) -> Void
    ) {
        self.arguments = arguments
        self.keys = keys
        self.predicate = predicate
        self.redaction = redaction
        self.warn = warn
        self.fail = fail
    }

    /// A file could not be read.
    var hasFailed: Bool { !missing.isEmpty || !broken.isEmpty }
    /// There is something to follow, or may be later.
    var isPromising: Bool {
        hasReadFile || !open.isEmpty || arguments.contains { isDirectory($0.path) || $0.path.contains("%") }
    }
    var hasOpenPipe: Bool { open.contains { $0.identity == nil } }

    // MARK: Finding

    /// Opens files that are there and were not before, and those that have grown since they were closed. A directory may still be empty.
    mutating func find() throws {
        var seen: Set<FileIdentity> = []
        for source in try archiveSources(arguments, keys: keys) {
            if let path = source.path, isDirectory(path) { continue }
            guard let identity = source.identity, let size = source.size else {
                if !pipes.contains(source), !isPattern(source) { follow(source, nil, from: 0) }
                continue
            }
            seen.insert(identity)
            if let start = start(identity, size) { follow(source, identity, from: start) }
        }
        // The number of a file that is gone may be given to another one.
        closed = closed.filter { seen.contains($0.key) }
    }

    /// A name of files that a recorder has not begun yet.
    private func isPattern(_ source: ArchiveSource) -> Bool {
        source.path?.contains("%") == true && !source.isLive
    }

    /// Where to begin with a file that is there; nil if there is nothing to begin.
    private mutating func start(_ identity: FileIdentity, _ size: UInt64) -> UInt64? {
        if broken.contains(identity) { return nil }
        if let read = closed[identity] {
            guard size != read else { return nil }
            closed[identity] = nil
            return size > read ? read : 0
        }
        guard let index = open.firstIndex(where: { $0.identity == identity }) else { return 0 }
        // A recorder may have emptied it.
        guard size < open[index].reader.offset else { return nil }
        open.remove(at: index)
        return 0
    }

    private mutating func follow(_ source: ArchiveSource, _ identity: FileIdentity?, from offset: UInt64) {
        do throws(ArchiveError) {
            let input = try source.input()
            input.waits = false
            if offset > 0 { input.skip(Int(offset)) }
            let reader = ArchiveReader(input, where: predicate)
            reader.predecessor = { [continued] in continued.predecessor($0) }
            open.append(Followed(source: source, identity: identity, input: input, reader: reader))
            missing.remove(source)
            if identity == nil { pipes.insert(source) }
        } catch {
            // A file of that name may appear, or become readable.
            if missing.insert(source).inserted { fail("\(error)") }
        }
    }

    // MARK: Printing

    /// Prints new flows and messages: those of a file that was just found in one go, the others in the order in which they ended.
    mutating func printNew(_ printer: inout Printer) throws {
        continued.beginRound(open.map(\.reader))
        for flow in continued.takeEnded() where try predicate.matches(flow) {
            try printer.print(redaction?.redact(flow) ?? flow)
        }
        for index in open.indices where !open[index].isCaughtUp {
            while let flow = try nextFlow(index) { try printer.print(flow) }
            open[index].isCaughtUp = true
            if open[index].identity != nil, !open[index].isBroken { hasReadFile = true }
        }
        var heads: [(file: Int, flow: Flow)] = []
        for index in open.indices {
            if let flow = try nextFlow(index) { heads.append((index, flow)) }
        }
        while let first = heads.indices.min(by: { heads[$0].flow.order < heads[$1].flow.order }) {
            try printer.print(heads[first].flow)
            if let flow = try nextFlow(heads[first].file) { heads[first].flow = flow } else { heads.remove(at: first) }
        }
        for file in open {
            printer.output.add(redactionRules: file.reader.redactionRules)
            for flow in file.reader.takeNewPieces() {
                try printer.printNews(redaction?.redact(news: flow) ?? flow, where: predicate)
            }
        }
        try closeFinished(&printer)
    }

    /// The next flow of a file; nil for now. A file that cannot be read is reported, and has no more.
    private mutating func nextFlow(_ index: Int) throws -> Flow? {
        guard !open[index].isBroken else { return nil }
        do {
            while let item = try open[index].reader.next() {
                if let flow = try flow(item, of: open[index]) { return flow }
            }
        } catch let error as ArchiveError {
            open[index].isBroken = true
            fail("\(error)")
        }
        return nil
    }

    private func flow(_ item: ArchiveItem, of file: Followed) throws -> Flow? {
        switch item {
        case .flow(let flow): return try redaction?.redact(flow) ?? flow
        case .stored(let stored): return try redaction?.redact(stored.flow()) ?? stored.flow()
        case .damage(let damage):
            warn("\(file.source.name): \(damage)")
            return nil
        case .record: return nil
        }
    }

    /// Files that their recorders have closed need no descriptor: a recording may rotate for ever.
    private mutating func closeFinished(_ printer: inout Printer) throws {
        for index in open.indices.reversed() {
            let file = open[index]
            if file.isBroken {
                if let identity = file.identity { broken.insert(identity) }
            } else if file.identity == nil ? file.input.isAtEnd : !file.reader.mayGrow {
                for item in try file.reader.finish(keepsOpen: file.identity != nil) {
                    if let flow = try flow(item, of: file) { try printer.print(flow) }
                }
                continued.keep(file.reader.takeOpenFlows())
                if let identity = file.identity { closed[identity] = file.reader.storedOffset }
            } else {
                continue
            }
            open.remove(at: index)
        }
    }
}

/// Flows that were open when their file was sealed. Readers of the next files take them.
private final class ContinuedFlows {
    /// Rounds, of a tenth of a second, that flows wait for the next file, and that the next file waits for the one before.
    private static let patience = 30

    private var kept: [(flows: OpenFlows, rounds: Int)] = []
    private var readers: [ArchiveReader] = []
    /// Segments that are waited for.
    private var awaited: [Timestamp: Int] = [:]

    func beginRound(_ readers: [ArchiveReader]) {
        self.readers = readers
        for index in kept.indices { kept[index].rounds += 1 }
        for name in awaited.keys { awaited[name, default: 0] += 1 }
    }

    func keep(_ flows: OpenFlows?) {
        if let flows { kept.append((flows, 0)) }
    }

    func predecessor(_ name: Timestamp) -> Predecessor {
        if let index = kept.firstIndex(where: { $0.flows.segment == name }) {
            awaited[name] = nil
            return .flows(kept.remove(at: index).flows)
        }
        guard readers.contains(where: { $0.segment == name }), awaited[name, default: 0] < Self.patience else {
            awaited[name] = nil
            return .unknown
        }
        awaited[name] = awaited[name] ?? 0
        return .notYetRead
    }

    /// Flows that no file continues.
    func takeEnded() -> [Flow] {
        let ended = kept.filter { $0.rounds > Self.patience }
        kept.removeAll { $0.rounds > Self.patience }
        return ended.flatMap(\.flows.unfinished)
    }
}

extension Flow {
    /// Flows are recorded when they end.
    fileprivate var order: Timestamp { ended ?? started }
}
