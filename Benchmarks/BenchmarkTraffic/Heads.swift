// The heads of generated messages as text, in the form of either HTTP version.

import HTTPSemantics
import NIOCore

/// Writes one head: a start-line or pseudo-fields, then field lines.
struct HeadText {
    private var bytes = ByteBuffer()
    private let isHTTP2: Bool

    private init(isHTTP2: Bool) {
        self.isHTTP2 = isHTTP2
        bytes.reserveCapacity(1024)
    }

    static func request(_ method: String, _ path: String, host: String, isHTTP2: Bool) -> HeadText {
        var head = HeadText(isHTTP2: isHTTP2)
        head.bytes.writeString(
            isHTTP2
                ? ":method: \(method)\r\n:authority: \(host)\r\n:scheme: https\r\n:path: \(path)\r\n"
                : "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n")
        return head
    }

    static func response(_ status: Int, isHTTP2: Bool) -> HeadText {
        var head = HeadText(isHTTP2: isHTTP2)
        head.bytes.writeString(isHTTP2 ? ":status: \(status)\r\n" : "HTTP/1.1 \(status) \(reasons[status] ?? "Unknown")\r\n")
        return head
    }

    /// - Parameter name: as HTTP/1 writes it; HTTP/2 has lower case only.
    mutating func field(_ name: StaticString, _ value: String) {
        name.withUTF8Buffer { name in
            for index in name.indices {
                let byte = unsafe name[index]
                bytes.writeInteger(isHTTP2 && byte &- 0x41 < 26 ? byte | 0x20 : byte)
            }
        }
        bytes.writeStaticString(": ")
        bytes.writeString(value)
        bytes.writeStaticString("\r\n")
    }

    /// The head with the empty line that ends it.
    consuming func finished() -> ByteBuffer {
        bytes.writeStaticString("\r\n")
        return bytes
    }

    private static let reasons = [
        200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
        304: "Not Modified",
        401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error",
        503: "Service Unavailable",
    ]
}

/// The time as Date gives it (RFC 9110 §5.6.7). Generated traffic is all of one day.
func httpDate(nanoseconds: Int64) -> String {
    let second = nanoseconds / 1_000_000_000 % 86_400
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "Thu, 09 Oct 2025 \(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) GMT"
}
