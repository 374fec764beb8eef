// Descriptions of socket failures for the user and the recording.

import Glibc
import NIOCore
import NIOPosix

/// The reason of a failure in words, without the address: `connection refused`, `no such host`, `timed out`.
func words(for error: any Error) -> String {
    switch error {
    case let error as IOError: words(forErrno: error.errnoCode)
    case let error as NIOConnectionError: words(for: error)
    case let error as LookupError: error.message
    case let error as TransportError: error.message
    case ChannelError.connectTimeout: "timed out"
    case SocketAddressError.unknown, is SocketAddressError.UnknownHost: "no such host"
    default: "\(error)"
    }
}

/// Whether the peer, or the network in its place, cut the connection with a reset.
func isReset(_ error: any Error) -> Bool {
    guard let error = error as? IOError else { return false }
    return error.errnoCode == ECONNRESET || error.errnoCode == EPIPE
}

/// An error number of a socket call in words.
func words(forErrno code: Int32) -> String {
    switch code {
    case ECONNREFUSED: "connection refused"
    case ECONNRESET, EPIPE: "connection reset by peer"
    case ECONNABORTED: "connection aborted"
    case ETIMEDOUT: "timed out"
    case ENETUNREACH: "network unreachable"
    case EHOSTUNREACH: "host unreachable"
    case EADDRINUSE: "address already in use"
    case EADDRNOTAVAIL: "address not available"
    case EACCES, EPERM: "permission denied"
    case EMFILE, ENFILE: "too many open files"
    default: unsafe strerror(code).map { unsafe String(cString: $0) }?.lowercased() ?? "error \(code)"
    }
}

/// Happy Eyeballs tried several addresses: the first failure speaks for all of them, and one that says something for one that only says that it took too long.
private func words(for error: NIOConnectionError) -> String {
    let reasons = error.connectionErrors.map { words(for: $0.error) }
    if let reason = reasons.first(where: { $0 != "timed out" }) ?? reasons.first { return reason }
    if let failed = error.dnsAError ?? error.dnsAAAAError { return words(for: failed) }
    return "timed out"
}
