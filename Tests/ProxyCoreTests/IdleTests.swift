import FlowModel
import NIOCore
import ProxyCore
import Testing

@Suite("Nothing was received for too long")
struct IdleTests {
    @Test("A tunnel is recorded as cut, and both sides are closed")
    func tunnel() throws {
        let play = try Playbook("reverse:tcp://a.example:25")
        #expect(play.started == ["open upstream 1: a.example:25"])
        #expect(play.serverOpens() == [])
        #expect(play.client(sends: "hello") == ["send upstream 1: hello"])
        // What was received since moves the deadline.
        #expect(play.fire(.idle) == [])
        #expect(play.fire(.idle) == ["close upstream 1", "finish client"])
        #expect(play.flows == ["tcp incomplete >hello ! recorder: nothing was received for too long"])
        #expect(play.fire(.linger) == ["close client"])
    }

    @Test("An exchange is recorded as cut, and both sides are closed")
    func exchange() throws {
        let play = try Playbook()
        #expect(
            play.client(sends: "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n") == ["open upstream 1: a.example:80"])
        // What was received since moves the deadline.
        #expect(play.fire(.idle) == [])
        #expect(play.fire(.idle) == ["close upstream 1", "finish client"])
        #expect(play.fire(.linger) == ["close client"])
    }
}
