// The recordings that are served. A reload makes others and puts them in the place of these; exchanges in progress keep theirs.

import FlowReplay
import Synchronization

/// Recordings with the turns of their requests, shared by all sessions.
final class Recordings: Sendable {
    struct State {
        var index: RecordingIndex
        fileprivate var rules: RecordedRules
        /// Sentences about rules of redaction, for the log.
        fileprivate var notices: [String] = []
        /// How often each TCP stream was replayed.
        var played: [Int: Int] = [:]
    }

    let state: Mutex<State>

    init(_ index: RecordingIndex, _ rules: RecordedRules) { state = Mutex(State(index: index, rules: rules)) }

    /// Takes rules of redaction that a recording names.
    /// - Parameters:
    ///   - named: all that it has named so far; `count` of them were taken before.
    func add(redactionRules named: [String], after count: Int, by source: String) {
        state.withLock { state in
            var notices: [String] = []
            for redaction in state.rules.redactions(named: named, after: count, by: source, warn: { notices.append($0) }) {
                state.index.add(redaction)
            }
            state.notices += notices
        }
    }

    /// The sentences since the last call.
    func takeNotices() -> [String] {
        state.withLock { state in
            defer { state.notices = [] }
            return state.notices
        }
    }

    var counts: (requests: Int, streams: Int) { state.withLock { ($0.index.count, $0.index.streams.count) } }
    var flows: UInt64 { state.withLock { UInt64($0.index.count + $0.index.streams.count) } }
}

/// The current recordings, and what was done with all that were served.
final class ServedRecordings: Sendable {
    struct Totals {
        var answered = 0
        var missed = 0
        var faults = 0
        var streams = 0
        /// Something could not be read.
        var isDamaged = false
    }

    private let recordings: Mutex<Recordings>
    let totals = Mutex(Totals())

    init(_ recordings: Recordings) { self.recordings = Mutex(recordings) }

    var current: Recordings { recordings.withLock { $0 } }

    func replace(with others: Recordings) { recordings.withLock { $0 = others } }
}
