import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import TestSupport
import Testing

@Suite("A tunnel")
struct TunnelTests {
    private static let connect = "CONNECT example.org:7000 HTTP/1.1\r\nHost: example.org:7000\r\n\r\n"
    private static let established = "send client: HTTP/1.1 200 Connection established\r\n\r\n"

    @Test("CONNECT is answered when the server is there; a failure is a 502 and a flow")
    func connect() throws {
        let play = try Playbook()
        #expect(play.client(says: Self.connect) == ["open upstream 1: example.org:7000"])
        #expect(play.serverOpens() == [Self.established])
        let failing = try Playbook()
        _ = failing.client(says: Self.connect)
        let lines = failing.tell(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 502") == true)
        #expect(
            failing.flows == [
                "http failed CONNECT http://example.org:7000 example.org:7000 ! server: cannot connect to example.org:7000: connection refused"
            ])
    }

    @Test("HTTP in the clear behind CONNECT is recorded as HTTP, and goes out as it came")
    func plainHTTP() throws {
        let play = try Playbook()
        _ = play.client(says: Self.connect)
        _ = play.serverOpens()
        let request = "GET / HTTP/1.1\r\nHost: example.org:7000\r\n\r\n"
        #expect(play.client(says: request) == ["send upstream 1: \(request)"])
        _ = play.server(says: "HTTP/1.1 204 No Content\r\n\r\n")
        #expect(play.flows == ["http complete GET http://example.org:7000 / | 204"])
    }

    @Test("What is not HTTP and not TLS is a TCP flow, each end reaching the other as its own")
    func rawTCP() throws {
        let play = try Playbook()
        _ = play.client(says: Self.connect)
        _ = play.serverOpens()
        #expect(play.client(says: "\u{1}\u{2}ping") == ["send upstream 1: \u{1}\u{2}ping"])
        #expect(play.server(says: "pong") == ["send client: pong"])
        #expect(play.tell(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(play.server(says: "bye") == ["send client: bye"])
        #expect(play.tell(.halfClosed(ConnectionHandle(1))) == ["finish client", "close upstream 1", "close client"])
        #expect(play.flows == ["tcp complete >\u{1}\u{2}ping <pong <bye"])
    }

    @Test("A server that speaks first makes it a TCP flow")
    func serverFirst() throws {
        let play = try Playbook()
        _ = play.client(says: Self.connect)
        _ = play.serverOpens()
        #expect(play.server(says: "220 mail\r\n") == ["send client: 220 mail\r\n"])
        #expect(play.client(says: "EHLO x\r\n") == ["send upstream 1: EHLO x\r\n"])
        #expect(play.tell(.closed(ConnectionHandle(1), error: nil, isReset: true)) == ["abort upstream 1", "abort client"])
        #expect(play.flows == ["tcp incomplete <220 mail\r\n >EHLO x\r\n ! server: the server reset the connection"])
    }

    @Test("With the lazy strategy CONNECT is answered at once and the server contacted when there is something to say")
    func lazy() throws {
        let play = try Playbook(strategy: .lazy)
        #expect(play.client(says: Self.connect) == [Self.established])
        #expect(play.client(says: "\u{1}\u{2}") == ["open upstream 1: example.org:7000"])
        #expect(play.serverOpens() == ["send upstream 1: \u{1}\u{2}"])
    }

    @Test("After 101 both directions are relayed within the same flow")
    func upgrade() throws {
        let play = try Playbook()
        _ = play.client(says: "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        _ = play.serverOpens()
        let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        #expect(play.server(says: switching + "hello") == ["send client: \(switching)hello"])
        #expect(play.client(says: "you") == ["send upstream 1: you"])
        #expect(play.tell(.halfClosed(ConnectionHandle(1))) == ["finish client"])
        #expect(play.tell(.halfClosed(.client)) == ["finish upstream 1", "close upstream 1", "close client"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/ <you> | 101 <hello>"])
    }
}
