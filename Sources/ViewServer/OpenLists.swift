// The lists that pages have asked for, by their names. A page makes a new one for each filter and order; the oldest that was not used for the
// longest time is closed.

import FlowFilter
import FlowView
import Synchronization

/// The lists that are open. Shared by threads.
final class OpenLists: Sendable {
    private static let maximum = 12

    private struct State {
        var lists: [String: (list: FlowList, used: Int)] = [:]
        var made = 0
        var uses = 0
    }

    private let state = Mutex(State())
    private let index: FlowIndex

    init(_ index: FlowIndex) { self.index = index }

    /// Begins a list.
    /// - Parameter base: the list has only flows of this one.
    func open(_ filter: FlowFilter?, _ order: FlowOrder?, within base: FlowList?) -> (name: String, list: FlowList) {
        let list = FlowList(of: index, where: filter, within: base, order: order)
        let (name, closed) = state.withLock { state in
            state.made += 1
            state.uses += 1
            let name = "v\(state.made)"
            state.lists[name] = (list, state.uses)
            guard state.lists.count > Self.maximum, let oldest = state.lists.min(by: { $0.value.used < $1.value.used }) else {
                return (name, nil as FlowList?)
            }
            state.lists[oldest.key] = nil
            return (name, oldest.value.list)
        }
        closed?.cancel()
        return (name, list)
    }

    func list(_ name: String) -> FlowList? {
        state.withLock { state in
            guard let found = state.lists[name] else { return nil }
            state.uses += 1
            state.lists[name] = (found.list, state.uses)
            return found.list
        }
    }

    func close(_ name: String) { state.withLock { $0.lists.removeValue(forKey: name) }?.list.cancel() }

    /// Continues all lists after the index has changed.
    func advance() {
        for list in state.withLock({ $0.lists.values.map(\.list) }) { list.advance() }
    }
}
