// A recorded flow, as readers give it and writers take it.

internal import ContentCoding
internal import FlowModel
internal import HTTPSemantics
internal import NIOCore

/// One recorded flow: an HTTP exchange with the WebSocket conversation that it opened, a TCP stream, or a TLS connection whose handshake
/// failed.
///
/// A flow is a value and may be sent to other tasks. Heads and facts are in memory. Content that came from a file stays in the file until
/// it is asked for: the flow keeps the file open, so it may outlive its ``FlowFileReader``.
public struct Flow: Sendable, Identifiable {
    var model: FlowModel.Flow

    init(_ model: FlowModel.Flow) { self.model = model }

    /// What was recorded.
    public enum Kind: Sendable, Hashable {
        /// An HTTP exchange; with ``Flow/isWebSocket`` the conversation after it too.
        case http
        /// Bytes of a TCP stream, or a connection that was passed through without being read.
        case tcp
        /// A TLS connection whose handshake failed.
        case tls
    }

    /// How far a flow came.
    public enum State: Sendable, Hashable {
        /// It came to its end.
        case complete
        /// It was cut: a message is truncated, a peer disconnected, or the recorder ended first.
        case incomplete
        /// There was no exchange: refused, unreachable, a failed handshake, a malformed request.
        case failed
    }

    /// Why a flow failed or was cut.
    public struct Failure: Sendable, Hashable {
        /// One sentence.
        public let message: String
        /// The side that caused it; nil is the recorder.
        public let side: Side?
        /// When it happened.
        public let time: Timestamp
    }

    /// A UUID of version 7 (RFC 9562), unique across machines.
    public var id: FlowID { FlowID(model.id) }

    /// What was recorded.
    public var kind: Kind {
        switch model.kind {
        case .http: .http
        case .tcp: .tcp
        case .tls: .tls
        }
    }

    /// How far the flow came.
    public var state: State {
        switch model.state {
        case .complete: .complete
        case .incomplete: .incomplete
        case .failed: .failed
        }
    }

    /// When the first byte of the flow was received.
    public var started: Timestamp { Timestamp(model.started) }

    /// When the flow ended; nil if the recording ends before the flow does.
    public var ended: Timestamp? { model.ended.map { Timestamp($0) } }

    /// Whether the flow is open in a file that a recorder is writing.
    public var isBeingRecorded: Bool { model.isBeingRecorded }

    /// Why the flow failed or was cut; nil if it did not.
    public var failure: Failure? {
        model.error.map { Failure(message: $0.message, side: $0.side.map { Side($0) }, time: Timestamp($0.at)) }
    }

    /// `http` or `https` for HTTP, `tcp` or `tls` for the other kinds.
    public var scheme: String { model.target.scheme }

    /// The server that the client asked for: a name or an IP address. Empty if it is not known.
    public var host: String { model.target.host }

    /// The port that the client asked for; 0 if it is not known.
    public var port: UInt16 { model.target.port }

    /// The URL of the request, with the host's name where the client gave one. For CONNECT `host:port`; nil without a request.
    public var url: String? { model.displayURL.map { String(buffer: $0) } }

    /// The client's connection; nil if the part of the file that describes it is damaged.
    public var client: Connection? { model.client.map { Connection($0.value) } }

    /// The connection to the server; nil if there was none.
    public var server: Connection? { model.server.map { Connection($0.value) } }

    /// HTTP only; nil if no request could be read.
    public var request: Request? { model.request.map { Request($0) } }

    /// HTTP only: 1xx responses that came before ``response``, in order.
    public var interimResponses: [Response] { model.interims.map { Response(FlowModel.Message(head: $0.value, started: $0.at)) } }

    /// HTTP only: the server's final response; nil if none came.
    public var response: Response? { model.response.map { Response($0) } }

    /// HTTP only: the response that the recorder itself sent to the client, when none of a server reached the client.
    public var localReply: Response? {
        model.localReply.map { reply in
            var message = FlowModel.Message(head: reply.value.head, started: reply.at)
            message.ended = reply.at
            message.size = UInt64(reply.value.content.readableBytes)
            message.storedSize = message.size
            return Response(message)
        }
    }

    /// The exchange opened a WebSocket conversation; its messages are in ``data``.
    public var isWebSocket: Bool { model.isWebSocket }

    /// Anomalies that did not stop the flow, one sentence each.
    public var notes: [String] { model.notes.map(\.value.message) }

    /// A user's comment. A changed comment is written with the flow.
    public var comment: String? {
        get { model.comment }
        set { model.comment = newValue }
    }

    /// A user's tags, in order. Changed tags are written with the flow.
    public var tags: [String] {
        get { model.tags }
        set { model.tags = newValue }
    }

    /// The content of one side's HTTP message as it was sent: transfer codings are removed, content codings (gzip, …) are not.
    /// - Parameters:
    ///   - side: `.client` for the request, `.server` for the response.
    ///   - maximum: returns at most this many bytes, from the beginning.
    /// - Throws: ``FlowFileError`` with ``FlowFileError/Kind/damagedContent`` if the content is damaged, `.system` if reading fails.
    public func content(from side: Side, maximum: Int = .max) throws(FlowFileError) -> [UInt8] {
        Array(try buffer(from: side, maximum: maximum).readableBytesView)
    }

    /// The content of one side's HTTP message with its content codings (gzip, deflate, br, zstd) removed. Content that was cut is decoded
    /// as far as it goes.
    /// - Parameters:
    ///   - side: `.client` for the request, `.server` for the response.
    ///   - maximum: reads and returns at most this many bytes; it bounds memory against content that decodes to gigabytes.
    /// - Throws: as ``content(from:maximum:)``, and `.undecodableContent` if the content does not match its coding or the coding is unknown.
    public func decodedContent(from side: Side, maximum: Int = 64 << 20) throws(FlowFileError) -> [UInt8] {
        let sent = try buffer(from: side, maximum: maximum)
        let decoded = decodeContent(sent, codings: model.storedCodings(from: side.model), maximum: maximum)
        switch decoded.outcome {
        case .complete, .truncated, .limited: return Array(decoded.content.readableBytesView)
        case .failed(let reason): throw FlowFileError(.undecodableContent, "the content cannot be decoded: \(reason)")
        case .unknownCoding(let name): throw FlowFileError(.undecodableContent, "the content coding \(name) is not known")
        }
    }

    /// What is missing of one side's content, of its HTTP message or its part of a TCP stream, because the recorder was asked to store less
    /// (`--body-limit`, `--only-metadata`); nil if nothing was cut. The messages of a WebSocket have ``FlowData/truncation``.
    public func truncation(of side: Side) -> Truncation? { model.cut(of: side.model).map { Truncation($0) } }

    private func buffer(from side: Side, maximum: Int) throws(FlowFileError) -> ByteBuffer {
        do { return try model.pieces.content(from: side.model, maximum: maximum) } catch { throw FlowFileError(error) }
    }

    /// What the flow carried after its heads, in the order of time: content of HTTP messages, WebSocket messages, bytes of a TCP stream.
    /// Each call starts at the beginning.
    public var data: FlowDataReader { FlowDataReader(model.pieces.cursor()) }
}

/// One of the two ends of a flow.
public enum Side: Sendable, Hashable {
    case client
    case server

    init(_ side: HTTPSemantics.Side) { self = side == .client ? .client : .server }

    var model: HTTPSemantics.Side { self == .client ? .client : .server }
}

/// Identifies a flow or a connection: a UUID of version 7, so identifiers sort by time.
public struct FlowID: Sendable, Hashable, Comparable, LosslessStringConvertible {
    let model: FlowModel.FlowID

    init(_ model: FlowModel.FlowID) { self.model = model }

    /// Reads the 32 hexadecimal digits of a UUID, with or without hyphens; nil for other text.
    public init?(_ description: String) {
        guard let model = FlowModel.FlowID(description) else { return nil }
        self.model = model
    }

    /// `018f…-…-7…-…-…` in lower case.
    public var description: String { model.description }

    /// The order of time, to the millisecond.
    public static func < (a: FlowID, b: FlowID) -> Bool { a.model < b.model }
}

/// A moment, to the nanosecond.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public var nanoseconds: Int64

    /// A moment by its nanoseconds since 1970.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    init(_ model: FlowModel.Timestamp) { nanoseconds = model.nanoseconds }

    var model: FlowModel.Timestamp { FlowModel.Timestamp(nanoseconds: nanoseconds) }

    /// Earlier is less.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

    /// The time from `b` to `a`. The clock of one recording is monotonic, so it is a duration even if the wall clock was set meanwhile.
    public static func - (a: Timestamp, b: Timestamp) -> Duration { .nanoseconds(a.nanoseconds - b.nanoseconds) }

    /// The moment a duration later.
    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        return Timestamp(nanoseconds: time.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
