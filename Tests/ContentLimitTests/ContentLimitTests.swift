import ContentLimit
import Digests
import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// The flow of events that passed the limit.
private func limited(_ builder: FlowBuilder, to maximum: UInt64) -> Flow {
    let stage = ContentLimit(maximum: maximum).stage()
    var assembler: FlowAssembler?
    for event in builder.events {
        stage.receive(event.what, at: event.at) { what, at in
            if case .opened(let opening) = what {
                assembler = FlowAssembler(id: event.flow, at: at, opening: opening, keepsPieces: true)
            }
            assembler?.receive(what, at: at)
        }
    }
    return assembler!.flow
}

private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }
private func sha256(_ text: String) -> ByteBuffer { ByteBuffer(bytes: Digest.of(bytes(text), by: .sha256)) }

/// The stored content of each piece, with the size of the whole.
private func stored(_ flow: Flow) throws -> [String] {
    var found: [String] = []
    try flow.pieces.forEach { _, piece in
        found.append("\(piece.kind) \(piece.from) '\(String(buffer: piece.content))' of \(piece.size)")
        return true
    }
    return found
}

private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
private let ok = "HTTP/1.1 200 OK\r\n\r\n"

@Suite("Content beyond a limit is not stored")
struct ContentLimitTests {
    private let pieces = FlowBuilder().request(get).response(ok, isWhole: false)
        .data(bytes("abc"), from: .server, at: 1).data(bytes("defg"), from: .server, at: 2).data(bytes("hi"), from: .server, at: 3)
        .event(.finished(.server), at: 3).ended(at: 3)

    @Test("A body is stored up to the limit; sizes, times and the digest of the whole are kept, and the flow is complete")
    func body() throws {
        let flow = limited(pieces, to: 5)
        #expect(try stored(flow) == ["data server 'abc' of 3", "data server 'de' of 4", "data server '' of 2"])
        #expect(flow.cut(of: .server) == ContentCut(size: 9, sha256: sha256("abcdefghi")))
        let response = try #require(flow.response)
        #expect(response.size == 9 && response.storedSize == 5 && response.isCut && !response.isComplete)
        #expect(response.ended != nil && flow.state == .complete)
        #expect(flow.cut(of: .client) == nil && flow.request?.isComplete == true)
        #expect(try flow.contentSize(from: .server) == 9)
    }

    @Test("A body within the limit is stored as it is", arguments: [9, 10, .max] as [UInt64])
    func within(maximum: UInt64) throws {
        let flow = limited(pieces, to: maximum)
        #expect(try stored(flow) == ["data server 'abc' of 3", "data server 'defg' of 4", "data server 'hi' of 2"])
        #expect(flow.cut(of: .server) == nil && flow.response?.isComplete == true)
    }

    @Test("The first piece may be beyond the limit, and longer than those that are copied", arguments: [1, 4096, 4097, 100_000])
    func first(size: Int) throws {
        let content = String(repeating: "x", count: size)
        for maximum in [UInt64(size) - 1, 0] {
            let flow = limited(FlowBuilder().request(get, content: bytes(content)).ended(), to: maximum)
            #expect(flow.cut(of: .client) == ContentCut(size: UInt64(size), sha256: sha256(content)))
            #expect(flow.request?.storedSize == maximum && flow.request?.size == UInt64(size))
        }
        let flow = limited(FlowBuilder().request(get, content: bytes(content)).ended(), to: UInt64(size))
        #expect(flow.cut(of: .client) == nil)
    }

    @Test("The data of a stream has a limit for each side")
    func stream() throws {
        let built = FlowBuilder(.tcp).data(bytes("ping"), from: .client).data(bytes("pong"), from: .server)
            .event(.finished(.client)).data(bytes("more"), from: .server).ended()
        let flow = limited(built, to: 4)
        #expect(try stored(flow) == ["data client 'ping' of 4", "data server 'pong' of 4", "data server '' of 4"])
        #expect(flow.cut(of: .client) == nil && flow.cut(of: .server) == ContentCut(size: 8, sha256: sha256("pongmore")))
        #expect(try flow.contentSize(from: .server) == 8)
    }

    @Test("After a change of protocol the stream counts with the content before it")
    func switched() throws {
        let built = FlowBuilder().request(get, content: bytes("ab")).response("HTTP/1.1 101 Switching Protocols\r\n\r\n")
            .data(bytes("cd"), from: .client).ended()
        let flow = limited(built, to: 1)
        #expect(flow.cut(of: .client) == ContentCut(size: 4, sha256: sha256("abcd")))
    }

    @Test("Each message of a WebSocket has a limit of its own; a close frame keeps its code")
    func messages() throws {
        func message(_ kind: FlowPiece.Kind, _ text: String, wire: UInt64? = nil) -> FlowEvent.What {
            .piece(FlowPiece(kind: kind, from: .server, content: bytes(text), wireSize: wire))
        }
        let built = FlowBuilder().request(get).response("HTTP/1.1 101 Switching Protocols\r\n\r\n")
            .event(message(.text, "hello", wire: 7)).event(message(.text, "hi")).event(message(.ping, "abcd"))
            .event(message(.close, "\u{3}\u{68}bye")).ended()
        let flow = limited(built, to: 3)
        #expect(
            try stored(flow) == [
                "text server 'hel' of 5", "text server 'hi' of 2", "ping server 'abc' of 4", "close server '\u{3}\u{68}b' of 5",
            ])
        var cuts: [ContentCut?] = []
        try flow.pieces.forEach { _, piece in
            cuts.append(piece.cut?.value)
            return true
        }
        #expect(cuts[0] == ContentCut(size: 5, sha256: sha256("hello")) && cuts[1] == nil)
        #expect(try flow.pieces.sizes().server.bytes == 7 && flow.pieces.wireSize(from: .server) == 18)
        #expect(flow.cut(of: .server) == nil)
        let none = limited(built, to: 0)
        #expect(try stored(none).last == "close server '\u{3}\u{68}' of 5")
    }

    @Test("Bytes that could not be parsed are cut too, which a note reports")
    func malformed() {
        let flow = limited(FlowBuilder().event(.malformed(from: .client, bytes("abcdef"))).ended(), to: 2)
        #expect(flow.malformed.map(\.value) == [MalformedBytes(from: .client, bytes("ab"))])
        #expect(flow.notes.map(\.value) == [FlowNote(side: .client, "4 bytes that could not be parsed were not stored")])
    }

    @Test("A recording that is cut again keeps the size and the digest of what was received")
    func again() throws {
        let once = limited(pieces, to: 5)
        let stage = ContentLimit(maximum: 2).stage()
        var assembler: FlowAssembler?
        try once.forEachEvent { event in
            stage.receive(event.what, at: event.at) { what, at in
                if case .opened(let opening) = what {
                    assembler = FlowAssembler(id: event.flow, at: at, opening: opening, keepsPieces: true)
                }
                assembler?.receive(what, at: at)
            }
        }
        let twice = try #require(assembler?.flow)
        #expect(try stored(twice) == ["data server 'ab' of 3", "data server '' of 4", "data server '' of 2"])
        #expect(twice.cut(of: .server) == once.cut(of: .server))
    }

    @Test("Content that redaction has changed keeps its size on the wire; the digest is that of the changed content")
    func changed() throws {
        let piece = FlowPiece(from: .server, content: bytes("changed"), wireSize: 3)
        let built = FlowBuilder().request(get).response(ok, isWhole: false).event(.piece(piece)).event(.finished(.server)).ended()
        let flow = limited(built, to: 2)
        #expect(flow.response?.size == 3 && flow.response?.storedSize == 2)
        #expect(flow.cut(of: .server) == ContentCut(size: 7, sha256: sha256("changed")))
    }
}
