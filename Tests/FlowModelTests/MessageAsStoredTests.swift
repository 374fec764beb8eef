import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@Suite("A message as the recording has it")
struct MessageAsStoredTests {
    /// Content of which 10 bytes were sent.
    private static func content(_ stored: String, from side: Side) -> FlowEvent.What {
        .piece(FlowPiece(from: side, content: ByteBuffer(string: stored), wireSize: 10))
    }

    private static func request(_ head: String, stored: String, isDecoded: Bool) -> Message<RequestHead>? {
        FlowBuilder()
            .event(.redacted(FlowRedaction(decoded: isDecoded ? [.client] : [])))
            .request(head, isWhole: false).event(content(stored, from: .client)).event(.finished(.client)).ended().flow.request
    }

    private static func response(_ head: String, stored: String, isDecoded: Bool, isWhole: Bool = true) -> Message<ResponseHead>? {
        let flow = FlowBuilder()
            .event(.redacted(FlowRedaction(decoded: isDecoded ? [.server] : [])))
            .request("GET / HTTP/1.1\r\n\r\n").response(head, isWhole: false).event(content(stored, from: .server))
        return (isWhole ? flow.event(.finished(.server)) : flow).ended().flow.response
    }

    @Test(
        "The head of a response fits the stored content, and is otherwise as it was received",
        arguments: [
            // Decoded, changed, cut, left out.
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\nA:b\r\n\r\n", "decoded and masked", true,
                "HTTP/1.1 200 OK\r\nContent-Length: 18\r\nA:b\r\n\r\n"
            ),
            (
                "HTTP/1.1 200 OK\r\nA:  b \r\ncontent-length : 10\r\n\r\n", "12345678", true,
                "HTTP/1.1 200 OK\r\nA:  b \r\nContent-Length: 8\r\n\r\n"
            ),
            (
                "HTTP/1.1 200 OK\nContent-Length: 10\nContent-Encoding: gzip\n\n", "cut", false,
                "HTTP/1.1 200 OK\nContent-Length: 3\r\nContent-Encoding: gzip\n\n"
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "", false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            (
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n", "", false,
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            ),
            // A folded field is left out with its lines.
            (
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip,\r\n br\r\nA: b\r\n c\r\n\r\n", "x", true,
                "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"
            ),
            // Chunks and the end of the connection fit every content; several lengths become one.
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "cut", false,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", "cut", false, "HTTP/1.1 200 OK\r\n\r\n"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 10\r\n\r\n", "cut", false,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
            ),
            (
                ":status: 200\r\ncontent-encoding: br\r\ncontent-length: 10\r\n\r\n", "decoded", true,
                ":status: 200\r\ncontent-length: 7\r\n\r\n"
            ),
            (":status: 200\r\ncontent-encoding: br\r\n\r\n", "decoded", true, ":status: 200\r\n\r\n"),
        ] as [(String, String, Bool, String)])
    func responses(_ head: String, _ stored: String, _ isDecoded: Bool, _ expected: String) throws {
        let message = try #require(Self.response(head, stored: stored, isDecoded: isDecoded)).asStored
        #expect(String(buffer: message.head.wire) == expected)
        #expect(message.head.status == 200)
        #expect([message.size, message.storedSize] == [UInt64(stored.utf8.count), UInt64(stored.utf8.count)])
        #expect(message.isComplete)
    }

    @Test(
        "The head of a request fits the stored content",
        arguments: [
            (
                "POST / HTTP/1.1\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\n\r\n", "decoded", true,
                "POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n"
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "", false,
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            (
                ":method: POST\r\n:path: /\r\ncontent-length: 10\r\n\r\n", "", false,
                ":method: POST\r\n:path: /\r\ncontent-length: 0\r\n\r\n"
            ),
        ] as [(String, String, Bool, String)])
    func requests(_ head: String, _ stored: String, _ isDecoded: Bool, _ expected: String) throws {
        let message = try #require(Self.request(head, stored: stored, isDecoded: isDecoded)).asStored
        #expect(String(buffer: message.head.wire) == expected)
        #expect(message.head.isMethod("POST"))
    }

    @Test("A response that was cut on its way keeps a length that it does not reach")
    func cut() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Encoding: gzip\r\n\r\n"
        let message = try #require(Self.response(head, stored: "decoded", isDecoded: true, isWhole: false)).asStored
        #expect(String(buffer: message.head.wire) == "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        #expect(!message.isComplete)
    }

    @Test("Messages whose content is as it was sent, and what follows a switch of protocols, stay as they are")
    func unchanged() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Encoding: gzip\r\n\r\n"
        let plain = FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response(head, content: ByteBuffer(string: "content")).ended()
            .flow
        #expect(plain.asStored.response == plain.response)
        let switched = FlowBuilder().request("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n").response(
            "HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n"
        )
        .event(Self.content("masked", from: .server)).ended().flow
        #expect(switched.asStored.response == switched.response)
    }
}
