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
    private let reader: ArchiveReader
    /// What ``ArchiveReader/finish()`` found, in reverse order; nil before the end.
    private var rest: [ArchiveItem]?

    /// What could not be read so far. Reading continues after it.
    public private(set) var damage: [Damage] = []

    /// Opens a file.
    /// - Parameters:
    ///   - path: a flow file. It may be one that a recorder is writing.
    ///   - filter: only flows that match are returned; nil returns all.
    /// - Throws: `.system` if the file cannot be opened. Whether it is a flow file is checked by the first ``next()``.
    public init(path: String, where filter: Filter? = nil) throws(FlowFileError) {
        do {
            reader = try ArchiveReader(path: path, where: Selection(filter: filter?.filter))
        } catch { throw FlowFileError(error) }
    }

    /// Reads an open file descriptor, such as a pipe, once. Content that is still needed is kept in a temporary file without a name.
    /// - Parameters:
    ///   - descriptor: stays open and stays the caller's.
    ///   - name: names the input in errors.
    public init(descriptor: Int32, name: String, where filter: Filter? = nil) {
        reader = ArchiveReader(descriptor: descriptor, name: name, where: Selection(filter: filter?.filter))
    }

    /// - Returns: the next flow; nil after the last one.
    /// - Throws: `.notAFlowFile`, `.unsupportedVersion` or `.system` if reading cannot continue, `.other` if the filter fails.
    public func next() throws(FlowFileError) -> Flow? {
        do {
            while let item = try nextItem() {
                switch item {
                case .flow(let flow): return Flow(flow)
                case .damage(let found): damage.append(Damage(found))
                case .stored: break
                }
            }
            return nil
        } catch { throw FlowFileError(error) }
    }

    private func nextItem() throws -> ArchiveItem? {
        if rest == nil {
            if let item = try reader.next() { return item }
            rest = try reader.finish().reversed()
        }
        return rest?.popLast()
    }

    /// Reads all flows that are left.
    /// - Parameter body: is given one flow at a time.
    /// - Throws: what ``next()`` throws, and what `body` throws.
    public func forEach(_ body: (Flow) throws -> Void) throws {
        while let flow = try next() { try body(flow) }
    }
}

/// Flows that a filter lets through; all without one.
private struct Selection: FlowPredicate {
    let filter: FlowFilter?

    func matches(_ flow: some FlowAttributes) throws -> Bool { try filter?.matches(flow) ?? true }
    func mayMatch(_ block: some BlockSummary) -> Bool { filter?.mayMatch(block) ?? true }
}
