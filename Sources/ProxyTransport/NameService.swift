// Looks names up, off the event loops. `getaddrinfo(3)` blocks, so it runs on a few threads of its own; a slow lookup delays
// only those that wait for the same name. Each event loop caches the results for a short time.

import Glibc
import NIOCore
import NIOPosix

/// Why a name has no address, as text.
struct LookupError: Error, Sendable, Equatable {
    var message: String
}

/// The addresses of names, for one event loop. Used on that loop only.
final class NameService {
    typealias Answer = Result<[SocketAddress], LookupError>

    private struct Known {
        var addresses: [SocketAddress]
        var expires: NIODeadline
    }

    /// Beyond this number of names all are dropped and looked up again.
    private static let maximumKnown = 1024

    private static let loopback = ["127.0.0.1", "::1"].compactMap { try? SocketAddress(ipAddress: $0, port: 0) }

    private let eventLoop: any EventLoop
    private let threads: NIOThreadPool
    private let lifetime: TimeAmount
    private let lookUp: @Sendable (String) -> Answer
    private var known: [String: Known] = [:]
    private var waiting: [String: [(Answer) -> Void]] = [:]

    /// - Parameter lookUp: finds the addresses of a name, with port 0; may block.
    init(
        eventLoop: any EventLoop, threads: NIOThreadPool, lifetime: TimeAmount,
        lookUp: @escaping @Sendable (String) -> Answer = systemLookup
    ) {
        self.eventLoop = eventLoop
        self.threads = threads
        self.lifetime = lifetime
        self.lookUp = lookUp
    }

    /// Calls back on the event loop with the addresses of a name, port 0, in the order of preference; perhaps at once.
    func addresses(of name: String, _ answer: @escaping (Answer) -> Void) {
        if isLoopbackName(name) { return answer(.success(Self.loopback)) }
        if let entry = known[name], NIODeadline.now() < entry.expires { return answer(.success(entry.addresses)) }
        if waiting[name] != nil {
            waiting[name]?.append(answer)
            return
        }
        waiting[name] = [answer]
        let lookUp = self.lookUp
        threads.runIfActive(eventLoop: eventLoop) { lookUp(name) }.assumeIsolated().whenComplete { [weak self] result in
            let answer = result.mapError { _ in LookupError(message: "the proxy is shutting down") }.flatMap { $0 }
            self?.learned(name, answer)
        }
    }

    private func learned(_ name: String, _ answer: Answer) {
        if case .success(let addresses) = answer {
            if known.count >= Self.maximumKnown { known.removeAll() }
            known[name] = Known(addresses: addresses, expires: .now() + lifetime)
        }
        for waiter in waiting.removeValue(forKey: name) ?? [] { waiter(answer) }
    }
}

/// RFC 6761 §6.3: names of this machine's loopback addresses, which are not looked up at a server. `localhost` itself is in /etc/hosts.
func isLoopbackName(_ name: String) -> Bool {
    let name = name.lowercased()
    let relative = name.hasSuffix(".") ? name.dropLast() : name[...]
    return relative.hasSuffix(".localhost") || (relative == "localhost" && relative.count < name.count)
}

/// Asks the system, as every program does: /etc/hosts, DNS, the sources in nsswitch.conf. Blocks.
@Sendable func systemLookup(_ name: String) -> NameService.Answer {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(name, nil, &hints, &list)
    guard code == 0 else { return .failure(LookupError(message: lookupFailure(code))) }
    defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
    var addresses: [SocketAddress] = []
    // SAFETY: the list is the system's until freeaddrinfo; ai_addr points at as large a structure as its family has.
    var next = unsafe list
    while let entry = unsafe next {
        if let address = unsafe entry.pointee.ai_addr {
            switch unsafe entry.pointee.ai_family {
            case AF_INET:
                let socketAddress = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
                addresses.append(SocketAddress(socketAddress, host: name))
            case AF_INET6:
                let socketAddress = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
                addresses.append(SocketAddress(socketAddress, host: name))
            default: break
            }
        }
        unsafe next = entry.pointee.ai_next
    }
    return addresses.isEmpty ? .failure(LookupError(message: "no such host")) : .success(addresses)
}

private func lookupFailure(_ code: Int32) -> String {
    switch code {
    case EAI_NONAME, EAI_NODATA, EAI_ADDRFAMILY: "no such host"
    case EAI_AGAIN: "the name server does not answer"
    default: unsafe "name lookup failed: " + String(cString: gai_strerror(code))
    }
}

private let EAI_NODATA: Int32 = -5  // glibc declares these two for _GNU_SOURCE only
private let EAI_ADDRFAMILY: Int32 = -9

/// Passes known addresses to SwiftNIO's Happy Eyeballs (RFC 8305).
struct KnownAddresses: Resolver, Sendable {
    let eventLoop: any EventLoop
    let addresses: [SocketAddress]

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { answer(.inet, port) }
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { answer(.inet6, port) }
    func cancelQueries() {}

    private func answer(_ family: NIOBSDSocket.ProtocolFamily, _ port: Int) -> EventLoopFuture<[SocketAddress]> {
        eventLoop.makeSucceededFuture(addresses.filter { $0.protocol == family }.map { $0.with(port: port) })
    }
}

extension SocketAddress {
    /// The same address with another port.
    func with(port: Int) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }
}
