// The server's role in SOCKS 5: what a client sends, step by step.

import FlowModel
import HTTPSemantics
import NIOCore

/// A client that names its server by SOCKS. A machine of its own: bytes in, outcomes out.
struct SOCKS5Server {
    private enum Step {
        case greeting
        case credentials
        /// The login is being verified.
        case verifying
        case request
    }

    enum Outcome {
        case answer(ByteBuffer)
        /// The client is answered when the login is verified: see ``answer(isRight:)``.
        case verify(Login)
        case connect(Endpoint)
        /// The client speaks HTTP, not SOCKS.
        case http
    }

    /// The answer to a request of HTTP.
    static let httpMessage = "the client does not speak SOCKS 5; it looks like HTTP, which --mode regular takes"

    private var step = Step.greeting
    private let asksForPassword: Bool

    init(asksForPassword: Bool) { self.asksForPassword = asksForPassword }

    /// Takes the next message from the received bytes.
    /// - Returns: nil if more bytes are needed, or while a login is verified.
    /// - Throws: why the client is refused, and its answer.
    mutating func advance(_ bytes: inout ByteBuffer) throws(SOCKS5.Failure) -> Outcome? {
        switch step {
        case .greeting:
            switch Self.foreign(bytes) {
            case nil: break
            case .undecided?: return nil
            case .http?: return .http
            case .other(let message)?: throw SOCKS5.Failure(message: message)
            }
            guard let methods = try SOCKS5.greeting(&bytes) else { return nil }
            let wanted: SOCKS5.Method = asksForPassword ? .password : .none
            guard methods.contains(wanted.rawValue) else {
                throw SOCKS5.Failure(
                    message: asksForPassword
                        ? "the client offers no user name and password" : "the client insists on authentication",
                    answer: SOCKS5.answer(.noAcceptable))
            }
            step = asksForPassword ? .credentials : .request
            return .answer(SOCKS5.answer(wanted))
        case .credentials:
            guard let login = try SOCKS5.credentials(&bytes) else { return nil }
            step = .verifying
            return .verify(login)
        case .verifying:
            return nil
        case .request:
            return try SOCKS5.request(&bytes).map { .connect($0) }
        }
    }

    /// A client that does not speak SOCKS 5.
    private enum Foreign {
        case undecided
        case http
        /// The reason for a refusal.
        case other(String)
    }

    /// - Returns: nil if it may be SOCKS 5.
    private static func foreign(_ bytes: ByteBuffer) -> Foreign? {
        guard let version: UInt8 = bytes.getInteger(at: bytes.readerIndex), version != SOCKS5.version else { return nil }
        if version == 4 { return .other("the client speaks SOCKS 4, which has no names") }
        switch DetectedProtocol(bytes) {
        case .tls: return .other("the client does not speak SOCKS 5; it looks like TLS")
        case .http: return .http
        case .undecided: return .undecided
        case .other: return .other("the client does not speak SOCKS 5")
        }
    }

    /// The login is right or wrong (RFC 1929 §2).
    mutating func answer(isRight: Bool) throws(SOCKS5.Failure) -> ByteBuffer {
        step = .request
        guard isRight else {
            throw SOCKS5.Failure(message: "the user name or the password is wrong", answer: ByteBuffer(bytes: [1, 1]))
        }
        return ByteBuffer(bytes: [1, 0])
    }
}
