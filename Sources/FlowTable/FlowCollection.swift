// Statistics are computed where flows are found: on the threads that search the blocks of a file, from records in their place.

import FlowModel
import Glibc
import Synchronization

/// A result that grows by flows, and by the results of other threads.
package protocol FlowAccumulator: Sendable {
    mutating func add(_ flow: some FlowAttributes)
    mutating func merge(_ other: Self)
}

/// Takes flows from several threads.
package final class FlowCollection<Result: FlowAccumulator>: Sendable {
    /// Threads that add at the same time without waiting for each other.
    private static var count: Int { 16 }

    private final class Part: Sendable {
        let result: Mutex<Result>

        init(_ empty: Result) { result = Mutex(empty) }
    }

    private let empty: Result
    private let parts: [Part]
    private let isUsed = Atomic<Bool>(false)

    /// - Parameter empty: a result without flows.
    package init(_ empty: Result) {
        self.empty = empty
        parts = (0..<Self.count).map { _ in Part(empty) }
    }

    package func add(_ flow: some FlowAttributes) {
        // A thread begins with a part of its own, which is almost always free.
        let first = Int(truncatingIfNeeded: UInt64(pthread_self()) &* 0x9E37_79B9_7F4A_7C15 &>> 60)
        for distance in 0..<Self.count {
            let part = parts[(first &+ distance) % Self.count]
            if part.result.withLockIfAvailable({ $0.add(flow) }) != nil { return }
        }
        parts[first].result.withLock { $0.add(flow) }
    }

    /// The sources have flows, whether or not they were added.
    package var hasSeenFlows: Bool { isUsed.load(ordering: .relaxed) }

    fileprivate func noteFlows() {
        if !hasSeenFlows { isUsed.store(true, ordering: .relaxed) }
    }

    /// The result of all flows that were added.
    package var result: Result {
        var result = empty
        for part in parts { part.result.withLock { result.merge($0) } }
        return result
    }
}

/// A predicate that notes that there are flows. Those that it lets through are added by the reader of them.
package struct NotingPredicate<Base: FlowPredicate, Result: FlowAccumulator>: FlowPredicate {
    private let base: Base
    private let collection: FlowCollection<Result>

    package init(_ base: Base, in collection: FlowCollection<Result>) {
        self.base = base
        self.collection = collection
    }

    package func matches(_ flow: some FlowAttributes) throws -> Bool {
        collection.noteFlows()
        return try base.matches(flow)
    }

    package func mayMatch(_ block: some BlockSummary) -> Bool {
        let mayMatch = base.mayMatch(block)
        if !mayMatch { collection.noteFlows() }
        return mayMatch
    }

    package func forBlock() -> NotingPredicate { NotingPredicate(base.forBlock(), in: collection) }
}

/// A predicate that also adds each flow that it lets through. A reader evaluates it once for each flow.
package struct CollectingPredicate<Base: FlowPredicate, Result: FlowAccumulator>: FlowPredicate {
    private let base: NotingPredicate<Base, Result>
    private let collection: FlowCollection<Result>

    package init(_ base: Base, into collection: FlowCollection<Result>) {
        self.init(NotingPredicate(base, in: collection), collection)
    }

    private init(_ base: NotingPredicate<Base, Result>, _ collection: FlowCollection<Result>) {
        self.base = base
        self.collection = collection
    }

    package func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard try base.matches(flow) else { return false }
        collection.add(flow)
        return true
    }

    package func mayMatch(_ block: some BlockSummary) -> Bool { base.mayMatch(block) }
    package func forBlock() -> CollectingPredicate { CollectingPredicate(base.forBlock(), collection) }
}
