// The parts that all layers use, without a session: deadlines, the context, early bytes, a connection.

import FlowModel
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(nanoseconds: milliseconds * 1_000_000) }

@Suite("Deadlines by their owners")
struct DeadlineTableTests {
    private let idle = Deadline(.idle)
    private let first = Deadline(.servers, owner: 1)
    private let second = Deadline(.servers, owner: 2)

    @Test("Each owner has a deadline of its own, which can be moved and cancelled")
    func owners() {
        var deadlines = Deadlines()
        deadlines.set(first, at: at(10))
        deadlines.set(second, at: at(20))
        #expect(deadlines[first] == at(10) && deadlines[second] == at(20) && deadlines[idle] == nil)
        #expect(deadlines.first(.servers) == at(10) && deadlines.first(.idle) == nil)
        deadlines.set(first, at: at(30))
        #expect(deadlines.first(.servers) == at(20))
        deadlines.cancel(second)
        deadlines.cancel(second)
        #expect(deadlines[first] == at(30) && deadlines[second] == nil)
    }

    @Test("Those that have passed are taken in the order of their moments, each once")
    func due() {
        var deadlines = Deadlines()
        deadlines.set(first, at: at(30))
        deadlines.set(second, at: at(10))
        deadlines.set(idle, at: at(50))
        #expect(deadlines.takeDue(at: at(9)) == [])
        #expect(deadlines.takeDue(at: at(30)) == [second, first])
        #expect(deadlines.takeDue(at: at(30)) == [])
        #expect(deadlines.takeDue(at: at(50)) == [idle])
    }

    @Test("The driver is asked for a moment once, and for an earlier one again")
    func wake() {
        var deadlines = Deadlines()
        #expect(deadlines.takeWake() == nil)
        deadlines.set(first, at: at(20))
        #expect(deadlines.takeWake() == at(20))
        deadlines.set(second, at: at(30))
        #expect(deadlines.takeWake() == nil)
        deadlines.set(idle, at: at(10))
        #expect(deadlines.takeWake() == at(10))
        // Woken, it asks for the next one.
        #expect(deadlines.takeDue(at: at(10)) == [idle])
        #expect(deadlines.takeWake() == at(20))
    }
}

@Suite("Bytes that wait")
struct EarlyBytesTableTests {
    private func text(_ pieces: [(bytes: ByteBuffer, at: Timestamp)]) -> [String] {
        pieces.map { "\(String(buffer: $0.bytes)) \(($0.at - at(0)) / 1_000_000)" }
    }

    @Test("Pieces keep their moments, also when a part has been taken from the front")
    func pieces() {
        var early = EarlyBytes()
        #expect(early.isEmpty && early.began == nil)
        early.append(ByteBuffer(string: "one"), at: at(1))
        early.append(ByteBuffer(), at: at(2))
        early.append(ByteBuffer(string: "two"), at: at(3))
        early.append(ByteBuffer(string: "three"), at: at(4))
        #expect(early.count == 11 && early.began == at(1))
        early.keep(early.bytes.getSlice(at: early.bytes.readerIndex + 4, length: 7)!)
        #expect(early.count == 7 && early.began == at(3))
        #expect(text(early.takePieces()) == ["wo 3", "three 4"])
        #expect(early.isEmpty && early.began == nil)
        early.append(ByteBuffer(string: "again"), at: at(9))
        #expect(text(early.takePieces()) == ["again 9"])
    }

    @Test("All bytes can be taken as one")
    func whole() {
        var early = EarlyBytes(ByteBuffer(string: "one"), at: at(1))
        early.append(ByteBuffer(string: "two"), at: at(2))
        #expect(String(buffer: early.take()) == "onetwo")
        #expect(early.isEmpty && early.takePieces().isEmpty)
    }
}

extension SessionContext {
    /// A context for a part without a session.
    static func forTests(_ mode: String = "regular") throws -> SessionContext {
        var options = TLSClientOptions()
        options.verifies = false
        return SessionContext(
            configuration: ProxyConfiguration(
                mode: try ModeSpecification(mode).mode, modeText: mode, serverTLS: try TLSServerContext(TLSServerOptions()),
                clientTLS: try TLSClientContext(options), authority: Playbook.authority, ownAddresses: OwnAddresses()),
            seed: 1)
    }

    /// What was asked of the driver so far.
    var lines: [String] { Playbook.joined(output.commands) }
}

@Suite("A connection of a session")
struct TransportTests {
    private let server = ConnectionHandle(1)

    @Test("Nothing is sent after the end, and the end is sent once")
    func finish() throws {
        let context = try SessionContext.forTests()
        let transport = Transport(.socket(server))
        try transport.send(ByteBuffer(string: "hello"), context)
        try transport.send(ByteBuffer(), context)
        transport.finish(context)
        try transport.send(ByteBuffer(string: "late"), context)
        transport.finish(context)
        #expect(context.lines == ["send upstream 1: hello", "finish upstream 1"])
        #expect(transport.isFinished && !transport.hasEnded)
    }

    @Test("Closing and resetting end the sending too")
    func closing() throws {
        let context = try SessionContext.forTests()
        let reset = Transport(.socket(.client))
        reset.abort(context)
        try reset.send(ByteBuffer(string: "late"), context)
        let gone = Transport(.socket(server))
        gone.isGone()
        gone.finish(context)
        #expect(context.lines == ["abort client"])
        #expect(gone.hasEnded && gone.isFinished)
    }

    @Test("Reading is asked for when it changes")
    func reading() throws {
        let context = try SessionContext.forTests()
        let transport = Transport(.socket(server))
        for isWanted in [true, false, false, true] { transport.setReading(isWanted, context) }
        #expect(context.lines == ["pause upstream 1", "read upstream 1"])
    }

    @Test("Answers to pings count while the peer does not read, and are forgotten when that changes")
    func unreadReplies() {
        let transport = Transport(.socket(server))
        transport.countUnreadReplies(10)
        #expect(transport.unreadReplies == 0)
        transport.isWritable = false
        transport.countUnreadReplies(10)
        transport.countUnreadReplies(5)
        #expect(transport.unreadReplies == 15)
        transport.isWritable = true
        #expect(transport.unreadReplies == 0)
    }

    @Test(
        "In TLS, records are sent with the flush; the end is a close_notify, and none when it was cut off",
        arguments: [false, true])
    func tls(isCut: Bool) throws {
        let context = try SessionContext.forTests()
        let transport = Transport(.socket(.client))
        let leaf = try Playbook.authority.issue(LeafRequest(serverName: "a.example"), now: 1_700_000_000)
        let tls = try TLSConnection(server: context.configuration.serverTLS, certificate: leaf, alpn: nil)
        transport.begin(tls)
        var options = TLSClientOptions()
        options.verifies = false
        let peer = try TLSConnection(
            client: TLSClientContext(options), serverName: "a.example", alpnOffers: [], sessionKey: "a.example")
        var sent = 0
        /// Gives the peer what the transport has sent since the last time.
        func relay() {
            for case .send(_, let bytes) in context.output.commands[sent...] { peer.receive(bytes) }
            sent = context.output.commands.count
        }
        while !transport.isTLSEstablished {
            _ = try peer.handshake()
            if let bytes = peer.takeCiphertext() { tls.receive(bytes) }
            _ = try transport.handshake(tls)
            transport.noteRecords()
            transport.flush(context)
            relay()
        }
        #expect(try peer.handshake())
        try transport.send(ByteBuffer(string: "hello"), context)
        #expect(context.output.commands.count == sent)
        transport.flush(context)
        relay()
        #expect(try peer.read().map { String(buffer: $0) } == "hello")
        transport.finish(isCut: isCut, context)
        #expect(context.lines.last == "finish client")
        relay()
        #expect(try peer.read() == nil)
        #expect(peer.isPeerClosed == !isCut)
    }
}
