// Exchanges that both versions of HTTP can carry, and the ends that carry them: each is played by a client and an origin of either
// version with a recorder in between.

import Foundation
import Testing

enum HTTPVersion: String, CaseIterable, Sendable, CustomStringConvertible {
    case one = "HTTP/1.1"
    case two = "HTTP/2"
    var description: String { rawValue }
}

struct Translation: CustomTestStringConvertible, Sendable {
    enum Content: Sendable {
        case none
        /// Its length is declared beforehand.
        case known([UInt8])
        /// It comes in pieces, without a declared length.
        case pieces([[UInt8]])

        var octets: [UInt8] {
            switch self {
            case .none: []
            case .known(let octets): octets
            case .pieces(let pieces): pieces.reduce([], +)
            }
        }

        var size: Int {
            switch self {
            case .none: 0
            case .known(let octets): octets.count
            case .pieces(let pieces): pieces.reduce(0) { $0 + $1.count }
            }
        }
    }

    /// Who gives up in the middle of what it says, when the other side has all of that.
    enum Cut: Sendable { case none, client, origin }

    var name: String
    var method = "GET"
    var fields: [HTTP2Field] = []
    var content = Content.none
    var trailers: [HTTP2Field] = []
    var interims: [(status: Int, fields: [HTTP2Field])] = []
    var status = 200
    var responseFields: [HTTP2Field] = []
    var responseContent = Content.known(Array("ok".utf8))
    var responseTrailers: [HTTP2Field] = []
    var cut = Cut.none
    var testDescription: String { name }

    /// What is to come out at the origin.
    var request: PlainMessage {
        var message = PlainMessage(
            start: "\(method) /", fields: fields + Self.length(of: content), body: HTTP2Body(content.octets), trailers: trailers)
        message.isComplete = cut != .client
        return message
    }

    /// What is to come out at the client.
    var response: PlainMessage {
        var message = PlainMessage(
            start: "\(status)", fields: responseFields + Self.length(of: responseContent), body: HTTP2Body(responseContent.octets),
            trailers: responseTrailers)
        message.interims = interims.map { PlainMessage.interim([HTTP2Field(name: ":status", value: "\($0.status)")] + $0.fields) }
        message.isComplete = cut != .origin
        return message
    }

    /// Content whose sender gives up has a longer length.
    static func length(of content: Content) -> [HTTP2Field] {
        guard case .known(let octets) = content else { return [] }
        return [HTTP2Field(name: "content-length", value: "\(octets.count)")]
    }

    static func field(_ name: String, _ value: String) -> HTTP2Field { HTTP2Field(name: name, value: value) }

    private static let pieces: [[UInt8]] = ["first ", "second ", "third"].map { Array($0.utf8) }
    private static let many = (0..<40).map { field("x-large-\($0)", String(repeating: "\($0 % 10)", count: 1024)) }
    private static let large: [UInt8] = {
        var octets: [UInt8] = []
        for number in 0..<64 << 10 { octets += [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1024) }
        return octets
    }()

    static let all: [Translation] = [
        Translation(name: "No content"),
        Translation(name: "A request of known length", method: "POST", content: .known(Array("some content".utf8))),
        Translation(name: "A request of a length of none", method: "POST", content: .known([])),
        Translation(name: "A request of unknown length", method: "POST", content: .pieces(pieces)),
        Translation(
            name: "A request with trailers", method: "POST", content: .pieces(pieces),
            trailers: [field("x-sum", "9"), field("x-other", "a, b")]),
        Translation(name: "A response of unknown length", responseContent: .pieces(pieces)),
        Translation(name: "A response with trailers", responseContent: .pieces(pieces), responseTrailers: [field("x-sum", "9")]),
        Translation(
            name: "An interim response",
            interims: [(103, [field("link", "</style.css>; rel=preload")]), (103, [field("link", "</script.js>; rel=preload")])]),
        Translation(name: "HEAD", method: "HEAD", responseFields: [field("content-length", "1234")], responseContent: .none),
        Translation(name: "HEAD whose response has no length", method: "HEAD", responseContent: .none),
        Translation(name: "204", status: 204, responseFields: [field("x-kept", "1")], responseContent: .none),
        Translation(name: "304", status: 304, responseFields: [field("etag", "\"1\"")], responseContent: .none),
        Translation(name: "An error with content", status: 404, responseContent: .known(Array("nothing here".utf8))),
        Translation(
            name: "Fields that come again", fields: [field("x", "1"), field("y", "2"), field("x", "3")],
            responseFields: [field("set-cookie", "a=1"), field("set-cookie", "b=2")]),
        Translation(name: "Forty fields of one KiB", fields: many, responseFields: many),
        Translation(
            name: "64 MiB both ways", method: "POST", content: .known(large), responseContent: .known(large)),
        Translation(
            name: "64 MiB of unknown length both ways", method: "POST", content: .pieces([large]), responseContent: .pieces([large])
        ),
        Translation(name: "An origin that gives up", responseContent: .pieces(pieces), cut: .origin),
        Translation(name: "A client that gives up", method: "POST", content: .pieces(pieces), cut: .client),
    ]
}

/// What the two ends tell each other beside the exchange, and what the test learns.
final class TranslationNotes: Sendable {
    /// What came out at the origin.
    let request = Awaited<PlainMessage>()
    let requestFraming = Awaited<HTTP1Endpoint.Framing>()
    /// The other side has all that is to come before the end.
    let arrived = Awaited<Bool>()
}
