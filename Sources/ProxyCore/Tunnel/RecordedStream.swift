// A recording that takes the place of the server of a tunnel.

import FlowModel
import NIOCore

/// The recorded server of a stream of bytes, or of the messages after an upgrade.
final class RecordedStream {
    /// What it waits for.
    enum Waiting {
        /// Data of the client, or room for its own.
        case client
        case moment(Timestamp)
    }

    let player: any ServerPlayer
    var waiting = Waiting.client
    /// The content of the client's close frame, once it was received.
    private(set) var closeFrame: ByteBuffer?

    init(_ player: any ServerPlayer) { self.player = player }

    /// When it continues by itself.
    var due: Timestamp? {
        if case .moment(let moment) = waiting { moment } else { nil }
    }

    /// A message of the client, or its bytes.
    func receive(_ piece: FlowPiece, at now: Timestamp) {
        player.receive(piece, at: now)
        if piece.kind == .close { closeFrame = piece.content }
    }
}
