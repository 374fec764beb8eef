// Recorded flows as tests tell them: a line for each thing that happened, with its time in milliseconds.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport

@testable import FlowReplay

/// When recordings in these tests begin, in milliseconds since 1970.
let recordingStart: Int64 = 1_760_000_000_000

func moment(_ milliseconds: Int64) -> Timestamp { Timestamp(nanoseconds: (recordingStart + milliseconds) * 1_000_000) }

func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// A request's head of HTTP/1.
func requestHead(_ line: String = "GET / HTTP/1.1", _ fields: [String] = ["Host: a.example"]) -> RequestHead {
    RequestHead(parsing: bytes(([line] + fields).joined(separator: "\r\n") + "\r\n\r\n"), version: .http1_1)
}

/// One of HTTP/2.
func requestHead2(_ fields: [String]) -> RequestHead {
    RequestHead(parsing: bytes(fields.joined(separator: "\r\n") + "\r\n\r\n"), version: .http2)
}

func responseHead(_ line: String = "HTTP/1.1 200 OK", _ fields: [String] = []) -> ResponseHead {
    let version: HTTPVersion = line.hasPrefix(":") ? .http2 : .http1_1
    return ResponseHead(parsing: bytes(([line] + fields).joined(separator: "\r\n") + "\r\n\r\n"), version: version)
}

func said(_ text: String, by side: Side, _ kind: FlowPiece.Kind = .data) -> FlowEvent.What {
    .piece(FlowPiece(kind: kind, from: side, content: bytes(text)))
}

/// A flow of things and the milliseconds at which they happened. It is numbered from the file's beginning unless a number is given.
func flow(
    _ kind: FlowKind = .http, number: UInt64, host: String = "a.example", port: UInt16 = 80, _ events: [(Int64, FlowEvent.What)]
) -> Flow {
    let target = FlowTarget(scheme: kind == .http ? "http" : "tcp", host: host, port: port)
    var flow = FlowBuilder(kind, id: FlowID(high: 1, low: number), at: moment(events.first?.0 ?? 0), target: target)
    for (at, what) in events { flow.add(what, at: moment(at)) }
    return flow.flow
}

/// An exchange that took a millisecond.
func exchange(
    number: UInt64, at: Int64 = 0, host: String = "a.example", _ head: RequestHead = requestHead(), content: String = "",
    _ response: ResponseHead = responseHead(), answer: String = "", isComplete: Bool = true
) -> Flow {
    var events: [(Int64, FlowEvent.What)] = [(at, .request(head))]
    if !content.isEmpty { events.append((at, said(content, by: .client))) }
    events += [(at, .finished(.client)), (at + 1, .response(response))]
    if !answer.isEmpty { events.append((at + 1, said(answer, by: .server))) }
    if isComplete {
        events += [(at + 1, .finished(.server)), (at + 1, .ended(FlowEnding(state: .complete)))]
    } else {
        events.append((at + 1, .ended(FlowEnding(state: .incomplete))))
    }
    return flow(number: number, host: host, events)
}

/// Asks an index. Answers are the numbers of flows, `-` for a miss, `x` for exhausted recordings.
struct Asker {
    var index: RecordingIndex
    let rules: MatchRules

    init(_ flows: [Flow], rules: MatchRules = MatchRules(), order: ReplayOrder = .sequence, isOnce: Bool = false) {
        index = RecordingIndex(rules: rules, order: order, isOnce: isOnce)
        self.rules = rules
        for flow in flows { index.add(flow) }
    }

    func query(
        _ head: RequestHead, host: String, content: String, asksForSwitch: Bool, isForAnyHost: Bool = false
    ) -> ReplayQuery {
        ReplayQuery(
            method: asksForSwitch ? nil : head.method, host: bytes(host), head: head, content: bytes(content),
            isForAnyHost: isForAnyHost)
    }

    mutating func ask(
        _ head: RequestHead = requestHead(), host: String = "a.example", content: String = "", elapsed: Int64 = 0,
        asksForSwitch: Bool = false, isForAnyHost: Bool = false
    ) throws -> String {
        let query = query(
            head, host: host, content: content, asksForSwitch: asksForSwitch, isForAnyHost: isForAnyHost)
        switch try index.answer(query, elapsed: elapsed * 1_000_000) {
        case .flow(let flow, _): return "\(flow.id.low)"
        case .exhausted: return "x"
        case .none: return "-"
        }
    }

    mutating func ask(times: Int) throws -> [String] {
        var answers: [String] = []
        for _ in 0..<times { answers.append(try ask()) }
        return answers
    }

    mutating func explain(
        _ head: RequestHead, host: String = "a.example", content: String = "", isForAnyHost: Bool = false
    ) -> String {
        let query = query(head, host: host, content: content, asksForSwitch: false, isForAnyHost: isForAnyHost)
        return index.explain(query, host: host).text
    }
}
