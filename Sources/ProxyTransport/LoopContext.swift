// The state that the sessions of one event loop share: the records, the pause while the sink is full, timers, names, certificates.

import FlowModel
import FlowRecords
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import TLSEngine

/// The parts that all event loops share. Immutable; the closures and the sink may be called from any of them.
struct SharedServices: Sendable {
    let limits: TransportLimits
    let clock: RecorderClock
    let sink: any FlowSink
    let certificates: @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError>
    let log: @Sendable (LogLine) -> Void
    let admission: Admission
    let lookupThreads: NIOThreadPool
    let certificateThreads: NIOThreadPool
    let passwordThreads: NIOThreadPool
    let lookUp: @Sendable (String) -> NameService.Answer
}

/// The state of one event loop.
///
/// `@unchecked Sendable`: it is used on its event loop only; other threads hold the reference and hand it to `eventLoop.execute`.
final class LoopContext: @unchecked Sendable {
    let eventLoop: any EventLoop
    let index: Int
    let services: SharedServices
    let receiveBuffer = ReceiveBuffer()
    /// The bytes of the read that is being handled.
    var received: ByteBuffer?
    let names: NameService
    /// Whether the sink is full and no socket of the loop is read.
    private(set) var isPaused = false
    private(set) var isShuttingDown = false
    private let isOver = Atomic(false)

    /// Used by one session after the other; it keeps the records that are not handed over yet.
    private var output = ProxyOutput()
    private var isSubmitScheduled = false
    private var isFlushScheduled = false
    private var sessions: [SessionDriver] = []
    private var deadlines = DeadlineHeap<SessionDriver>()
    private var armed: (at: Timestamp, task: Scheduled<Void>)?
    private var leaves = LeafCache()
    private var onEmpty: (() -> Void)?

    init(eventLoop: any EventLoop, index: Int, services: SharedServices) {
        self.eventLoop = eventLoop
        self.index = index
        self.services = services
        names = NameService(
            eventLoop: eventLoop, threads: services.lookupThreads, lifetime: services.limits.nameLifetime, lookUp: services.lookUp)
    }

    // MARK: records

    /// Lets a session handle an event. ``handled(_:)`` follows.
    /// - Returns: the session's commands, in order.
    func receive(_ event: ProxyEvent, _ session: any ProxySessionProtocol, at now: Timestamp) -> [ProxyCommand] {
        session.receive(event, at: now, into: &output)
        var commands: [ProxyCommand] = []
        swap(&commands, &output.commands)
        return commands
    }

    /// The commands were carried out.
    /// - Parameter commands: their array, now empty, whose storage is used again.
    func handled(_ commands: inout [ProxyCommand]) {
        // Another session may have its commands there.
        if output.commands.isEmpty { swap(&commands, &output.commands) }
        if !isSubmitScheduled, !output.records.finished.isEmpty {
            // Once in a turn of the loop. Later would change the order of flows that end one after the other on two loops.
            isSubmitScheduled = true
            eventLoop.assumeIsolated().execute {
                self.isSubmitScheduled = false
                self.submit()
            }
        }
        if !isFlushScheduled, output.records.hasOpen { scheduleFlush() }
    }

    /// Hands over the records of open flows after a while, so that the recording has them within the flush interval.
    private func scheduleFlush() {
        isFlushScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(services.limits.flushInterval.nanoseconds / 4 * 3)) {
            self.isFlushScheduled = false
            self.output.records.finishOpen()
            self.submit()
        }
    }

    private func submit() {
        guard !output.records.finished.isEmpty else { return }
        output.records.keep(services.sink.submit(output.records.take()))
        if !isPaused, services.sink.isFull { pause() }
    }

    private func pause() {
        isPaused = true
        for session in sessions { session.applyPause() }
        services.sink.whenDrained { [self] in
            // The sink may outlive the loop.
            if !isOver.load(ordering: .acquiring) { eventLoop.execute { self.resume() } }
        }
    }

    private func resume() {
        isPaused = false
        for session in sessions { session.applyPause() }
    }

    // MARK: sessions

    func add(_ session: SessionDriver) {
        session.sessionIndex = sessions.count
        sessions.append(session)
    }

    func remove(_ session: SessionDriver) {
        deadlines.remove(session)
        let last = sessions.removeLast()
        if last !== session {
            sessions[session.sessionIndex] = last
            last.sessionIndex = session.sessionIndex
        }
        if sessions.isEmpty, let onEmpty {
            self.onEmpty = nil
            onEmpty()
        }
    }

    /// Tells every session to end. Completes when all are gone. Connections that are left after the grace are reset.
    func shutDown(grace: TimeAmount) -> EventLoopFuture<Void> {
        isShuttingDown = true
        let done = eventLoop.makePromise(of: Void.self)
        let cut = eventLoop.assumeIsolated().scheduleTask(in: grace) {
            for session in self.sessions { session.abortAll() }
        }
        let finish = {
            cut.cancel()
            // A session leaves in the middle of its last event; its last records are back when the loop comes round.
            self.eventLoop.assumeIsolated().execute {
                self.output.records.finishOpen()
                self.submit()
                self.isOver.store(true, ordering: .releasing)
                done.succeed(())
            }
        }
        for session in sessions { session.shutDown() }
        if sessions.isEmpty { finish() } else { onEmpty = finish }
        return done.futureResult
    }

    // MARK: timers

    /// Wakes a session when its earliest timer is due.
    func watch(_ session: SessionDriver, from deadline: Timestamp) {
        // A later deadline is found when the earlier one comes: re-arming a timer with every event costs nothing.
        if session.heapIndex != nil, session.heapDeadline <= deadline { return }
        deadlines.set(session, to: deadline)
        arm()
    }

    private func arm() {
        guard let earliest = deadlines.earliest else { return }
        if let armed {
            guard earliest < armed.at else { return }
            armed.task.cancel()
        }
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: services.clock.deadline(at: earliest)) { self.fire() }
        armed = (earliest, task)
    }

    private func fire() {
        armed = nil
        let now = services.clock.now()
        while let session = deadlines.popDue(at: now) { session.fireTimers(at: now) }
        arm()
    }

    // MARK: certificates

    /// Calls back on the event loop with a certificate; at once when it is known.
    func forge(_ request: LeafRequest, _ answer: @escaping (Result<LeafCertificate, CertificateError>) -> Void) {
        if let known = leaves[request] { return answer(.success(known)) }
        let make = services.certificates
        services.certificateThreads.runIfActive(eventLoop: eventLoop) { make(request) }.assumeIsolated().whenComplete { result in
            let made = result.mapError { _ in CertificateError("the proxy is shutting down") }.flatMap { $0 }
            if case .success(let certificate) = made { self.leaves.remember(certificate, for: request) }
            answer(made)
        }
    }

    // MARK: passwords

    /// Calls back on the event loop with whether a login is right.
    func verify(_ login: Login, _ check: CredentialCheck, _ answer: @escaping (Bool) -> Void) {
        // When the threads have ended, so has the proxy, and nothing waits for the answer.
        services.passwordThreads.runIfActive(eventLoop: eventLoop) { check.verify(login) }.assumeIsolated().whenSuccess(answer)
    }
}
