// A message as HTTP/1.1 sends it, for formats that store the bytes of messages: which head, which framing, and whether all of it is there.

import FlowModel
import HTTPSemantics
import NIOCore

struct ExportedMessage {
    let side: Side
    /// Of HTTP/1, as it was received unless the content is not what it describes.
    private(set) var head: ByteBuffer
    /// The head was fitted to content that redaction decoded, or to ``showEnd()``.
    private(set) var isRefitted: Bool
    let hasContent: Bool
    private(set) var isChunked: Bool
    /// All of the message was received, and is in the recording.
    let isWhole: Bool
    /// Not all that was received is in the recording.
    let isCut: Bool
    /// Bytes of content that are in the recording.
    let size: UInt64
    let trailers: FieldSection?
    private let declared: DeclaredFraming
    /// Writes the head with another framing.
    private let reframed: (ContentFraming) -> ByteBuffer

    init(_ request: Message<RequestHead>, isStream: Bool) {
        let head = request.isStoredDecoded ? request.asStored.head : request.head
        self.init(
            .client, request, head.version.major < 2 ? head.wire : head.http1(), head.fields, head.version, hasContent: !isStream,
            isStream
        ) { head.http1($0) }
    }

    init(_ response: Message<ResponseHead>, to request: RequestHead, isStream: Bool) {
        let head = response.isStoredDecoded ? response.asStored.head : response.head
        // RFC 9110 section 6.4.1.
        let hasContent = !request.isMethod("HEAD") && head.status >= 200 && head.status != 204 && head.status != 304
        self.init(
            .server, response, head.version.major < 2 ? head.wire : head.http1(), head.fields, head.version,
            hasContent: hasContent && !isStream, isStream
        ) { head.http1($0) }
    }

    private init<Head>(
        _ side: Side, _ message: Message<Head>, _ head: ByteBuffer, _ fields: FieldSection, _ version: HTTPVersion,
        hasContent: Bool, _ isStream: Bool, reframed: @escaping (ContentFraming) -> ByteBuffer
    ) {
        (self.side, self.head, self.hasContent, self.reframed) = (side, head, hasContent, reframed)
        declared = DeclaredFraming(fields)
        isRefitted = message.isStoredDecoded
        isChunked = hasContent && version.major < 2 && declared.codings.contains("chunked")
        isWhole = isStream || message.isComplete
        isCut = !message.hasAllContent
        size = message.storedSize
        trailers = message.trailers
    }

    /// Fits the head so that it shows where the content ends, and whether the message is whole. Responses may end where the connection
    /// does (RFC 9112 section 6.3).
    mutating func showEnd() {
        guard hasContent, !isChunked else { return }
        let hasTrailers = trailers?.isEmpty == false
        let shows =
            isWhole
            ? declared.declares(.length(size)) || declared.isAbsent && (size == 0 || side == .server)
            : declared.length.map { $0 > size } ?? false
        guard hasTrailers || !shows else { return }
        let framing = hasTrailers || !isWhole ? ContentFraming.chunked : .length(size)
        (head, isChunked, isRefitted) = (reframed(framing), framing == .chunked, true)
    }

    /// Calls back with the bytes after the head: content in chunks if the head announces them, and trailers.
    /// - Returns: false if the content is damaged; what precedes the damage was given.
    /// - Throws: errors of fetching a piece, and of `take`.
    func forEachSlice(of flow: Flow, _ take: (ByteBuffer) throws -> Void) throws -> Bool {
        guard hasContent else { return true }
        var isDamaged = false
        try flow.pieces.forEach { _, piece in
            guard piece.kind == .data, piece.from == side, piece.content.readableBytes > 0 else { return true }
            if isChunked { try take(ByteBuffer(string: String(piece.content.readableBytes, radix: 16) + "\r\n")) }
            try take(piece.content)
            if isChunked { try take(ByteBuffer(staticString: "\r\n")) }
            return true
        } damaged: { piece in
            isDamaged = piece.kind == .data && piece.from == side
            return !isDamaged
        }
        guard !isDamaged else { return false }
        if isChunked, isWhole {
            try take(ByteBuffer(staticString: "0\r\n"))
            if let trailers { try take(trailers.wire) }
            try take(ByteBuffer(staticString: "\r\n"))
        }
        return true
    }
}

extension Flow {
    /// What follows the heads is not content of the two messages (RFC 9110 section 7.8).
    var switchesProtocols: Bool { isWebSocket || response?.head.status == 101 }
}
