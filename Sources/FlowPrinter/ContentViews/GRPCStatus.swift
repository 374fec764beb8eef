// How a call of gRPC ended, by name (grpc/doc/statuscodes.md).

import FlowModel
import HTTPSemantics
import NIOCore

struct GRPCStatus {
    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED",
    ]

    /// The name of the code; the value as received if the code is unknown.
    let name: String
    var isOK: Bool { name == Self.names[0] }

    /// From the trailers of a response, or from its head when it has nothing but that (PROTOCOL-HTTP2.md, Trailers-Only).
    /// - Parameter type: its Content-Type.
    /// - Returns: nil if this is not gRPC, or no status was received.
    init?(_ response: Message<ResponseHead>, type: ByteBuffer) {
        guard type.slice(ByteRange(0, min(16, type.readableBytes))).equalsIgnoringCase("application/grpc"),
            let value = response.trailers?.first("grpc-status") ?? response.head.fields.first("grpc-status")
        else { return nil }
        let text = String(buffer: value.slice(ByteRange(0, min(20, value.readableBytes))))
        name = UInt8(text).flatMap { $0 < Self.names.count ? Self.names[Int($0)] : nil } ?? text
    }
}
