// A TCP stream for which one of several recordings has to be chosen: by what the client says first, or, where the server speaks first, in
// the order of the recordings.

import FlowModel
import HTTPSemantics
import NIOCore

/// Plays one of several recorded streams. Used by one session.
package final class StreamPart {
    private let candidates: [(number: Int, flow: Flow)]
    private let timing: ReplayTiming
    private let matching: DialogueMatching
    private let begun: Timestamp
    private let chosen: (Int) -> Void
    private var part: ServerPart?
    private var said = ByteBuffer()
    private var hasClientFinished = false

    /// - Parameters:
    ///   - candidates: those that should answer first stand first.
    ///   - chosen: told which one answers.
    package init(
        _ candidates: [(number: Int, flow: Flow)], timing: ReplayTiming, matching: DialogueMatching, now: Timestamp,
        chosen: @escaping (Int) -> Void
    ) {
        self.candidates = candidates
        self.timing = timing
        self.matching = matching
        self.chosen = chosen
        begun = now
    }

    package func receive(_ piece: FlowPiece, at now: Timestamp) {
        if let part { return part.receive(piece, at: now) }
        said.writeImmutableBuffer(piece.content)
    }

    package func clientFinished(at now: Timestamp) {
        hasClientFinished = true
        part?.clientFinished(at: now)
    }

    package var hasContent: Bool { true }

    package func takeComplaints() -> [String] { part?.takeComplaints() ?? [] }

    /// - Throws: what fetching content throws.
    package func next(at now: Timestamp) throws -> ServerStep {
        if let part { return try part.next(at: now) }
        guard let choice = try choose() else { return .waitForClient }
        chosen(choice.number)
        let part = ServerPart(choice.flow, response: nil, timing: timing, matching: matching, now: begun)
        self.part = part
        if said.readableBytes > 0 { part.receive(FlowPiece(from: .client, content: said), at: now) }
        if hasClientFinished { part.clientFinished(at: now) }
        return try part.next(at: now)
    }

    /// The first candidate whose client said what this one says; where nobody's did, the first, whose differences are then told.
    private func choose() throws -> (number: Int, flow: Flow)? {
        if matching == .time { return candidates.first }
        var isOpen = false
        for candidate in candidates {
            switch try candidate.flow.likeness(to: said) {
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
        /// What came so far agrees, and does not reach.
        case open
        case different
    }

    /// Whether the recorded client's first piece is what a client says first.
    fileprivate func likeness(to said: ByteBuffer) throws -> Likeness {
        var first: FlowPiece?
        try pieces.forEach { _, piece in
            first = piece
            return false
        }
        guard let first, first.from == .client else { return .same }
        let common = said.commonPrefix(with: first.content)
        if common == first.content.readableBytes { return .same }
        return common == said.readableBytes ? .open : .different
    }

    /// The server says something before the client does.
    package var serverSpeaksFirst: Bool {
        var first: FlowPiece?
        try? pieces.forEach { _, piece in
            first = piece
            return false
        }
        return first?.from == .server
    }
}
