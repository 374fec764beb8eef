// Requests and responses.

internal import FlowModel
internal import HTTPSemantics
internal import NIOCore

/// What a request and a response have in common. Content is read from the flow: ``Flow/content(from:maximum:)``.
public struct Message: Sendable {
    /// `HTTP/1.1`, `HTTP/2`.
    public let version: String
    /// The header fields as received, without pseudo-header fields.
    public let headers: HeaderFields
    /// The trailer fields; nil if there were none.
    public let trailers: HeaderFields?
    /// When the head was complete.
    public let started: Timestamp
    /// When the last byte was received; nil if the message was cut.
    public let ended: Timestamp?
    /// Bytes of content that were sent, transfer codings removed.
    public let size: UInt64
    /// Bytes of the content that are in the recording; fewer than ``size`` if the recorder limited it, and any number if
    /// ``isStoredDecoded``.
    public let storedSize: UInt64
    /// Redaction stored the content without its content codings, whatever ``headers`` declare.
    public let isStoredDecoded: Bool
    /// The message came to its end, and all of its content is in the recording. ``Flow/truncation(of:)`` tells what a recorder left out.
    public let isComplete: Bool
    private let wire: ByteBuffer

    /// The head as received. HTTP/1: from the start-line to the empty line. HTTP/2: one `name: value` line for each field, pseudo-header
    /// fields first.
    public var head: [UInt8] { Array(wire.readableBytesView) }

    fileprivate init<Head>(_ model: FlowModel.Message<Head>, _ version: HTTPVersion, _ wire: ByteBuffer, _ fields: FieldSection) {
        self.version = version.description
        self.wire = wire
        headers = HeaderFields(fields)
        trailers = model.trailers.map { HeaderFields($0) }
        started = Timestamp(model.started)
        ended = model.ended.map { Timestamp($0) }
        size = model.size
        storedSize = model.storedSize
        isStoredDecoded = model.isStoredDecoded
        isComplete = model.isComplete
    }
}

/// An HTTP request. The members of ``Message`` are its own: `request.headers`.
@dynamicMemberLookup
public struct Request: Sendable {
    let model: FlowModel.Message<RequestHead>
    /// What it has in common with a response.
    public let message: Message

    init(_ model: FlowModel.Message<RequestHead>) {
        self.model = model
        message = Message(model, model.head.version, model.head.wire, model.head.fields)
    }

    /// A request of HTTP/1.1 for a flow that a program makes.
    /// - Precondition: no line ends in `method` and `target`, no space in `method`.
    public init(method: String, target: String, headers: HeaderFields = [], trailers: HeaderFields? = nil) {
        precondition(!method.utf8.contains { $0 <= 0x20 }, "a method is a token")
        precondition(!target.utf8.contains { $0 == 0x0D || $0 == 0x0A }, "a request-target has no line ends")
        let head = RequestHead(parsing: headers.head(startLine: "\(method) \(target) HTTP/1.1"), version: .http1_1)
        var model = FlowModel.Message(head: head, started: FlowModel.Timestamp(nanoseconds: 0))
        model.trailers = trailers?.section
        self.init(model)
    }

    /// Case-sensitive, as received.
    public var method: String { String(buffer: model.head.method) }
    /// The request-target as received (RFC 9112 section 3.2); for HTTP/2 the value of `:path`.
    public var target: String { String(buffer: model.head.target) }
    /// HTTP/2: the value of `:authority`; nil for HTTP/1, which has a Host field.
    public var authority: String? { model.head.authorityRange.isEmpty ? nil : String(buffer: model.head.authority) }

    /// A member of ``message``.
    public subscript<Value>(dynamicMember path: KeyPath<Message, Value>) -> Value { message[keyPath: path] }
}

/// An HTTP response. The members of ``Message`` are its own: `response.headers`.
@dynamicMemberLookup
public struct Response: Sendable {
    let model: FlowModel.Message<ResponseHead>
    /// What it has in common with a request.
    public let message: Message

    init(_ model: FlowModel.Message<ResponseHead>) {
        self.model = model
        message = Message(model, model.head.version, model.head.wire, model.head.fields)
    }

    /// A response of HTTP/1.1 for a flow that a program makes.
    /// - Precondition: a status from 100 to 999, no line ends in `reason`.
    public init(status: Int, reason: String = "", headers: HeaderFields = [], trailers: HeaderFields? = nil) {
        precondition((100...999).contains(status), "a status has three digits")
        precondition(!reason.utf8.contains { $0 == 0x0D || $0 == 0x0A }, "a reason phrase has no line ends")
        let head = ResponseHead(parsing: headers.head(startLine: "HTTP/1.1 \(status) \(reason)"), version: .http1_1)
        var model = FlowModel.Message(head: head, started: FlowModel.Timestamp(nanoseconds: 0))
        model.trailers = trailers?.section
        self.init(model)
    }

    /// 100 to 999; 0 if the recorded head has no status that can be read.
    public var status: Int { model.head.status }
    /// The reason phrase of HTTP/1; often empty, always for HTTP/2.
    public var reason: String { String(buffer: model.head.reason) }

    /// A member of ``message``.
    public subscript<Value>(dynamicMember path: KeyPath<Message, Value>) -> Value { message[keyPath: path] }
}
