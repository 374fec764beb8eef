// What a server does wrong, or oddly, on an HTTP/2 connection from the recorder: what the recorder tells it, and what the client gets.

import Foundation
import Synchronization
import TestSupport
import Testing

struct HTTP2ClientRule: CustomTestStringConvertible, Sendable {
    enum Answer: Hashable, Sendable {
        /// 502 of the recorder's own.
        case badGateway
        /// Something came, and then the stream was reset or the connection ended.
        case cut
        /// The stream was reset with this code before anything came.
        case reset(HTTP2Code)
        /// All of it: fields behind `:status` and a date, content, trailers.
        case whole(String)
        case nothing
    }

    var name: String
    var request: HTTP2Frame
    /// What the server says when the connection is there.
    var opening: [UInt8]
    /// What it says when the request has come. nil: it never gets so far.
    var answer: [HTTP2Frame]?
    /// Whether it closes the connection then.
    var closes = false
    /// What the recorder sends to the server. Empty: not checked.
    var toServer: Set<HTTP2Verdict>
    var toClient: Set<Answer>
    var testDescription: String { name }

    /// A request of path `/bad` on the recorder's first stream, which is 1 upstream.
    init(
        _ name: String, request: HTTP2Frame = .get(1, "/bad"), opening: [UInt8] = HTTP2Frame.settings().bytes,
        _ answer: HTTP2Frame..., closes: Bool = false, server: Set<HTTP2Verdict>, client: Set<Answer>
    ) {
        self.init(name, request: request, opening: opening, frames: answer, closes: closes, server: server, client: client)
    }

    init(
        _ name: String, request: HTTP2Frame = .get(1, "/bad"), opening: [UInt8] = HTTP2Frame.settings().bytes,
        frames: [HTTP2Frame]?, closes: Bool = false, server: Set<HTTP2Verdict>, client: Set<Answer>
    ) {
        (self.name, self.request, self.opening, answer) = (name, request, opening, frames)
        (self.closes, toServer, toClient) = (closes, server, client)
    }

    /// A server that goes wrong before there is a request.
    static func opening(
        _ name: String, _ bytes: [UInt8], closes: Bool = false, server: Set<HTTP2Verdict>, client: Set<Answer> = [.badGateway]
    ) -> HTTP2ClientRule {
        HTTP2ClientRule(name, opening: bytes, frames: nil, closes: closes, server: server, client: client)
    }
}

extension Set<HTTP2ClientRule.Answer> {
    static let badGateway: Self = [.badGateway]
    /// The head came, and then an end. A reset overtakes a head that came in one piece with its cause, which is no loss.
    static let cut: Self = [.cut, .reset(.internalError), .reset(.protocolError), .reset(.cancel)]
    /// 200 and `ok` without further fields.
    static let ok: Self = [.whole("200 <ok>")]
    static func whole(_ text: String) -> Self { [.whole(text)] }
    static func | (left: Self, right: Self) -> Self { left.union(right) }
}

/// A server that follows one rule on its first request for `/bad`, and answers everything else well.
final class RuledOrigin: Sendable {
    /// The request's stream upstream: the recorder's first.
    static let stream: UInt32 = 1
    private let verdicts: Awaited<(rule: String, verdict: HTTP2Verdict)>
    private let origin: HTTP2Origin
    private let current: Shared

    /// The rule that connections follow.
    private final class Shared: Sendable {
        let rule: Mutex<HTTP2ClientRule>
        init(_ rule: HTTP2ClientRule) { self.rule = Mutex(rule) }
    }

    var port: Int { origin.port }

    /// Connections from now on follow another rule.
    func follow(_ rule: HTTP2ClientRule) { current.rule.withLock { $0 = rule } }

    init(_ rule: HTTP2ClientRule) throws {
        let verdicts = Awaited<(rule: String, verdict: HTTP2Verdict)>()
        let current = Shared(rule)
        self.verdicts = verdicts
        self.current = current
        origin = try HTTP2Origin { endpoint in
            let rule = current.rule.withLock { $0 }
            endpoint.acknowledges = !rule.name.contains("not acknowledged")
            endpoint.connection.send(bytes: rule.opening)
            guard let answer = rule.answer else {
                // Resetting the connection could discard data that was sent before.
                if rule.closes { endpoint.connection.finish() }
                verdicts.put((rule.name, endpoint.verdictOfClient(on: Self.stream, asked: false)))
                return
            }
            HTTP2Origin.serve(endpoint) { endpoint, stream in
                guard endpoint.streams[stream]?.path == "/bad" else { return HTTP2Origin.ok(endpoint, stream) }
                endpoint.send(answer)
                if rule.closes { endpoint.connection.finish() }
                verdicts.put((rule.name, endpoint.verdictOfClient(on: stream)))
            }
        }
    }

    /// What the recorder made of a rule; nil when it does not come.
    func verdict(of rule: HTTP2ClientRule) -> HTTP2Verdict? {
        // Those of rules before it may come late.
        while let (name, verdict) = verdicts.take(.seconds(2)) {
            if name == rule.name { return verdict }
        }
        return nil
    }
}

/// Values that one thread hands to another.
final class Awaited<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let arrived = DispatchSemaphore(value: 0)

    func put(_ value: Value) {
        values.withLock { $0.append(value) }
        arrived.signal()
    }

    func take(_ limit: Duration) -> Value? {
        guard arrived.wait(timeout: .now() + limit / .seconds(1)) == .success else { return nil }
        return values.withLock { $0.removeFirst() }
    }
}

extension HTTP2Endpoint {
    /// What a client makes of what it was sent: nothing, when it asks for something else on the same connection.
    /// - Parameters:
    ///   - asked: whether the request is there already, so that another one is a sign of good will.
    ///   - limit: the time for the client to decide.
    func verdictOfClient(on stream: UInt32, asked: Bool = true, within limit: Duration = .seconds(1)) -> HTTP2Verdict {
        let before = asked ? opened.count : .max
        let decided = wait(limit) {
            goAway.map { $0.code != .noError } == true || streams[stream]?.reset != nil || opened.count > before
        }
        if let goAway, goAway.code != .noError {
            return wait(limit, until: { isClosed }) ? .connectionError(goAway.code) : .lingers(goAway.code)
        }
        if let code = streams[stream]?.reset { return .streamError(code) }
        if isClosed { return .closed }
        return decided ? .ignored : .nothing
    }

    /// What a client got on a stream, within a second.
    func answer(on stream: UInt32) -> HTTP2ClientRule.Answer {
        wait { streams[stream]?.isOver == true }
        guard let over = streams[stream], !over.sections.isEmpty else {
            return streams[stream]?.reset.map { .reset($0) } ?? .nothing
        }
        if over.status == 502 { return .badGateway }
        if over.ended { return .whole(over.summary) }
        return over.reset != nil || isClosed ? .cut : .nothing
    }
}

extension HTTP2Endpoint.Stream {
    /// `103 link: x; 200 server: y <content> x-sum: 9`, without what the recorder may add.
    var summary: String {
        let sections = sections.map { section in
            section.filter { $0.name != "date" }.map { $0.name == ":status" ? $0.value : $0.description }.joined(separator: " ")
        }
        // The last section of several that has no status is the trailers.
        let hasTrailers = self.sections.count > 1 && self.sections.last?.contains { $0.name == ":status" } == false
        let heads = (hasTrailers ? Array(sections.dropLast()) : sections).joined(separator: "; ")
        let content = body.size > 0 ? [" <\(body.text)>"] : []
        return ([heads] + content + (hasTrailers ? [" " + (sections.last ?? "")] : [])).joined()
    }
}
