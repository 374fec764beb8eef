// The messages of SOCKS 5 alone, in both roles.

import FlowModel
import NIOCore
import Testing

@testable import ProxyCore

/// Bytes of a message; text stands for its bytes, and a number for one byte.
private func bytes(_ parts: Any...) -> ByteBuffer {
    var buffer = ByteBuffer()
    for part in parts {
        if let text = part as? String { buffer.writeString(text) }
        if let number = part as? Int { buffer.writeInteger(UInt8(number)) }
    }
    return buffer
}

/// What is read from a message: a value and the rest of the bytes, `more`, or the failure and the reply that the client gets.
private func outcome<Value>(
    _ message: ByteBuffer, _ read: (inout ByteBuffer) throws(SOCKS5.Failure) -> Value?
) -> String {
    var rest = message
    do throws(SOCKS5.Failure) {
        guard let value = try read(&rest) else { return rest == message ? "more" : "more, and bytes are lost" }
        return "\(value)" + (rest.readableBytes > 0 ? " then \(String(buffer: rest))" : "")
    } catch {
        let reply: UInt8? = error.answer.getInteger(at: error.answer.readerIndex + 1)
        return error.message + (reply.flatMap { SOCKS5.Reply(rawValue: $0) }.map { " (\($0))" } ?? "")
    }
}

private let mapped = ByteBuffer(bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 1])
private let loopback = ByteBuffer(bytes: [UInt8](repeating: 0, count: 15) + [1])

@Suite("SOCKS 5")
struct SOCKS5Tests {
    static let greetings: [(ByteBuffer, String)] = [
        (bytes(5, 1, 0), "[0]"),
        (bytes(5, 2, 0, 2), "[0, 2]"),
        (bytes(5, 0), "[]"),
        (bytes(5, 1, 0, "rest"), "[0] then rest"),
        (bytes(), "more"),
        (bytes(5), "more"),
        (bytes(5, 2, 0), "more"),
    ]

    @Test("A greeting names methods", arguments: greetings)
    func greeting(message: ByteBuffer, expected: String) {
        #expect(outcome(message, SOCKS5.greeting) == expected)
    }

    static let logins: [(ByteBuffer, String)] = [
        (bytes(1, 1, "u", 1, "p"), "u p"),
        (bytes(1, 0, 0), " "),
        (bytes(1, 1, "u", 1, "p", "rest"), "u p then rest"),
        (bytes(1, 2, "u"), "more"),
        (bytes(1, 1, "u", 2, "p"), "more"),
        (bytes(2), "the client's user name and password are in no known form"),
    ]

    @Test("A login has a user name and a password", arguments: logins)
    func login(message: ByteBuffer, expected: String) {
        let found = outcome(message) { rest throws(SOCKS5.Failure) in
            try SOCKS5.credentials(&rest).map { "\($0.user) \($0.password)" }
        }
        #expect(found == expected)
    }

    static let requests: [(ByteBuffer, String)] = [
        (bytes(5, 1, 0, 1, 192, 0, 2, 1, 0, 80), "192.0.2.1:80"),
        (bytes(5, 1, 0, 3, 9, "a.example", 1, 0xBB), "a.example:443"),
        (bytes(5, 1, 0, 3, 1, "a", 0, 80, "rest"), "a:80 then rest"),
        (ByteBuffer(bytes: [5, 1, 0, 4] + Array(loopback.readableBytesView) + [0, 80]), "[::1]:80"),
        (ByteBuffer(bytes: [5, 1, 0, 4] + Array(mapped.readableBytesView) + [0, 80]), "192.0.2.1:80"),
        (bytes(5, 1, 0), "more"),
        (bytes(5, 1, 0, 1, 192, 0, 2), "more"),
        (bytes(5, 1, 0, 1, 192, 0, 2, 1, 0), "more"),
        (bytes(5, 1, 0, 3, 9, "a.ex"), "more"),
        (bytes(4, 1, 0, 1), "the client's SOCKS request is malformed (generalFailure)"),
        (bytes(5, 2, 0, 1), "the client asks for another SOCKS command than CONNECT (commandNotSupported)"),
        (bytes(5, 3, 0, 1), "the client asks for another SOCKS command than CONNECT (commandNotSupported)"),
        (bytes(5, 1, 0, 3, 0, 0, 80), "the client's SOCKS request holds no name (generalFailure)"),
        (bytes(5, 1, 0, 3, 3, "a/b", 0, 80), "the client's SOCKS request holds no name (generalFailure)"),
        (bytes(5, 1, 0, 3, 3, "a@b", 0, 80), "the client's SOCKS request holds no name (generalFailure)"),
        (bytes(5, 1, 0, 2), "the client's SOCKS request holds an unknown kind of address (addressTypeNotSupported)"),
    ]

    @Test("A request names a destination", arguments: requests)
    func request(message: ByteBuffer, expected: String) {
        #expect(outcome(message, SOCKS5.request) == expected)
    }

    static let failures: [(String, SOCKS5.Reply)] = [
        ("connection refused", .connectionRefused),
        ("network is unreachable", .hostUnreachable),
        ("no such host", .hostUnreachable),
        ("timed out", .hostUnreachable),
        ("the certificate has expired", .generalFailure),
    ]

    @Test("A connection that failed has a reply", arguments: failures)
    func failure(reason: String, reply: SOCKS5.Reply) {
        #expect(SOCKS5.Reply(failure: reason) == reply)
        #expect(SOCKS5.answer(reply) == bytes(5, Int(reply.rawValue), 0, 1, 0, 0, 0, 0, 0, 0))
    }

    static let replies: [(ByteBuffer, String)] = [
        (bytes(5, 0, 0, 1, 0, 0, 0, 0, 0, 0), "succeeded"),
        (bytes(5, 5, 0, 3, 1, "a", 0, 80, "rest"), "connectionRefused then rest"),
        (bytes(5, 99, 0, 1, 0, 0, 0, 0, 0, 0), "generalFailure"),
        (bytes(5, 0, 0, 1, 0, 0, 0, 0, 0), "more"),
        (bytes("HTTP"), "the upstream proxy does not speak SOCKS 5"),
    ]

    @Test("A server's reply to a request", arguments: replies)
    func reply(message: ByteBuffer, expected: String) {
        #expect(outcome(message, SOCKS5.reply) == expected)
    }

    @Test("What we send as a client is what we read as a server")
    func asClient() throws {
        #expect(outcome(SOCKS5.greeting(withPassword: false), SOCKS5.greeting) == "[0]")
        #expect(outcome(SOCKS5.greeting(withPassword: true), SOCKS5.greeting) == "[0, 2]")
        let login = Login(user: "us\u{E9}r", password: "pass word")
        var message = SOCKS5.credentials(user: login.user, password: login.password)
        #expect(try SOCKS5.credentials(&message) == login)
        #expect(outcome(SOCKS5.request(Endpoint(host: "a.example", port: 443)), SOCKS5.request) == "a.example:443")
    }

    /// What a server answers and finds out, a line each; it is told that the login is right or wrong.
    private static func run(asksForPassword: Bool, isRight: Bool, _ message: ByteBuffer) -> [String] {
        var server = SOCKS5Server(asksForPassword: asksForPassword)
        var (rest, lines) = (message, [String]())
        func answer(_ bytes: ByteBuffer) -> String {
            "answer \(bytes.readableBytesView.map { "\($0)" }.joined(separator: " "))"
        }
        do throws(SOCKS5.Failure) {
            while let outcome = try server.advance(&rest) {
                switch outcome {
                case .answer(let bytes): lines.append(answer(bytes))
                case .verify(let login):
                    lines.append("verify \(login.user) \(login.password)")
                    // Nothing is read while the login is verified.
                    if try server.advance(&rest) != nil { lines.append("read too early") }
                    lines.append(answer(try server.answer(isRight: isRight)))
                case .connect(let endpoint): return lines + ["connect \(endpoint)"]
                case .http: return lines + ["http"]
                }
            }
        } catch {
            lines.append(error.message)
            if error.answer.readableBytes > 0 { lines.append(answer(error.answer)) }
        }
        return lines
    }

    private static let login = "\u{1}\u{1}u\u{1}p"

    static let conversations: [(asksForPassword: Bool, isRight: Bool, ByteBuffer, [String])] = [
        (false, true, bytes(5, 1, 0), ["answer 5 0"]),
        (false, true, bytes(5, 1, 0, 5, 1, 0, 3, 1, "a", 0, 80), ["answer 5 0", "connect a:80"]),
        (false, true, bytes(5, 2, 2, 0, 5, 1, 0, 3, 1, "a", 0, 80), ["answer 5 0", "connect a:80"]),
        (false, true, bytes(5, 1, 2), ["the client insists on authentication", "answer 5 255"]),
        (false, true, bytes(5, 0), ["the client insists on authentication", "answer 5 255"]),
        (true, true, bytes(5, 1, 0), ["the client offers no user name and password", "answer 5 255"]),
        (true, true, bytes(5, 2, 0, 2), ["answer 5 2"]),
        (true, true, bytes(5, 1, 2, login), ["answer 5 2", "verify u p", "answer 1 0"]),
        (true, true, bytes(5, 1, 2, login, 5, 1, 0, 3, 1, "a", 0, 80), ["answer 5 2", "verify u p", "answer 1 0", "connect a:80"]),
        (
            true, false, bytes(5, 1, 2, login, 5, 1, 0, 3, 1, "a", 0, 80),
            ["answer 5 2", "verify u p", "the user name or the password is wrong", "answer 1 1"]
        ),
        (false, true, bytes(4, 1), ["the client speaks SOCKS 4, which has no names"]),
        (false, true, bytes("GET / HTTP/1.1\r\n"), ["http"]),
        (false, true, bytes("GET /"), []),
        (false, true, bytes("G"), []),
        (false, true, bytes("hello"), ["the client does not speak SOCKS 5"]),
        (false, true, bytes(0x16, 3, 1), ["the client does not speak SOCKS 5; it looks like TLS"]),
        (false, true, bytes(6), ["the client does not speak SOCKS 5"]),
    ]

    @Test("A server leads a client to its destination step by step", arguments: conversations)
    func server(asksForPassword: Bool, isRight: Bool, message: ByteBuffer, expected: [String]) {
        #expect(Self.run(asksForPassword: asksForPassword, isRight: isRight, message) == expected)
    }
}
