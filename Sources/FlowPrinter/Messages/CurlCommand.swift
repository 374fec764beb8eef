// One command line of curl: which options send a request as it was recorded. curl adds fields of its own (Host, User-Agent, Accept,
// Content-Type, Content-Length, Expect), changes some targets, and reads a file where a value begins with @. Each case is named below.

import FlowModel
import HTTPSemantics
import NIOCore

struct CurlCommand {
    private let head: RequestHead
    private let body: CurlBody?
    private let size: UInt64
    private let url: CurlURL
    /// Options with their quoted values, one for each line of the command.
    private var options: [ByteBuffer] = []
    /// Parts that curl cannot send.
    var lost: Set<Omissions.Part> = []

    private var isHTTP2: Bool { head.version.major >= 2 }

    /// - Throws: ``LeftOut``.
    init(_ flow: Flow, _ request: Message<RequestHead>, _ body: CurlBody?) throws {
        head = request.head
        size = request.size
        guard !head.isMethod("CONNECT") else { throw LeftOut(.connect) }
        url = try CurlURL(flow, head)
        // Chunks without content need an option for content too.
        let isEmptyChunked = body == nil && request.head.version.major < 2 && head.fields.contains("transfer-encoding")
        self.body = isEmptyChunked ? .argument(ByteBuffer(string: "''")) : body
        try addFields()
        addRemovals()
        try addContent()
    }

    /// Appends the command and a line end.
    func write(into out: inout ByteBuffer) {
        if case .printed(let format) = body {
            out.writeStaticString("printf ")
            out.writeImmutableBuffer(format)
            out.writeStaticString(" | ")
        }
        out.writeStaticString("curl ")
        out.writeString(version)
        // The path and the query are sent as they are, and brackets are not a pattern.
        out.writeStaticString(" --path-as-is -g ")
        if let method {
            out.writeImmutableBuffer(method)
            out.writeStaticString(" ")
        }
        out.writeImmutableBuffer(ShellText.quoted(url.text))
        for option in options {
            out.writeStaticString(" \\\n  ")
            out.writeImmutableBuffer(option)
        }
        out.writeStaticString("\n")
    }

    private var version: String {
        switch head.version {
        case .http1_0: "--http1.0"
        case _ where !isHTTP2: "--http1.1"
        case _ where url.isSecure: "--http2"
        default: "--http2-prior-knowledge"
        }
    }

    /// nil where curl chooses the same method.
    private var method: ByteBuffer? {
        if head.isMethod(body == nil ? "GET" : "POST") { return nil }
        // With -X curl would wait for the content that the response announces.
        if head.isMethod("HEAD") { return ByteBuffer(string: "--head") }
        var option = ByteBuffer(string: "-X ")
        let isPlain = head.method.readableBytesView.allSatisfy { $0 &- 0x41 < 26 }
        option.writeImmutableBuffer(isPlain ? head.method : ShellText.quoted(head.method))
        return option
    }

    // MARK: Fields

    private mutating func addFields() throws {
        if head.version.major > 2 { lost.insert(.version) }
        if let target = url.requestTarget { try add("--request-target", target) }
        var hasHost = false
        var hasCoding = false
        for line in head.fields.lines {
            let name = head.fields.slice(line.name)
            if name.equalsIgnoringCase("host") {
                // curl sends the first Host, or the authority of the URL.
                if hasHost || isHTTP2 && !head.authorityRange.isEmpty {
                    if hasHost || head.fields.slice(line.value) != head.authority { lost.insert(.fields) }
                } else if head.fields.slice(line.value) != url.authority {
                    try addField(name, text(of: line))
                }
                hasHost = true
            } else if name.equalsIgnoringCase("transfer-encoding") {
                // curl sends chunks when the first line has that coding.
                if !hasCoding, let codings = head.fields.joined("transfer-encoding") { try addField(name, codings) }
                hasCoding = true
            } else if !isOwnLength(line) {
                try addField(name, text(of: line))
            }
        }
        if isHTTP2, !head.authorityRange.isEmpty {
            if head.authority != url.authority { try addField(ByteBuffer(string: "Host"), head.authority) }
        } else if !hasHost {
            addRemoval("Host")
        }
    }

    /// The length that curl announces itself. The command can be edited then.
    private func isOwnLength(_ line: FieldSection.Line) -> Bool {
        guard body != nil, size > 0, head.fields.all("content-length").count == 1 else { return false }
        let name = head.fields.slice(line.name)
        return (isHTTP2 ? name.equalsIgnoringCase("content-length") : name == ByteBuffer(string: "Content-Length"))
            && head.fields.slice(line.value) == ByteBuffer(string: "\(size)")
    }

    /// A value with the white space around it, on one line: a folded value continues after a space (RFC 9112 section 5.2).
    private func text(of line: FieldSection.Line) -> ByteBuffer {
        let wire = head.fields.wire
        let span = wire.readableBytesUInt8Span
        var (start, end) = (Int(line.value.start), Int(line.value.end))
        guard start < end else { return ByteBuffer() }
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        while start > 0, isBlank(span[start - 1]) { start -= 1 }
        while end < span.count, isBlank(span[end]) { end += 1 }
        let value = wire.slice(ByteRange(start, end))
        guard value.readableBytesView.contains(0x0A) else { return value }
        var unfolded = ByteBuffer()
        for (index, part) in value.lines.enumerated() {
            if index > 0 { unfolded.writeStaticString(" ") }
            unfolded.writeImmutableBuffer(part.trimmed())
        }
        return unfolded
    }

    private mutating func addField(_ name: ByteBuffer, _ value: ByteBuffer) throws {
        var text = name
        let isEmpty = !value.readableBytesView.contains { $0 != 0x20 && $0 != 0x09 }
        text.writeString(
            isEmpty ? ";" : value.readableBytesView.first == 0x20 || value.readableBytesView.first == 0x09 ? ":" : ": ")
        if !isEmpty { text.writeImmutableBuffer(value) }
        // A file would be read; a NUL would end the argument; the first semicolon of a name without a value would end it.
        let isEmptyWithSemicolon = isEmpty && name.readableBytesView.contains(UInt8(ascii: ";"))
        guard name.readableBytesView.first != UInt8(ascii: "@"), !text.readableBytesView.contains(0), !isEmptyWithSemicolon else {
            lost.insert(.fields)
            return
        }
        try add("-H", text)
    }

    private mutating func add(_ option: String, _ value: ByteBuffer) throws {
        guard value.readableBytes <= ShellText.maximumArgument else { throw LeftOut(.tooLong) }
        var text = ByteBuffer(string: option + " ")
        text.writeImmutableBuffer(ShellText.quoted(value))
        options.append(text)
    }

    /// Removes fields that curl adds and the client did not send.
    private mutating func addRemovals() {
        for (name, field) in [("User-Agent", "user-agent"), ("Accept", "accept")] as [(String, StaticString)]
        where !head.fields.contains(field) {
            addRemoval(name)
        }
        // Sent to a proxy only.
        if url.isAbsolute, !head.fields.contains("proxy-connection") { addRemoval("Proxy-Connection") }
        guard body != nil else { return }
        if !head.fields.contains("content-type") { addRemoval("Content-Type") }
        if isHTTP2, !head.fields.contains("content-length") { addRemoval("Content-Length") }
        // With more than 1 KiB, since version 7.76 with more than 1 MiB.
        if !isHTTP2, size > 1024, !head.fields.contains("expect") { addRemoval("Expect") }
    }

    private mutating func addRemoval(_ name: String) { options.append(ByteBuffer(string: "-H '\(name):'")) }

    private mutating func addContent() throws {
        guard let body else { return }
        guard !head.isMethod("HEAD") else { throw LeftOut(.headContent) }
        switch body {
        case .argument(let word):
            var option = ByteBuffer(string: "--data-raw ")
            option.writeImmutableBuffer(word)
            options.append(option)
        case .printed: options.append(ByteBuffer(string: "--data-binary @-"))
        case .file(let path): try add("--data-binary", ByteBuffer(string: "@" + path))
        }
    }
}
