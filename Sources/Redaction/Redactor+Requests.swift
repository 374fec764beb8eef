// A request as a recording would have it: what is compared with a redacted recording passes the same stage as what was recorded.

import FlowModel
import HTTPSemantics
import NIOCore

extension Redactor {
    /// Head and content of a complete request as they would be stored. Content in which nothing is hidden keeps its codings.
    package func redact(request head: RequestHead, content: ByteBuffer) -> (head: RequestHead, content: ByteBuffer) {
        var stored = (head: head, content: ByteBuffer())
        let stage = FlowRedactor(self, connections: RedactedConnections())
        func add(_ what: FlowEvent.What) {
            stage.receive(what, at: Self.noTime) { what, _ in
                switch what {
                case .request(let head): stored.head = head
                case .piece(let piece): stored.content.writeImmutableBuffer(piece.content)
                default: break
                }
            }
        }
        add(.opened(Self.opening(.http)))
        add(.request(head))
        if content.readableBytes > 0 { add(.piece(FlowPiece(from: .client, content: content))) }
        add(.finished(.client))
        add(.ended(FlowEnding(state: .complete)))
        return stored
    }

    /// The content of a message of a conversation, or of a piece of a stream, as it would be stored.
    package func redact(message: FlowPiece) -> ByteBuffer {
        let stage = FlowRedactor(self, connections: RedactedConnections())
        stage.receive(.opened(Self.opening(.tcp)), at: Self.noTime) { _, _ in }
        return stage.message(message).content
    }

    private static let noTime = Timestamp(nanoseconds: 0)

    private static func opening(_ kind: FlowKind) -> FlowOpening {
        FlowOpening(
            kind: kind, client: Shared(.unknown), target: FlowTarget(scheme: "", host: "", port: 0), stream: StreamID(1))
    }
}
