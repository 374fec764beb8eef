// What the sessions of one event loop share: the batch of records on its way to the recording, and whether the recording keeps up.

import FlowModel
import NIOCore
import ProxyCore

/// Where the records of a loop go, in batches.
package protocol FlowSink: AnyObject, Sendable {
    /// Takes a batch; never waits.
    func submit(_ events: [FlowEvent])
    /// The sink holds all that it may: loops stop reading from their sockets.
    var isFull: Bool { get }
    /// Calls back once, from any thread, when there is room again.
    func whenDrained(_ resume: @escaping @Sendable () -> Void)
}

/// One event loop's share. Used on that loop only.
final class LoopContext {
    /// Records that are handed over at once, without waiting for the end of the tick.
    private static let largeBatch = 256

    let eventLoop: any EventLoop
    let settings: TransportSettings
    private(set) var drivers: [ObjectIdentifier: SessionDriver] = [:]
    /// The sink is full: nothing is read.
    private(set) var isPaused = false
    private var batch: [FlowEvent] = []
    private var isSubmitScheduled = false
    private var whenEmpty: (() -> Void)?

    init(eventLoop: any EventLoop, settings: TransportSettings) {
        self.eventLoop = eventLoop
        self.settings = settings
    }

    func add(_ driver: SessionDriver) { drivers[ObjectIdentifier(driver)] = driver }

    func remove(_ driver: SessionDriver) {
        drivers[ObjectIdentifier(driver)] = nil
        if drivers.isEmpty, let whenEmpty {
            submit()
            whenEmpty()
        }
    }

    /// Collects what one event caused; the loop's next free moment submits it.
    func record(_ records: inout [FlowEvent]) {
        guard !records.isEmpty else { return }
        batch.append(contentsOf: records)
        records.removeAll(keepingCapacity: true)
        if batch.count >= Self.largeBatch {
            submit()
        } else if !isSubmitScheduled {
            isSubmitScheduled = true
            eventLoop.assumeIsolatedUnsafeUnchecked().execute {
                self.isSubmitScheduled = false
                self.submit()
            }
        }
    }

    private func submit() {
        guard !batch.isEmpty else { return }
        let events = batch
        batch = []
        batch.reserveCapacity(events.count)
        settings.sink.submit(events)
        if !isPaused, settings.sink.isFull { pause() }
    }

    private func pause() {
        isPaused = true
        for driver in drivers.values { driver.applyReading() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        settings.sink.whenDrained { eventLoop.execute { bound.value.resume() } }
    }

    private func resume() {
        isPaused = false
        if settings.sink.isFull { return pause() }
        for driver in drivers.values { driver.applyReading() }
    }

    /// Tells all sessions to end.
    /// - Parameter done: called when the last one has, perhaps at once.
    func shutDown(_ done: @escaping () -> Void) {
        whenEmpty = done
        for driver in drivers.values { driver.tell(.shutdown) }
        if drivers.isEmpty {
            submit()
            done()
        }
    }

    /// Closes what did not end by itself.
    func abandon() {
        for driver in drivers.values { driver.abandon() }
        submit()
    }
}
