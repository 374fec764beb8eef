// How many clients are served. When all places are taken, or the process has no descriptor left, accepting pauses until a connection
// has closed; nothing spins.

import Glibc
import NIOCore
import ProxyCore
import Synchronization

/// Counts client connections over all loops.
final class AcceptGate: Sendable {
    private struct State {
        var total = 0
        var clients: [String: Int] = [:]
        var waiting: [@Sendable () -> Void] = []
    }

    private let limits: TransportLimits
    private let state = Mutex(State())

    init(limits: TransportLimits) { self.limits = limits }

    /// Takes a place; false when this client has as many as it may have. A refused one takes none.
    func admit(_ address: String) -> Bool {
        state.withLock { state in
            if let maximum = limits.maximumConnectionsPerClient {
                guard state.clients[address, default: 0] < maximum else { return false }
                state.clients[address, default: 0] += 1
            }
            state.total += 1
            return true
        }
    }

    func release(_ address: String) {
        let resumed = state.withLock { state -> [@Sendable () -> Void] in
            state.total -= 1
            if limits.maximumConnectionsPerClient != nil, let count = state.clients[address] {
                state.clients[address] = count > 1 ? count - 1 : nil
            }
            defer { state.waiting = [] }
            return state.waiting
        }
        for resume in resumed { resume() }
    }

    /// Whether there is a place; otherwise calls back once when one is given back.
    func hasPlace(else resume: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            if state.total < limits.maximumConnections { return true }
            state.waiting.append(resume)
            return false
        }
    }

    /// Calls back when a connection has closed.
    func whenReleased(_ resume: @escaping @Sendable () -> Void) {
        state.withLock { $0.waiting.append(resume) }
    }
}

/// Holds a listener's reads, which are its accepts, while there is no place.
final class ListenerGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = any Channel

    private let gate: AcceptGate
    private let log: @Sendable (LogLine) -> Void
    private var isHeld = false
    private var wantsRead = false

    init(gate: AcceptGate, log: @escaping @Sendable (LogLine) -> Void) {
        self.gate = gate
        self.log = log
    }

    func read(context: ChannelHandlerContext) {
        wantsRead = true
        guard !isHeld else { return }
        let resume = resumption(context)
        if gate.hasPlace(else: resume) {
            wantsRead = false
            context.read()
        } else {
            isHeld = true
            log(LogLine(.warning, "as many clients as are allowed are connected; new ones wait"))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else {
            context.fireErrorCaught(error)
            return
        }
        guard !isHeld else { return }
        isHeld = true
        log(LogLine(.error, "no descriptor is left for another client; new ones wait until a connection closes"))
        let resume = resumption(context)
        gate.whenReleased(resume)
        // Something else in the process may have held the descriptors.
        context.eventLoop.scheduleTask(in: .seconds(1), resume)
    }

    private func resumption(_ context: ChannelHandlerContext) -> @Sendable () -> Void {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        return {
            eventLoop.execute {
                let (gate, context) = bound.value
                gate.isHeld = false
                if gate.wantsRead { gate.read(context: context) }
            }
        }
    }
}
