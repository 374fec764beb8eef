// The responder of mitm-serve: finds the recording that answers, replays it, and explains each miss.

import FlowModel
import FlowReplay
import HTTPSemantics
import NIOCore
import ProxyCore
import ProxyToolSupport
import Synchronization
import ToolSupport

extension FlowPlayer: ServerPlayer {}
extension StreamPlayer: ServerPlayer {}

/// How a request is handled that no recording answers.
enum MissPolicy: Equatable {
    case answer(Int)
    case close
    case forward(Endpoint, isTLS: Bool)

    var contactsServers: Bool { if case .forward = self { true } else { false } }

    /// - Throws: ``ToolError`` if the text is not valid.
    init(_ text: String) throws {
        if let status = Int(text), (200...599).contains(status) {
            self = .answer(status)
        } else if text == "close" {
            self = .close
        } else if let colon = text.firstIndex(of: ":"), ["forward", "record"].contains(text[..<colon]) {
            let url = text[text.index(after: colon)...]
            let isTLS = url.hasPrefix("https://")
            guard isTLS || url.hasPrefix("http://") else {
                throw ToolError("--on-miss \(text): write the server as http://host[:port] or https://host[:port]")
            }
            let authority = url.dropFirst(isTLS ? 8 : 7).prefix { $0 != "/" }
            guard url.hasSuffix(authority) || url.hasSuffix(authority + "/") else {
                throw ToolError("--on-miss \(text): requests keep their own path; write http[s]://host[:port] without one")
            }
            guard let endpoint = Endpoint(parsing: authority, defaultPort: isTLS ? 443 : 80) else {
                throw ToolError("--on-miss \(text): '\(authority)' is not a host[:port]")
            }
            self = .forward(endpoint, isTLS: isTLS)
        } else {
            throw ToolError("--on-miss \(text) is not known; write a status, close, forward:URL or record:URL")
        }
    }
}

/// A fault, as the answer to some of the requests.
struct Fault: Sendable {
    enum Kind: Equatable {
        case status(Int)
        case close
        case reset
    }

    var percent: Double
    var kind: Kind

    /// - Throws: ``ToolError`` if the text is not valid.
    init(_ text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, parts[0].hasSuffix("%"), let percent = Double(parts[0].dropLast()), (0...100).contains(percent)
        else {
            throw ToolError("--fault \(text) is not known; write 2%:503, 1%:reset or 1%:close")
        }
        self.percent = percent
        switch parts[1] {
        case "close": kind = .close
        case "reset": kind = .reset
        default:
            guard let status = Int(parts[1]), (200...599).contains(status) else {
                throw ToolError("--fault \(text): '\(parts[1])' is neither a status nor close nor reset")
            }
            kind = .status(status)
        }
    }
}

/// How requests are answered.
struct AnswerSettings: Sendable {
    var timing: ReplayTiming
    var dialogues: DialogueMatching
    var onMiss: MissPolicy
    var keepsDates: Bool
    var faults: [Fault]
    var isOrigin = false
    var isOnce: Bool
    var log: EventLog
}

/// The recordings, shared by all sessions.
final class Recordings: Sendable {
    struct State {
        var index: RecordingIndex
        /// How often each TCP stream was replayed.
        var played: [Int: Int] = [:]
        var counts = Counts()
        /// Something could not be read.
        var isDamaged = false
    }

    struct Counts {
        var answered = 0
        var missed = 0
        var faults = 0
        var streams = 0
    }

    let state: Mutex<State>

    init(_ index: RecordingIndex) { state = Mutex(State(index: index)) }
}

/// Answers from recordings, for the sessions of one listener.
struct RecordingResponder: Responder {
    let recordings: Recordings
    let settings: AnswerSettings
    let started: Timestamp

    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer {
        if let fault = fault() { return fault }
        return recordings.state.withLock { state in
            let host = host(of: request)
            let query = ReplayQuery(
                key: key(of: request, host, state.index.rules, method: request.asksForSwitch ? nil : request.method),
                head: request.head, content: request.content, isForAnyHost: isUnnamed(host))
            do {
                var answer = try state.index.answer(query, elapsed: now - started)
                // GET answers HEAD; a request for another protocol may have been refused, or ignored.
                if case .none = answer, request.head.isMethod("HEAD") || request.asksForSwitch {
                    let method = request.head.isMethod("HEAD") ? ByteBuffer(string: "GET") : request.method
                    var other = query
                    other.key = key(of: request, host, state.index.rules, method: method)
                    answer = try state.index.answer(other, elapsed: now - started)
                }
                switch answer {
                case .flow(let flow, let entry):
                    let response = state.index.response(of: entry, flow, for: context(request, now))
                    // An unreadable recording must show before a head is sent.
                    let player = player(flow, response, for: request, now)
                    try player.readAhead()
                    state.counts.answered += 1
                    logAnswer(request, flow, response)
                    return .play(player)
                case .exhausted:
                    return miss(request, "its recordings were served, each once (--once)", &state)
                case .none:
                    return miss(request, state.index.explain(query, host: String(buffer: host)), &state)
                }
            } catch {
                state.isDamaged = true
                return miss(request, "the recording cannot be read: \(error)", &state)
            }
        }
    }

    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)? {
        recordings.state.withLock { state in
            let host = host(of: request)
            let key = key(of: request, host, state.index.rules, method: request.method)
            guard let flow = try? state.index.duplexAnswer(key, isForAnyHost: isUnnamed(host)) else { return nil }
            state.counts.answered += 1
            let response = flow.response(for: context(request, now))
            logAnswer(request, flow, response)
            return player(flow, response, for: request, now, isComplete: false)
        }
    }

    private func context(_ request: RecordedRequestQuery, _ now: Timestamp) -> ResponseContext {
        ResponseContext(request: request.head, now: now, keepsDates: settings.keepsDates, accept: request.accept)
    }

    /// The host, chosen as for recorded flows: the client's name for the server is better than an address.
    private func host(of request: RecordedRequestQuery) -> ByteBuffer {
        let target = ByteBuffer(string: request.target.host)
        guard target.readableBytes == 0 || target.isAddress else { return target }
        return target.named(by: request.head.namedAuthority)
    }

    /// - Parameter method: nil for a request to switch protocols.
    private func key(of request: RecordedRequestQuery, _ host: ByteBuffer, _ rules: MatchRules, method: ByteBuffer?) -> RequestKey {
        RequestKey(method: method, host: host, target: request.head.target, rules)
    }

    /// The client names this machine and not a server.
    private func isUnnamed(_ host: ByteBuffer) -> Bool {
        settings.isOrigin && (host.isAddress || host.equalsIgnoringCase("localhost"))
    }

    private func line(_ request: RecordedRequestQuery) -> String {
        "\(String(buffer: request.head.method)) \(request.url(host(of: request)))".short
    }

    private func logAnswer(_ request: RecordedRequestQuery, _ flow: Flow, _ response: EditedResponse?) {
        settings.log.log(
            .notice, "answer",
            "\(line(request)) -> \(response.map { "\($0.head.status)" } ?? flow.error?.message ?? "no response")")
    }

    private func player(
        _ flow: Flow, _ response: EditedResponse?, for request: RecordedRequestQuery, _ now: Timestamp, isComplete: Bool = true
    ) -> FlowPlayer {
        FlowPlayer(
            flow, response: response, timing: settings.timing, matching: settings.dialogues, now: now,
            isRequestComplete: isComplete, sent100Continue: request.sent100Continue)
    }

    private func miss(_ request: RecordedRequestQuery, _ reason: String, _ state: inout Recordings.State) -> ResponderAnswer {
        state.counts.missed += 1
        let message = "no recording answers \(line(request)): \(reason)"
        settings.log.log(.notice, "miss", message)
        switch settings.onMiss {
        case .answer(let status): return .refuse(status: status, message)
        case .close: return .close(message, isReset: false)
        case .forward(let endpoint, let isTLS): return .forward(endpoint, isTLS: isTLS)
        }
    }

    private static let faultReason = "a fault, as --fault asks for"

    private func fault() -> ResponderAnswer? {
        guard !settings.faults.isEmpty else { return nil }
        var roll = Double.random(in: 0..<100)
        for fault in settings.faults {
            roll -= fault.percent
            guard roll < 0 else { continue }
            recordings.state.withLock { $0.counts.faults += 1 }
            switch fault.kind {
            case .status(let status): return .refuse(status: status, Self.faultReason)
            case .close: return .close(Self.faultReason, isReset: false)
            case .reset: return .close(Self.faultReason, isReset: true)
            }
        }
        return nil
    }

    func couldNotRead() { recordings.state.withLock { $0.isDamaged = true } }

    // MARK: Streams

    func speaksFirst(on target: FlowTarget) -> Bool {
        // A stream to another target tells nothing about this one, unless the listener has no target.
        let candidates = candidates(for: target).filter { target.host.isEmpty || $0.flow.target.isOf(target) }
        guard let first = candidates.first?.flow, first.target.scheme == target.scheme else { return false }
        return first.serverSpeaksFirst
    }

    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)? {
        let candidates = candidates(for: target)
        guard !candidates.isEmpty else { return nil }
        return StreamPlayer(candidates, timing: settings.timing, matching: settings.dialogues, now: now) { number in
            recordings.state.withLock { state in
                state.played[number, default: 0] += 1
                state.counts.streams += 1
            }
            settings.log.log(.notice, "answer", "tcp stream -> recording \(number + 1)")
        }
    }

    /// The streams to a target, or all streams if there is none, the least replayed first.
    private func candidates(for target: FlowTarget) -> [(number: Int, flow: Flow)] {
        recordings.state.withLock { state in
            let all = state.index.streams.enumerated().map { (number: $0.offset, flow: $0.element) }
            let same = all.filter { $0.flow.target.isOf(target) }
            let left = (same.isEmpty ? all : same).map { ($0, state.played[$0.number] ?? 0) }
            return left.filter { !settings.isOnce || $0.1 == 0 }.sorted { ($0.1, $0.0.number) < ($1.1, $1.0.number) }.map(\.0)
        }
    }
}

extension FlowTarget {
    /// Both are the same server.
    fileprivate func isOf(_ other: FlowTarget) -> Bool { host == other.host && port == other.port }
}

extension RecordedRequestQuery {
    /// By extended CONNECT (RFC 8441 section 4), or by Upgrade.
    fileprivate var asksForSwitch: Bool { isExtendedConnect || (head.version.major < 2 && head.fields.contains("upgrade")) }

    /// An extended CONNECT is the equivalent of GET with Upgrade in HTTP/1.
    fileprivate var method: ByteBuffer { isExtendedConnect ? ByteBuffer(string: "GET") : head.method }

    /// The URL of the request, for the user.
    fileprivate func url(_ host: ByteBuffer) -> String {
        let written = String(buffer: head.target)
        return written.hasPrefix("/") || written == "*" ? "\(target.scheme)://\(String(buffer: host.bracketed))\(written)" : written
    }
}

extension RequestHead {
    /// The client's name for the server: `:authority`, or Host.
    fileprivate var namedAuthority: ByteBuffer? { authorityRange.isEmpty ? fields.first("host") : authority }
}
