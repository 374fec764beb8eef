// The timers of one event loop's sessions: a binary heap of deadlines in which every entry knows its place, so that a session is
// added, moved and removed in logarithmic time however many there are.

import FlowModel

/// An object with a place in a ``DeadlineHeap``.
protocol DeadlineHolder: AnyObject {
    /// When it is due. Only the heap changes it.
    var heapDeadline: Timestamp { get set }
    /// Its place in the heap; nil if it is not in a heap. Only the heap changes it.
    var heapIndex: Int? { get set }
}

/// A priority queue of objects, the earliest deadline first.
struct DeadlineHeap<Holder: DeadlineHolder> {
    private var holders: [Holder] = []

    var earliest: Timestamp? { holders.first?.heapDeadline }

    /// Adds a holder, or moves it to another deadline.
    mutating func set(_ holder: Holder, to deadline: Timestamp) {
        let index: Int
        if let known = holder.heapIndex {
            index = known
        } else {
            index = holders.count
            holders.append(holder)
            holder.heapIndex = index
        }
        holder.heapDeadline = deadline
        siftDown(siftUp(index))
    }

    /// Removes a holder, if it is there.
    mutating func remove(_ holder: Holder) {
        guard let index = holder.heapIndex else { return }
        holder.heapIndex = nil
        let last = holders.removeLast()
        guard last !== holder else { return }
        place(last, at: index)
        siftDown(siftUp(index))
    }

    /// Removes and returns the first holder whose deadline has come.
    mutating func popDue(at now: Timestamp) -> Holder? {
        guard let first = holders.first, first.heapDeadline <= now else { return nil }
        remove(first)
        return first
    }

    private mutating func place(_ holder: Holder, at index: Int) {
        holders[index] = holder
        holder.heapIndex = index
    }

    private mutating func siftUp(_ start: Int) -> Int {
        var index = start
        let holder = holders[index]
        while index > 0 {
            let parent = (index - 1) / 2
            guard holder.heapDeadline < holders[parent].heapDeadline else { break }
            place(holders[parent], at: index)
            index = parent
        }
        place(holder, at: index)
        return index
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        let holder = holders[index]
        while true {
            var child = 2 * index + 1
            guard child < holders.count else { break }
            if child + 1 < holders.count, holders[child + 1].heapDeadline < holders[child].heapDeadline { child += 1 }
            guard holders[child].heapDeadline < holder.heapDeadline else { break }
            place(holders[child], at: index)
            index = child
        }
        place(holder, at: index)
    }
}
