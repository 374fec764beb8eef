// Reads flow files.

internal import FlowArchive
internal import FlowFilter
internal import FlowModel

/// Reads the flows of a file from its beginning to its end, in the order in which they ended; flows that have not ended come last.
///
/// ```swift
/// let reader = try FlowFileReader(path: "capture.mflow", where: Filter("~c 500"))
/// while let flow = try reader.next() { print(flow.url ?? "-") }
/// for damage in reader.damage { print(damage) }
/// ```
///
/// Memory stays small whatever the file's size: content is fetched from the file when it is asked for. With a filter, blocks of the file
/// that cannot hold a matching flow are not decompressed. A reader belongs to one task at a time.
public final class FlowFileReader {
    private var reader: ArchiveReader
    /// Files that follow the one that is being read.
    private var waiting: ArraySlice<String> = []
    private let filter: FlowFilter?
    /// Flows that were open at the end of the file before, until this one continues them or has begun without them.
    private let continued = ContinuedFlows()
    /// What was found and not returned yet, in reverse order.
    private var ready: [ArchiveItem] = []
    private var isAtEnd = false

    /// What could not be read so far. Reading continues after it.
    public private(set) var damage: [Damage] = []

    /// The rules of redaction that the files name, as far as they are read: those by which the recorder, or a tool that copied the flows,
    /// hid values. Give them to ``FlowFileWriter/add(redactionRules:)`` when flows are copied.
    public var redactionRules: [String] { rulesOfEarlierFiles + reader.redactionRules.filter { !rulesOfEarlierFiles.contains($0) } }
    private var rulesOfEarlierFiles: [String] = []

    /// Opens a file.
    /// - Parameters:
    ///   - path: a flow file. It may be one that a recorder is writing.
    ///   - filter: only flows that match are returned; nil returns all.
    /// - Throws: `.system` if the file cannot be opened. Whether it is a flow file is checked by the first ``next()``.
    public init(path: String, where filter: Filter? = nil) throws(FlowFileError) {
        do {
            reader = try ArchiveReader(path: path, where: Selection(filter: filter?.filter))
        } catch { throw FlowFileError(error) }
        self.filter = filter?.filter
    }

    /// Opens the files of a recording that rotates. A flow that was open when a file was sealed continues in the next one; it is returned
    /// once, where it ended.
    /// - Parameters:
    ///   - paths: flow files, in their order; at least one.
    ///   - filter: only flows that match are returned; nil returns all.
    /// - Throws: `.system` if the first file cannot be opened; a later one is opened by ``next()``.
    public convenience init(paths: [String], where filter: Filter? = nil) throws(FlowFileError) {
        guard let first = paths.first else { throw FlowFileError(.other, "there is no file to read: the list of paths is empty") }
        try self.init(path: first, where: filter)
        waiting = paths.dropFirst()
    }

    /// Reads an open file descriptor, such as a pipe, once. Content that is still needed is kept in a temporary file without a name.
    /// - Parameters:
    ///   - descriptor: stays open and stays the caller's.
    ///   - name: names the input in errors.
    public init(descriptor: Int32, name: String, where filter: Filter? = nil) {
        reader = ArchiveReader(descriptor: descriptor, name: name, where: Selection(filter: filter?.filter))
        self.filter = filter?.filter
    }

    /// - Returns: the next flow; nil after the last one.
    /// - Throws: `.notAFlowFile`, `.unsupportedVersion` or `.system` if reading cannot continue, `.other` if the filter fails.
    public func next() throws(FlowFileError) -> Flow? {
        do {
            while let item = try nextItem() {
                switch item {
                case .flow(let flow): return Flow(flow)
                case .damage(let found): damage.append(Damage(found))
                case .stored, .record: break
                }
            }
            return nil
        } catch { throw FlowFileError(error) }
    }

    private func nextItem() throws -> ArchiveItem? {
        while ready.isEmpty, !isAtEnd { ready = try nextItems().reversed() }
        return ready.popLast()
    }

    /// - Returns: what comes next, perhaps nothing at the end of a file.
    private func nextItems() throws -> [ArchiveItem] {
        if let item = try reader.next() { return try endContinued() + [item] }
        let rest = try reader.finish(keepsOpen: !waiting.isEmpty)
        let items = try endContinued() + rest
        guard let path = waiting.popFirst() else {
            isAtEnd = true
            return items
        }
        continued.flows = reader.takeOpenFlows()
        rulesOfEarlierFiles = redactionRules
        reader = try ArchiveReader(path: path, where: Selection(filter: filter))
        reader.predecessor = { [continued] in continued.take($0) }
        return items
    }

    /// Flows that the current file does not continue.
    private func endContinued() throws -> [ArchiveItem] {
        guard let flows = continued.flows else { return [] }
        continued.flows = nil
        return try flows.unfinished.filter { try filter?.matches($0) ?? true }.map { .flow($0) }
    }

    /// Reads all flows that are left.
    /// - Parameter body: is given one flow at a time.
    /// - Throws: what ``next()`` throws, and what `body` throws.
    public func forEach(_ body: (Flow) throws -> Void) throws {
        while let flow = try next() { try body(flow) }
    }
}

/// Shared by a reader and the one of the next file.
private final class ContinuedFlows {
    var flows: OpenFlows?

    func take(_ segment: FlowModel.Timestamp) -> Predecessor {
        guard let flows, flows.segment == segment else { return .unknown }
        self.flows = nil
        return .flows(flows)
    }
}

/// Flows that a filter lets through; all without one.
private struct Selection: FlowPredicate {
    let filter: FlowFilter?

    func matches(_ flow: some FlowAttributes) throws -> Bool { try filter?.matches(flow) ?? true }
    func mayMatch(_ block: some BlockSummary) -> Bool { filter?.mayMatch(block) ?? true }
}
