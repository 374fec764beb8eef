// SOCKS version 5 (RFC 1928) with user name and password (RFC 1929), both roles, as messages: a client's are parsed in the server role,
// and generated in the role of a client of an upstream proxy.

import FlowModel
import NIOCore

enum SOCKS5 {
    static let version: UInt8 = 5

    enum Method: UInt8 {
        case none = 0
        case password = 2
        case noAcceptable = 0xFF
    }

    enum Reply: UInt8 {
        case succeeded = 0
        case generalFailure = 1
        case notAllowed = 2
        case networkUnreachable = 3
        case hostUnreachable = 4
        case connectionRefused = 5
        case commandNotSupported = 7
        case addressTypeNotSupported = 8

        /// The reply for a failed connection.
        init(failure: String) {
            if failure.contains("refused") {
                self = .connectionRefused
            } else if failure.contains("unreachable") || failure.contains("no such host") || failure.contains("timed out") {
                self = .hostUnreachable
            } else {
                self = .generalFailure
            }
        }

        var description: String {
            switch self {
            case .succeeded: "succeeded"
            case .generalFailure: "general failure"
            case .notAllowed: "not allowed"
            case .networkUnreachable: "network unreachable"
            case .hostUnreachable: "host unreachable"
            case .connectionRefused: "connection refused"
            case .commandNotSupported: "command not supported"
            case .addressTypeNotSupported: "address type not supported"
            }
        }
    }

    struct Failure: Error {
        var message: String
        /// Sent to the peer before the connection is closed; empty for nothing.
        var answer = ByteBuffer()

        init(message: String, answer: ByteBuffer = ByteBuffer()) {
            self.message = message
            self.answer = answer
        }

        init(message: String, reply: Reply) { self.init(message: message, answer: SOCKS5.answer(reply)) }
    }

    /// The methods that a client offers (RFC 1928 §3); nil when more bytes are needed.
    static func greeting(_ bytes: inout ByteBuffer) throws(Failure) -> [UInt8]? {
        var rest = bytes
        guard let version: UInt8 = rest.readInteger() else { return nil }
        guard version == Self.version else {
            throw Failure(message: "the client does not speak SOCKS 5")
        }
        guard let count: UInt8 = rest.readInteger(), let methods = rest.readBytes(length: Int(count)) else { return nil }
        bytes = rest
        return methods
    }

    /// A user name and a password (RFC 1929 §2).
    static func credentials(_ bytes: inout ByteBuffer) throws(Failure) -> Login? {
        var rest = bytes
        guard let version: UInt8 = rest.readInteger() else { return nil }
        guard version == 1 else { throw Failure(message: "the client's user name and password are in no known form") }
        guard let userLength: UInt8 = rest.readInteger(), let user = rest.readString(length: Int(userLength)),
            let passwordLength: UInt8 = rest.readInteger(), let password = rest.readString(length: Int(passwordLength))
        else { return nil }
        bytes = rest
        return Login(user: user, password: password)
    }

    /// A client's destination (RFC 1928 §4).
    static func request(_ bytes: inout ByteBuffer) throws(Failure) -> Endpoint? {
        var rest = bytes
        guard let head = rest.readBytes(length: 4) else { return nil }
        guard head[0] == version else { throw Failure(message: "the client's SOCKS request is malformed", reply: .generalFailure) }
        guard head[1] == 1 else {
            throw Failure(message: "the client asks for another SOCKS command than CONNECT", reply: .commandNotSupported)
        }
        guard let endpoint = try address(&rest, type: head[3]) else { return nil }
        bytes = rest
        return endpoint
    }

    private static func address(_ rest: inout ByteBuffer, type: UInt8) throws(Failure) -> Endpoint? {
        let host: String
        switch type {
        case 1:
            guard let octets = rest.readBytes(length: 4) else { return nil }
            host = try text(octets)
        case 3:
            guard let length: UInt8 = rest.readInteger(), let name = rest.readString(length: Int(length)) else { return nil }
            let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x40 }
            guard isName else { throw Failure(message: "the client's SOCKS request holds no name", reply: .generalFailure) }
            host = name
        case 4:
            guard let octets = rest.readBytes(length: 16) else { return nil }
            // RFC 4291 §2.5.5.2: IPv4 within IPv6 is the IPv4 address.
            host = try text(octets.starts(with: Self.mappedPrefix) ? Array(octets.suffix(4)) : octets)
        default:
            throw Failure(message: "the client's SOCKS request holds an unknown kind of address", reply: .addressTypeNotSupported)
        }
        guard let port: UInt16 = rest.readInteger() else { return nil }
        return Endpoint(host: host, port: port)
    }

    private static let mappedPrefix = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    /// The address in its canonical form (RFC 5952), which host patterns expect.
    private static func text(_ octets: [UInt8]) throws(Failure) -> String {
        guard let text = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: octets), port: 0).ipAddress else {
            throw Failure(message: "the client's SOCKS request holds no address", reply: .generalFailure)
        }
        return text
    }

    static func answer(_ method: Method) -> ByteBuffer { ByteBuffer(bytes: [version, method.rawValue]) }

    /// RFC 1928 §6. The bound address is given as 0.0.0.0:0, as most servers do.
    static func answer(_ reply: Reply) -> ByteBuffer { ByteBuffer(bytes: [version, reply.rawValue, 0, 1, 0, 0, 0, 0, 0, 0]) }

    // MARK: As a client

    static func greeting(withPassword: Bool) -> ByteBuffer {
        ByteBuffer(bytes: withPassword ? [version, 2, 0, 2] : [version, 1, 0])
    }

    static func credentials(user: String, password: String) -> ByteBuffer {
        var out = ByteBuffer(bytes: [1, UInt8(truncatingIfNeeded: user.utf8.count)])
        out.writeString(user)
        out.writeInteger(UInt8(truncatingIfNeeded: password.utf8.count))
        out.writeString(password)
        return out
    }

    static func request(_ endpoint: Endpoint) -> ByteBuffer {
        var out = ByteBuffer(bytes: [version, 1, 0, 3, UInt8(truncatingIfNeeded: endpoint.host.utf8.count)])
        out.writeString(endpoint.host)
        out.writeInteger(endpoint.port)
        return out
    }

    /// The answer to a request; nil when more bytes are needed.
    static func reply(_ bytes: inout ByteBuffer) throws(Failure) -> Reply? {
        var rest = bytes
        guard let head = rest.readBytes(length: 4) else { return nil }
        guard head[0] == version else { throw Failure(message: "the upstream proxy does not speak SOCKS 5") }
        guard try address(&rest, type: head[3]) != nil else { return nil }
        bytes = rest
        return Reply(rawValue: head[1]) ?? .generalFailure
    }
}
