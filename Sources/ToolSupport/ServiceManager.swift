// Reports the state of a tool to the service manager that started it: the protocol of sd_notify(3), datagrams to the socket that NOTIFY_SOCKET
// names. Without a service manager nothing happens.

import Glibc

/// The service manager that waits for reports, such as systemd for a service of Type=notify.
package struct ServiceManager: Sendable {
    /// What a tool reports.
    package enum State: Sendable {
        /// It listens, and has read its configuration.
        case ready
        /// It reads its configuration again; ``ready`` follows.
        case reloading
        /// It is about to end.
        case stopping
    }

    /// The name of the socket; nil without a service manager. `@` begins a name in the abstract namespace (unix(7)).
    private let socketName: String?

    /// Takes the socket out of the environment, since programs that the tool starts must not report for it.
    package init() {
        socketName = unsafe getenv("NOTIFY_SOCKET").map { unsafe String(cString: $0) }
        unsafe unsetenv("NOTIFY_SOCKET")
    }

    /// Reports a state. A report that cannot be sent is dropped, as by every other service.
    package func report(_ state: State) {
        switch state {
        case .ready: send("READY=1")
        case .reloading:
            var now = timespec()
            unsafe clock_gettime(CLOCK_MONOTONIC, &now)
            send("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
        case .stopping: send("STOPPING=1")
        }
    }

    private func send(_ text: String) {
        guard let socketName, socketName.hasPrefix("/") || socketName.hasPrefix("@") else { return }
        var name = Array(socketName.utf8)
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count < room else { return }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // An abstract name ends where the address does, and has no zero after it.
        let length = socklen_t(MemoryLayout<sockaddr_un>.size - room + name.count + (name[0] == 0 ? 0 : 1))
        let bytes = Array(text.utf8)
        unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
            }
        }
    }
}
