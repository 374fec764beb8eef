// A message as the block of a record has it: which head, which framing, and whether all of it is there.

import FlowModel
import HTTPSemantics
import NIOCore

struct WARCMessage {
    let side: Side
    /// Of HTTP/1, as it was received unless redaction decoded the content.
    let head: ByteBuffer
    /// The head was fitted to content that redaction decoded.
    let isRefitted: Bool
    let hasContent: Bool
    let isChunked: Bool
    /// All of the message was received, and is in the recording.
    let isWhole: Bool
    /// Not all that was received is in the recording.
    let isCut: Bool
    /// Bytes of content that are in the recording.
    let size: UInt64
    let trailers: FieldSection?

    init(_ request: Message<RequestHead>, isStream: Bool) {
        let head = request.isStoredDecoded ? request.asStored.head : request.head
        self.init(
            .client, request, head.version.major < 2 ? head.wire : head.asHTTP1, head.fields, head.version, hasContent: !isStream,
            isStream)
    }

    init(_ response: Message<ResponseHead>, to request: RequestHead, isStream: Bool) {
        let head = response.isStoredDecoded ? response.asStored.head : response.head
        // RFC 9110 section 6.4.1.
        let hasContent = !request.isMethod("HEAD") && head.status >= 200 && head.status != 204 && head.status != 304
        self.init(
            .server, response, head.version.major < 2 ? head.wire : head.asHTTP1, head.fields, head.version,
            hasContent: hasContent && !isStream, isStream)
    }

    private init<Head>(
        _ side: Side, _ message: Message<Head>, _ head: ByteBuffer, _ fields: FieldSection, _ version: HTTPVersion,
        hasContent: Bool, _ isStream: Bool
    ) {
        (self.side, self.head, self.hasContent) = (side, head, hasContent)
        isRefitted = message.isStoredDecoded
        isChunked = hasContent && version.major < 2 && fields.list("transfer-encoding", contains: "chunked")
        isWhole = isStream || message.isComplete
        isCut = !message.hasAllContent
        size = message.storedSize
        trailers = message.trailers
    }
}
