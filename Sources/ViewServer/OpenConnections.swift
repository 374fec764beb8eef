// The connections of a view, and bounds of what their clients can use.

import Dispatch
import NIOCore
import Synchronization

/// Bounds of what clients can use.
package struct ViewLimits: Sendable {
    /// Connections at a time; more are closed. Clients without the secret can open them too.
    var connections = 256
    /// A connection on which no whole request arrives within this time is closed.
    var requestTime = TimeAmount.seconds(60)
    /// Bodies that are made while they are sent: each has a thread, and waits for its client.
    var streams = 16

    package init() {}
}

/// The connections of a server. Shared by threads.
final class OpenConnections: Sendable {
    /// Seconds to wait for answers: one may be reading a large file.
    private static let patience = 2.0

    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var streams = 0
    }

    let limits: ViewLimits
    /// The answers that other threads make.
    let answers = DispatchGroup()
    private let state = Mutex(State())

    init(_ limits: ViewLimits) { self.limits = limits }

    /// - Throws: when there are too many.
    func add(_ channel: any Channel) throws(ChannelError) {
        let id = ObjectIdentifier(channel)
        let hasRoom = state.withLock { state in
            guard state.channels.count < limits.connections else { return false }
            state.channels[id] = channel
            return true
        }
        guard hasRoom else { throw .operationUnsupported }
        channel.closeFuture.whenComplete { [self] _ in _ = state.withLock { $0.channels.removeValue(forKey: id) } }
    }

    /// - Returns: false when too many bodies are being sent.
    func beginStream() -> Bool {
        state.withLock { state in
            guard state.streams < limits.streams else { return false }
            state.streams += 1
            return true
        }
    }

    func endStream() { state.withLock { $0.streams -= 1 } }

    /// - Returns: whether all answers have ended.
    func close() -> Bool {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
        return answers.wait(timeout: .now() + Self.patience) == .success
    }
}
