// Drives one session: hands it events one after the other, carries its commands out, and lets go of it when its last connection is
// gone. Whatever happens while an event is handled (a write that fails at once, a name that is known already) waits its turn.

import FlowModel
import NIOCore
import ProxyCore

/// One session with its connections. Used on one event loop only; the connections keep it alive.
final class SessionDriver: DeadlineHolder {
    let loop: LoopContext
    private let session: any ProxySessionProtocol
    /// Those that are established, in the order in which they came to be. Rarely more than two.
    private var connections: [Connection] = []
    /// Those on which something was sent since the last flush.
    private var unflushed: [Connection] = []
    /// Those that are asked for.
    private var dials: [Dial] = []
    private var isBusy = false
    private var waiting: [(event: ProxyEvent, at: Timestamp)] = []
    private var isOver = false
    /// The session has no client connection. It closes that connection when it is over.
    private var isHeadless = false
    /// When the session is to be woken.
    private var wakeAt = Timestamp.never
    /// The session waits until a descriptor is free.
    private var awaitsDescriptor = false
    /// The descriptors of its sockets.
    var sockets: SessionSockets

    /// Its place among the sessions of the loop.
    var sessionIndex = 0
    var heapDeadline = Timestamp(nanoseconds: 0)
    var heapIndex: Int?

    init(session: any ProxySessionProtocol, loop: LoopContext) {
        self.session = session
        self.loop = loop
        sockets = SessionSockets(admission: loop.services.admission)
    }

    /// Begins with an accepted client connection.
    func start(client: Connection, peer: Endpoint, local: Endpoint) {
        connections.append(client)
        loop.add(self)
        deliver(.started(peer: peer, local: local))
    }

    /// Begins with a session that needs no client connection.
    func startHeadless(peer: Endpoint, local: Endpoint) {
        isHeadless = true
        loop.add(self)
        deliver(.started(peer: peer, local: local))
    }

    // MARK: events

    /// Passes an event to the session, carries its commands out and flushes.
    func deliver(_ event: ProxyEvent) {
        deliver(event, at: loop.services.clock.now())
        flush()
    }

    /// Passes an event to the session. Bytes that it sends wait for ``flush()``.
    func deliver(_ event: ProxyEvent, at now: Timestamp) {
        // A certificate may be ready after the session has ended.
        guard !isOver else { return }
        guard !isBusy else {
            waiting.append((event, now))
            return
        }
        isBusy = true
        handle(event, at: now)
        if !waiting.isEmpty { handleWaiting() }
        isBusy = false
        if connections.isEmpty, dials.isEmpty, !isHeadless { end() }
    }

    private func handleWaiting() {
        var index = 0
        while index < waiting.count {
            let (event, at) = waiting[index]
            index += 1
            handle(event, at: at)
        }
        waiting.removeAll(keepingCapacity: false)
    }

    private func handle(_ event: ProxyEvent, at now: Timestamp) {
        var commands = loop.receive(event, session, at: now)
        // Moved out of the array, whose last element is the next command, so that none is copied.
        if commands.count > 1 { commands.reverse() }
        while let command = commands.popLast() { perform(command, at: now) }
        loop.handled(&commands)
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        loop.remove(self)
    }

    /// Flushes each connection on which something was sent.
    func flush() {
        guard !unflushed.isEmpty else { return }
        // A callback of a write may send more.
        while let connection = unflushed.popLast() { connection.flush() }
    }

    // MARK: commands

    private func perform(_ command: ProxyCommand, at now: Timestamp) {
        switch command {
        case .send(let handle, let bytes):
            guard let connection = connection(handle) else { return }
            if connection.send(bytes) { unflushed.append(connection) }
        case .read(let handle, let isWanted):
            if let connection = connection(handle) {
                connection.setReading(isWanted)
            } else {
                dial(handle)?.isReadingWanted = isWanted
            }
        case .wake(let moment):
            // At least one nanosecond ahead, so that a session that wakes itself again and again lets others have their turn.
            wakeAt = max(moment, now.advanced(byNanoseconds: 1))
            loop.watch(self, from: wakeAt)
        case .open(let handle, let endpoint):
            let dial = Dial(handle: handle, driver: self)
            dials.append(dial)
            dial.start(endpoint)
        case .finish(let handle):
            connection(handle)?.finish()
        case .close(let handle):
            if handle == .client { isHeadless = false }
            if let connection = connection(handle) { connection.close() } else { cancelDial(handle, at: now) }
        case .abort(let handle):
            if let connection = connection(handle) { connection.abort() } else { cancelDial(handle, at: now) }
        case .forge(let id, let request):
            loop.forge(request) { self.deliver(.certificateReady(id, $0)) }
        case .verify(let id, let login, let check):
            loop.verify(login, check) { self.deliver(.loginVerified(id, isRight: $0)) }
        case .log(let line):
            loop.services.log(line)
        }
    }

    private func connection(_ handle: ConnectionHandle) -> Connection? {
        for connection in connections where connection.handle == handle { return connection }
        return nil
    }

    private func dial(_ handle: ConnectionHandle) -> Dial? { dials.first { $0.handle == handle } }

    private func cancelDial(_ handle: ConnectionHandle, at now: Timestamp) {
        guard let dial = dial(handle) else { return }
        forget(dial)
        dial.cancel()
        deliver(.closed(handle, error: nil, isReset: false), at: now)
    }

    private func forget(_ dial: Dial) { dials.removeAll { $0 === dial } }

    // MARK: Events of connections and dials

    /// A dial won a connection.
    func opened(_ dial: Dial, _ connection: Connection, peer: Endpoint, local: Endpoint) {
        forget(dial)
        connections.append(connection)
        deliver(.opened(dial.handle, peer: peer, local: local))
    }

    func openFailed(_ dial: Dial, reason: String) {
        forget(dial)
        deliver(.openFailed(dial.handle, reason: reason))
    }

    /// No descriptor is free for a dial. The session is notified when one may be.
    func noDescriptor(_ dial: Dial) {
        forget(dial)
        if !awaitsDescriptor {
            awaitsDescriptor = true
            let driver = NIOLoopBound(self, eventLoop: loop.eventLoop)
            loop.services.admission.awaitDescriptor { [eventLoop = loop.eventLoop] in
                eventLoop.execute { driver.value.descriptorsFree() }
            }
        }
        deliver(.noDescriptor(dial.handle))
    }

    private func descriptorsFree() {
        awaitsDescriptor = false
        deliver(.descriptorsFree)
    }

    /// A connection is gone.
    func closed(_ connection: Connection, error: String?, isReset: Bool) {
        connections.removeAll { $0 === connection }
        deliver(.closed(connection.handle, error: error, isReset: isReset))
    }

    // MARK: timers

    /// Wakes the session if its moment has come; a moment that was moved back is watched again.
    func fireTimers(at now: Timestamp) {
        if wakeAt <= now {
            wakeAt = .never
            deliver(.timerFired, at: now)
            flush()
        }
        if !isOver, wakeAt < .never { loop.watch(self, from: wakeAt) }
    }

    // MARK: the loop's wishes

    /// Reads from all connections again, or from none, as the loop is paused or not.
    func applyPause() {
        for connection in connections { connection.applyReading() }
    }

    func shutDown() { deliver(.shutdown) }

    /// Cuts everything off.
    func abortAll() {
        for dial in dials { cancelDial(dial.handle, at: loop.services.clock.now()) }
        for connection in connections { connection.abort() }
        if isHeadless {
            isHeadless = false
            deliver(.closed(.client, error: nil, isReset: true), at: loop.services.clock.now())
        }
    }
}

/// The descriptors of one session. Those of its client were set aside when it was accepted; further ones of its servers are
/// counted here. Used on its event loop only.
struct SessionSockets {
    private let admission: Admission
    private var hasClient = false
    private var servers = 0

    init(admission: Admission) { self.admission = admission }

    private var setAside: Int { hasClient ? admission.serversPerClient : 0 }
    private var beyond: Int { max(0, servers - setAside) }

    /// Whether one more connection to a server may be asked for.
    var hasRoom: Bool { servers < setAside || admission.hasDescriptors(1) }

    mutating func opened(_ handle: ConnectionHandle) { change(handle, isOpen: true) }

    mutating func closed(_ handle: ConnectionHandle) { change(handle, isOpen: false) }

    private mutating func change(_ handle: ConnectionHandle, isOpen: Bool) {
        let before = beyond
        if handle == .client { hasClient = isOpen } else { servers += isOpen ? 1 : -1 }
        if beyond != before { admission.serverSocketsChanged(by: beyond - before) }
    }
}

extension Timestamp {
    /// Later than every moment.
    fileprivate static let never = Timestamp(nanoseconds: .max)
}
