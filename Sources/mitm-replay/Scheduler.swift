// Begins connections when they are due and the limit allows it, on its own thread. If a server closes a connection early, another
// connection sends the rest.

import FlowModel
import FlowReplay
import Foundation
import ProxyCore
import ProxyTransport
import Synchronization

/// Replays a plan, once or several times.
final class Scheduler: Sendable {
    struct Options: Sendable {
        var schedule = ReplaySchedule.recorded(.recorded)
        /// The speed of messages within a conversation; nil: as fast as possible.
        var speed: Double?
        var waitsForServer = false
        var concurrency = Int.max
        var rounds = 1
        /// Nanoseconds after which nothing more is begun; nil: rounds decide.
        var duration: Int64?
        var responseTimeout: Int64 = 10_000_000_000
    }

    /// The key of connections that share a configuration.
    private struct Server: Hashable {
        var wireProtocol: ReplayProtocol
        var target: FlowTarget
        var isHTTP2: Bool

        init(_ connection: ReplayPlan.Connection) {
            (wireProtocol, target, isHTTP2) = (connection.wireProtocol, connection.target, connection.isHTTP2Server)
        }
    }

    private struct State {
        /// The indices of connections in progress.
        var active: Set<Int> = []
        /// Steps that another connection must send.
        var rests: [(connection: Int, steps: [ReplayStep])] = []
        var isStopped = false
        /// The time of the replay is over.
        var isOver = false
        /// When everything was sent and answered; nil: not yet.
        var end: Timestamp?
        var unsent = 0
    }

    private let plan: ReplayPlan
    private let options: Options
    private let server: ProxyServer
    private let comparer: ResponseComparer
    private let clock: RecorderClock
    private let first: Timestamp
    private let configurations: [Server: ProxyConfiguration]
    private let state = Mutex(State())
    private let changed = DispatchSemaphore(value: 0)

    init(
        _ plan: ReplayPlan, options: Options, server: ProxyServer, comparer: ResponseComparer, clock: RecorderClock,
        configuration: (ReplayPlan.Connection) -> ProxyConfiguration
    ) {
        self.plan = plan
        self.options = options
        self.server = server
        self.comparer = comparer
        self.clock = clock
        first = plan.times(of: 0).started
        var configurations: [Server: ProxyConfiguration] = [:]
        for connection in plan.connections where configurations[Server(connection)] == nil {
            configurations[Server(connection)] = configuration(connection)
        }
        self.configurations = configurations
    }

    var isDone: Bool { end != nil }

    /// When everything was sent and answered, or the replay was stopped; nil: not yet.
    var end: Timestamp? { state.withLock { $0.end } }

    /// The time of the replay is over, and connections may still be open.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// The number of flows that were not sent before the replay was stopped. Without a number of rounds there is none.
    var unsent: Int { state.withLock { options.duration == nil ? $0.unsent : 0 } }

    func start() {
        let thread = Thread { self.run() }
        thread.name = "scheduler"
        thread.start()
    }

    /// Begins no more connections.
    func stop() {
        state.withLock { $0.isStopped = true }
        changed.signal()
    }

    private func run() {
        let end = options.duration.map { clock.now().advanced(byNanoseconds: $0) }
        for round in 0..<options.rounds where !playRound(until: end) {
            let left = plan.flowCount.multipliedReportingOverflow(by: options.rounds - round - 1)
            state.withLock { $0.unsent += left.overflow ? 0 : left.partialValue }
            break
        }
        state.withLock { $0.end = clock.now() }
    }

    /// - Returns: false if it was stopped, or its time is over.
    private func playRound(until end: Timestamp?) -> Bool {
        let start = clock.now()
        var next = 0
        while true {
            let now = clock.now()
            if let end, now >= end {
                state.withLock { ($0.isOver, $0.isStopped) = (true, true) }
            }
            let (rest, isStopped, isIdle) = state.withLock { state in
                (
                    state.rests.isEmpty ? nil : state.rests.removeFirst(), state.isStopped,
                    state.active.isEmpty && state.rests.isEmpty
                )
            }
            if isStopped {
                let left = (next..<plan.connectionCount).reduce(0) { $0 + plan.connection($1).flows.count }
                state.withLock { $0.unsent += left + (rest?.steps.count ?? 0) }
                return false
            }
            if let rest {
                play(rest.connection, rest.steps)
            } else if next < plan.connectionCount {
                let steps = self.steps(of: next, from: start)
                let due = steps[0].due ?? start
                if due > now {
                    wait(until: min(due, end ?? due), now)
                } else if mayBegin(next) {
                    state.withLock { _ = $0.active.insert(next) }
                    play(next, steps)
                    next += 1
                } else {
                    wait(until: end, now)
                }
            } else if isIdle {
                return true
            } else {
                wait(until: end, now)
            }
        }
    }

    /// Waits for a change, at most until a moment.
    private func wait(until moment: Timestamp?, _ now: Timestamp) {
        guard let moment else { return changed.wait() }
        _ = changed.wait(timeout: .now() + .nanoseconds(Int(moment - now)))
    }

    private func steps(of connection: Int, from start: Timestamp) -> [ReplayStep] {
        plan.connection(connection).flows.map { number in
            let (started, ended) = plan.times(of: number)
            let offset = options.schedule.offset(of: number, recorded: started - first)
            return ReplayStep(
                number: number, started: started, ended: ended, due: offset.map { start.advanced(byNanoseconds: $0) })
        }
    }

    /// Whether the limit allows it, and, without a clock, the connections that had ended before it in the recording have ended.
    private func mayBegin(_ connection: Int) -> Bool {
        let started = plan.times(ofConnection: connection).started
        return state.withLock { state in
            guard state.active.count < options.concurrency else { return false }
            guard options.schedule == .recorded(.none) else { return true }
            return !state.active.contains { plan.times(ofConnection: $0).ended.map { $0 <= started } ?? false }
        }
    }

    private func play(_ connection: Int, _ steps: [ReplayStep]) {
        let facts = plan.connection(connection)
        guard let configuration = configurations[Server(facts)] else { preconditionFailure("each server has a configuration") }
        var isTLS = false
        if case .reverse(let server, _) = configuration.mode { isTLS = server.isTLS }
        var script = ReplayScript(
            wireProtocol: facts.wireProtocol, steps: steps, speed: options.speed, waitsForServer: options.waitsForServer,
            scheme: isTLS ? "https" : "http",
            read: { [plan] in try plan.flow($0) })
        script.responseTimeout = options.responseTimeout
        let client = (try? plan.flow(steps[0].number))?.client?.value ?? .unknown
        server.start(peer: client.peer, local: client.local) { [self, script] _ in
            ReplaySession(script: script, configuration: configuration, seed: UInt64.random(in: .min ... .max)) { report in
                self.receive(report, of: connection, steps: steps.count)
            }
        }
    }

    private func receive(_ report: ReplayReport, of connection: Int, steps: Int) {
        switch report {
        case .began(_, let recorded, let flow, let lateness):
            comparer.began(recorded, as: flow, lateness: lateness)
        case .unreadable(let number, let message):
            comparer.failed(number, message)
        case .ended(var rest):
            // A step that could not begin is not tried forever.
            if rest.count == steps, !state.withLock({ $0.isStopped }) {
                comparer.failed(rest.removeFirst().number, "the connection ended before the request was sent")
            }
            state.withLock { state in
                if rest.isEmpty {
                    state.active.remove(connection)
                } else if state.isStopped {
                    state.active.remove(connection)
                    state.unsent += rest.count
                } else {
                    state.rests.append((connection, rest))
                }
            }
            changed.signal()
        }
    }
}
