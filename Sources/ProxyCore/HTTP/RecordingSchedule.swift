// Which recorded servers of a client continue, and when: those that received data of their client, and those that are due.

import FlowModel

/// The turns of recorded servers. Finding the next one takes logarithmic time.
struct RecordingSchedule {
    private var woken: [Exchange] = []
    /// A binary heap by time, and for one time in the order in which they were added. Entries whose server waits for something else by now
    /// are skipped.
    private var due: [(moment: Timestamp, number: UInt64, exchange: Exchange)] = []
    private var count: UInt64 = 0

    /// Some can continue without an event.
    var hasWoken: Bool { !woken.isEmpty }

    /// The server got something from its client, or may send more to it.
    mutating func wake(_ exchange: Exchange) { woken.append(exchange) }

    /// The server continues at a moment.
    mutating func add(_ exchange: Exchange, at moment: Timestamp) {
        count += 1
        due.append((moment, count, exchange))
        var child = due.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            due.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes those that continue now.
    mutating func take(at now: Timestamp) -> [Exchange] {
        var exchanges = woken
        woken.removeAll(keepingCapacity: true)
        while let first = due.first, first.moment <= now {
            removeFirst()
            if waits(first) { exchanges.append(first.exchange) }
        }
        return exchanges
    }

    /// The moment of the next one.
    mutating func next() -> Timestamp? {
        while let first = due.first {
            if waits(first) { return first.moment }
            removeFirst()
        }
        return nil
    }

    private func waits(_ entry: (moment: Timestamp, number: UInt64, exchange: Exchange)) -> Bool {
        entry.exchange.server?.recorded?.waiting == .moment(entry.moment)
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        due[a].moment == due[b].moment ? due[a].number < due[b].number : due[a].moment < due[b].moment
    }

    private mutating func removeFirst() {
        due.swapAt(0, due.count - 1)
        due.removeLast()
        var parent = 0
        while true {
            var first = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < due.count && isBefore(child, first) { first = child }
            if first == parent { return }
            due.swapAt(parent, first)
            parent = first
        }
    }
}
