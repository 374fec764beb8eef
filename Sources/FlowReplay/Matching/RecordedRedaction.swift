// The rules by which recordings were redacted, applied to what is compared with them: a request, a message of a conversation, a flow.

import FlowModel
import HTTPSemantics
import NIOCore
import Redaction

/// The rules of one recording.
package struct RecordedRedaction: Sendable {
    /// Larger bodies are not stored by any rules that are tried.
    package static let maximumBody = FlowComparison.maximumContent

    private let redactor: Redactor
    /// The facts of connections are not compared.
    private let connections = RedactedConnections()

    /// - Parameter redactor: of rules that keep what cannot be parsed: a recording that does not have such content is compared without it.
    package init(_ redactor: Redactor) { self.redactor = redactor }

    /// Rules with the same texts are the same.
    var texts: [String] { redactor.rules.canonical }

    /// Head and content of a request as they would have been stored.
    func request(_ head: RequestHead, _ content: ByteBuffer) -> (head: RequestHead, content: ByteBuffer) {
        let stage = FlowRedactor(redactor, connections: connections)
        var stored = (head: head, content: ByteBuffer())
        func receive(_ what: FlowEvent.What) {
            stage.receive(what, at: Timestamp(nanoseconds: 0)) { what, _ in
                switch what {
                case .request(let head): stored.head = head
                case .piece(let piece): stored.content.writeImmutableBuffer(piece.content)
                default: break
                }
            }
        }
        receive(Self.opening(.http))
        receive(.request(head))
        if content.readableBytes > 0 { receive(.piece(FlowPiece(from: .client, content: content))) }
        receive(.finished(.client))
        return stored
    }

    /// The content of a message of a conversation, or of a piece of a stream, as it would have been stored.
    func message(_ piece: FlowPiece) -> ByteBuffer {
        let stage = FlowRedactor(redactor, connections: connections)
        var stored = ByteBuffer()
        for what in [Self.opening(.tcp), .piece(piece)] {
            stage.receive(what, at: Timestamp(nanoseconds: 0)) { what, _ in
                if case .piece(let piece) = what { stored.writeImmutableBuffer(piece.content) }
            }
        }
        return stored
    }

    /// A flow as it would have been stored. Its content stays in memory.
    /// - Throws: if its content cannot be read.
    func stored(_ flow: Flow) throws -> Flow {
        let stage = FlowRedactor(redactor, connections: connections)
        var assembler: FlowAssembler?
        func receive(_ what: FlowEvent.What, _ at: Timestamp) {
            if case .opened(let opening) = what {
                assembler = FlowAssembler(id: flow.id, at: at, opening: opening, keepsPieces: true)
            } else {
                assembler?.receive(what, at: at)
            }
        }
        try flow.forEachEvent { stage.receive($0.what, at: $0.at, into: receive) }
        if flow.ended == nil { stage.stop(at: flow.started, into: receive) }
        return assembler?.flow ?? flow
    }

    private static func opening(_ kind: FlowKind) -> FlowEvent.What {
        .opened(
            FlowOpening(
                kind: kind, client: Shared(.unknown), target: FlowTarget(scheme: kind.description, host: "", port: 0),
                stream: StreamID(1)))
    }
}
