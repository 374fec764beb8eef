// Blocks a thread until a test lets it continue.

import Dispatch

final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    /// Blocks the thread until the gate is opened; passes at once afterwards.
    func wait() {
        semaphore.wait()
        semaphore.signal()
    }

    func open() { semaphore.signal() }
}
