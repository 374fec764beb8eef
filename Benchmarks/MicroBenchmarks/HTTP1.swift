// Decodes HTTP/1 heads as they come from a socket: many in one buffer.

import HTTP1Codec
import HTTPSemantics
import NIOCore

private let request = """
    GET /v2/search?q=garden+table&sort=relevance&page=3 HTTP/1.1\r
    Host: api.shop.example\r
    User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
    Accept-Language: en-GB,en;q=0.7,fr;q=0.3\r
    Accept-Encoding: gzip, deflate, br, zstd\r
    Referer: https://www.shop.example/products/garden-table-18231\r
    Sec-Fetch-Dest: document\r
    Sec-Fetch-Mode: navigate\r
    Sec-Fetch-Site: same-origin\r
    Cookie: sid=3fqvucd585juk32bf9iqoei21z; _ga=GA1.2.1181263412.1760000000; consent=yes; theme=dark; locale=en-GB\r
    Connection: keep-alive\r
    Upgrade-Insecure-Requests: 1\r
    \r

    """

private let response = """
    HTTP/1.1 200 OK\r
    Date: Thu, 09 Oct 2025 08:53:20 GMT\r
    Server: nginx\r
    Content-Type: application/json; charset=utf-8\r
    Content-Length: 1024\r
    Cache-Control: no-store\r
    Vary: Accept-Encoding\r
    ETag: "5b1c09e2f9a24f10"\r
    X-Trace-Id: 412e791322aec371\r
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r
    Set-Cookie: sid=3fqvucd585juk32bf9iqoei21z; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax\r
    Connection: keep-alive\r
    \r

    """

func measureHTTP1(_ results: inout Results) throws {
    let count = 64
    let runs: [(String, String, (ByteBuffer, Int) throws -> Void)] = [
        ("request", request, decodeRequests), ("response", response, decodeResponses),
    ]
    for (name, head, decode) in runs {
        let bytes = ByteBuffer(string: String(repeating: head, count: count))
        let seconds = try results.seconds { try decode(bytes, count) }
        results.add("http1 \(name) heads", Double(count) / seconds, "heads")
        results.add("http1 \(name) bytes", Double(bytes.readableBytes) / seconds, "B")
    }
}

private func decodeRequests(_ bytes: ByteBuffer, _ count: Int) throws {
    let decoder = HTTP1RequestDecoder()
    decoder.receive(bytes)
    var heads = 0
    while let event = try decoder.next() { if case .head = event { heads += 1 } }
    try check(heads == count, "\(heads) heads of \(count) were decoded")
}

private func decodeResponses(_ bytes: ByteBuffer, _ count: Int) throws {
    let decoder = HTTP1ResponseDecoder()
    decoder.receive(bytes)
    var heads = 0
    // Responses to HEAD: a head with a Content-Length, and no content.
    decoder.expectResponse(to: .head)
    while let event = try decoder.next() {
        guard case .head = event else { continue }
        heads += 1
        decoder.expectResponse(to: .head)
    }
    try check(heads == count, "\(heads) heads of \(count) were decoded")
}
