// The files of the page, which are a part of the program. Each is kept as it is and in gzip; a request chooses by Accept-Encoding
// (RFC 9110 section 12.5.3).

import CViewPage
import ContentCoding
import Digests
import NIOCore
import NIOHTTP1

/// A file of the page.
struct PageFile: Sendable {
    /// The bytes of the file in a content coding, and their entity tag.
    struct Representation: Sendable {
        let bytes: ByteBuffer
        let tag: String
    }

    let type: String
    let identity: Representation
    let gzip: Representation

    init(type: String, _ bytes: ByteBuffer) {
        self.type = type
        let digest = String(Digest.of(bytes, by: .sha256).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }, radix: 16)
        identity = Representation(bytes: bytes, tag: "\"\(digest)\"")
        gzip = Representation(bytes: gzipMember(bytes), tag: "\"\(digest)-gzip\"")
    }

    /// By their paths; `/` is the page itself. Compressed on first use.
    static let all: [String: PageFile] = {
        var files: [String: PageFile] = [:]
        for index in 0..<Int(view_page_count()) {
            let file = unsafe view_page_file(Int32(index))
            let name = unsafe String(cString: file.name)
            let bytes = unsafe ByteBuffer(bytes: UnsafeRawBufferPointer(start: file.bytes, count: file.size))
            files[name == "index.html" ? "/" : "/\(name)"] = PageFile(type: type(of: name), bytes)
        }
        return files
    }()

    private static func type(of name: String) -> String {
        if name.hasSuffix(".html") { return "text/html; charset=utf-8" }
        if name.hasSuffix(".css") { return "text/css; charset=utf-8" }
        if name.hasSuffix(".svg") { return "image/svg+xml" }
        return "text/javascript; charset=utf-8"
    }

    /// The response to a GET.
    func response(to fields: HTTPHeaders) -> ViewResponse {
        let isCompressed = Self.prefersGzip(fields)
        let chosen = isCompressed ? gzip : identity
        let isKnown = fields[canonicalForm: "if-none-match"].contains { $0 == "*" || $0 == chosen.tag || $0 == "W/" + chosen.tag }
        var response = ViewResponse(isKnown ? .notModified : .ok, .page(type: type), isKnown ? ByteBuffer() : chosen.bytes)
        response.extra = [("ETag", chosen.tag), ("Vary", "Accept-Encoding")]
        if isCompressed, !isKnown { response.extra.append(("Content-Encoding", "gzip")) }
        return response
    }

    /// The client accepts gzip, and does not rate it below content without a coding. Without the field, nothing is compressed.
    static func prefersGzip(_ fields: HTTPHeaders) -> Bool {
        var weights: [String: Double] = [:]
        for element in fields[canonicalForm: "accept-encoding"] {
            let parts = element.split(separator: ";").map { $0.trimming { $0 == " " || $0 == "\t" }.lowercased() }
            guard let coding = parts.first else { continue }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 }
            weights[coding == "x-gzip" ? "gzip" : coding] = weight ?? 1
        }
        let gzip = weights["gzip"] ?? weights["*"] ?? 0
        return gzip > 0 && gzip >= weights["identity"] ?? 0
    }
}

extension Substring {
    fileprivate func trimming(_ isTrimmed: (Character) -> Bool) -> Substring {
        var rest = drop(while: isTrimmed)
        while let last = rest.last, isTrimmed(last) { rest.removeLast() }
        return rest
    }
}
