// Which requests a view answers: attacks by other pages, by names that resolve to loopback, and through a proxy.

import NIOHTTP1
import Testing

@testable import ViewServer

@Suite("The guard of a view")
struct RequestGuardTests {
    private let requestGuard = RequestGuard(hosts: ["127.0.0.1"], port: 8042, secret: "5ec2e7")

    private func head(_ fields: [(String, String)], target: String = "/api/1/status") -> HTTPRequestHead {
        HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: HTTPHeaders(fields))
    }

    private func isAccepted(_ fields: [(String, String)], target: String = "/api/1/status") -> Bool {
        (try? requestGuard.checkOrigin(head(fields, target: target))) != nil
    }

    @Test("Only the names of this machine with the port of the view are accepted as Host")
    func hosts() {
        let accepted = ["127.0.0.1:8042", "localhost:8042", "LOCALHOST:8042", "[::1]:8042"]
        #expect(accepted.allSatisfy { isAccepted([("Host", $0)]) })
        let refused = [
            "evil.example:8042", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8042", "", "127.0.0.1:8042.evil",
            "0.0.0.0:8042",
        ]
        #expect(refused.allSatisfy { !isAccepted([("Host", $0)]) })
        #expect(!isAccepted([]))
        #expect(!isAccepted([("Host", "127.0.0.1:8042"), ("Host", "evil.example")]))
    }

    @Test("A view of all addresses is named by the one that the connection came to; port 80 may be left out")
    func listenedAddresses() {
        func isAccepted(_ hosts: [String], _ port: Int, _ host: String) -> Bool {
            (try? RequestGuard(hosts: hosts, port: port, secret: "5ec2e7").checkOrigin(head([("Host", host)]))) != nil
        }
        #expect(isAccepted(["0.0.0.0", "192.0.2.7"], 8042, "192.0.2.7:8042"))
        #expect(!isAccepted(["0.0.0.0", "192.0.2.7"], 8042, "192.0.2.8:8042"))
        #expect(!isAccepted(["0.0.0.0", "192.0.2.7"], 8042, "evil.example:8042"))
        #expect(isAccepted(["::", "::ffff:192.0.2.7"], 8042, "192.0.2.7:8042"))
        #expect(isAccepted(["::", "2001:DB8::7"], 8042, "[2001:db8::7]:8042"))
        #expect(isAccepted(["127.0.0.1"], 80, "127.0.0.1"))
        #expect(isAccepted(["127.0.0.1"], 80, "localhost:80"))
        #expect(!isAccepted(["127.0.0.1"], 8042, "127.0.0.1"))
    }

    @Test("Requests of other sites are refused, whatever they ask for")
    func origins() {
        let host = ("Host", "127.0.0.1:8042")
        #expect(isAccepted([host, ("Origin", "http://127.0.0.1:8042")]))
        for origin in ["http://evil.example", "http://127.0.0.1:8043", "https://127.0.0.1:8042", "null", "http://localhost:8042"] {
            #expect(!isAccepted([host, ("Origin", origin)]))
        }
        #expect(isAccepted([host, ("Sec-Fetch-Site", "same-origin")]))
        #expect(isAccepted([host, ("Sec-Fetch-Site", "none")]))
        #expect(!isAccepted([host, ("Sec-Fetch-Site", "cross-site")]))
        #expect(!isAccepted([host, ("Sec-Fetch-Site", "same-site")]))
    }

    @Test("A request to a proxy is refused")
    func absoluteTargets() {
        #expect(!isAccepted([("Host", "127.0.0.1:8042")], target: "http://127.0.0.1:8042/api/1/status"))
        #expect(!isAccepted([("Host", "127.0.0.1:8042")], target: "127.0.0.1:8042"))
        #expect(!isAccepted([("Host", "127.0.0.1:8042")], target: "*"))
    }

    @Test("The secret comes as a bearer token or as the cookie of this port, whole")
    func secrets() {
        func has(_ fields: [(String, String)]) -> Bool { (try? requestGuard.checkSecret(head(fields))) != nil }
        #expect(has([("Authorization", "Bearer 5ec2e7")]))
        #expect(has([("authorization", "bearer  5ec2e7")]))
        #expect(has([("Cookie", "other=1; mitm-view-8042=5ec2e7")]))
        for wrong in ["Bearer", "Bearer 5ec2e", "Bearer 5ec2e70", "Basic 5ec2e7", "5ec2e7", ""] {
            #expect(!has([("Authorization", wrong)]))
        }
        #expect(!has([("Cookie", "mitm-view-8043=5ec2e7")]))
        #expect(!has([("Cookie", "mitm-view-8042=")]))
        #expect(!has([]))
    }

    @Test("A secret has 256 bits, and no two are equal")
    func randomness() {
        let secrets = (0..<100).map { _ in RequestGuard.randomSecret() }
        #expect(Set(secrets).count == 100)
        #expect(secrets.allSatisfy { $0.count == 64 && $0.allSatisfy(\.isHexDigit) })
    }

    @Test("The cookie cannot be used by scripts or by other sites")
    func cookie() {
        #expect(requestGuard.cookie == "mitm-view-8042=5ec2e7; HttpOnly; SameSite=Strict; Path=/")
    }
}
