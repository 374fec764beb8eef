// The timers of one session. Starting one anew moves its deadline; the task that was scheduled looks at the deadline when it runs.

import NIOCore
import ProxyCore

struct SessionTimers {
    private struct Slot {
        var deadline: NIODeadline?
        var scheduled: Scheduled<Void>?
        var scheduledFor = NIODeadline.distantFuture
    }

    private var slots = [Slot](repeating: Slot(), count: ProxyTimer.allCases.count)
    private(set) var isOver = false

    mutating func start(_ timer: ProxyTimer, in delay: TimeAmount, on eventLoop: any EventLoop, _ fire: @escaping @Sendable () -> Void) {
        let deadline = eventLoop.now + delay
        slots[Int(timer.rawValue)].deadline = deadline
        let slot = slots[Int(timer.rawValue)]
        guard !isOver, slot.scheduled == nil || deadline < slot.scheduledFor else { return }
        slot.scheduled?.cancel()
        slots[Int(timer.rawValue)].scheduledFor = deadline
        slots[Int(timer.rawValue)].scheduled = eventLoop.scheduleTask(deadline: deadline, fire)
    }

    mutating func cancel(_ timer: ProxyTimer) { slots[Int(timer.rawValue)].deadline = nil }

    /// The scheduled task ran.
    /// - Returns: whether the timer is due; otherwise it was moved and is scheduled again, or it was cancelled.
    mutating func fire(_ timer: ProxyTimer, on eventLoop: any EventLoop, _ fire: @escaping @Sendable () -> Void) -> Bool {
        let index = Int(timer.rawValue)
        slots[index].scheduled = nil
        guard let deadline = slots[index].deadline, !isOver else { return false }
        if deadline > eventLoop.now {
            slots[index].scheduledFor = deadline
            slots[index].scheduled = eventLoop.scheduleTask(deadline: deadline, fire)
            return false
        }
        slots[index].deadline = nil
        return true
    }

    /// No timer will fire any more.
    mutating func end() {
        isOver = true
        for slot in slots { slot.scheduled?.cancel() }
    }
}
