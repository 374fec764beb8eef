// A record read back: how its flow began, and its events.

import FlowModel
import HTTPSemantics
import NIOCore

extension FlowRecord {
    /// How the flow began; nil unless this is its first record.
    package var opening: FlowOpening? {
        guard isFirst else { return nil }
        let target = FlowTarget(scheme: prefix.scheme, host: prefix.host, port: prefix.port)
        return FlowOpening(
            kind: kind, client: client ?? Shared(.unknown), target: target, stream: StreamID(prefix.stream))
    }

    /// Visits the events of the record in their order. Of facts of connections the last ones come, before everything else.
    package func forEachEvent(_ visit: (FlowEvent) throws -> Void) throws {
        func report(_ at: Timestamp, _ what: FlowEvent.What) throws { try visit(FlowEvent(flow: id, at: at, what: what)) }
        if let opening {
            try report(started, .opened(opening))
        } else if let client {
            try report(started, .client(client))
        }
        if let server { try report(started, .server(server)) }
        let bytes = unsafe ByteBuffer(bytes: items.bytes)
        let (error, comment) = (prefix.error.map { ByteBuffer(string: $0) }, prefix.comment.map { ByteBuffer(string: $0) })
        var reader = ItemReader(bytes, from: started)
        var chunks = content.reader()
        var isContinuing = prefix.beginsInPiece
        while let item = try reader.next() {
            guard item.tag == ItemTag.piece else {
                let what = try RecordItem.event(item.tag, item.content, item.at, error: error, comment: comment)
                if let what { try report(item.at, what) }
                continue
            }
            let place = try PiecePlace(item.content)
            let wireSize = place.isPlain || !isContinuing ? place.wireSize : 0
            let cut = isContinuing ? nil : place.cut
            isContinuing = place.continues
            let piece = FlowPiece(
                kind: place.kind, from: place.from, content: chunks.read(Int(place.size)), wireSize: wireSize,
                frames: place.frames, cut: cut)
            try report(item.at, .piece(piece))
        }
    }
}
