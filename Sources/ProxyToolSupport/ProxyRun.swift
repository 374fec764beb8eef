// Shared by the tools with sockets: waiting for asynchronous work from the main thread, certificates on demand, passing records to the
// recording's thread.

private import CJemalloc
import FlowModel
import FlowRecording
import FlowRecords
import Foundation
import Glibc
import HTTP2Codec
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
    private let queue: RecordQueue

    package init(queue: RecordQueue) { self.queue = queue }

    package func submit(_ records: [FlowRecord]) -> [FlowRecord] { queue.submit(records) }
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
            let path = expandingTilde(parts.count == 2 ? parts[1] : argument)
            let text = try readText(path, as: "the certificate")
            do throws(CertificateError) {
                let certificate = try LeafCertificate(pem: text)
                try register(certificate, for: parts.count == 2 ? parts[0] : nil)
            } catch {
                throw ToolError("the certificate \(path) cannot be used: \(error.message)")
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
            do throws(TransportError) {
                return .success(try await self.listen(spec))
            } catch {
                return .failure(Self.withAdvice(error))
            }
        }
        return try result.get()
    }

    private static func withAdvice(_ error: TransportError) -> TransportError {
        let advice =
            [
                "address already in use": "choose another port with -p, or -p 0 for any free one",
                "permission denied": "choose a port above 1023 with -p",
                "no such host": "write an address of this machine, or * for every one",
                "address not available": "write an address of this machine, or * for every one",
            ].first { error.message.hasSuffix(": " + $0.key) }
        return advice.map { TransportError("\(error.message); \($0.value)") } ?? error
    }
}

/// Sets limits of the process that are too low for a proxy.
/// - Returns: how many descriptors it may have.
package func prepareProcess() -> DescriptorLimit {
    // A file that reached its size limit is treated as a full disk (see RecordingFiles).
    signal(SIGXFSZ, SIG_IGN)
    // They must not end a process that has no use for them. One that waits for them has blocked them and receives them still.
    signal(SIGUSR1, SIG_IGN)
    signal(SIGUSR2, SIG_IGN)
    returnFreedMemory()
    return DescriptorLimit.raised()
}

/// How many descriptors the process may have (RLIMIT_NOFILE), and how a proxy uses them.
package struct DescriptorLimit {
    /// For files that are opened later: the next file of a recording, name lookups, certificates.
    private static let spare = 8
    private let count: Int
    /// The soft limit that the process was started with.
    private let original: rlim_t?

    /// 10,000 connections need two descriptors each, so the soft limit is raised to the hard one.
    static func raised() -> DescriptorLimit {
        guard let limit = raiseDescriptorLimit() else { return DescriptorLimit(count: 1024, original: nil) }
        return DescriptorLimit(count: Int(clamping: limit.now), original: limit.before)
    }

    private static var resource: __rlimit_resource_t { __rlimit_resource_t(RLIMIT_NOFILE.rawValue) }

    /// Starts a program with the limit that this process was started with: some programs are slow, or fail, with a high one.
    package func withOriginalLimit<R>(_ start: () throws -> R) rethrows -> R {
        var raised = rlimit()
        guard let original, unsafe getrlimit(Self.resource, &raised) == 0 else { return try start() }
        var limit = raised
        limit.rlim_cur = original
        unsafe setrlimit(Self.resource, &limit)
        defer { unsafe setrlimit(Self.resource, &raised) }
        return try start()
    }

    /// Event loops of a proxy: one for each core, fewer when descriptors are scarce, since each takes three.
    package var loops: Int { max(1, min(ProcessInfo.processInfo.activeProcessorCount, 16, count / 32)) }

    /// Lowers limits of the transport to what the descriptors allow. Call it when all files are open.
    /// - Returns: a sentence for the user if that is less than requested.
    /// - Parameter files: that may be opened later.
    /// - Throws: ``ToolError`` if there is no room for a single client.
    package func bound(_ limits: inout TransportLimits, listeners: Int, files: Int = 0) throws -> String? {
        limits.maximumLookups = max(1, min(limits.maximumLookups, count / 32))
        // epoll, its timer and its wake-up; a lookup has a socket and a file.
        let needed = Self.openNow + listeners + files + 3 * loops + 2 * limits.maximumLookups + Self.spare
        let left = count - needed
        guard left >= limits.descriptorsPerClient else {
            throw ToolError("the limit of open files, \(count), is too low for a proxy; raise it with ulimit -n")
        }
        limits.maximumDescriptors = left
        let clients = left / limits.descriptorsPerClient
        guard clients < limits.maximumConnections else { return nil }
        return "the limit of open files, \(count), allows \(clients) clients at a time instead of \(limits.maximumConnections); "
            + "further clients wait (raise it with ulimit -n)"
    }

    private static var openNow: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 16
    }
}

/// Memory is allocated on one thread and freed on another, which jemalloc handles well: it replaces the C library's allocator in these
/// programs. This makes it return the memory of a burst to the system, on a thread of its own (jemalloc(3)).
private func returnFreedMemory() {
    var isWanted = true
    _ = unsafe mallctl("background_thread", nil, nil, &isWanted, MemoryLayout<Bool>.size)
}

/// The libraries of the tools with sockets, `name/version` each, as they are at run time.
package var proxyLibraries: [String] { [openSSLLibrary, nghttp2Library] + archiveLibraries + [jemallocLibrary] }

private var jemallocLibrary: String {
    // 5.3.0-0-g54eaed1d8b56…: the version, the number of commits since, and the commit.
    var address: UnsafePointer<CChar>?
    var size = MemoryLayout<Int>.size
    guard unsafe mallctl("version", &address, &size, nil, 0) == 0, let version = unsafe address else { return "jemalloc" }
    return unsafe "jemalloc/\(String(cString: version).prefix { $0 != "-" })"
}
