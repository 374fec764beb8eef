// Raw TCP peers: a client that says given bytes, and an origin that answers given bytes and writes down what it received.

import Foundation
import Glibc
import Synchronization

/// MSG_NOSIGNAL of send(2): a peer that is gone is an error, not a signal.
private let noSignal: Int32 = 0x4000

/// A blocking connection whose reads and writes give up after ten seconds.
final class RawConnection: Sendable {
    let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var one: Int32 = 1
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Connects to a port of the loopback address.
    convenience init(port: Int) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw POSIXError(.ECONNREFUSED) }
        self.init(descriptor: descriptor)
    }

    deinit { Glibc.close(descriptor) }

    func send(_ text: String) { send(bytes: Array(text.utf8)) }

    func send(bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let result = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, noSignal)
            }
            if result <= 0 { return }
            sent += result
        }
    }

    /// What comes next; nil at the end, after a reset, and when nothing comes.
    func read() -> String? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    /// Reads until some text has come, or the end.
    func read(until text: String) -> String {
        var all = ""
        while !all.contains(text), let more = read() { all += more }
        return all
    }

    func readToEnd() -> String {
        var all = ""
        while let more = read() { all += more }
        return all
    }

    enum Arrival: Equatable {
        case bytes([UInt8])
        /// The peer has finished, or has reset the connection.
        case end
        case nothing
    }

    /// What comes before a moment.
    func receive(before deadline: ContinuousClock.Instant) -> Arrival {
        let remaining = max(.zero, ContinuousClock.now.duration(to: deadline))
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(remaining / .milliseconds(1)) + (remaining > .zero ? 1 : 0)
        guard unsafe poll(&entry, 1, milliseconds) > 0 else { return .nothing }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? .bytes(Array(buffer.prefix(count))) : .end
    }

    /// Sends FIN.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Makes the next close a reset.
    func resetOnClose() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }
}

private func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}

/// An origin on a free port. Each connection is served by a closure on a thread of its own.
final class RawOrigin: Sendable {
    let port: Int
    private let listener: Int32
    private let received = Mutex("")

    init(_ serve: @escaping @Sendable (RawConnection, RawOrigin) -> Void) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let bound = unsafe bind(listener, address, size)
                guard bound == 0, listen(listener, 64) == 0 else { return Int32(-1) }
                return unsafe getsockname(listener, address, &size)
            }
        }
        guard result == 0 else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        let thread = Thread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                if descriptor < 0 { return }
                guard let origin = self else { return }
                let connection = RawConnection(descriptor: descriptor)
                Thread { serve(connection, origin) }.start()
            }
        }
        thread.start()
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// An origin that reads until some text has come, answers, and repeats this until the answers are used up; then it closes.
    convenience init(answering answers: [(until: String, answer: String)], resets: Bool = false) throws {
        try self.init { connection, origin in
            for (until, answer) in answers {
                origin.note(connection.read(until: until))
                connection.send(answer)
            }
            if resets { connection.resetOnClose() }
        }
    }

    func note(_ text: String) { received.withLock { $0 += text } }

    /// Everything that all connections received.
    var log: String { received.withLock { $0 } }
}
