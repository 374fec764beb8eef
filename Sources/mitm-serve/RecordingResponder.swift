// The responder of mitm-serve: finds the recording that answers, replays it, and explains each miss.

import FlowModel
import FlowReplay
import HTTPSemantics
import NIOCore
import ProxyCore
import Synchronization

extension FlowPlayer: ServerPlayer {}
extension StreamPlayer: ServerPlayer {}

/// How requests are answered.
struct AnswerSettings: Sendable {
    var timing: ReplayTiming
    var dialogues: DialogueMatching
    var onMiss: MissPolicy
    var keepsDates: Bool
    var faults: [Fault]
    var isOrigin = false
    var isOnce: Bool
    var log: AnswerLog
}

/// Answers from recordings, for the sessions of one listener.
struct RecordingResponder: Responder {
    let served: ServedRecordings
    let settings: AnswerSettings
    let started: Timestamp

    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer {
        if let fault = fault() { return answer(fault, to: request, now) }
        return served.current.state.withLock { state in
            let host = host(of: request)
            let query = ReplayQuery(
                method: request.asksForSwitch ? nil : request.method, host: host, head: request.head, content: request.content,
                isForAnyHost: isUnnamed(host))
            do {
                var answer = try state.index.answer(query, elapsed: now - started)
                // GET answers HEAD; a request for another protocol may have been refused, or ignored.
                if case .none = answer, request.head.isMethod("HEAD") || request.asksForSwitch {
                    var other = query
                    other.method = request.head.isMethod("HEAD") ? ByteBuffer(string: "GET") : request.method
                    answer = try state.index.answer(other, elapsed: now - started)
                }
                switch answer {
                case .flow(let flow, let entry):
                    // A HEAD is answered without content.
                    if !request.head.isMethod("HEAD"), let reason = flow.cutAnswer {
                        return miss(request, MissExplanation(reason, nearest: flow.id), now)
                    }
                    let response = state.index.response(of: entry, flow, for: context(request, now))
                    // An unreadable recording must show before a head is sent.
                    let player = player(flow, response, for: request, now, state.index.redactions)
                    try player.readAhead()
                    return .play(noted(player, flow, state.index.sourceName(of: entry), request, now))
                case .exhausted:
                    return miss(request, MissExplanation("its recordings were served, each once (--once)"), now)
                case .none:
                    return miss(request, state.index.explain(query, host: String(buffer: host)), now)
                }
            } catch {
                couldNotRead()
                return miss(request, MissExplanation("the recording cannot be read: \(error)"), now)
            }
        }
    }

    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)? {
        served.current.state.withLock { state -> (any ServerPlayer)? in
            let host = host(of: request)
            let query = ReplayQuery(method: request.method, host: host, head: request.head, isForAnyHost: isUnnamed(host))
            guard let (flow, entry) = try? state.index.duplexAnswer(query), flow.cutAnswer == nil else { return nil }
            let response = flow.response(for: context(request, now))
            let player = player(flow, response, for: request, now, state.index.redactions, isComplete: false)
            return noted(player, flow, state.index.sourceName(of: entry), request, now)
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

    /// The client names this machine and not a server.
    private func isUnnamed(_ host: ByteBuffer) -> Bool {
        settings.isOrigin && (host.isAddress || host.equalsIgnoringCase("localhost"))
    }

    private func record(_ request: RecordedRequestQuery, _ now: Timestamp) -> AnswerRecord {
        AnswerRecord(time: now, method: String(buffer: request.head.method), url: request.url(host(of: request)))
    }

    /// Counts an answer, and has it noted at its end.
    private func noted(
        _ player: FlowPlayer, _ flow: Flow, _ file: String, _ request: RecordedRequestQuery, _ now: Timestamp
    ) -> any ServerPlayer {
        served.totals.withLock { $0.answered += 1 }
        guard settings.log.isWanted else { return player }
        var record = record(request, now)
        record.recording = (flow.id, file)
        return NotedPlayer(player, record, endsWithMessage: !flow.hasSwitched, log: settings.log)
    }

    private func player(
        _ flow: Flow, _ response: EditedResponse?, for request: RecordedRequestQuery, _ now: Timestamp,
        _ redactions: [RecordedRedaction], isComplete: Bool = true
    ) -> FlowPlayer {
        FlowPlayer(
            flow, response: response, timing: settings.timing, matching: settings.dialogues, now: now,
            isRequestComplete: isComplete, sent100Continue: request.sent100Continue, redactions: redactions)
    }

    private func miss(_ request: RecordedRequestQuery, _ explanation: MissExplanation, _ now: Timestamp) -> ResponderAnswer {
        served.totals.withLock { $0.missed += 1 }
        var record = record(request, now)
        record.miss = (explanation.text, explanation.nearest)
        let message = record.line
        let answer: ResponderAnswer
        switch settings.onMiss {
        case .answer(let status):
            record.status = status
            answer = .refuse(status: status, message)
        case .close:
            answer = .close(message, isReset: false)
        case .forward(let server):
            let target = MissPolicy.Server(
                endpoint: Endpoint(host: request.target.host, port: request.target.port), isTLS: request.target.scheme == "https")
            let server = server ?? target
            record.remark = "sent to \(server)"
            answer = .forward(server.endpoint, isTLS: server.isTLS)
        }
        settings.log.note(record)
        return answer
    }

    private static let faultReason = "a fault, as --fault asks for"

    /// The fault that is due; nil: the request is answered.
    private func fault() -> Fault.Kind? {
        guard !settings.faults.isEmpty else { return nil }
        var roll = Double.random(in: 0..<100)
        for fault in settings.faults {
            roll -= fault.percent
            if roll < 0 { return fault.kind }
        }
        return nil
    }

    private func answer(_ fault: Fault.Kind, to request: RecordedRequestQuery, _ now: Timestamp) -> ResponderAnswer {
        served.totals.withLock { $0.faults += 1 }
        var record = record(request, now)
        record.isFault = true
        if case .status(let status) = fault { record.status = status }
        settings.log.note(record)
        return switch fault {
        case .status(let status): .refuse(status: status, Self.faultReason)
        case .close: .close(Self.faultReason, isReset: false)
        case .reset: .close(Self.faultReason, isReset: true)
        }
    }

    func couldNotRead() { served.totals.withLock { $0.isDamaged = true } }

    // MARK: Streams

    func speaksFirst(on target: FlowTarget) -> Bool {
        // A stream to another target tells nothing about this one, unless the listener has no target.
        let candidates = candidates(for: target, served.current).filter { target.host.isEmpty || $0.flow.target.isOf(target) }
        guard let first = candidates.first?.flow, first.target.scheme == target.scheme else { return false }
        return first.serverSpeaksFirst
    }

    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)? {
        let recordings = served.current
        let candidates = candidates(for: target, recordings)
        guard !candidates.isEmpty else { return nil }
        let chosen = ChosenRecording()
        let redactions = recordings.state.withLock { $0.index.redactions }
        let player = StreamPlayer(
            candidates, timing: settings.timing, matching: settings.dialogues, now: now, redactions: redactions
        ) { number in
            served.totals.withLock { $0.streams += 1 }
            recordings.state.withLock { state in
                state.played[number, default: 0] += 1
                chosen.value = (state.index.streams[number].id, state.index.sourceName(ofStream: number))
            }
        }
        guard settings.log.isWanted else { return player }
        let server = target.host.isEmpty ? "" : Endpoint(host: target.host, port: target.port).description
        let record = AnswerRecord(time: now, method: "", url: "\(target.scheme)://\(server)")
        return NotedPlayer(player, record, endsWithMessage: false, chosen: chosen, log: settings.log)
    }

    /// The streams to a target, or all streams if there is none, the least replayed first.
    private func candidates(for target: FlowTarget, _ recordings: Recordings) -> [(number: Int, flow: Flow)] {
        recordings.state.withLock { state in
            let all = state.index.streams.enumerated().map { (number: $0.offset, flow: $0.element) }
                .filter { $0.flow.cutAnswer == nil }
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
