// ~grpc STATUS: how a call of gRPC or gRPC-Web ended.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

/// A status by its name or number, or a range of numbers.
struct GRPCStatusTest: Sendable, Equatable {
    let text: String
    private let range: QuantityRange

    /// `UNAVAILABLE`, `14`, `>0`, `1-5`; nil for anything else.
    init?(_ text: String) {
        self.text = text
        guard let range = QuantityRange(GRPCStatus.code(named: text).map { "\($0)" } ?? text, in: .one) else { return nil }
        self.range = range
    }

    /// - Throws: what fetching content throws.
    func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard flow.kind == .http, let fields = flow.responseFields, let type = fields.first("content-type"), type.isGRPC else {
            return false
        }
        let status = try GRPCStatus(fields: fields, trailers: flow.trailers(from: .server)) ?? inContent(of: flow, fields, type)
        return status?.code.map { range.contains(Int64($0)) } ?? false
    }

    /// gRPC-Web: trailers are the last frame of the content (grpc/doc/PROTOCOL-WEB.md).
    private func inContent(of flow: some FlowAttributes, _ fields: FieldSection, _ type: ByteBuffer) throws -> GRPCStatus? {
        guard let media = ProtobufMedia(contentType: type), media.framing == .grpcWeb else { return nil }
        let maximum = 64 * 1024 * 1024
        let wire = try flow.pieces.content(from: .server, maximum: maximum)
        var frames = RPCFrameReader(
            decodeContent(wire, codings: flow.storedCodings(from: .server, declaredBy: fields), maximum: maximum).content,
            media: media)
        while let frame = try? frames.next() {
            guard frame.isEnd, !frame.isCompressed else { continue }
            return FieldSection(parsing: frame.content).first("grpc-status").map { GRPCStatus($0) }
        }
        try flow.noteSearched(wire, from: .server, maximum: maximum)
        return nil
    }
}
