// What a client does wrong, or oddly, on an HTTP/2 connection, and what RFC 9113 and RFC 7541 let a server make of it.

import TestSupport
import Testing

/// What a peer is seen to make of frames.
enum HTTP2Verdict: Hashable, Sendable, CustomStringConvertible {
    /// GOAWAY with a code, then the end.
    case connectionError(HTTP2Code)
    /// GOAWAY with a code, but the connection stays.
    case lingers(HTTP2Code)
    /// The end without GOAWAY.
    case closed
    case streamError(HTTP2Code)
    case answered(Int)
    /// It was not answered, while a later request was.
    case ignored
    /// Something that is not HTTP/2.
    case plainText
    case nothing

    var description: String {
        switch self {
        case .connectionError(let code): "connection error \(code)"
        case .lingers(let code): "GOAWAY \(code) without an end"
        case .closed: "closed without GOAWAY"
        case .streamError(let code): "stream error \(code)"
        case .answered(let status): "answered \(status)"
        case .ignored: "ignored"
        case .plainText: "something that is not HTTP/2"
        case .nothing: "nothing within the limit"
        }
    }
}

/// Shorthand for the sets of verdicts that a rule allows.
extension Set<HTTP2Verdict> {
    static func connection(_ codes: HTTP2Code...) -> Self { Set(codes.map { .connectionError($0) }) }
    static func stream(_ codes: HTTP2Code...) -> Self { Set(codes.map { .streamError($0) }) }
    /// RFC 9113 §5.4.1: a stream error may be treated as a connection error.
    static func either(_ codes: HTTP2Code...) -> Self { Set(codes.flatMap { [.streamError($0), .connectionError($0)] }) }
    static let answered: Self = [.answered(200)]
    static let ignored: Self = [.ignored]
    /// RFC 9113 §8.1.1: a stream error of type PROTOCOL_ERROR; a server may send a response before.
    static let malformed: Self = [.streamError(.protocolError), .answered(400)]
    static func | (left: Self, right: Self) -> Self { left.union(right) }
}

struct HTTP2ServerRule: CustomTestStringConvertible, Sendable {
    enum Step: Sendable {
        case send([HTTP2Frame])
        case bytes([UInt8])
        /// Waits until the answer on a stream is whole.
        case answer(UInt32)
        /// Waits until what was sent so far has been read.
        case settled
        case finish

        static func send(_ frames: HTTP2Frame...) -> Step { .send(frames) }
    }

    var name: String
    /// The stream that is checked; 0 if only the connection counts.
    var stream: UInt32
    var steps: [Step]
    var allowed: Set<HTTP2Verdict>
    /// Whether the connection takes another request when there was no connection error.
    var goesOn: Bool
    var testDescription: String { name }

    /// Frames after preface and settings.
    init(_ name: String, on stream: UInt32 = 0, _ frames: HTTP2Frame..., allows allowed: Set<HTTP2Verdict>) {
        self.init(name, on: stream, steps: [.send(frames)], allows: allowed)
    }

    init(_ name: String, on stream: UInt32 = 0, steps: [Step], goesOn: Bool = true, allows allowed: Set<HTTP2Verdict>) {
        (self.name, self.stream, self.steps, self.goesOn, self.allowed) = (name, stream, steps, goesOn, allowed)
    }
}

extension HTTP2Endpoint {
    /// A stream identifier above those of all rules.
    static let probe: UInt32 = 1001

    func perform(_ step: HTTP2ServerRule.Step) throws {
        switch step {
        case .send(let frames): send(frames)
        case .bytes(let bytes): connection.send(bytes: bytes)
        case .answer(let stream):
            guard wait(until: { streams[stream]?.isOver == true }) else { throw TestFailure("no answer on stream \(stream)") }
        case .settled:
            let before = pongs.count
            send(.ping([9, 9, 9, 9, 9, 9, 9, 9]))
            guard wait(until: { pongs.count > before }) else { throw TestFailure("PING was not answered") }
        case .finish: connection.finish()
        }
    }

    /// What the peer makes of all that was sent, within a second.
    func verdict(on stream: UInt32, mayIgnore: Bool = false) -> HTTP2Verdict {
        if mayIgnore { send(.get(Self.probe)) }
        let decided = wait {
            goAway.map { $0.code != .noError } == true || plainText != nil || streams[stream]?.isOver == true
                || streams[Self.probe]?.isOver == true
        }
        if let goAway, goAway.code != .noError {
            return wait { isClosed } ? .connectionError(goAway.code) : .lingers(goAway.code)
        }
        if plainText != nil { return .plainText }
        if let code = streams[stream]?.reset, streams[stream]?.ended != true { return .streamError(code) }
        if let over = streams[stream], over.ended { return over.status.map { .answered($0) } ?? .nothing }
        if isClosed { return .closed }
        guard decided else { return .nothing }
        return streams[Self.probe]?.status == 200 ? .ignored : .nothing
    }
}
