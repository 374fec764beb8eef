// What a writer keeps of an open flow, so that the flow can continue in another file: the facts without the content.

import FlowModel
import NIOCore

/// The records of a flow so far. Used by one thread.
package final class FlowHistory {
    /// Bytes of items that are kept. A head beyond that is not repeated in the next file.
    static let maximumFacts = 64 * 1024

    /// An item that is no piece.
    struct Fact {
        var tag: UInt8
        var at: Timestamp
        var content: ByteBuffer
    }

    let target: FlowTarget
    let started: Timestamp
    private(set) var facts: [Fact] = []
    private var factBytes = 0
    private(set) var pieces: UInt64 = 0
    private(set) var wireSizeFromClient: UInt64 = 0
    private(set) var wireSizeFromServer: UInt64 = 0
    /// The number of the file in which the flow began.
    package let firstFile: Int

    /// - Parameter first: the first record of the flow.
    package init(_ first: FlowRecord, firstFile: Int) {
        target = FlowTarget(scheme: first.prefix.scheme, host: first.prefix.host, port: first.prefix.port)
        started = first.started
        self.firstFile = firstFile
        add(first)
    }

    /// Adds the next record.
    package func add(_ record: FlowRecord) {
        pieces &+= UInt64(record.prefix.pieces)
        wireSizeFromClient &+= record.prefix.wireSizeFromClient
        wireSizeFromServer &+= record.prefix.wireSizeFromServer
        guard record.prefix.hasFacts, factBytes < Self.maximumFacts else { return }
        var items = unsafe ItemReader(ByteBuffer(bytes: record.items.bytes), from: record.started)
        while let item = try? items.next(), factBytes < Self.maximumFacts {
            guard Self.isKept(item.tag) else { continue }
            factBytes += item.content.readableBytes
            if factBytes <= Self.maximumFacts {
                facts.append(Fact(tag: item.tag, at: item.at, content: item.content.detached))
            }
        }
    }

    private static func isKept(_ tag: UInt8) -> Bool {
        switch tag {
        case ItemTag.request, ItemTag.interim, ItemTag.response, ItemTag.trailers, ItemTag.finished, ItemTag.note,
            ItemTag.malformed, ItemTag.localReply, ItemTag.redacted, ItemTag.cut:
            true
        default: false
        }
    }
}
