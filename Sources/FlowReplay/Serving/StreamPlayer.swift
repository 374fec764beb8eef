// A TCP stream that one of several recordings answers. The first bytes of the client choose it, or, where the server speaks first,
// the order of the recordings.

import FlowModel
import HTTPSemantics
import NIOCore

/// Replays one of several recorded streams. Used by one session.
package final class StreamPlayer {
    private let candidates: [(number: Int, flow: Flow)]
    private let timing: ReplayTiming
    private let matching: DialogueMatching
    private let begun: Timestamp
    private let redactions: [RecordedRedaction]
    private let chosen: (Int) -> Void
    /// nil until a recording is chosen.
    private var player: FlowPlayer?
    private var received = ByteBuffer()
    private var hasClientFinished = false

    /// - Parameters:
    ///   - candidates: in the order of preference.
    ///   - redactions: the rules by which recordings were redacted.
    ///   - chosen: receives the number of the recording that answers.
    package init(
        _ candidates: [(number: Int, flow: Flow)], timing: ReplayTiming, matching: DialogueMatching, now: Timestamp,
        redactions: [RecordedRedaction] = [], chosen: @escaping (Int) -> Void
    ) {
        self.candidates = candidates
        self.timing = timing
        self.matching = matching
        self.redactions = redactions
        self.chosen = chosen
        begun = now
    }

    package func receive(_ piece: FlowPiece, at now: Timestamp) {
        if let player { return player.receive(piece, at: now) }
        received.writeImmutableBuffer(piece.content)
    }

    package func clientFinished(at now: Timestamp) {
        hasClientFinished = true
        player?.clientFinished(at: now)
    }

    package var hasContent: Bool { true }

    package func takeComplaints() -> [String] { player?.takeComplaints() ?? [] }

    /// - Throws: if content cannot be read.
    package func next(at now: Timestamp) throws -> ServerStep {
        if let player { return try player.next(at: now) }
        guard let choice = try choose() else { return .waitForClient }
        chosen(choice.number)
        let player = FlowPlayer(
            choice.flow, response: nil, timing: timing, matching: matching, now: begun, redactions: redactions)
        self.player = player
        if received.readableBytes > 0 { player.receive(FlowPiece(from: .client, content: received), at: now) }
        if hasClientFinished { player.clientFinished(at: now) }
        return try player.next(at: now)
    }

    /// The first candidate that begins with the same bytes of the client. If there is none, the first candidate, and its
    /// differences are logged.
    private func choose() throws -> (number: Int, flow: Flow)? {
        if matching == .time { return candidates.first }
        var isOpen = false
        for candidate in candidates {
            switch try candidate.flow.likeness(to: received, redactions) {
            case .same: return candidate
            case .open: isOpen = true
            case .different: continue
            }
        }
        return isOpen && !hasClientFinished ? nil : candidates.first
    }
}

extension Flow {
    fileprivate enum Likeness {
        case same
        /// Equal so far, but too short to decide.
        case open
        case different
    }

    /// Compares the first bytes of the recorded client with those of another one.
    fileprivate func likeness(to received: ByteBuffer, _ redactions: [RecordedRedaction]) throws -> Likeness {
        var first: FlowPiece?
        try pieces.forEach { _, piece in
            first = piece
            return false
        }
        guard let first, first.from == .client else { return .same }
        let size = Int(clamping: first.wireSize)
        guard received.readableBytes >= size else {
            // Bytes that redaction would change are compared when all of them are there.
            let isOpen = redaction != nil || received.commonPrefix(with: first.content) == received.readableBytes
            return isOpen ? .open : .different
        }
        let begin = FlowPiece(from: .client, content: received.slice(ByteRange(0, size)))
        return DialogueLikeness(self, redactions).isSame(begin, first) ? .same : .different
    }

    /// The server sends before the client does.
    package var serverSpeaksFirst: Bool {
        var first: FlowPiece?
        try? pieces.forEach { _, piece in
            first = piece
            return false
        }
        return first?.from == .server
    }
}
