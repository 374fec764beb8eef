import FlowModel
import NIOCore
import ProxyCore
import Testing

/// The scripts of the other tests rely on it: what they do not examine fails.
@Suite("A playbook")
struct PlaybookTests {
    private static let request = "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"

    private func asked() throws -> Playbook {
        let play = try Playbook()
        #expect(play.client(sends: Self.request) == ["open upstream 1: a.example:80"])
        return play
    }

    @Test("A command that is not compared fails at the next event")
    func unexamined() throws {
        let play = try Playbook()
        play.client(sends: Self.request)
        withKnownIssue { _ = play.skip { play.serverOpens() } }
    }

    @Test("A command that is not compared fails at the end, and bytes that nobody took do")
    func unfinished() {
        withKnownIssue { _ = try Playbook().client(sends: Self.request) }
        withKnownIssue { _ = try asked().serverOpens() }
        withKnownIssue { _ = try Playbook("reverse:tcp://a.example:25") }
    }

    @Test("Bytes may be taken later, and a part of the script may be skipped")
    func examined() throws {
        let taken = try asked()
        taken.serverOpens()
        taken.client(sends: "GET")
        #expect(String(buffer: taken.takeSent(ConnectionHandle(1))).hasPrefix("GET / HTTP/1.1\r\n"))
        let skipped = try asked()
        skipped.skip { skipped.serverOpens() }
        #expect(skipped.takeSent(ConnectionHandle(1)) == ByteBuffer())
    }
}
