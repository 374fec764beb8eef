// Attributes of a flow's record that its prefix does not have. They are read from the record's items, so the block's details are decompressed.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

extension RecordView {
    /// Visits the items. Damaged details have none; the block's source reports the damage.
    /// - Parameter visit: receives tag, time and content; returns false to stop.
    private func forEachItem(_ visit: (UInt8, Timestamp, ByteBuffer) -> Bool) {
        let place = place
        guard
            let details = try? place.source.details(at: Int(place.detailsAt), count: Int(place.detailsLength))
        else { return }
        var items = ItemReader(details, from: started)
        while let item = try? items.next(), visit(item.tag, item.at, item.content) {}
    }

    package var noteTexts: [ByteBuffer] {
        var texts: [ByteBuffer] = []
        forEachItem { tag, _, content in
            if tag == ItemTag.note { texts.append(content.slice(1, max(0, content.readableBytes - 1))) }
            return true
        }
        return texts
    }

    package var timeToFirstByteMicroseconds: Int64? {
        guard hasRequest, hasResponse else { return nil }
        if let time = TimeToFirstByte.microseconds(timeToFirstByteCode) { return time }
        var (request, end, response): (Timestamp?, Timestamp?, Timestamp?)
        let place = place
        guard let details = try? place.source.details(at: Int(place.detailsAt), count: Int(place.detailsLength)) else { return nil }
        var items = ItemReader(details, from: started)
        while response == nil || end == nil, let item = try? items.nextStart() {
            switch item.tag {
            case ItemTag.request: request = item.at
            case ItemTag.response: response = item.at
            case ItemTag.finished where item.first == Side.client.rawValue: end = item.at
            default: break
            }
        }
        guard let request, let response else { return nil }
        return (response - (end.map { min($0, response) } ?? request)) / 1000
    }

    package func trailers(from side: Side) -> FieldSection? {
        guard side == .client ? hasRequest : hasResponse else { return nil }
        var found: FieldSection?
        forEachItem { tag, _, content in
            if tag == ItemTag.trailers, content.isOf(side) {
                found = FieldSection(parsing: content.slice(1, content.readableBytes - 1))
            }
            return true
        }
        return found
    }

    package var interimStatuses: [Int] {
        guard kind == .http else { return [] }
        var statuses: [Int] = []
        forEachItem { tag, at, content in
            let event = tag == ItemTag.interim ? try? RecordItem.event(tag, content, at, error: nil, comment: nil) : nil
            if case .interim(let head) = event { statuses.append(head.status) }
            return true
        }
        return statuses
    }

    package var tagTexts: [ByteBuffer] { isTagged ? ending?.tags.map { ByteBuffer(string: $0) } ?? [] : [] }
    package var isPassthrough: Bool { kind == .tcp && ending?.passthrough != nil }

    package var isTruncated: Bool {
        // Most flows store what they received, which the record tells without its items.
        let received = requestContentSize &+ responseContentSize
        if !isWebSocket, !isTagged, received == UInt64(place.contentLength) { return false }
        var isFound = false
        forEachItem { tag, _, content in
            isFound = tag == ItemTag.cut || tag == ItemTag.piece && (content.readableBytesView.first ?? 0) & PieceFlag.isCut != 0
            return !isFound
        }
        return isFound
    }

    /// A flow that redaction changed has a tag, so that of the others no items are read.
    package var redaction: FlowRedaction? {
        guard isTagged else { return nil }
        var found: FlowRedaction?
        forEachItem { tag, at, content in
            guard tag == ItemTag.redacted else { return true }
            let event = try? RecordItem.event(tag, content, at, error: nil, comment: nil)
            if case .redacted(let redaction) = event {
                var sum = found ?? FlowRedaction()
                sum.merge(redaction)
                found = sum
            }
            return true
        }
        return found
    }

    /// How the flow ended; nil without an end.
    private var ending: FlowEnding? {
        guard isLast else { return nil }
        var found: FlowEnding?
        forEachItem { tag, at, content in
            guard tag == ItemTag.ended else { return true }
            let event = try? RecordItem.event(tag, content, at, error: nil, comment: nil)
            if case .ended(let ending) = event { found = ending }
            return false
        }
        return found
    }

    package func contentSize(from side: Side) throws -> UInt64? {
        switch kind {
        case .tls: return nil
        case .tcp:
            if pieceCount == 0, let passthrough = ending?.passthrough {
                return side == .client ? passthrough.fromClient : passthrough.fromServer
            }
        case .http:
            guard side == .client ? hasRequest : hasResponse else { return nil }
            // The prefix counts the content of messages without their size on the wire.
            if isWebSocket { return try pieces.wireSize(from: side) }
        }
        return side == .client ? requestContentSize : responseContentSize
    }
}

extension ByteBuffer {
    /// The first byte of an item is a side.
    fileprivate func isOf(_ side: Side) -> Bool { readableBytesView.first == side.rawValue }
}
