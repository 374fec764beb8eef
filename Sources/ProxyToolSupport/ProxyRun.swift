// What the tools with sockets share: waiting for asynchronous work from the main thread, certificates on demand, the way of records to the
// recording's thread.

private import CJemalloc
import FlowModel
import FlowRecording
import Foundation
import Glibc
import NIOCore
import ProxyCore
import ProxyTransport
import Synchronization
import TLSEngine
import ToolSupport

/// Runs asynchronous work from the main thread, which has nothing else to do, and waits for it.
package func wait<R: Sendable>(_ body: @escaping @Sendable () async -> R) -> R {
    let box = Promise<R>()
    Task {
        let value = await body()
        box.result.withLock { $0 = value }
        box.done.signal()
    }
    box.done.wait()
    return box.result.withLock { $0! }
}

/// A value that another thread will set.
private final class Promise<R: Sendable>: Sendable {
    let result = Mutex<R?>(nil)
    let done = DispatchSemaphore(value: 0)
}

/// Hands the loops' records to the recording's queue.
package final class RecordingSink: FlowSink {
    private let queue: EventQueue

    package init(queue: EventQueue) { self.queue = queue }

    package func submit(_ events: [FlowEvent]) { queue.submit(events) }
    package var isFull: Bool { queue.isFull }
    package func whenDrained(_ resume: @escaping @Sendable () -> Void) { queue.whenDrained(resume) }
}

extension LeafCertificateCache {
    /// Takes over certificates of the user's own.
    /// - Parameter arguments: `[name=]file.pem` each.
    /// - Throws: ``ToolError`` for one that cannot be used.
    package func register(files arguments: [String]) throws {
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let path = parts.count == 2 ? parts[1] : argument
            do {
                let certificate = try LeafCertificate(pem: try String(contentsOfFile: path, encoding: .utf8))
                try register(certificate, for: parts.count == 2 ? parts[0] : nil)
            } catch let error as CertificateError {
                throw ToolError("the certificate \(path) cannot be used: \(error.message)")
            } catch {
                throw ToolError("cannot read the certificate \(path): \(error.localizedDescription)")
            }
        }
    }

    /// Makes certificates as a ``ProxyServer`` asks for them.
    package func maker(_ clock: RecorderClock) -> @Sendable (LeafRequest) -> Result<LeafCertificate, CertificateError> {
        { request in
            do throws(CertificateError) {
                return .success(try self.certificate(for: request, now: clock.now().nanoseconds / 1_000_000_000))
            } catch {
                return .failure(error)
            }
        }
    }
}

extension ProxyServer {
    /// Begins to listen.
    /// - Returns: the address that was bound.
    /// - Throws: a ``TransportError``.
    package func listenAndWait(_ spec: ListenerSpec) throws -> Endpoint {
        let result = wait { () async -> Result<Endpoint, TransportError> in
            do throws(TransportError) { return .success(try await self.listen(spec)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// Sets limits of the process that are too low for a proxy.
package func prepareProcess() {
    raiseDescriptorLimit()
    returnFreedMemory()
}

/// 10,000 connections need two descriptors each.
private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else {
        return
    }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// What is received on one thread is freed on another, for which jemalloc is made: it serves these programs instead of the C library's
/// allocator. Here it is told to hand what a burst has needed back to the system on a thread of its own (jemalloc(3)).
private func returnFreedMemory() {
    var isWanted = true
    _ = unsafe mallctl("background_thread", nil, nil, &isWanted, MemoryLayout<Bool>.size)
}
