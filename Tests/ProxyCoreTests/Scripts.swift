// A responder for tests: what servers send is a script.

import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import Synchronization

/// One step of a recorded server.
enum ScriptLine {
    case send(FlowEvent.What)
    /// Sends nothing for this number of milliseconds.
    case wait(Int64)
    /// Sends nothing before the client has sent this number of pieces.
    case receive(Int)
    case clientEnds
    case end(FlowEnding)

    static func head(_ text: String) -> ScriptLine {
        let version: HTTPVersion = text.hasPrefix(":") ? .http2 : .http1_1
        let head = ResponseHead(parsing: ByteBuffer(string: text + "\r\n\r\n"), version: version)
        return .send(head.isInterim ? .interim(head) : .response(head))
    }

    static func piece(_ text: String, _ kind: FlowPiece.Kind = .data) -> ScriptLine {
        .send(.piece(FlowPiece(kind: kind, from: .server, content: ByteBuffer(string: text))))
    }

    /// A close frame with code 1000.
    static func close(_ reason: String) -> ScriptLine {
        .send(.piece(FlowPiece(kind: .close, from: .server, content: closing(reason))))
    }

    static func closing(_ reason: String) -> ByteBuffer {
        var content = ByteBuffer(bytes: [0x03, 0xE8])
        content.writeString(reason)
        return content
    }

    static let finished = ScriptLine.send(.finished(.server))
    static let complete = ScriptLine.end(FlowEnding(state: .complete))
}

/// Sends what a script says.
final class ScriptedServer: ServerPlayer {
    let hasContent: Bool
    private var lines: ArraySlice<ScriptLine>
    private var received = 0
    private var hasClientEnded = false
    private var due: Timestamp?

    init(_ lines: [ScriptLine], hasContent: Bool = true) {
        self.lines = lines[...]
        self.hasContent = hasContent
    }

    func next(at now: Timestamp) -> ServerStep {
        while let line = lines.first {
            switch line {
            case .send(let what):
                lines.removeFirst()
                return .say(what)
            case .wait(let milliseconds):
                let due = due ?? now.advanced(byNanoseconds: milliseconds * 1_000_000)
                self.due = due
                if now < due { return .wait(until: due) }
                self.due = nil
            case .receive(let count):
                if received < count { return .waitForClient }
                received -= count
            case .clientEnds:
                if !hasClientEnded { return .waitForClient }
            case .end(let ending):
                return .end(ending)
            }
            lines.removeFirst()
        }
        return .end(FlowEnding(state: .incomplete))
    }

    func receive(_ piece: FlowPiece, at now: Timestamp) { received += 1 }
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
    ///   - duplex: a server that answers while the request continues; empty without one.
    ///   - stream: the script of every stream; nil if there are none. With `speaksFirst` it begins before its client.
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
