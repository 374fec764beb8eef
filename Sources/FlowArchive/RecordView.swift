// A flow's record where it stands in its block: answers a filter's questions from fixed offsets, without making a Flow.

import FlowModel
import HTTPSemantics
import NIOCore

/// A record of a flow that is whole in its block, in place.
package struct RecordView: FlowQuestions {
    /// The record's bytes.
    let record: ByteBuffer
    private let block: DecodedBlock

    /// - Returns: nil when the record is shorter than its prefix or points outside of itself.
    init?(_ record: ByteBuffer, in block: DecodedBlock) {
        guard record.readableBytes >= FlowPrefix.size else { return nil }
        self.record = record
        self.block = block
    }

    private func number<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) -> T {
        record.getInteger(at: record.readerIndex + offset, endianness: .little) ?? 0
    }

    /// The bytes that a pair of position and length points to; nil when the position is 0.
    private func bytes(_ offset: Int) -> ByteBuffer? {
        let position: UInt32 = number(offset)
        guard position > 0 else { return nil }
        return record.slice(Int(position), Int(number(offset + 4, UInt32.self)))
    }

    private func range(_ offset: Int) -> ByteRange {
        ByteRange(Int(number(offset, UInt32.self)), Int(number(offset + 4, UInt32.self)))
    }

    package var id: FlowID { FlowID(high: number(FlowPrefix.idHigh), low: number(FlowPrefix.idLow)) }
    package var kind: FlowKind { FlowKind(rawValue: number(FlowPrefix.kind)) ?? .tcp }
    package var state: FlowState { FlowState(rawValue: number(FlowPrefix.state)) ?? .incomplete }
    package var started: Timestamp { Timestamp(nanoseconds: number(FlowPrefix.started)) }
    package var ended: Timestamp? { flags & FlowPrefix.isLast == 0 ? nil : Timestamp(nanoseconds: number(FlowPrefix.ended)) }
    package var isWebSocket: Bool { flags & FlowPrefix.isWebSocket != 0 }
    package var errorMessage: ByteBuffer? { bytes(FlowPrefix.error) }
    package var clientAddress: ByteBuffer? {
        block.client(number(FlowPrefix.client)).map { ByteBuffer(string: $0.value.peer.description) }
    }
    package var serverAddress: ByteBuffer? {
        block.server(number(FlowPrefix.server)).map { ByteBuffer(string: $0.value.target.description) }
    }
    package var targetScheme: ByteBuffer { bytes(FlowPrefix.scheme) ?? ByteBuffer() }
    package var targetHost: ByteBuffer { bytes(FlowPrefix.host) ?? ByteBuffer() }
    package var targetPort: UInt16 { number(FlowPrefix.port) }
    package var method: ByteBuffer? { request.map { $0.slice(range(FlowPrefix.methodRange)) } }
    package var requestTarget: ByteBuffer? { request.map { $0.slice(range(FlowPrefix.targetRange)) } }
    package var requestAuthority: ByteBuffer? {
        let range = range(FlowPrefix.authorityRange)
        return range.isEmpty ? nil : request.map { $0.slice(range) }
    }
    package var status: Int { Int(number(FlowPrefix.status, UInt16.self)) }
    package var requestFields: FieldSection? {
        request.map { FieldSection(parsing: $0.slice(from: number(FlowPrefix.requestFields))) }
    }
    package var responseFields: FieldSection? {
        bytes(FlowPrefix.response).map { FieldSection(parsing: $0.slice(from: number(FlowPrefix.responseFields))) }
    }
    package var isTagged: Bool { flags & FlowPrefix.isTagged != 0 }
    package var commentText: ByteBuffer? { bytes(FlowPrefix.comment) }
    package var pieces: any FlowPieces { ArchivePieces(segments: [segment]) }

    var part: UInt16 { number(FlowPrefix.part) }
    var flags: UInt8 { number(FlowPrefix.flags) }
    var items: ByteBuffer { record.slice(FlowPrefix.size, record.readableBytes - FlowPrefix.size) }
    var segment: ArchivePieces.Segment { ArchivePieces.Segment(items: items, started: started, content: block.content) }
    private var request: ByteBuffer? { bytes(FlowPrefix.request) }
}

extension ByteBuffer {
    fileprivate func slice(from offset: UInt32) -> ByteBuffer { slice(Int(offset), max(0, readableBytes - Int(offset))) }
}
