// The files of the page, which are a part of the program.

import CViewPage
import NIOCore

/// A file of the page.
struct PageFile: Sendable {
    let type: String
    let bytes: ByteBuffer

    /// By their paths; `/` is the page itself.
    static let all: [String: PageFile] = {
        var files: [String: PageFile] = [:]
        for index in 0..<Int(view_page_count()) {
            let file = unsafe view_page_file(Int32(index))
            let name = unsafe String(cString: file.name)
            let bytes = unsafe ByteBuffer(bytes: UnsafeRawBufferPointer(start: file.bytes, count: file.size))
            files[name == "index.html" ? "/" : "/\(name)"] = PageFile(type: type(of: name), bytes: bytes)
        }
        return files
    }()

    private static func type(of name: String) -> String {
        if name.hasSuffix(".html") { return "text/html; charset=utf-8" }
        if name.hasSuffix(".css") { return "text/css; charset=utf-8" }
        if name.hasSuffix(".svg") { return "image/svg+xml" }
        return "text/javascript; charset=utf-8"
    }
}
