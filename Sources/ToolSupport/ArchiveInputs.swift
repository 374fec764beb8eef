// The inputs of a tool: files, directories of flow files, stdin. Their first bytes decide how they are read.

import FlowArchive
import FlowModel
import ForeignArchives
import Glibc
import NIOCore

/// One thing to read.
package struct ArchiveSource: Sendable {
    package enum Place: Sendable, Hashable {
        case file(String)
        case standardInput
    }

    package let place: Place
    /// What is read of a flow file; nil is everything.
    package var range: ArchiveRange?
    /// Decrypt it if it is encrypted.
    private let keys: ArchiveKeys
    /// It is open: its name may lead to another file by now.
    private let lookup: ArchiveLookup?

    private init(_ place: Place, _ keys: ArchiveKeys, _ lookup: ArchiveLookup? = nil) {
        self.place = place
        self.keys = keys
        self.lookup = lookup
    }

    /// A flow file that is open.
    package static func file(_ lookup: ArchiveLookup) -> ArchiveSource { ArchiveSource(.file(lookup.path), ArchiveKeys(), lookup) }

    package static func file(_ path: String, keys: ArchiveKeys = ArchiveKeys()) -> ArchiveSource {
        ArchiveSource(.file(path), keys)
    }
    package static func standardInput(keys: ArchiveKeys) -> ArchiveSource { ArchiveSource(.standardInput, keys) }

    package var isStandardInput: Bool { place == .standardInput }

    /// The name in the file system; nil for standard input.
    package var path: String? {
        guard case .file(let path) = place else { return nil }
        return path
    }

    package var name: String {
        switch place {
        case .file(let path): path
        case .standardInput: "standard input"
        }
    }

    /// Opens it to describe its structure.
    /// - Parameter counts: count flows for the summary.
    package func structure(verifies: Bool, counts: Bool = false) throws(ArchiveError) -> ArchiveStructure {
        try ArchiveStructure(try input(), verifies: verifies, counts: counts)
    }

    /// Opens it as the format that its first bytes show.
    /// - Parameter beforeWaiting: called before waiting for a pipe.
    package func openAny(beforeWaiting: (() -> Void)? = nil) throws(ArchiveError) -> OpenedSource {
        let input = try input()
        input.beforeWaiting = beforeWaiting
        let sniffed = try ForeignFormat.sniff { size throws(ArchiveError) in try input.peekUpTo(size) }
        guard let format = sniffed else { return .archive(input) }
        return .foreign(ForeignSource(input: input, name: name, format: format))
    }

    /// Checks a file before it is read.
    /// - Throws: why it cannot be read: it cannot be opened, or does not begin like a file that is read.
    package func check() throws(ArchiveError) {
        guard case .archive(let input) = try openAny() else { return }
        try input.checkBeginning()
    }

    /// Opens it to be read from its beginning.
    package func input() throws(ArchiveError) -> ArchiveInput {
        if let lookup { return try lookup.input() }
        switch place {
        case .file(let path):
            guard !isDirectory(path) else {
                throw ArchiveError(.system(EISDIR), "there is no .mflow file in the directory \(path)")
            }
            return try ArchiveInput(path: path, keys: keys)
        case .standardInput: return ArchiveInput(descriptor: 0, name: name, keys: keys)
        }
    }
}

extension ArchiveSource: Hashable {
    package static func == (one: ArchiveSource, other: ArchiveSource) -> Bool { one.place == other.place }
    package func hash(into hasher: inout Hasher) { hasher.combine(place) }
}

/// A source that is ready to be read.
package enum OpenedSource {
    case archive(ArchiveInput)
    case foreign(ForeignSource)

    /// It is a flow file on a disk.
    fileprivate var canBeReadAgain: Bool {
        switch self {
        case .archive(let input): input.canBeReadAgain
        case .foreign: false
        }
    }
}

/// What command-line arguments stand for: `-` is stdin, a directory its `.mflow` and `.mflow.age` files, at any depth, in the order of their names; without
/// arguments it is stdin. A directory without flow files stands for itself, which cannot be opened. A name that mitm-record was given, with
/// conversions of strftime(3), stands for the files that have such names.
/// - Parameter keys: decrypt the files that are encrypted.
/// - Throws: ``ToolError`` for a terminal as stdin.
package func archiveSources(_ arguments: [FilePath], keys: ArchiveKeys = ArchiveKeys()) throws -> [ArchiveSource] {
    if arguments.isEmpty, isTerminal(0) { throw ToolError("there is nothing to read; name a flow file, or pipe one in") }
    guard !arguments.isEmpty else { return [.standardInput(keys: keys)] }
    var sources: [ArchiveSource] = []
    // A shell sorts `a-00001.mflow` before `a.mflow`.
    for argument in inRecordedOrder(arguments) {
        let path = argument.path
        if argument.isStandard {
            sources.append(.standardInput(keys: keys))
        } else if isDirectory(path) {
            let files = flowFiles(in: path)
            let directory = path.hasSuffix("/") ? path : path + "/"
            sources += files.isEmpty ? [.file(path, keys: keys)] : files.map { .file(directory + $0, keys: keys) }
        } else {
            let rotated = rotatedFiles(path)
            sources += rotated.isEmpty ? [.file(path, keys: keys)] : rotated.map { .file($0, keys: keys) }
        }
    }
    return sources
}

package func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe FileName.withCString(path) { unsafe stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Reads sources one after the other: flow files, and files of other programs in their place.
package struct ArchiveSequence<Predicate: FlowPredicate> {
    private let sources: [ArchiveSource]
    private let predicate: Predicate
    private let jobs: Int
    private let delivery: FlowDelivery
    /// Flows that were let through and only counted.
    package private(set) var counted = 0
    /// A source was damaged, or its end torn.
    package private(set) var isDamaged = false
    /// Sources that could be read, and whether one could not.
    package private(set) var sourcesRead = 0
    package private(set) var hasFailed = false
    /// Called before waiting for a pipe, so results can be written. An error that it throws ends the reading.
    package var beforeWaiting: (() throws -> Void)?
    /// Called before waiting for a pipe, with each open flow that has new pieces, and those pieces.
    package var news: ((Flow) throws -> Void)?
    /// With ``FlowDelivery/stored``: receives flows that can be copied as they are stored; returns false to stop.
    package var stored: ((StoredFlow) throws -> Bool)?
    /// With ``FlowDelivery/records``: receives flows where they are stored; returns false to stop.
    package var record: ((RecordView) throws -> Bool)?
    /// Changes the flows that are returned; with it none is copied as it is stored, and none is returned as a record.
    package var redaction: RecordingRedaction?
    /// Receives rules of redaction that a flow file names, before the flows that come after them.
    package var namedRules: (([String]) -> Void)?
    /// Follows the reading, and may end it.
    package var observer: ReadingObserver?
    private let skipsUnreadable: Bool
    private let isQuiet: Bool
    private let carried = CarriedFlows()

    /// - Parameters:
    ///   - jobs: threads that search flow files. Flows come in the order of the files, whatever their number.
    ///   - delivery: whether flows that can be counted without being decoded are returned, or only counted in ``counted``.
    ///   - skipsUnreadable: a source that cannot be read is reported, and the others are read; otherwise it is an error.
    ///   - isQuiet: of what is reported only sources that cannot be read are; ``isDamaged`` tells of damage.
    package init(
        _ sources: [ArchiveSource], where predicate: Predicate, jobs: Int = 1, delivery: FlowDelivery = .flows,
        skipsUnreadable: Bool = false, isQuiet: Bool = false
    ) {
        self.skipsUnreadable = skipsUnreadable
        self.isQuiet = isQuiet
        self.sources = sources
        self.jobs = jobs
        self.delivery = delivery
        self.predicate = predicate
    }

    /// Goes through all flows that the predicate lets through.
    /// - Parameters:
    ///   - begin: called with each source that could be read, before its first flow that is let through, or at its end; a flow file that is
    ///     not a pipe can be read again.
    ///   - damage: receives each damage, each source that is empty or could not be read, and what of another program's file was left out,
    ///     in one sentence with the source's name.
    ///   - flow: returns false to stop.
    /// - Throws: errors of opening and reading; errors of the closures.
    package mutating func forEach(
        begin: (_ source: ArchiveSource, _ canBeReadAgain: Bool) throws -> Void = { _, _ in }, damage: (String) -> Void,
        flow: (Flow) throws -> Bool
    ) throws {
        let user = FlowUser()
        let isQuiet = isQuiet
        func note(_ sentence: String) {
            if !isQuiet { damage(sentence) }
        }
        observer?.begin(sources)
        defer { observer?.end() }
        for (index, source) in sources.enumerated() {
            let isLast = index == sources.count - 1
            do {
                observer?.begin(source)
                let opened = try source.openAny(beforeWaiting: user.beforeWaiting(beforeWaiting))
                if case .archive(let input) = opened, try input.peekUpTo(1) == nil { note("\(source.name) is empty") }
                var hasBegun = false
                func beginOnce() throws {
                    guard !hasBegun else { return }
                    hasBegun = true
                    try begin(source, opened.canBeReadAgain)
                }
                let goesOn = try read(opened, source.name, source.range, isLast: isLast, user, note, beginOnce, flow)
                sourcesRead += 1
                guard goesOn else { break }
                // A source without such a flow was read too.
                let hasOutput = try user.goesOn {
                    try beginOnce()
                    return true
                }
                guard hasOutput, observer?.signal == nil else { break }
            } catch  where skipsUnreadable && (error is ArchiveError || error is ToolError) {
                hasFailed = true
                damage("\(error)")
            }
        }
        // The sources after it could not be read.
        if user.error == nil { _ = try endCarried(user, note, flow) }
        if let error = user.error { throw error }
    }

    private mutating func read(
        _ opened: OpenedSource, _ name: String, _ range: ArchiveRange?, isLast: Bool, _ user: FlowUser, _ damage: (String) -> Void,
        _ begin: () throws -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        switch opened {
        case .archive(let input):
            if range != nil { try input.checkRanges() }
            let reader = ArchiveReader(
                input, where: predicate, jobs: jobs, delivery: delivery, range: range, meter: observer?.meter ?? ReadingMeter())
            if let observer { reader.beforeBlock = { [unowned reader] in observer.mayContinue(at: reader.offset) } }
            reader.beforeWaiting = user.beforeWaiting(tellNews(of: reader))
            reader.predecessor = { [carried] in carried.take($0).map { .flows($0) } ?? .unknown }
            if range != nil { recordedFiles(around: name, meter: reader.meter).join(reader) }
            return try readArchive(reader, name, isLast: isLast, user, damage, begin, flow)
        case .foreign(var foreign):
            guard range == nil else { throw ToolError("\(name) is not a flow file, so it has no ranges; read it as a whole") }
            guard try endCarried(user, damage, flow) else { return false }
            foreign.beforeWaiting = user.beforeWaiting(beforeWaiting)
            if let observer {
                foreign.beforeFlow = { offset in
                    observer.meter.noteForeignFlow()
                    return observer.mayContinue(at: offset)
                }
            }
            defer { isDamaged = isDamaged || foreign.isDamaged }
            return try foreign.forEach(where: predicate, damage: damage) { found in
                try user.goesOn {
                    try begin()
                    return try flow(redacted(found))
                }
            }
        }
    }

    private func tellNews(of reader: ArchiveReader) -> (() throws -> Void)? {
        guard let news else { return beforeWaiting }
        return { [unowned reader, beforeWaiting, redaction] in
            for flow in reader.takeNewPieces() { try news(redaction?.redact(news: flow) ?? flow) }
            try beforeWaiting?()
        }
    }

    private mutating func readArchive(
        _ reader: ArchiveReader, _ name: String, isLast: Bool, _ user: FlowUser, _ damage: (String) -> Void,
        _ begin: () throws -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        defer { counted += reader.counted }
        // Damage in the content of flows is known after they have been used.
        func tellFound() {
            for found in reader.takeFoundDamage() {
                isDamaged = true
                damage("\(name): \(found)")
            }
        }
        defer { tellFound() }
        var rules = 0
        func noteRules() {
            guard reader.redactionRules.count > rules else { return }
            rules = reader.redactionRules.count
            namedRules?(reader.redactionRules)
        }
        defer { noteRules() }
        while let item = try reader.next() {
            noteRules()
            guard try endCarried(user, damage, flow), try take(item, name, user, damage, begin, flow) else { return false }
        }
        for item in try reader.finish(keepsOpen: !isLast) {
            guard try endCarried(user, damage, flow), try take(item, name, user, damage, begin, flow) else { return false }
        }
        guard try endCarried(user, damage, flow) else { return false }
        if !isLast { carried.keep(reader.takeOpenFlows(), of: name) }
        return true
    }

    /// Ends flows of an earlier source that do not continue in the current one.
    private mutating func endCarried(
        _ user: FlowUser, _ damage: (String) -> Void, _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        guard let (flows, name) = carried.takeAll() else { return true }
        let (predicate, redacted) = (predicate, redacted)
        for found in flows.unfinished {
            let proceeds = try use(name, user, damage) { try predicate.matches(found) ? flow(redacted(found)) : true }
            guard proceeds else { return false }
        }
        return true
    }

    private mutating func take(
        _ item: ArchiveItem, _ name: String, _ user: FlowUser, _ damage: (String) -> Void, _ begin: () throws -> Void,
        _ flow: (Flow) throws -> Bool
    ) throws -> Bool {
        switch item {
        case .damage(let found):
            isDamaged = true
            damage("\(name): \(found)")
            return true
        case .flow(let found):
            let redacted = redacted
            return try use(name, user, damage) {
                try begin()
                return try flow(redacted(found))
            }
        case .stored(let found):
            let (stored, redacted) = (redaction == nil ? stored : nil, redacted)
            return try use(name, user, damage) {
                try begin()
                return try stored?(found) ?? flow(redacted(found.flow()))
            }
        case .record(let found):
            let record = record
            return try use(name, user, damage) {
                try begin()
                return try record?(found) ?? true
            }
        }
    }

    private func redacted(_ flow: Flow) throws -> Flow { try redaction?.redact(flow) ?? flow }

    private mutating func use(
        _ name: String, _ user: FlowUser, _ damage: (String) -> Void, _ body: () throws -> Bool
    ) throws -> Bool {
        do {
            return try user.goesOn(body)
        } catch let error as ArchiveError where error.kind == .damagedContent {
            isDamaged = true
            damage("\(name): \(error)")
            return true
        }
    }
}

/// Flows that are open at the end of a source, until the next one continues them or has begun without them.
private final class CarriedFlows {
    private var kept: (flows: OpenFlows, name: String)?

    func keep(_ flows: OpenFlows?, of name: String) { kept = flows.map { ($0, name) } }

    /// - Returns: nil when they are not of this segment.
    func take(_ segment: Timestamp) -> OpenFlows? {
        guard let flows = kept?.flows, flows.segment == segment else { return nil }
        kept = nil
        return flows
    }

    func takeAll() -> (flows: OpenFlows, name: String)? {
        defer { kept = nil }
        return kept
    }
}

/// Keeps the errors of the code that uses flows apart from the errors of the source.
private final class FlowUser {
    private(set) var error: (any Error)?

    /// Called before waiting for a pipe, unless there was an error.
    func beforeWaiting(_ waits: (() throws -> Void)?) -> (() -> Void)? {
        guard let waits else { return nil }
        return { [self] in
            guard error == nil else { return }
            do { try waits() } catch { self.error = error }
        }
    }

    /// - Returns: false when there was an error.
    /// - Throws: errors of damaged content, which belong to the source.
    func goesOn(_ body: () throws -> Bool) throws -> Bool {
        guard error == nil else { return false }
        do { return try body() } catch let error as ArchiveError where error.kind == .damagedContent { throw error } catch {
            self.error = error
            return false
        }
    }
}
