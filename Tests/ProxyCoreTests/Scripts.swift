// A responder for tests: what servers say is a script.

import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import Synchronization

/// One thing that a played server does.
enum ScriptLine {
    case say(FlowEvent.What)
    /// Nothing for so many milliseconds.
    case wait(Int64)
    /// Nothing before the client has said so many things, or has ended.
    case hear(Int)
    case clientEnds
    case end(FlowEnding)

    static func head(_ text: String) -> ScriptLine {
        let version: HTTPVersion = text.hasPrefix(":") ? .http2 : .http1_1
        let head = ResponseHead(parsing: ByteBuffer(string: text + "\r\n\r\n"), version: version)
        return .say(head.isInterim ? .interim(head) : .response(head))
    }

    static func piece(_ text: String, _ kind: FlowPiece.Kind = .data) -> ScriptLine {
        .say(.piece(FlowPiece(kind: kind, from: .server, content: ByteBuffer(string: text))))
    }

    /// 1000, and a word.
    static func goodbye(_ reason: String) -> ScriptLine {
        .say(.piece(FlowPiece(kind: .close, from: .server, content: closing(reason))))
    }

    static func closing(_ reason: String) -> ByteBuffer {
        var content = ByteBuffer(bytes: [0x03, 0xE8])
        content.writeString(reason)
        return content
    }

    static let finished = ScriptLine.say(.finished(.server))
    static let complete = ScriptLine.end(FlowEnding(state: .complete))
}

/// Plays a script.
final class ScriptedServer: ServerPlayer {
    let hasContent: Bool
    private var lines: ArraySlice<ScriptLine>
    private var heard = 0
    private var hasClientEnded = false
    private var due: Timestamp?

    init(_ lines: [ScriptLine], hasContent: Bool = true) {
        self.lines = lines[...]
        self.hasContent = hasContent
    }

    func next(at now: Timestamp) -> ServerStep {
        while let line = lines.first {
            switch line {
            case .say(let what):
                lines.removeFirst()
                return .say(what)
            case .wait(let milliseconds):
                let due = due ?? now.advanced(byNanoseconds: milliseconds * 1_000_000)
                self.due = due
                if now < due { return .wait(until: due) }
                self.due = nil
            case .hear(let count):
                if heard < count { return .waitForClient }
                heard -= count
            case .clientEnds:
                if !hasClientEnded { return .waitForClient }
            case .end(let ending):
                return .end(ending)
            }
            lines.removeFirst()
        }
        return .end(FlowEnding(state: .incomplete))
    }

    func receive(_ piece: FlowPiece, at now: Timestamp) { heard += 1 }
    func clientFinished(at now: Timestamp) { hasClientEnded = true }
    func takeComplaints() -> [String] { [] }
}

/// Answers by path, and notes what it was asked.
final class ScriptedResponder: Responder {
    typealias Answer = @Sendable (String) -> ResponderAnswer

    private let answers: Answer
    private let duplex: [ScriptLine]
    private let streams: [ScriptLine]?
    private let isFirst: Bool
    private let noted = Mutex<[String]>([])

    /// - Parameters:
    ///   - duplex: a server that answers while the request goes on; empty is none.
    ///   - stream: plays every stream; nil plays none. `speaksFirst` says so of it.
    init(
        duplex: [ScriptLine] = [], stream: [ScriptLine]? = nil, speaksFirst: Bool = false,
        _ answers: @escaping Answer = { _ in .refuse(status: 404, "no") }
    ) {
        self.answers = answers
        self.duplex = duplex
        self.streams = stream
        isFirst = speaksFirst
    }

    /// Every request is answered by one script.
    convenience init(_ lines: [ScriptLine], hasContent: Bool = true) {
        self.init { _ in .play(ScriptedServer(lines, hasContent: hasContent)) }
    }

    /// The requests that were asked about, each as a line.
    var asked: [String] { noted.withLock { $0 } }

    func couldNotRead() { noted.withLock { $0.append("could not read") } }

    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)? {
        duplex.isEmpty ? nil : ScriptedServer(duplex)
    }

    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer {
        let path = String(buffer: request.head.target)
        var line =
            "\(String(buffer: request.head.method)) \(request.target.scheme)://\(request.target.host):\(request.target.port) \(path)"
        if request.content.readableBytes > 0 { line += " <\(String(buffer: request.content).prefix(40))>" }
        if request.sent100Continue { line += " 100" }
        if request.isExtendedConnect { line += " extended" }
        if let accept = request.accept { line += " accept \(accept)" }
        noted.withLock { $0.append(line) }
        return answers(path)
    }

    func speaksFirst(on target: FlowTarget) -> Bool { isFirst }

    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)? {
        noted.withLock { $0.append("stream \(target.scheme)://\(target.host):\(target.port)") }
        return streams.map { ScriptedServer($0) }
    }
}
