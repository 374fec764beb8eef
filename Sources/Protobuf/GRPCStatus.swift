// How a call of gRPC ended (grpc/doc/statuscodes.md).

import HTTPSemantics
import NIOCore

package struct GRPCStatus: Equatable, Sendable {
    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED",
    ]

    /// nil if the value is not a number.
    package let code: Int?
    /// The name of the code; the value as received if the code is unknown.
    package let name: String
    package var isOK: Bool { code == 0 }

    /// - Parameter value: of `grpc-status`.
    package init(_ value: ByteBuffer) {
        let text = String(buffer: value.slice(ByteRange(0, min(20, value.readableBytes))))
        code = UInt32(text).map { Int($0) }
        name = code.flatMap { $0 < Self.names.count ? Self.names[$0] : nil } ?? text
    }

    /// From the trailers of a response, or from its head when it has nothing but that (PROTOCOL-HTTP2.md, Trailers-Only).
    /// - Returns: nil if this is not gRPC, or no status was received.
    package init?(fields: FieldSection, trailers: FieldSection?) {
        guard let type = fields.first("content-type"), type.isGRPC,
            let value = trailers?.first("grpc-status") ?? fields.first("grpc-status")
        else { return nil }
        self.init(value)
    }

    /// The number of a name, in any case of letters; nil if there is no such name.
    package static func code(named name: String) -> Int? { names.firstIndex(of: name.uppercased()) }

    /// The names, in the order of their numbers.
    package static var allNames: [String] { names }
}

extension ByteBuffer {
    /// A media type of gRPC or gRPC-Web.
    package var isGRPC: Bool { slice(ByteRange(0, min(16, readableBytes))).equalsIgnoringCase("application/grpc") }

    /// The value of `grpc-message`: text with percent signs (PROTOCOL-HTTP2.md, Percent-Encoded). What is not valid stays.
    package var percentDecoded: ByteBuffer {
        var out = ByteBuffer()
        var rest = readableBytesView[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }),
                let low = rest.dropFirst().first.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue })
            {
                out.writeInteger(UInt8(high << 4 | low))
                rest = rest.dropFirst(2)
            } else {
                out.writeInteger(byte)
            }
        }
        return out
    }
}

extension FieldSection {
    /// The message google.rpc.Status of `grpc-status-details-bin` (PROTOCOL-HTTP2.md, Binary-Header); nil without one.
    package var grpcStatusDetails: ByteBuffer? { first("grpc-status-details-bin").flatMap { Base64.decode($0, .any) } }
}
