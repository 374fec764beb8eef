// Responses of a view, with the fields that keep recorded content from doing anything in a browser.

import NIOCore
import NIOHTTP1

/// A response.
struct ViewResponse: Sendable {
    /// What a response contains, and so what a browser may do with it.
    enum Kind: Sendable {
        /// A file of the page.
        case page(type: String)
        /// JSON of the API.
        case json
        /// Text of the API.
        case text
        /// Recorded bytes, or a file to store.
        case download(name: String)
        /// Recorded content that is shown in a frame without scripts, origin or network.
        case preview(type: String)
    }

    var status: HTTPResponseStatus
    var kind: Kind
    var extra: [(String, String)] = []
    var body: Body

    enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Writes the body piece by piece, on a thread of its own; each call of the argument waits until the piece is on its way, and throws
        /// when the client has gone. An error before the first byte is answered as one; a later one ends the connection, so that the client
        /// sees that the body is not whole.
        case stream(@Sendable ((ByteBuffer) throws -> Void) throws -> Void)
    }

    init(_ status: HTTPResponseStatus = .ok, _ kind: Kind, _ body: ByteBuffer) {
        (self.status, self.kind, self.body) = (status, kind, .bytes(body))
    }

    init(_ kind: Kind, stream: @escaping @Sendable ((ByteBuffer) throws -> Void) throws -> Void) {
        (status, self.kind, body) = (.ok, kind, .stream(stream))
    }

    var fields: HTTPHeaders {
        var fields = HTTPHeaders()
        fields.add(name: "Content-Type", value: contentType)
        fields.add(name: "Content-Security-Policy", value: policy)
        fields.add(name: "X-Content-Type-Options", value: "nosniff")
        fields.add(name: "Cross-Origin-Opener-Policy", value: "same-origin")
        fields.add(name: "Cross-Origin-Resource-Policy", value: "same-origin")
        fields.add(name: "Referrer-Policy", value: "no-referrer")
        fields.add(name: "Cache-Control", value: cacheControl)
        if case .download(let name) = kind {
            fields.add(name: "Content-Disposition", value: "attachment; filename=\"\(name)\"")
        }
        if case .preview = kind {} else { fields.add(name: "X-Frame-Options", value: "DENY") }
        for (name, value) in extra { fields.add(name: name, value: value) }
        switch body {
        // RFC 9110 section 8.6: a length of 304 would be that of 200.
        case .bytes where status == .notModified: break
        case .bytes(let bytes): fields.add(name: "Content-Length", value: String(bytes.readableBytes))
        case .stream: fields.add(name: "Transfer-Encoding", value: "chunked")
        }
        return fields
    }

    /// The page has nothing that was recorded, so a browser may keep it, and asks whether it is still the same.
    private var cacheControl: String { if case .page = kind { "no-cache" } else { "no-store" } }

    private var contentType: String {
        switch kind {
        case .page(let type), .preview(let type): type
        case .json: "application/json"
        case .text: "text/plain; charset=utf-8"
        case .download: "application/octet-stream"
        }
    }

    private var policy: String {
        switch kind {
        case .page:
            """
            default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; frame-src 'self'; \
            base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'
            """
        case .json, .text: "default-src 'none'; frame-ancestors 'none'"
        case .download: "sandbox; default-src 'none'; frame-ancestors 'none'"
        case .preview: "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
        }
    }
}

/// Why a request cannot be answered, as the API reports it.
struct ViewError: Error, Sendable {
    var status: HTTPResponseStatus
    var message: String
    /// Characters from the start of a filter.
    var offset: Int?

    init(_ status: HTTPResponseStatus, _ message: String, at offset: Int? = nil) {
        (self.status, self.message, self.offset) = (status, message, offset)
    }
}
