// Descriptions of socket failures for the user and the recording.

import Glibc
import NIOCore
import NIOPosix

/// The reason of a failure, without the address: `connection refused`, `no such host`, `timed out`.
func failureDescription(_ error: any Error) -> String {
    switch error {
    case let error as IOError: failureDescription(errno: error.errnoCode)
    case let error as NIOConnectionError: connectFailure(error)
    case let error as LookupError: error.message
    case let error as TransportError: error.message
    case ChannelError.connectTimeout: "timed out"
    case SocketAddressError.unknown, is SocketAddressError.UnknownHost: "no such host"
    default: "\(error)"
    }
}

/// Whether the peer, or the network, reset the connection.
func isReset(_ error: any Error) -> Bool {
    guard let error = error as? IOError else { return false }
    return error.errnoCode == ECONNRESET || error.errnoCode == EPIPE
}

/// The text for an error number of a socket call.
func failureDescription(errno code: Int32) -> String {
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

/// The failure that stands for all addresses that Happy Eyeballs tried: the first one that is not a time-out.
private func connectFailure(_ error: NIOConnectionError) -> String {
    let reasons = error.connectionErrors.map { failureDescription($0.error) }
    if let reason = reasons.first(where: { $0 != "timed out" }) ?? reasons.first { return reason }
    if let failed = error.dnsAError ?? error.dnsAAAAError { return failureDescription(failed) }
    return "timed out"
}
