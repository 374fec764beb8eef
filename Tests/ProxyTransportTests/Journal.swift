// Values that several threads change and a test waits on: how tests learn that something happened, without sleeping.

import Synchronization

/// A value and those who wait until it fulfils a condition.
final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        let check: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Value, Never>
    }
    private struct State {
        var value: Value
        var waiters: [Waiter] = []
    }
    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    func change(_ body: (inout Value) -> Void) {
        let ready = state.withLock { state -> [(Waiter, Value)] in
            body(&state.value)
            guard !state.waiters.isEmpty else { return [] }
            let ready = state.waiters.filter { $0.check(state.value) }
            if !ready.isEmpty { state.waiters.removeAll { $0.check(state.value) } }
            return ready.map { ($0, state.value) }
        }
        for (waiter, value) in ready { waiter.continuation.resume(returning: value) }
    }

    /// Returns the value as soon as it fulfils a condition.
    @discardableResult
    func wait(until check: @escaping @Sendable (Value) -> Bool) async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                if check(state.value) { return state.value }
                state.waiters.append(Waiter(check: check, continuation: continuation))
                return nil
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}

/// A list that grows.
struct Journal<Item: Sendable>: Sendable {
    private let list = Watched<[Item]>([])

    var items: [Item] { list.value }
    func append(_ item: Item) { list.change { $0.append(item) } }

    @discardableResult
    func wait(until check: @escaping @Sendable ([Item]) -> Bool) async -> [Item] { await list.wait(until: check) }

    /// Waits for that many items.
    @discardableResult
    func wait(count: Int) async -> [Item] { await wait { $0.count >= count } }
}
