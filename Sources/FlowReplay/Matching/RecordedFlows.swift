// The flows of entries: in files by their place, in memory, and a cache of those that were used last.

import FlowArchive
import FlowModel

/// Reads flows.
struct RecordedFlows {
    /// The names of sources, and their files if flows are read from them by place.
    private var sources: [(name: String, file: ArchiveLookup?)] = []
    private var inMemory: [Flow] = []
    private var recent = RecentFlows()

    /// - Parameter file: nil: the flows of the source are kept in memory.
    mutating func addSource(_ name: String, _ file: ArchiveLookup?) -> RecordingSource {
        sources.append((name, file))
        return RecordingSource(sources.count - 1)
    }

    func name(of source: RecordingSource) -> String { Int(source) < sources.count ? sources[Int(source)].name : "" }

    mutating func keep(_ flow: Flow, from source: RecordingSource) -> EntryLocation {
        inMemory.append(flow)
        return EntryLocation(inMemory: inMemory.count - 1, from: source)
    }

    /// Reads a flow and remembers it.
    /// - Throws: if it cannot be read.
    mutating func flow(_ entry: Entry, at location: EntryLocation) throws -> Flow {
        if let index = location.index { return inMemory[index] }
        if let known = recent[entry] { return known }
        let flow = try read(location)
        recent.remember(flow, for: entry)
        return flow
    }

    /// Reads a flow that is needed once, so that it displaces no flow in the cache.
    /// - Throws: if it cannot be read.
    func read(_ location: EntryLocation) throws -> Flow {
        if let index = location.index { return inMemory[index] }
        guard let file = sources[Int(location.source)].file else { preconditionFailure("a place is in a file") }
        return try file.flow(at: location.place)
    }

    /// The response of a flow for a request. The plain case is the same for every request within a second, and is remembered.
    mutating func response(of entry: Entry, _ flow: Flow, for context: ResponseContext) -> EditedResponse? {
        let isPlain = !flow.isWebSocket && !context.request.isMethod("HEAD") && !context.request.fields.contains("range")
        guard isPlain, let recorded = flow.response?.started else { return flow.response(for: context) }
        let shift = context.keepsDates ? 0 : (context.now - recorded) / 1_000_000_000
        if let known = recent.response(of: entry, shiftedBy: shift) { return known }
        let response = flow.response(for: context)
        if let response { recent.remember(response, for: entry, shiftedBy: shift) }
        return response
    }
}

/// The flows that were used last, with what they have decompressed of their blocks.
private struct RecentFlows {
    /// A flow holds the details of its block and one chunk of its content, at most some hundreds of KiB.
    private static let capacity = 64

    private struct Recent {
        var flow: Flow
        var used: UInt64
        /// The plain response, and the seconds by which its dates are shifted.
        var response: (shift: Int64, edited: EditedResponse)?
    }

    private var flows: [Entry: Recent] = [:]
    private var clock: UInt64 = 0

    subscript(entry: Entry) -> Flow? {
        mutating get {
            clock += 1
            guard let index = flows.index(forKey: entry) else { return nil }
            flows.values[index].used = clock
            return flows.values[index].flow
        }
    }

    func response(of entry: Entry, shiftedBy shift: Int64) -> EditedResponse? {
        guard let known = flows[entry]?.response, known.shift == shift else { return nil }
        return known.edited
    }

    mutating func remember(_ response: EditedResponse, for entry: Entry, shiftedBy shift: Int64) {
        flows[entry]?.response = (shift, response)
    }

    mutating func remember(_ flow: Flow, for entry: Entry) {
        if flows.count >= Self.capacity, let oldest = flows.min(by: { $0.value.used < $1.value.used })?.key { flows[oldest] = nil }
        clock += 1
        flows[entry] = Recent(flow: flow, used: clock)
    }
}
