// The body of one side while its flow is recorded: passed on, held until it can be redacted, or left out.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// The state of a body. An object, so that it has one owner and its content is not copied.
final class BodyStage {
    /// What happens with the content.
    enum Plan {
        /// No rule can touch it.
        case pass
        /// It is held to be redacted when it is complete.
        case hold(Held)
        /// It is counted and not stored.
        case omit(rule: Int, FlowRedaction.Omission.Reason, Sent)
        /// A marker stands for it.
        case mask(rule: Int, Sent)
    }

    /// Content that is not stored as it was sent.
    struct Sent {
        /// Bytes on the wire.
        var size: UInt64 = 0
        /// The time of its first piece.
        var first: Timestamp?

        mutating func add(_ piece: FlowPiece, _ at: Timestamp) {
            if first == nil { first = at }
            size += piece.wireSize
        }
    }

    /// Content that waits for the end of its body. It is copied, so that it does not keep the buffers alive into which it was received.
    struct Held {
        private struct Piece {
            var at: Timestamp
            var size: Int
            var wireSize: UInt64
        }

        /// More pieces are joined, so that those of one byte do not occupy many times their size.
        private static let maximumPieces = 4096

        private(set) var content = ByteBuffer()
        private var pieces: [Piece] = []
        /// A rule for whole bodies is not decided yet.
        var isUndecided = false
        /// It is certain that a rule can change it.
        var isCertain = false
        /// A rule hashes all of it.
        var hashes: Int?

        init(isUndecided: Bool = false, hashes: Int? = nil) { (self.isUndecided, self.hashes) = (isUndecided, hashes) }

        mutating func add(_ piece: FlowPiece, _ at: Timestamp) {
            content.writeImmutableBuffer(piece.content)
            let size = piece.content.readableBytes
            if pieces.count < Self.maximumPieces {
                pieces.append(Piece(at: at, size: size, wireSize: piece.wireSize))
            } else {
                pieces[pieces.count - 1].size += size
                pieces[pieces.count - 1].wireSize += piece.wireSize
            }
        }

        /// Few pieces have come so far.
        var isBeginning: Bool { pieces.count <= 4 }

        var sent: Sent { Sent(size: pieces.reduce(0) { $0 + $1.wireSize }, first: pieces.first?.at) }

        func forEachPiece(from side: Side, _ visit: (FlowPiece, Timestamp) -> Void) {
            var rest = content
            for piece in pieces {
                guard let bytes = rest.readSlice(length: piece.size) else { return }
                visit(FlowPiece(from: side, content: bytes, wireSize: piece.wireSize), piece.at)
            }
        }
    }

    let side: Side
    var plan: Plan
    private let fields: FieldSection
    /// An earlier redaction removed the content codings.
    private let isDecoded: Bool
    /// Read when there is content: most requests have none.
    private(set) lazy var type = BodyType(fields)
    private(set) lazy var codings = isDecoded ? [] : fields.declaredCodings
    /// It is known that the recording does not have all of it.
    var isCut = false
    /// The side has sent its end, or trailers, which wait with the content.
    var ends: [(what: FlowEvent.What, at: Timestamp)] = []

    /// A rule for whole bodies is not decided yet.
    var isUndecided: Bool { if case .hold(let held) = plan { held.isUndecided } else { false } }

    init(_ side: Side, _ fields: FieldSection, isDecoded: Bool, plan: Plan) {
        (self.side, self.fields, self.isDecoded, self.plan) = (side, fields, isDecoded, plan)
    }

    /// Takes a piece.
    /// - Returns: pieces to pass on.
    func receive(
        _ piece: FlowPiece, at: Timestamp, _ redactor: Redactor, into next: (FlowEvent.What, Timestamp) -> Void
    ) {
        switch plan {
        case .pass: next(.piece(piece), at)
        case .omit(let rule, let reason, var sent):
            sent.add(piece, at)
            plan = .omit(rule: rule, reason, sent)
        case .mask(let rule, var sent):
            sent.add(piece, at)
            plan = .mask(rule: rule, sent)
        case .hold(var held):
            // The array has one owner while it grows.
            plan = .pass
            held.add(piece, at)
            plan = .hold(held)
            if held.content.readableBytes > redactor.rules.limit { return exceed(held, redactor, into: next) }
            guard !held.isUndecided, !held.isCertain, held.hashes == nil else { return }
            decide(held, redactor, into: next)
        }
    }

    /// Passes on what was held as it came.
    func release(_ held: Held, into next: (FlowEvent.What, Timestamp) -> Void) {
        held.forEachPiece(from: side) { piece, at in next(.piece(piece), at) }
    }

    /// More was sent than is held.
    private func exceed(_ held: Held, _ redactor: Redactor, into next: (FlowEvent.What, Timestamp) -> Void) {
        if redactor.rules.keepsUnparsed, held.hashes == nil, !held.isUndecided {
            release(held, into: next)
            plan = .pass
        } else {
            plan = .omit(rule: held.hashes ?? redactor.structureRule, .tooLarge, held.sent)
        }
    }

    /// Lets a body pass if its first bytes show that no rule can touch it.
    private func decide(_ held: Held, _ redactor: Redactor, into next: (FlowEvent.What, Timestamp) -> Void) {
        var held = held
        let start = start(of: held)
        switch redactor.mayChange(type, start: start, isWhole: false) {
        case true:
            held.isCertain = true
            plan = .hold(held)
        case false:
            release(held, into: next)
            plan = .pass
        case nil: return
        }
    }

    /// The first bytes without content codings; nil while there are none.
    private func start(of held: Held) -> ByteBuffer? {
        // All of a large content is not decoded again and again: it is decided at its end then.
        guard held.isBeginning else { return nil }
        let content = held.content
        guard !codings.isEmpty else { return content }
        let decoded = decodeContent(content, codings: codings, maximum: 256)
        return decoded.isDecoded ? decoded.content : nil
    }
}
