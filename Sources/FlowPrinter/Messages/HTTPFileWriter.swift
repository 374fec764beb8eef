// Messages of HTTP/1.1 as text. Requests are a file that editors send (`.http` of VS Code's REST Client and of JetBrains' HTTP Client): a line
// `###` before each, the URL in the request line, and content that is not text in files of its own. Such editors replace `{{…}}`, also by
// values of the environment, and read files at lines that begin with `<`: nothing recorded may cause that.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Writes requests, responses or both.
struct HTTPFileWriter: MessageWriter {
    /// Longer content is stored in a file, and so is content that is not text.
    private static let maximumInline = 1 << 20

    private let options: MessageOptions
    private(set) var omissions = Omissions()

    init(_ options: MessageOptions) { self.options = options }

    mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Omissions.OfFlow {
        let stored = flow.asStored
        guard flow.kind == .http, let request = stored.request else { return omissions.leaveOut(.noRequest) }
        let isRequestComplete = flow.request?.isComplete ?? false
        var lost: Set<Omissions.Part> = []
        var isWritten = false
        if options.sides.includes(.client) {
            guard !request.head.isMethod("CONNECT"), let url = flow.displayURL else { return omissions.leaveOut(.connect) }
            var message = try HTTPFileMessage(
                flow, .client, request.head.fields, request.trailers, request.size, isRequestComplete)
            message.startLine.writeImmutableBuffer(request.head.method)
            message.startLine.writeStaticString(" ")
            message.startLine.writeURL(url)
            message.startLine.writeStaticString(" HTTP/1.1")
            if request.head.version.major >= 2 { message.authority = request.head.authority }
            try message.write(content: content(flow, .client, nil, isRequestComplete), into: &out)
            lost.formUnion(message.lost)
            isWritten = true
        }
        if options.sides.includes(.server), let response = stored.response {
            let isComplete = flow.response?.isComplete ?? false
            var message = try HTTPFileMessage(
                flow, .server, response.head.fields, response.trailers, response.size, isComplete)
            message.startLine.writeString("HTTP/1.1 \(response.head.status) ")
            message.startLine.writeVisible(response.head.reason)
            try message.write(content: content(flow, .server, response.storedCodings, isComplete), into: &out)
            lost.formUnion(message.lost)
            isWritten = true
        }
        return isWritten ? omissions.leaveOut(lost) : omissions.leaveOut(.noMessages)
    }

    /// The content of a side.
    /// - Parameter codings: the content codings that are removed; nil: content stays as it was sent.
    private func content(
        _ flow: Flow, _ side: Side, _ codings: [ByteBuffer]?, _ isComplete: Bool
    ) throws -> HTTPFileMessage.Content {
        let sent = (side == .client ? flow.request?.size : flow.response?.size) ?? 0
        let size = (side == .client ? flow.request?.storedSize : flow.response?.storedSize) ?? 0
        guard sent > 0, !flow.isConversation else { return .none }
        guard size > 0 else { return .missing(sent) }
        if size <= UInt64(Self.maximumInline) {
            guard let content = try flow.pieces.contentUnlessDamaged(from: side) else { return .leftOut(size) }
            let decoded = codings.map { decodeContent(content, codings: $0, maximum: Self.maximumInline) }
            if decoded?.outcome == .complete || decoded == nil, isPlain(decoded?.content ?? content) {
                return .text(decoded?.content ?? content, isDecoded: decoded?.content != nil && decoded?.content != content)
            }
        }
        guard isComplete, options.store != nil else { return .leftOut(size) }
        do {
            return .file(try flow.storeContent(from: side, name: "http-\(flow.id)-\(side).body", options.store))
        } catch is LeftOut {
            return .leftOut(size)
        }
    }

    /// Text that an editor sends as it is: no line of it has a meaning in such files.
    private func isPlain(_ content: ByteBuffer) -> Bool {
        guard ShellText.isVisible(content), !content.containsBraces else { return false }
        return !content.lines.contains { line in
            guard let first = line.readableBytesView.first(where: { $0 != 0x20 }) else { return false }
            let isDirective = [UInt8(ascii: "<"), UInt8(ascii: ">")].contains(first) && !line.beginsLikeMarkup
            return isDirective || line.readableBytesView.drop { $0 == 0x20 }.starts(with: "###".utf8)
        }
    }
}

/// One message.
private struct HTTPFileMessage {
    enum Content {
        case none
        case text(ByteBuffer, isDecoded: Bool)
        case file(String)
        /// Not text, too long, or damaged.
        case leftOut(UInt64)
        /// It is not in the recording.
        case missing(UInt64)

        /// Bytes that were sent, and follow nowhere.
        var leftOutSize: UInt64? {
            switch self {
            case .leftOut(let size), .missing(let size): size
            case .none, .text, .file: nil
            }
        }
    }

    /// Empty, for the caller to fill.
    var startLine = ByteBuffer()
    /// Of HTTP/2.
    var authority = ByteBuffer()
    private(set) var lost: Set<Omissions.Part> = []
    private let flow: Flow
    private let side: Side
    private let fields: FieldSection
    private let size: UInt64
    private let isComplete: Bool

    init(_ flow: Flow, _ side: Side, _ fields: FieldSection, _ trailers: FieldSection?, _ size: UInt64, _ isComplete: Bool) throws {
        (self.flow, self.side, self.fields, self.size, self.isComplete) = (flow, side, fields, size, isComplete)
        if trailers?.lines.isEmpty == false { lost.insert(.trailers) }
        if flow.isConversation { lost.insert(.messages) }
    }

    mutating func write(content: Content, into out: inout ByteBuffer) throws {
        out.writeString("### \(flow.id)\n")
        if let size = content.leftOutSize {
            if case .missing = content { lost.insert(.missing) } else { lost.insert(.content) }
            out.writeString("# The content is left out: \(readableSize(size)).\n")
        }
        if !isComplete, !flow.isConversation { out.writeString("# The recording of this message is incomplete.\n") }
        out.writeImmutableBuffer(startLine)
        out.writeStaticString("\n")
        if authority.readableBytes > 0, !fields.contains("host") { write(ByteBuffer(string: "Host"), authority, &out) }
        writeFields(content, &out)
        switch content {
        case .none, .leftOut, .missing: break
        case .text(let text, _):
            out.writeStaticString("\n")
            out.writeImmutableBuffer(text)
            if text.readableBytesView.last != 0x0A { out.writeStaticString("\n") }
        case .file(let path):
            out.writeStaticString("\n< ")
            out.writeString(path)
            out.writeStaticString("\n")
        }
        out.writeStaticString("\n")
    }

    /// The fields, with framing that fits the content as it is written: without chunks, and without codings that were removed.
    private mutating func writeFields(_ content: Content, _ out: inout ByteBuffer) {
        var length: UInt64?
        var isDecoded = false
        switch content {
        case .text(let text, let wasDecoded): (length, isDecoded) = (UInt64(text.readableBytes), wasDecoded)
        case .file: length = size
        case .none where fields.contains("transfer-encoding"): length = 0
        case .none, .leftOut, .missing: break
        }
        // An editor would wait for content that is not there.
        let isLeftOut = side == .client && content.leftOutSize != nil
        var hasLength = false
        var hasCookie = false
        for line in fields.lines {
            let name = fields.slice(line.name)
            if name.equalsIgnoringCase("content-length"), let length {
                if !hasLength { write(name, ByteBuffer(string: "\(length)"), &out) }
                hasLength = true
            } else if isLeftOut, name.equalsIgnoringCase("content-length") {
                continue
            } else if name.equalsIgnoringCase("transfer-encoding") || isDecoded && name.equalsIgnoringCase("content-encoding") {
                continue
            } else if name.equalsIgnoringCase("cookie") {
                // RFC 9113 section 8.2.3.
                if !hasCookie, let cookie = fields.joined("cookie") { write(name, cookie, &out) }
                hasCookie = true
            } else {
                write(name, fields.slice(line.value), &out)
            }
        }
        if let length, !hasLength { write(ByteBuffer(string: "Content-Length"), ByteBuffer(string: "\(length)"), &out) }
    }

    /// Appends a field that is text and that no editor reads as something else.
    private mutating func write(_ name: ByteBuffer, _ value: ByteBuffer, _ out: inout ByteBuffer) {
        let isComment = name.readableBytesView.first == UInt8(ascii: "#")
        guard ShellText.isVisible(name), ShellText.isVisible(value), !isComment, name.readableBytes > 0, !value.containsBraces,
            !value.readableBytesView.contains(0x0A)
        else {
            lost.insert(.fields)
            return
        }
        out.writeImmutableBuffer(name)
        out.writeStaticString(": ")
        out.writeImmutableBuffer(value)
        out.writeStaticString("\n")
    }
}

extension ByteBuffer {
    /// `{{`, which begins a variable.
    fileprivate var containsBraces: Bool {
        let span = readableBytesUInt8Span
        for i in 0..<max(0, span.count - 1) where span[i] == UInt8(ascii: "{") && span[i + 1] == UInt8(ascii: "{") { return true }
        return false
    }

    /// `<name`, `</name`, `<!` or `<?`, as XML and HTML begin, and not the name of a file after a space.
    fileprivate var beginsLikeMarkup: Bool {
        let bytes = readableBytesView.drop { $0 == 0x20 }.prefix(2)
        guard bytes.count == 2, bytes.first == UInt8(ascii: "<"), let second = bytes.last else { return false }
        return second.lowercased &- 0x61 < 26 || second == UInt8(ascii: "/") || second == UInt8(ascii: "!")
            || second == UInt8(ascii: "?")
    }

    /// Appends a URL. Bytes that a URL cannot have, and braces, are percent-encoded.
    fileprivate mutating func writeURL(_ url: ByteBuffer) {
        for byte in url.readableBytesView {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "{"), byte != UInt8(ascii: "}") {
                writeInteger(byte)
            } else {
                writeString("%" + hexadecimal(UInt64(byte), digits: 2).uppercased())
            }
        }
    }
}
