// The frames of gRPC, gRPC-Web and Connect: a byte with flags, four bytes of length, and the content (grpc/doc/PROTOCOL-HTTP2.md,
// Length-Prefixed-Message; connectrpc.com/docs/protocol, Enveloped-Message). The body may end anywhere, and nothing in it is trusted.

import HTTPSemantics
import NIOCore

package struct RPCFrame: Equatable, Sendable {
    /// The size in its prefix; with `isTruncated` there are fewer bytes.
    package var size: Int
    package var isCompressed: Bool
    /// Not a message, but the end: the trailers of gRPC-Web as field lines, or the end of a stream of Connect as JSON.
    package var isEnd: Bool
    /// As it was sent.
    package var content: ByteBuffer

    package var isTruncated: Bool { content.readableBytes < size }
}

package enum RPCFramingError: Error, Equatable, Sendable {
    /// Fewer bytes are left than a prefix has.
    case truncatedPrefix
    case unknownFlags(UInt8)
    /// grpc-web-text: the body is not valid Base64.
    case notBase64
}

/// Reads the frames of a body, one after the other.
package struct RPCFrameReader: Sendable {
    package static let prefixSize = 5

    private let body: ByteBuffer
    private let isBase64: Bool
    /// The flag of the frame that is not a message.
    private let endFlag: UInt8
    private var offset = 0

    /// - Parameter media: one with frames.
    package init(_ body: ByteBuffer, media: ProtobufMedia) {
        let decoded = media.isBase64 ? Self.decodeBase64(body) : body
        self.body = decoded ?? body
        isBase64 = decoded != nil
        endFlag =
            switch media.framing {
            case .grpcWeb: 0x80
            case .connect: 0x02
            default: 0
            }
        isValid = !media.isBase64 || decoded != nil
    }

    private let isValid: Bool

    /// The bytes from the next frame on; after an error, the bytes that are not a frame.
    package var rest: ByteBuffer { body.slice(ByteRange(offset, body.readableBytes)) }

    /// - Returns: nil at the end of the body.
    package mutating func next() throws(RPCFramingError) -> RPCFrame? {
        guard isValid else { throw .notBase64 }
        let left = body.readableBytes - offset
        guard left > 0 else { return nil }
        let start = body.readerIndex + offset
        guard let flags: UInt8 = body.getInteger(at: start) else { throw .truncatedPrefix }
        guard flags & ~(endFlag | 0x01) == 0 else { throw .unknownFlags(flags) }
        guard left >= Self.prefixSize, let length: UInt32 = body.getInteger(at: start + 1) else { throw .truncatedPrefix }
        let stored = min(Int(length), left - Self.prefixSize)
        let content = body.slice(ByteRange(offset + Self.prefixSize, offset + Self.prefixSize + stored))
        offset += Self.prefixSize + stored
        return RPCFrame(size: Int(length), isCompressed: flags & 1 == 1, isEnd: flags & endFlag != 0, content: content)
    }

    /// Base64 that may be padded in several places: a server encodes each piece that it sends (PROTOCOL-WEB.md).
    private static func decodeBase64(_ text: ByteBuffer) -> ByteBuffer? {
        var decoded = ByteBuffer()
        var start = 0
        var isPadded = false
        let view = text.readableBytesView
        for (index, byte) in view.enumerated() {
            if byte == UInt8(ascii: "=") {
                isPadded = true
            } else if isPadded {
                guard let piece = Base64.decode(text.slice(ByteRange(start, index)), ignoresWhitespace: true) else { return nil }
                decoded.writeImmutableBuffer(piece)
                (start, isPadded) = (index, false)
            }
        }
        guard let piece = Base64.decode(text.slice(ByteRange(start, view.count)), ignoresWhitespace: true) else { return nil }
        decoded.writeImmutableBuffer(piece)
        return decoded
    }
}
