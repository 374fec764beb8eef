import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Framing of messages of other programs")
struct FramingTests {
    private typealias Field = (name: ByteBuffer, value: ByteBuffer)

    private func message(_ fields: [(String, String)], _ version: HTTPVersion, _ content: ForeignMessage.Content) -> ForeignMessage
    {
        var message = ForeignMessage(version: version)
        message.head.fields = fields.map { (ByteBuffer(string: $0.0), ByteBuffer(string: $0.1)) }
        message.content = content
        return message
    }

    private func lines(_ message: ForeignMessage) -> [String] {
        message.head.fields.map { "\(String(buffer: $0.name)): \(String(buffer: $0.value))" }
    }

    private static let contents: [ForeignMessage.Content] = [
        .whole(ByteBuffer()), .whole(ByteBuffer(string: "hello")), .cut(ByteBuffer(string: "hel")), .cut(ByteBuffer()), .missing,
    ]
    private static let lengths: [[String]] = [[], ["0"], ["5"], ["9"], ["05"], ["5, 5"], ["5", "5"], ["6,219"], ["-1"], [""]]
    private static let codings: [[String]] = [
        [], ["chunked"], ["Chunked"], ["identity"], ["gzip, chunked"], ["chunked, gzip"], ["chunked", "chunked"], [""],
    ]

    @Test("Whatever the fields, a message has one framing, which fits its content, and is not changed a second time")
    func all() {
        for version in [HTTPVersion.http1_0, .http1_1, .http2] {
            for content in Self.contents {
                for length in Self.lengths {
                    for coding in Self.codings {
                        let fields = [("A", "1")] + coding.map { ("Transfer-Encoding", $0) } + length.map { ("Content-Length", $0) }
                        for role in roles { check(message(fields + [("B", "2")], version, content), role) }
                    }
                }
            }
        }
    }

    private let roles: [ForeignMessage.Role] = [
        .request, .response(status: 200, method: ByteBuffer(string: "GET")),
        .response(status: 200, method: ByteBuffer(string: "HEAD")),
        .response(status: 204, method: ByteBuffer(string: "GET")), .response(status: 304, method: ByteBuffer(string: "GET")),
        .response(status: 200, method: ByteBuffer(string: "CONNECT")),
    ]

    private func check(_ original: ForeignMessage, _ role: ForeignMessage.Role) {
        var message = original
        message.fit(role)
        let lengths = message.values("content-length").map { String(buffer: $0) }
        let codings = message.values("transfer-encoding").map { String(buffer: $0) }
        let size = message.content.bytes.readableBytes
        let told = "\(lines(original)) \(original.content) \(original.version) \(role): \(lines(message))"
        #expect(lengths.count + codings.count <= 1, "\(told)")
        #expect(codings.allSatisfy { $0.lowercased() == "chunked" } && (codings.isEmpty || message.version == .http1_1), "\(told)")
        #expect(lengths.allSatisfy { Int($0).map { "\($0)" } == $0 }, "\(told)")
        if case .response(let status, let method) = role, status != 200 || method != ByteBuffer(string: "GET") {
            #expect(size == 0 && message.content != .missing, "\(told)")
        } else if let length = lengths.first.flatMap({ Int($0) }) {
            if case .whole = message.content { #expect(length == size, "\(told)") } else { #expect(length > size, "\(told)") }
        } else if case .whole = message.content, case .request = role, message.version.major < 2 {
            #expect(size == 0 || !codings.isEmpty, "\(told)")
        }
        // The other fields keep their places, and changes are noted.
        #expect(
            lines(message).first == "A: 1" && lines(message).last.map { $0 == "B: 2" || lines(original).count == 2 } == true,
            "\(told)")
        #expect(
            (lines(message) == lines(original) && size == original.content.bytes.readableBytes) == message.notes.isEmpty, "\(told)")
        var again = message
        again.notes = []
        again.fit(role)
        #expect(lines(again) == lines(message) && again.notes.isEmpty, "\(told)")
    }

    @Test(
        "The framing that is given, and the field as it was",
        arguments: [
            ([("Content-Length", "0")], "hello", ["Content-Length: 5"], ["the file has Content-Length: 0"]),
            ([("content-length", "6,219")], "hello", ["content-length: 5"], ["the file has content-length: 6,219"]),
            (
                [("Transfer-Encoding", "chunked"), ("Content-Length", "7")], "hello", ["Transfer-Encoding: chunked"],
                ["the file has Transfer-Encoding: chunked", "the file has Content-Length: 7"]
            ),
            ([("Transfer-Encoding", "identity")], "hello", ["Content-Length: 5"], ["the file has Transfer-Encoding: identity"]),
            ([], "hello", [], []),
            ([("Content-Length", "5")], "hello", ["Content-Length: 5"], []),
            ([("Transfer-Encoding", "chunked")], "", ["Transfer-Encoding: chunked"], []),
        ] as [([(String, String)], String, [String], [String])])
    func examples(fields: [(String, String)], content: String, expected: [String], notes: [String]) {
        var message = message(fields, .http1_1, .whole(ByteBuffer(string: content)))
        message.fit(.response(status: 200, method: ByteBuffer(string: "GET")))
        #expect(lines(message) == expected)
        #expect(message.notes == notes)
    }

    @Test("Content that was not stored shows as cut, also where no length was")
    func missing() {
        var open = message([], .http1_1, .missing)
        open.fit(.response(status: 200, method: ByteBuffer(string: "GET")))
        #expect(lines(open) == ["Transfer-Encoding: chunked"])
        #expect(open.notes == ["Transfer-Encoding: chunked was added: the file has no length"])
        var announced = message([("Content-Length", "9")], .http1_1, .missing)
        announced.fit(.response(status: 200, method: ByteBuffer(string: "GET")))
        #expect(lines(announced) == ["Content-Length: 9"])
    }

    @Test("Trailers need chunks")
    func trailers() {
        var message = message([("Content-Length", "5")], .http1_1, .whole(ByteBuffer(string: "hello")))
        message.trailers = FieldSection([("t", "1")])
        message.fit(.response(status: 200, method: ByteBuffer(string: "GET")))
        #expect(lines(message) == ["Transfer-Encoding: chunked"])
    }
}
