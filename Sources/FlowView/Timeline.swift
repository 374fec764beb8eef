// The overview of a list: how many flows there were at each time, by class of their status, and how many bytes.

/// Counts of a list over time.
package struct Timeline: Sendable, Equatable {
    /// What is counted apart.
    package enum Class: Int, Sendable, CaseIterable {
        /// No response, or no HTTP.
        case none
        case informational, success, redirection, clientError, serverError
        /// The flow failed, or was cut off with an error.
        case failure

        init(_ facts: FlowFacts) {
            self =
                if facts.state == .failed || (facts.marks.contains(.hasError) && facts.status == 0) {
                    .failure
                } else {
                    switch facts.status {
                    case 100..<200: .informational
                    case 200..<300: .success
                    case 300..<400: .redirection
                    case 400..<500: .clientError
                    case 500...: .serverError
                    default: .none
                    }
                }
        }
    }

    /// Nanoseconds since 1970: when the first flow started, and when the last one started.
    package var from: Int64
    package var to: Int64
    /// Flows that started in each bucket, by class.
    package var counts: [[Int]]
    /// Bytes of both sides.
    package var bytes: [Int64]

    /// - Returns: nil for a list without flows.
    package init?(_ list: FlowList, buckets: Int) {
        let (found, facts) = list.members
        func forEach(_ body: (FlowFacts) -> Void) {
            if let found { found.forEach { body(facts[$0]) } } else { facts.forEach(0..<facts.count) { body($1) } }
        }
        var (from, to) = (Int64.max, Int64.min)
        forEach { facts in
            from = min(from, facts.started)
            to = max(to, facts.started)
        }
        guard from <= to, buckets > 0 else { return nil }
        let width = UInt64(max(1, (to - from) / Int64(buckets) + 1))
        let classes = Class.allCases.count
        var counts = Array(repeating: 0, count: buckets * classes)
        var bytes = Array(repeating: Int64(0), count: buckets)
        forEach { facts in
            let bucket = Int(UInt64(facts.started - from) / width)
            counts[bucket * classes + Class(facts).rawValue] += 1
            bytes[bucket] &+= facts.size
        }
        (self.from, self.to, self.bytes) = (from, to, bytes)
        self.counts = (0..<buckets).map { Array(counts[$0 * classes..<($0 + 1) * classes]) }
    }
}
