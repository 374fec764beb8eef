// An HTTP/2 client and server connected directly: sixteen concurrent requests, each answered by 1 KiB.

import HTTP2Codec
import HTTPSemantics
import NIOCore

func measureHTTP2(_ results: inout Results) throws {
    let pair = HTTP2Pair()
    let count = 256
    let seconds = try results.seconds {
        for _ in 0..<count / 16 { try pair.exchange(16) }
    }
    results.add("http2 exchanges", Double(count) / seconds, "requests")
}

private final class HTTP2Pair {
    private let client = HTTP2Connection(.client)
    private let server = HTTP2Connection(.server)
    private let body = ByteBuffer(repeating: 0x61, count: 1024)
    private var number = 0

    func exchange(_ count: Int) throws {
        for _ in 0..<count {
            number += 1
            try check(client.sendRequest(request, endsStream: true) != nil, "the client takes no more requests")
        }
        var answers = 0
        var isMoving = true
        while isMoving {
            isMoving = false
            if let bytes = client.takeOutput() {
                isMoving = true
                server.receive(bytes)
            }
            answer()
            if let bytes = server.takeOutput() {
                isMoving = true
                client.receive(bytes)
            }
            answers += try takeAnswers()
            _ = (client.takeSentContent(), server.takeSentContent())
        }
        try check(answers == count, "\(answers) of \(count) requests were answered")
    }

    /// A request with a unique path and name, as sent to an API.
    private var request: HTTP2Fields {
        var fields = HTTP2Fields()
        fields.append(":method", "GET")
        fields.append(":scheme", "https")
        fields.append(":authority", "api.shop.example")
        fields.append(":path", "/v2/orders/\(number)?limit=20")
        fields.append("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
        fields.append("accept", "application/json")
        fields.append("accept-encoding", "gzip, deflate, br, zstd")
        fields.append("cookie", "sid=3fqvucd585juk32bf9iqoei21z; theme=dark; consent=yes")
        fields.append("x-request-id", "412e7913-22ae-4371-\(number)")
        return fields
    }

    private func answer() {
        while let event = server.next() {
            guard case .request(let stream, .head(_, _, isLast: true)) = event else { continue }
            var fields = HTTP2Fields()
            fields.append(":status", "200")
            fields.append("server", "nginx")
            fields.append("content-type", "application/json")
            fields.append("content-length", "1024")
            fields.append("x-trace-id", "412e7913-\(stream)")
            server.sendResponse(fields, on: stream, endsStream: false)
            server.sendData(body, on: stream)
            server.sendEnd(trailers: nil, on: stream)
        }
    }

    private func takeAnswers() throws -> Int {
        var answers = 0
        while let event = client.next() {
            switch event {
            case .response(let stream, .content(let content, _, let isLast)):
                client.consumed(content.readableBytes, on: stream)
                if isLast { answers += 1 }
            case .response(_, .end): answers += 1
            case .response, .settings: break
            default: throw InvalidMeasurement(message: "\(event)")
            }
        }
        return answers
    }
}
